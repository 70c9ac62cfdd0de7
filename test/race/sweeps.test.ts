import { expect } from "vitest";
import type { Pool } from "pg";
import { registry } from "../../src/sweeps/registry.ts";
import { race, tally } from "../support/barrier.ts";
import { Account, advance, call, outcome } from "../support/scenario.ts";
import type { Db } from "../support/scenario.ts";
import { test, testRoutines, times } from "./arena.ts";

interface Swept {
  processed: number;
  failed: number;
  more: boolean;
}

/** Sweeps until nothing is left, as a run of the Worker's does, and answers how much it did. */
async function sweep(db: Db, routine: string, batch = 100): Promise<Swept> {
  const sum = { processed: 0, failed: 0, more: true };
  while (sum.more) {
    const { processed, failed, more } = await call<Swept>(db, routine, { batch });
    sum.processed += processed;
    sum.failed += failed;
    sum.more = more;
  }
  return sum;
}

/** Accounts with holds and lots that are all due: `[accounts, holds each]`. */
async function due(db: Pool, accounts: number, holds: number): Promise<Account[]> {
  const made = await race(accounts, async () => {
    const account = new Account(db);
    await account.grant(100, { pool: "subscription", expires_in: "1 hour" });
    await account.grant(100, { expires_in: "2 hours" });
    await account.grant(100);
    for (const i of times(holds)) await account.hold(1 + i, { expires_in: `${1 + i} minutes` });
    return account;
  });
  await advance(db, "90 minutes");
  return made;
}

testRoutines.for([2, 4, 8])("D22 %i sweeps at once end each hold and close each lot once", async (n, { db }) => {
  const accounts = await due(db, 25, 10);
  const holds = await race(n, () => sweep(db, "ledger.holds_expire", 20));
  const left = await sweep(db, "ledger.holds_expire");
  expect(holds.concat(left).reduce((sum, { processed }) => sum + processed, 0)).toBe(250);
  expect(holds.every(({ failed }) => failed === 0)).toBe(true);
  await race(n, () => sweep(db, "ledger.lots_expire", 7));
  await sweep(db, "ledger.lots_expire");
  for (const account of accounts) {
    expect(await account.kinds()).toEqual({ grant: 3, hold: 10, hold_expire: 10, expire: 1 });
    expect(await account.sums()).toEqual([200, 0, 0]);
  }
});

testRoutines(
  "B14 sweeps of both kinds meet spends, settlements, resets and reversals of the same accounts",
  async ({ db }) => {
    for (const _ of times(4)) {
      const accounts = await due(db, 12, 6);
      const spent = await race(12, async (i) => (await accounts[i]?.spend(1))?.transaction_id ?? "");
      const open = await db.query<{ owner_id: string; id: string }>(
        "select owner_id, id from ledger.hold where state = 'held' order by id",
      );
      const outcomes = await race(60, (i) => {
        const [account, hold] = [accounts[i % 12], open.rows[(i * 7) % open.rows.length]];
        if (account === undefined || hold === undefined) throw new Error("there is nobody");
        const owner = new Account(db, { owner: hold.owner_id });
        if (i % 15 === 0) return outcome(sweep(db, "ledger.holds_expire", 10));
        if (i % 15 === 1) return outcome(sweep(db, "ledger.lots_expire", 5));
        if (i % 6 === 2) return outcome(owner.settle(hold.id, 1));
        if (i % 6 === 3) return outcome(owner.release(hold.id));
        if (i % 6 === 4) return outcome(account.reset(50));
        if (i % 6 === 5) return outcome(account.reverse(spent[i % 12] ?? ""));
        return outcome(account.spend(2));
      });
      const known = new Set(["done", "hold_ended", "transaction_reversed", "insufficient_credits"]);
      expect(Object.keys(tally(outcomes)).filter((what) => !known.has(what))).toEqual([]);
    }
  },
);

testRoutines(
  "A12 lots expire in the middle of a storm of spends: nothing expired is spent afterwards",
  async ({ db }) => {
    for (const round of times(10)) {
      const account = new Account(db);
      await account.grant(40, { pool: "subscription", expires_in: "10 minutes" });
      await account.grant(40, { expires_in: "30 minutes" });
      let expired = false;
      /** Spends one, and says whether it got what had already ended when it was called. */
      const spend = async (): Promise<string> => {
        const late = expired;
        try {
          const { drawn_pools } = await account.spend(1);
          return late && drawn_pools.includes("subscription") ? "spent what had expired" : "spent";
        } catch (error) {
          return error instanceof Error ? error.message : "?";
        }
      };
      const said = await race(20, async (i) => {
        const words = [await spend()];
        if (i === 0) {
          await advance(db, "15 minutes");
          expired = true;
        }
        if (i === 10) await sweep(db, "ledger.lots_expire");
        for (const _ of times(3)) words.push(await spend());
        return words;
      });
      const { spent = 0, insufficient_credits = 0, ...rest } = tally(said.flat());
      expect(rest, `round ${round}`).toEqual({});
      // The pool that ended gave what it gave before its end; the other one is spendable to its last credit.
      const [available] = await account.sums();
      const { expire = 0 } = await account.kinds();
      expect(expire).toBeLessThanOrEqual(1);
      expect(spent + insufficient_credits).toBe(80);
      expect(available === 0 || insufficient_credits === 0).toBe(true);
    }
  },
);

testRoutines.for([
  ["ledger.holds_expire", "hold_expire"],
  ["ledger.lots_expire", "expire"],
] as const)("D22 %s passes by what somebody else has in hand, and does the rest", async ([routine, kind], { db }) => {
  const [one, ...others] = await due(db, 5, 1);
  const [other, sweeper] = [await db.connect(), await db.connect()];
  try {
    await other.query("begin");
    await other.query("select from ledger.hold where owner_id = $1 for update", [one?.owner]);
    await other.query("select from ledger.account where owner_id = $1 for update", [one?.owner]);
    await sweeper.query("set lock_timeout = '1s'");
    await sweep(sweeper, routine);
    expect((await one?.kinds())?.[kind]).toBeUndefined();
    for (const account of others) expect((await account.kinds())[kind]).toBe(1);
    await other.query("rollback");
    await sweep(sweeper, routine);
    expect((await one?.kinds())?.[kind]).toBe(1);
  } finally {
    other.release(true);
    sweeper.release(true);
  }
});

testRoutines("A12 what has expired is not spendable though no sweep ran, for fifty at once", async ({ db }) => {
  const account = new Account(db);
  await account.grant(25, { pool: "subscription", expires_in: "1 minute" });
  await account.grant(10);
  await advance(db, "1 minute");
  const outcomes = await race(50, () => outcome(account.spend(1)));
  expect(tally(outcomes)).toEqual({ done: 10, insufficient_credits: 40 });
  expect(await account.kinds()).toEqual({ grant: 2, expire: 1, spend: 10 });
});

test("D22 eight ticks of the Worker at once share the work, and every run has its end", async ({ world, db }) => {
  await due(db, 10, 10);
  await race(8, () => world.tick());
  const { rows } = await db.query<{ open: number; ended: number; processed: number }>(
    `select (select count(*)::int from ledger.hold where state = 'held' and expires_at <= ops.now()) as open,
            (select count(*)::int from ops.sweep_run where finished_at is not null and error is null) as ended,
            (select sum(processed)::int from ops.sweep_run where name = 'holds_expire') as processed`,
  );
  expect(rows).toEqual([{ open: 0, ended: registry.length, processed: 100 }]);
});
