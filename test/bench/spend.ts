import { randomUUID } from "node:crypto";
import type { Routine } from "../../src/db/routine.ts";
import { compose } from "../../src/db/write.ts";
import { calls } from "../../src/ledger/store.ts";

/** A declared call of the product's, by its routine's name. */
function declared(name: Routine["name"]): Routine {
  const found = calls.find((call) => call.name === name);
  if (found === undefined) {
    throw new Error(`src/ledger/store.ts declares no ${name}`);
  }
  return found;
}

/** The very statements that the Worker sends. */
export const spendStatement = compose(declared("ledger.spend"), true);
export const spendManyStatement = compose(declared("ledger.spend_many"), true);

/** Who calls, on whom, under which idempotency key. */
export interface Caller {
  credential: string;
  workspace: string;
  key: string;
}

/** Any request's: the bench never sends two requests under one key. */
const fingerprint = "ab".repeat(32);

const envelope = ({ credential, workspace, key }: Caller): unknown[] => [
  credential,
  "credits:write",
  workspace,
  key,
  fingerprint,
  randomUUID(),
];

/** The parameters of `spendStatement`: unit, amount and reason after the envelope's own. */
export function spendValues(caller: Caller): unknown[] {
  return [...envelope(caller), "credit", 1, null];
}

/** The parameters of `spendManyStatement`, one item for each key. */
export function spendManyValues(caller: Caller, keys: string[]): unknown[] {
  return [...envelope(caller), "credit", keys, keys.map(() => 1), keys.map(() => null)];
}
