import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase } from "../support/database.ts";
import type { TestDatabase } from "../support/database.ts";

// What a lot lacks at a refund comes from other lots, while a hold has its own. These are the orders of events in which
// the hold then gives back what it had: each once lost credits, took them twice, or could never be finished.

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

type Row = Readonly<Record<string, unknown>>;

/** One account; every call under a new key. */
class Account {
  readonly owner = randomUUID();
  readonly payment = randomUUID();
  readonly unit: string;

  constructor(unit = "credit") {
    this.unit = unit;
  }

  async call(routine: string, args: Record<string, unknown>): Promise<Row> {
    const given = { owner_id: this.owner, ...args };
    const names = Object.keys(given).map((name, i) => `${name} => $${i + 1}`);
    const { rows } = await database.owner.query<Row>(
      `select * from ledger.${routine}(${names.join(", ")}, caused_by => 'test')`,
      Object.values(given),
    );
    return rows[0] ?? {};
  }

  grant(pool: string, amount: number, payment_id: string | null = null): Promise<Row> {
    const given = { pool, amount, expires_at: null, reason: null, payment_id };
    return this.call("grant", { unit: this.unit, ...given, idempotency_key: randomUUID() });
  }

  async hold(amount: number): Promise<unknown> {
    const wish = { amount, expires_in: "1 hour", reason: null, idempotency_key: randomUUID() };
    return (await this.call("hold", { unit: this.unit, ...wish }))["id"];
  }

  release(hold_id: unknown): Promise<Row> {
    return this.call("release", { unit: this.unit, hold_id, idempotency_key: randomUUID() });
  }

  setLimit(amount: number): Promise<Row> {
    return this.call("set_limit", { unit: this.unit, amount, idempotency_key: randomUUID() });
  }

  /** Of 100 that the payment paid. */
  async takeBack(refunded: number): Promise<number> {
    const totals = { payment_id: this.payment, refunded, lost: 0, paid: 100, idempotency_key: randomUUID() };
    return Number((await this.call("take_back", totals))["taken"]);
  }

  /** What there is, once the ledger has proved itself. */
  async balance(): Promise<number> {
    const { rows } = await database.owner.query<{ oks: boolean[]; names: string[] }>(
      "select names, oks from ledger.verify($1)",
      [this.owner],
    );
    expect(rows[0]?.names.filter((_, i) => rows[0]?.oks[i] !== true)).toEqual([]);
    const found = await database.owner.query<{ available: string }>("select available from ledger.balance_of($1, $2)", [
      this.owner,
      this.unit,
    ]);
    return Number(found.rows[0]?.available);
  }
}

/** 10 from a payment, which a hold has, and 10 from elsewhere. */
async function heldPayment(): Promise<{ account: Account; hold: unknown; grant: unknown }> {
  const account = new Account();
  const granted = await account.grant("subscription", 10, account.payment);
  await account.grant("bulk", 10);
  return { account, hold: await account.hold(10), grant: granted["transaction_id"] };
}

test("A12 a refund in two parts, with a hold released between them, takes each part once", async () => {
  const { account, hold } = await heldPayment();
  expect(await account.takeBack(50)).toBe(5);
  await account.release(hold);
  expect(await account.balance()).toBe(15);
  expect(await account.takeBack(100)).toBe(5);
  expect(await account.balance()).toBe(10);
});

test("A11 a dispute that is won after its hold was released gives everything again", async () => {
  const { account, hold } = await heldPayment();
  expect(await account.takeBack(100)).toBe(10);
  await account.release(hold);
  expect(await account.takeBack(0)).toBe(-10);
  expect(await account.balance()).toBe(20);
});

test("A12 reversing a grant that was refunded takes nothing a second time", async () => {
  const { account, hold, grant } = await heldPayment();
  await account.takeBack(100);
  await account.release(hold);
  await account.call("reverse", { unit: account.unit, transaction_id: grant, reason: "twice" });
  expect(await account.balance()).toBe(10);
});

test("B8 seats that are given back under a lowered limit return, whatever made good for them meanwhile", async () => {
  const account = new Account("seat");
  await account.setLimit(10);
  const hold = await account.hold(10);
  await account.call("adjust", { unit: "seat", amount: 5, reason: "a present", idempotency_key: randomUUID() });
  expect(await account.setLimit(4)).toMatchObject({ available: "0", held: "10", debt: "1" });
  expect(await account.release(hold)).toMatchObject({ available: "9", held: "0", debt: "0" });
  expect(await account.balance()).toBe(9);
});
