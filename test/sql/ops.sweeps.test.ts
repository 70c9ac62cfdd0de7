import { describe, expect } from "vitest";
import { race } from "../support/barrier.ts";
import { Account, advance, call, outcome, rows } from "../support/scenario.ts";
import type { Db } from "../support/scenario.ts";
import { test } from "../support/sql.ts";

interface Claimed {
  names: string[];
  run_ids: string[];
}

const claim = (db: Db, names: string[], { every = "1 minute", lease = "1 minute" } = {}) =>
  call<Claimed>(db, "ops.claim_sweeps", { names, intervals: names.map(() => every), lease });

const finish = (
  db: Db,
  run_id: string,
  { processed = 0, failed = 0, more = false, error = null as string | null } = {},
) =>
  call<{ name: string | null; finished: boolean }>(db, "ops.finish_sweep", { run_id, processed, failed, more, error });

const alarms = (db: Db, code: string) =>
  rows<{ subject: string; times: number; open: boolean }>(
    db,
    "select subject, times, closed_at is null as open from ops.alarm where code = $1 order by id",
    [code],
  );

describe("claim_sweeps", () => {
  test("claims what is due, once: a sweep that runs, and one that ran lately, are not", async ({ db }) => {
    const first = await claim(db, ["due_b", "due_a"]);
    expect(first.names).toEqual(["due_a", "due_b"]);
    expect(await claim(db, ["due_a", "due_b"])).toEqual({ names: [], run_ids: [] });
    for (const run_id of first.run_ids) await finish(db, run_id);
    expect((await claim(db, ["due_a", "due_b", "due_c"])).names).toEqual(["due_c"]);
    await advance(db, "1 minute");
    expect((await claim(db, ["due_a", "due_b"])).names).toEqual(["due_a", "due_b"]);
  });

  test("none at all is none", async ({ db }) => {
    expect(await claim(db, [])).toEqual({ names: [], run_ids: [] });
  });

  test("D22 of many callers at once each sweep goes to one", async ({ db }) => {
    const names = Array.from({ length: 10 }, (_, i) => `many_${i}`);
    const claims = await race(12, (i) => claim(db, i % 2 === 0 ? names : names.toReversed()));
    expect(claims.flatMap((one) => one.names).toSorted()).toEqual(names);
    expect(new Set(claims.flatMap((one) => one.run_ids)).size).toBe(10);
  });

  test("a lease that ran out is claimed again; the late report of the dead run ends only its own run", async ({
    db,
  }) => {
    const dead = await claim(db, ["leased"], { every: "1 second", lease: "1 minute" });
    await advance(db, "40 seconds");
    expect((await claim(db, ["leased"], { every: "1 second" })).names).toEqual([]);
    await advance(db, "20 seconds");
    const living = await claim(db, ["leased"], { every: "1 second" });
    expect(living.names).toEqual(["leased"]);
    expect(await finish(db, dead.run_ids[0] ?? "", { processed: 7 })).toEqual({ name: "leased", finished: true });
    expect((await claim(db, ["leased"], { every: "0" })).names).toEqual([]);
    expect(await finish(db, living.run_ids[0] ?? "")).toMatchObject({ finished: true });
    expect((await claim(db, ["leased"], { every: "0" })).names).toEqual(["leased"]);
  });

  test("a run that left more is due at once", async ({ db }) => {
    const { run_ids } = await claim(db, ["more"], { every: "1 hour" });
    await finish(db, run_ids[0] ?? "", { processed: 100, more: true });
    const again = await claim(db, ["more"], { every: "1 hour" });
    expect(again.names).toEqual(["more"]);
    await finish(db, again.run_ids[0] ?? "");
    expect((await claim(db, ["more"], { every: "1 hour" })).names).toEqual([]);
  });
});

describe("finish_sweep", () => {
  test("a run is told once, and an unknown one not at all", async ({ db }) => {
    const { run_ids } = await claim(db, ["told"]);
    const run_id = run_ids[0] ?? "";
    expect(await finish(db, run_id, { processed: 3, failed: 1 })).toEqual({ name: "told", finished: true });
    expect(await finish(db, run_id, { processed: 99 })).toEqual({ name: null, finished: false });
    expect(await finish(db, "018f0000-0000-7000-8000-000000000001")).toEqual({ name: null, finished: false });
    expect(await rows(db, "select processed, failed, more, error from ops.sweep_run where id = $1", [run_id])).toEqual([
      { processed: 3, failed: 1, more: false, error: null },
    ]);
  });

  test("D21 an error opens one alarm however often it comes, and a good run closes it", async ({ db }) => {
    for (let i = 0; i < 3; i += 1) {
      const { run_ids } = await claim(db, ["failing"], { every: "0" });
      await finish(db, run_ids[0] ?? "", { error: "on fire" });
    }
    expect(await alarms(db, "sweep_failed")).toEqual([{ subject: "failing", times: 3, open: true }]);
    const { run_ids } = await claim(db, ["failing"], { every: "0" });
    await finish(db, run_ids[0] ?? "");
    expect(await alarms(db, "sweep_failed")).toEqual([{ subject: "failing", times: 3, open: false }]);
    const next = await claim(db, ["failing"], { every: "0" });
    await finish(db, next.run_ids[0] ?? "", { error: "again" });
    expect(await alarms(db, "sweep_failed")).toEqual([
      { subject: "failing", times: 3, open: false },
      { subject: "failing", times: 1, open: true },
    ]);
  });

  test("an alarm raised by many at once is one", async ({ db }) => {
    await race(10, () => rows(db, "select ops.raise_alarm('a_code', 'a subject', '{}')"));
    expect(await alarms(db, "a_code")).toEqual([{ subject: "a subject", times: 10, open: true }]);
  });
});

/** One account whose holds cannot end, for as long as the test lasts. */
async function poisoned<Result>(db: Db, account: Account, work: () => Promise<Result>): Promise<Result> {
  await db.query(
    `alter table ledger.hold add constraint poison check (owner_id <> '${account.owner}' or state = 'held') not valid`,
  );
  try {
    return await work();
  } finally {
    await db.query("alter table ledger.hold drop constraint poison");
  }
}
const parked = (db: Db, subject: string) =>
  rows<{ sweep: string; sqlstate: string; times: number; seconds: number }>(
    db,
    `select sweep, sqlstate, times, extract(epoch from until - last_at)::int as seconds from ops.parked where subject = $1`,
    [subject],
  );
const run = async (db: Db, sweep: string) =>
  (await rows<{ processed: number; failed: number; more: boolean }>(db, `select * from ledger.${sweep}(100)`))[0];

describe("a row that cannot be processed", () => {
  test("is parked alone, under an alarm; the others of its batch are done", async ({ db, account }) => {
    const others = [new Account(db), new Account(db)];
    for (const one of [others[0], account, others[1]]) {
      await one?.grant(5);
      await one?.hold(5, { expires_in: "1 minute" });
    }
    await advance(db, "2 minutes");
    const [hold] = await rows<{ id: string }>(db, "select id from ledger.hold where owner_id = $1", [account.owner]);
    const id = hold?.id ?? "";
    await poisoned(db, account, async () => {
      expect(await run(db, "holds_expire")).toEqual({ processed: 2, failed: 1, more: false });
      for (const one of others) expect(await one.sums()).toEqual([5, 0, 0]);
      expect(await parked(db, id)).toEqual([{ sweep: "holds_expire", sqlstate: "23514", times: 1, seconds: 60 }]);
      expect(await alarms(db, "row_parked")).toEqual([{ subject: `holds_expire:${id}`, times: 1, open: true }]);
      expect(await run(db, "holds_expire")).toEqual({ processed: 0, failed: 0, more: false });
    });
    expect(await run(db, "holds_expire")).toEqual({ processed: 0, failed: 0, more: false });
    await advance(db, "1 minute");
    expect(await run(db, "holds_expire")).toEqual({ processed: 1, failed: 0, more: false });
    expect(await parked(db, id)).toEqual([]);
    expect(await alarms(db, "row_parked")).toEqual([{ subject: `holds_expire:${id}`, times: 1, open: false }]);
    expect(await account.sums()).toEqual([5, 0, 0]);
  });

  test("is tried again after 1, 2, 4 … minutes, a day at most", async ({ db, account }) => {
    await account.grant(5);
    const { id } = await account.hold(5, { expires_in: "1 minute" });
    await advance(db, "2 minutes");
    await poisoned(db, account, async () => {
      const waits: number[] = [];
      for (let i = 0; i < 13; i += 1) {
        expect(await run(db, "holds_expire")).toEqual({ processed: 0, failed: 1, more: false });
        waits.push((await parked(db, id))[0]?.seconds ?? 0);
        await advance(db, `${waits.at(-1)} seconds`);
      }
      const doubling = Array.from({ length: 11 }, (_, i) => 60 * 2 ** i);
      expect(waits).toEqual([...doubling, 86_400, 86_400]);
    });
    expect(await run(db, "holds_expire")).toMatchObject({ processed: 1 });
  });

  test("heals by its client's hand too: the alarm closes with the hold", async ({ db, account }) => {
    await account.grant(5);
    const { id } = await account.hold(5, { expires_in: "1 minute" });
    await advance(db, "2 minutes");
    await poisoned(db, account, () => run(db, "holds_expire"));
    expect(await parked(db, id)).toHaveLength(1);
    await account.settle(id);
    expect(await parked(db, id)).toEqual([]);
    expect((await alarms(db, "row_parked")).filter(({ open }) => open)).toEqual([]);
  });

  test("an account whose lots cannot expire is parked alone, and heals with the next spend", async ({
    db,
    account,
  }) => {
    const other = new Account(db);
    for (const one of [account, other]) {
      await one.grant(5, { pool: "promo", expires_in: "1 minute" });
      await one.grant(2);
    }
    await advance(db, "2 minutes");
    await db.query(
      `alter table ledger.lot add constraint poison check (owner_id <> '${account.owner}' or expired = 0) not valid`,
    );
    expect(await run(db, "lots_expire")).toEqual({ processed: 1, failed: 1, more: false });
    expect(await parked(db, `${account.owner}:credit`)).toMatchObject([{ sweep: "lots_expire", times: 1 }]);
    expect(await outcome(account.spend(1))).toBe("23514");
    await db.query("alter table ledger.lot drop constraint poison");
    expect(await account.spend(2)).toMatchObject({ available: 0 });
    expect(await parked(db, `${account.owner}:credit`)).toEqual([]);
  });

  const passing: [what: string, sqlstate: string][] = [
    ["a serialization failure", "40001"],
    ["a deadlock", "40P01"],
    ["a lock timeout", "55P03"],
    ["a full disk", "53100"],
    ["too many connections", "53300"],
    ["a cancelled statement", "57014"],
    ["a shutdown", "57P01"],
    ["a lost connection", "08006"],
    ["an input or output error", "58030"],
  ];
  test.for(passing)("is not parked for %s: %s is raised again, and nothing is done", async ([, sqlstate], { db }) => {
    const connection = await db.connect();
    try {
      await connection.query("begin");
      const account = new Account(connection);
      await account.grant(5);
      await account.hold(5, { expires_in: "0" });
      await connection.query(`create function ledger.fail() returns trigger language plpgsql as
        $$ begin raise exception using errcode = '${sqlstate}'; end $$`);
      await connection.query(
        `create trigger fail before update on ledger.hold for each row execute function ledger.fail()`,
      );
      expect(await outcome(connection.query("select ledger.holds_expire(100)"))).toBe(sqlstate);
    } finally {
      connection.release(true);
    }
  });

  test("an error of the moment and an error of the row are told apart", async ({ db }) => {
    const passes = async (sqlstate: string) =>
      (await rows<{ passing: boolean }>(db, "select ops.is_passing($1) as passing", [sqlstate]))[0]?.passing;
    for (const sqlstate of ["23505", "23514", "22003", "22012", "42883", "P0001", "TG001", "TG004", "XX000", "55000"]) {
      expect([sqlstate, await passes(sqlstate)]).toEqual([sqlstate, false]);
    }
  });
});

describe("retention", () => {
  test("requests_expire drops stored answers after 35 days, a batch at a time, and no younger one", async ({
    db,
    door,
  }) => {
    const workspace = await door.workspace();
    const args = { unit: "credit", pool: "bulk", amount: 1, expires_at: null, reason: null };
    for (let i = 0; i < 5; i += 1) await door.write({ routine: "ledger.grant", args, workspace, key: `old-${i}` });
    await advance(db, "30 days");
    await door.write({ routine: "ledger.grant", args, workspace, key: "young" });
    await advance(db, "5 days");
    const expire = async () =>
      (await rows<{ processed: number; failed: number; more: boolean }>(db, "select * from ops.requests_expire(3)"))[0];
    expect(await expire()).toEqual({ processed: 3, failed: 0, more: true });
    expect(await expire()).toEqual({ processed: 2, failed: 0, more: false });
    expect(await expire()).toEqual({ processed: 0, failed: 0, more: false });
    expect(await rows(db, "select idempotency_key from ops.request where workspace_id = $1", [workspace])).toEqual([
      { idempotency_key: "young" },
    ]);
  });

  test("sweep_runs_expire drops runs after 35 days, and no younger one", async ({ db }) => {
    await claim(db, ["old_1", "old_2", "old_3"]);
    await advance(db, "30 days");
    await claim(db, ["young"]);
    await advance(db, "5 days");
    const expire = async () =>
      (await rows<{ processed: number; more: boolean }>(db, "select processed, more from ops.sweep_runs_expire(2)"))[0];
    while ((await expire())?.more === true);
    const left = await rows<{ name: string }>(
      db,
      "select name from ops.sweep_run where name like 'old%' or name = 'young'",
    );
    expect(left).toEqual([{ name: "young" }]);
    expect(await expire()).toEqual({ processed: 0, more: false });
  });

  test("holds_retire drops what ended 400 days ago, alarms_expire what was closed then; what is open stays, and every transaction", async ({
    db,
    account,
  }) => {
    await account.grant(100);
    const [ended, open] = [await account.hold(10), await account.hold(20, { expires_in: "3000 days" })];
    await account.release(ended.id);
    for (const code of ["old", "open"]) await db.query("select ops.raise_alarm($1, 'x', '{}')", [code]);
    await db.query("select ops.close_alarm('old', 'x')");
    const moved = await rows(db, "select id from ledger.transaction where owner_id = $1 order by id", [account.owner]);
    const left = async () => ({
      holds: await rows(db, "select id from ledger.hold where owner_id = $1", [account.owner]),
      alarms: await rows(db, "select code from ops.alarm where code in ('old', 'open')"),
    });
    const retire = async () => {
      for (const sweep of ["ledger.holds_retire", "ops.alarms_expire"]) await db.query(`select ${sweep}(100)`);
    };
    await advance(db, "399 days");
    await retire();
    expect((await left()).holds).toHaveLength(2);
    expect((await left()).alarms).toHaveLength(2);
    await advance(db, "1 day");
    await retire();
    expect(await left()).toEqual({ holds: [{ id: open.id }], alarms: [{ code: "open" }] });
    expect(
      await rows(db, "select id from ledger.transaction where owner_id = $1 order by id", [account.owner]),
    ).toEqual(moved);
  });
});
