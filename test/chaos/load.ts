import { expect } from "vitest";
import { idOf } from "../support/api.ts";
import type { Answer, Api, Workspace } from "../support/api.ts";
import { race, until } from "../support/barrier.ts";
import { rows } from "../support/scenario.ts";
import type { Db } from "../support/scenario.ts";

// A load of clients that do not give up: each request is repeated with its key until somebody says what became of it. So
// whatever is killed meanwhile, in the end every key has exactly one effect, and the sums are known beforehand.

/** Where the clients find the Worker at the moment; null while there is none. */
export interface Whereabouts {
  api: Api | null;
}

/** What a load has done so far. */
export interface Progress {
  /** Requests that somebody has answered. */
  known: number;
  /** Sends that nobody answered, or whose outcome was unknown. */
  unknown: number;
}

const clients = 10;
const cycles = 3;
/** What one cycle of a client's takes from `available`, and leaves in `held`. */
const cycle = { taken: 3 + 4 + 2 + 3 + 1 - 2 - 5, held: 2, requests: 8 };

/** How many requests the load has in all. */
export const requests = clients * cycles * cycle.requests;

/** Runs the load to its end, and answers what went wrong on the way. */
export async function load(where: Whereabouts, workspace: Workspace, progress: Progress): Promise<void> {
  await race(clients, async (client) => {
    for (let turn = 0; turn < cycles; turn += 1) {
      const send = (path: string, body: unknown, name: string) =>
        insist(where, `${workspace.credits}/${path}`, body, `${client}-${turn}-${name}`, progress);
      await send("grants", { pool: "promo", amount: 5 }, "grant");
      await send("spend", { amount: 3 }, "spend");
      const settled = idOf(await send("holds", { amount: 4, expires_in: 3600 }, "to settle"));
      const released = idOf(await send("holds", { amount: 3, expires_in: 3600 }, "to release"));
      await send("holds", { amount: 2, expires_in: 3600 }, "kept");
      await send(`holds/${settled}/settle`, { amount: 2 }, "settled");
      await send(`holds/${released}/release`, {}, "released");
      const items = ["a", "b", "c"].map((item) => ({ key: `${client}-${turn}-${item}`, amount: 1 }));
      await send("spend/batch", { items }, "batch");
    }
  });
}

/** Every key once, nothing that nobody asked for, and the sums that this makes. */
export async function assertEachOnce(db: Db, { id }: Workspace, granted: number): Promise<void> {
  const found = await rows<{ kind: string; n: number }>(
    db,
    "select kind::text, count(*)::int as n from ledger.transaction where owner_id = $1 group by kind",
    [id],
  );
  const each = clients * cycles;
  expect(Object.fromEntries(found.map(({ kind, n }) => [kind, n]))).toEqual({
    grant: each + 1,
    spend: each * 4,
    hold: each * 3,
    settle: each,
    release: each,
  });
  const [account] = await rows<{ available: number; held: number }>(
    db,
    "select available::bigint, held::bigint from ledger.account where owner_id = $1",
    [id],
  );
  expect(account).toEqual({ available: granted + each * (5 - 3 - 2 - 2 - 3), held: each * 2 });
}

/** Sends until an answer says what became of it. */
async function insist(
  where: Whereabouts,
  path: string,
  body: unknown,
  key: string,
  progress: Progress,
): Promise<Answer> {
  let answer: Answer | undefined;
  await until(
    `${key} is known`,
    async () => {
      answer = await where.api?.post(path, body, key).catch(() => undefined);
      if (answer !== undefined && answer.status !== 503) return true;
      progress.unknown += 1;
      return false;
    },
    60_000,
  );
  // There is enough for all, so nothing but success is right.
  expect([answer?.status, key, answer?.body]).toEqual([expect.toBeOneOf([200, 201]), key, expect.anything()]);
  if (answer === undefined) throw new Error("there is no answer");
  progress.known += 1;
  return answer;
}
