import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { assertStanding } from "../support/invariants.ts";
import { Account, call, refusal, rows } from "../support/scenario.ts";
import type { Db } from "../support/scenario.ts";
import { test } from "../support/sql.ts";

interface Verified {
  names: string[];
  oks: boolean[];
  details: (string | null)[];
}

const verify = (db: Db, owner_id: string) => call<Verified>(db, "ledger.verify", { owner_id });

const checks = [
  "entries_sum_to_zero",
  "account_equals_entries",
  "nothing_below_zero",
  "lots_equal_available",
  "lots_equal_entries",
  "held_equals_open_holds",
  "debt_leaves_nothing_available",
  "lots_within_given",
];

/** An account with some of everything: spent, held, expired, recovered, in two units. */
async function busy(account: Account): Promise<void> {
  const payment = randomUUID();
  await account.grant(50, { payment });
  await account.reset(10);
  await account.spend(12);
  await account.hold(20);
  await account.takeBack(payment, { refunded: 50 });
  await account.reset(5);
  await account.in("seat").setLimit(3);
}

test("an owner's ledger proves itself, over all units", async ({ db, account }) => {
  await busy(account);
  expect(await verify(db, account.owner)).toEqual({
    names: checks,
    oks: checks.map(() => true),
    details: checks.map(() => null),
  });
});

test("an owner that has nothing is in order", async ({ db }) => {
  expect((await verify(db, randomUUID())).oks).toEqual(checks.map(() => true));
});

/** What nobody can do through the routines; done as the owner, past the guards. */
const corruptions: [check: string, sql: string][] = [
  ["account_equals_entries", "update ledger.account set available = available + 1 where owner_id = $1"],
  [
    "account_equals_entries",
    "update ledger.account set debt = debt + 1, available = 0 where owner_id = $1 and unit = 'seat'",
  ],
  ["account_equals_entries", "delete from ledger.account where owner_id = $1 and unit = 'seat'"],
  [
    "lots_equal_available",
    "update ledger.lot set available = available + 1, empty = false where owner_id = $1 and pool = 'bulk'",
  ],
  [
    "lots_equal_entries",
    "update ledger.lot set available = available + 1, empty = false where owner_id = $1 and pool = 'bulk'",
  ],
  ["held_equals_open_holds", "update ledger.hold set state = 'settled', ended_at = ops.now() where owner_id = $1"],
  ["held_equals_open_holds", "delete from ledger.hold where owner_id = $1"],
  ["lots_within_given", "update ledger.lot set recovered = given + 1 where owner_id = $1 and pool = 'bulk'"],
];

test.for(corruptions)("%s is told, and so is it by the tests' own invariants: %s", async ([check, sql], { db }) => {
  const connection = await db.connect();
  try {
    await connection.query("begin");
    const account = new Account(connection);
    await busy(account);
    await assertStanding(connection);
    await connection.query(sql, [account.owner]);
    const { names, oks, details } = await verify(connection, account.owner);
    const place = names.indexOf(check);
    expect([oks[place], typeof details[place]]).toEqual([false, "string"]);
    await expect(assertStanding(connection)).rejects.toThrow("not so:");
  } finally {
    connection.release(true);
  }
});

test("A12 a transaction that does not sum to zero cannot be stored, whoever writes it", async ({ db, account }) => {
  const { lot_id } = await account.grant(1);
  const insert = (kind: string, sides: string[], lots: (string | null)[], amounts: number[]) =>
    refusal(
      rows(
        db,
        `insert into ledger.transaction
           (owner_id, unit, id, kind, amount, sides, lots, amounts, idempotency_key, caused_by, created_at)
         values ($1, 'credit', uuidv7(), $2, 1, $3, $4, $5, $6, 'test', ops.now())`,
        [account.owner, kind, sides, lots, amounts, randomUUID()],
      ),
    );
  const unbalanced = { sqlstate: "23514", constraint: "transaction_balanced" };
  const lots = [lot_id, lot_id];
  expect(await insert("spend", ["available", "spent"], lots, [-1, 2])).toEqual(unbalanced);
  expect(await insert("spend", ["available"], [lot_id], [-1])).toEqual(unbalanced);
  expect(await insert("spend", [], [], [])).toEqual(unbalanced);
  expect(await insert("spend", ["available", "spent"], [lot_id], [-1, 1])).toEqual(unbalanced);
  expect(await insert("spend", ["available", "gone"], lots, [-1, 1])).toEqual(unbalanced);
  expect(await insert("spend", ["available", "spent"], [null, lot_id], [-1, 1])).toEqual(unbalanced);
  expect(await insert("spend", ["available", "spent", "spent"], [...lots, lot_id], [-1, 1, 0])).toEqual(unbalanced);
  expect(await insert("gift", ["available", "spent"], lots, [-1, 1])).toMatchObject({
    constraint: "transaction_kind_known",
  });
});
