import { describe, expect } from "vitest";
import { race, tally } from "../support/barrier.ts";
import { Account, advance, outcome, refusal, rows } from "../support/scenario.ts";
import type { Db } from "../support/scenario.ts";
import { test } from "../support/sql.ts";

const sweep = async (db: Db, routine: string, batch = 100) => {
  const [ran] = await rows<{ processed: number; failed: number; more: boolean }>(
    db,
    `select processed, failed, more from ledger.${routine}($1)`,
    [batch],
  );
  return ran;
};

/** The account's row as it stands, whatever has expired. */
const stored = async (account: Account) => {
  const [row] = await rows<{ available: number }>(
    account.db,
    "select available::bigint from ledger.account where owner_id = $1 and unit = $2",
    [account.owner, account.unit],
  );
  return row?.available;
};

describe("A12 what has expired is not there, though no sweep ran", () => {
  const spending: [string, (account: Account) => Promise<unknown>][] = [
    ["spent", (account) => account.spend(3)],
    ["held", (account) => account.hold(3)],
    ["taken by an adjustment", (account) => account.adjust(-3)],
  ];
  test.for(spending)("it cannot be %s", async ([, take], { db, account }) => {
    await account.grant(8, { pool: "promo", expires_in: "1 minute" });
    await account.grant(2);
    await advance(db, "1 minute");
    expect(await stored(account)).toBe(10);
    expect(await refusal(take(account))).toEqual({ code: "insufficient_credits", available: 2 });
    expect(await account.balance()).toMatchObject({ available: 2, pools: ["bulk"] });
  });

  test("what is left is there, and the account is made exact by whoever comes first", async ({ db, account }) => {
    await account.grant(8, { pool: "promo", expires_in: "1 minute" });
    await account.grant(2);
    await account.spend(3);
    await advance(db, "1 minute");
    expect(await account.spend(2)).toMatchObject({ available: 0, drawn_pools: ["bulk"] });
    expect(await stored(account)).toBe(0);
    expect(await account.kinds()).toEqual({ grant: 2, spend: 2, expire: 1 });
    const expired = await rows(
      db,
      "select kind::text, amount::bigint, caused_by from ledger.transaction where owner_id = $1 and kind = 'expire'",
      [account.owner],
    );
    expect(expired).toEqual([{ kind: "expire", amount: 5, caused_by: "expiry" }]);
  });

  test("a lot that a spend emptied and a return filled again expires too", async ({ db, account }) => {
    await account.grant(5, { pool: "promo", expires_in: "1 hour" });
    const { id } = await account.hold(5);
    await account.release(id);
    await advance(db, "1 hour");
    expect(await refusal(account.spend(1))).toMatchObject({ available: 0 });
  });
});

describe("lots_expire", () => {
  test("closes what has expired, account by account; again it finds nothing", async ({ db, account }) => {
    const accounts = Array.from({ length: 5 }, () => new Account(db));
    for (const one of [...accounts, account]) {
      await one.grant(3, { pool: "promo", expires_in: "1 minute" });
      await one.grant(4, { pool: "promo", expires_in: "1 hour" });
      await one.grant(5);
    }
    await advance(db, "10 minutes");
    expect(await sweep(db, "lots_expire", 4)).toEqual({ processed: 4, failed: 0, more: true });
    expect(await sweep(db, "lots_expire", 4)).toEqual({ processed: 2, failed: 0, more: false });
    expect(await sweep(db, "lots_expire", 4)).toEqual({ processed: 0, failed: 0, more: false });
    for (const one of [...accounts, account]) {
      expect([await stored(one), await one.kinds()]).toEqual([9, { grant: 3, expire: 1 }]);
    }
  });

  test("several at once, with spends: each lot expires once, and none waits for another", async ({ db }) => {
    const accounts = Array.from({ length: 20 }, () => new Account(db));
    for (const one of accounts) {
      await one.grant(3, { pool: "promo", expires_in: "1 minute" });
      await one.grant(5);
    }
    await advance(db, "10 minutes");
    const outcomes = await race(24, async (i) => {
      if (i % 6 === 0) return (await sweep(db, "lots_expire", 20))?.failed ?? "lost";
      return outcome((accounts[i % 20] ?? new Account(db)).spend(6));
    });
    expect(tally(outcomes)).toEqual({ 0: 4, insufficient_credits: 20 });
    await sweep(db, "lots_expire");
    for (const one of accounts) expect([await stored(one), await one.kinds()]).toEqual([5, { grant: 2, expire: 1 }]);
  });

  test("an account that somebody works on is left for the next time", async ({ db, account }) => {
    await account.grant(3, { pool: "promo", expires_in: "1 minute" });
    await account.grant(5);
    await advance(db, "10 minutes");
    const gate = await db.connect();
    try {
      await gate.query("begin");
      await account.on(gate).spend(1);
      expect(await sweep(db, "lots_expire")).toEqual({ processed: 0, failed: 0, more: false });
      await gate.query("rollback");
    } finally {
      gate.release(true);
    }
    expect(await sweep(db, "lots_expire")).toEqual({ processed: 1, failed: 0, more: false });
  });
});

describe("holds_expire", () => {
  test("ends holds whose time has passed, and nothing else; what they held returns", async ({ db, account }) => {
    await account.grant(10);
    const due = [await account.hold(1, { expires_in: "1 minute" }), await account.hold(2, { expires_in: "2 minutes" })];
    const later = await account.hold(3, { expires_in: "1 hour" });
    await advance(db, "5 minutes");
    expect(await sweep(db, "holds_expire")).toEqual({ processed: 2, failed: 0, more: false });
    expect(await sweep(db, "holds_expire")).toEqual({ processed: 0, failed: 0, more: false });
    expect(await account.sums()).toEqual([7, 3, 0]);
    for (const { id } of due) expect(await account.holdRow(id)).toEqual({ state: "expired", version: 2, settled: 0 });
    expect(await account.holdRow(later.id)).toMatchObject({ state: "held" });
    expect(await account.kinds()).toEqual({ grant: 1, hold: 3, hold_expire: 2 });
  });

  test("many sweeps at once end each hold once", async ({ db }) => {
    const accounts = Array.from({ length: 10 }, () => new Account(db));
    for (const one of accounts) {
      await one.grant(10);
      for (let i = 0; i < 6; i += 1) await one.hold(1, { expires_in: "1 minute" });
    }
    await advance(db, "5 minutes");
    const runs = await race(6, async () => (await sweep(db, "holds_expire", 30))?.processed ?? 0);
    const rest = (await sweep(db, "holds_expire"))?.processed ?? 0;
    expect(runs.reduce((sum, processed) => sum + processed, rest)).toBe(60);
    for (const one of accounts) expect(await one.kinds()).toEqual({ grant: 1, hold: 6, hold_expire: 6 });
  });

  test("the soonest come first, and a batch is a batch", async ({ db, account }) => {
    await account.grant(10);
    for (const minutes of [5, 3, 4, 1, 2]) await account.hold(1, { expires_in: `${minutes} minutes` });
    await advance(db, "1 hour");
    expect(await sweep(db, "holds_expire", 2)).toEqual({ processed: 2, failed: 0, more: true });
    const ended = await rows(
      db,
      `select extract(epoch from expires_at - created_at)::int / 60 as minutes from ledger.hold
        where owner_id = $1 and state = 'expired' order by expires_at`,
      [account.owner],
    );
    expect(ended).toEqual([{ minutes: 1 }, { minutes: 2 }]);
  });

  test("B14 sweeps, settlements and releases over many accounts never deadlock", async ({ db }) => {
    const accounts = Array.from({ length: 4 }, () => new Account(db));
    const holds: { account: Account; id: string }[] = [];
    for (const account of accounts) {
      await account.grant(20);
      for (let i = 0; i < 5; i += 1)
        holds.push({ account, id: (await account.hold(2, { expires_in: "1 minute" })).id });
    }
    await advance(db, "5 minutes");
    const outcomes = await race(24, async (i) => {
      if (i % 6 === 5) return outcome(sweep(db, i % 12 === 5 ? "holds_expire" : "lots_expire"));
      const one = holds[(i * 7) % holds.length];
      return outcome(
        i % 2 === 0 ? (one?.account.settle(one.id) ?? sweep(db, "")) : (one?.account.release(one.id) ?? sweep(db, "")),
      );
    });
    expect(outcomes.filter((one) => !["done", "hold_ended"].includes(one))).toEqual([]);
  });
});
