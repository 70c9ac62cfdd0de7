import { randomUUID } from "node:crypto";
import { settings, type ProvisionerAccount } from "../../src/env.ts";
import type { Listing, Provisioner } from "../../src/outside/provisioner/provisioner.ts";

const DATABASE_URL = "postgresql://tollgate_worker:secret@ep-cool.eu-central-1.aws.neon.tech/tollgate?sslmode=require";
const onThisMachine = { DATABASE_URL, DATABASE_FETCH_ENDPOINT: "http://127.0.0.1:4444/sql" };

/** A provisioner's account, by its bindings. */
export function accountOf(bindings: Record<string, string>): ProvisionerAccount {
  const { provisioner } = settings({ ...onThisMachine, ...bindings });
  if (provisioner === null) throw new Error("no provisioner");
  return provisioner;
}

/** What a panel calls a key. */
export const nameOf = (key: string) => key.replaceAll("-", "");
export const addition = (key: string) => ({
  key,
  key_id: randomUUID(),
  workspace_id: randomUUID(),
  message_id: randomUUID(),
});
export const removal = (key: string) => ({ key, message_id: randomUUID() });
/** Random keys, sorted. */
export const keys = (count: number) => Array.from({ length: count }, () => randomUUID() as string).toSorted();
/** What a call failed with; null: it did not. */
export const failure = (work: Promise<unknown>) =>
  work.then(
    () => null,
    (error: unknown) => error,
  );

/** The whole list, in parts. */
export async function all(
  provisioner: Provisioner,
  limit = 1000,
  between: () => void = () => undefined,
  from: string | null = null,
) {
  const found = { keys: [] as string[], shut: [] as string[], parts: 0 };
  let [after, place]: [string | null, string | undefined] = [from, undefined];
  for (;;) {
    const part: Listing = await provisioner.list(after, limit, place);
    found.keys.push(...part.keys);
    found.shut.push(...part.shut);
    found.parts += 1;
    if (part.next === null) return found;
    if (found.parts > 500) throw new Error("it does not go on");
    [after, place] = [part.next, part.place];
    between();
  }
}
