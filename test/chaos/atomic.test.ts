import type { Pool } from "pg";
import { expect } from "vitest";
import { ensureOperatorKey, newKey } from "../world/operator-key.ts";
import { Envelope, onPool } from "../support/envelope.ts";
import { footprint } from "../support/footprint.ts";
import { ModelClient, preparePayments } from "../support/model-client.ts";
import type { Operation } from "../support/model.ts";
import { call } from "../support/scenario.ts";
import { test } from "../support/sql.ts";

// A11: a failure at any table that an operation writes takes back all of it, whatever it had written before. A trigger
// fails at one table after another; then, without it, the same request with the same key is done, once.

interface Case {
  operation: Operation;
  /** What goes before it. */
  before: Operation[];
  /** The tables that it writes beside those that each operation writes, in the order of their names. */
  beside?: string[];
}

const every = ["ledger.account", "ledger.lot", "ledger.transaction", "ops.request"];

const cases: Case[] = [
  { operation: grant(5), before: [] },
  { operation: { kind: "reset", amount: 9, ends: null }, before: [{ ...grant(5), pool: "subscription" }] },
  { operation: { kind: "spend", amount: 7 }, before: [grant(5), grant(5)] },
  {
    operation: {
      kind: "batch",
      items: [
        { key: "a", amount: 2 },
        { key: "b", amount: 4 },
      ],
    },
    before: [grant(5), grant(5)],
  },
  { operation: { kind: "hold", amount: 7, hours: 1 }, before: [grant(5), grant(5)], beside: ["ledger.hold"] },
  { operation: { kind: "settle", hold: "before-1", amount: 2 }, before: [grant(5), hold(4)], beside: ["ledger.hold"] },
  { operation: { kind: "release", hold: "before-1" }, before: [grant(5), hold(4)], beside: ["ledger.hold"] },
  { operation: { kind: "adjust", amount: -3 }, before: [grant(5)], beside: ["ops.audit"] },
  {
    operation: { kind: "reverse", transaction: "before-1" },
    before: [grant(5), { kind: "spend", amount: 3 }],
    beside: ["ops.audit"],
  },
  {
    operation: { kind: "take_back", payment: "p", refunded: 100, lost: 0 },
    before: [
      { ...grant(5), payment: "p" },
      { kind: "spend", amount: 3 },
    ],
  },
  { operation: { kind: "limit", amount: 4 }, before: [] },
];

function grant(amount: number): Extract<Operation, { kind: "grant" }> {
  return { kind: "grant", pool: "bulk", amount, ends: null, payment: null };
}

function hold(amount: number): Operation {
  return { kind: "hold", amount, hours: 1 };
}

/** Has each write to a table fail, after the row was written. */
async function failing(db: Pool, table: string, work: () => Promise<void>): Promise<void> {
  await db.query(`create trigger failing after insert or update or delete on ${table}
    for each row execute function public.fail()`);
  try {
    await work();
  } finally {
    await db.query(`drop trigger failing on ${table}`);
  }
}

const clients = test.extend("client", { scope: "file" }, async ({ db }) => {
  await preparePayments(db);
  await db.query(`create function public.fail() returns trigger language plpgsql as
    $$ begin raise exception using errcode = 'XX000', message = 'the disk is full of bees'; end $$`);
  const key = await newKey();
  await ensureOperatorKey(db, key, "test");
  const envelope = new Envelope(key, onPool(db));
  return async () => {
    const { id } = await call<{ id: string }>(db, "people.create_workspace", { name: "atomic", caused_by: "test" });
    return new ModelClient(id, envelope, db);
  };
});

const never = () => "2098-01-01T00:00:00Z";

clients.for(cases)(
  "A11 $operation.kind: a failure at any of its tables takes back all of it",
  async ({ operation, before, beside = [] }, { db, client }) => {
    const written = [...every, ...beside].toSorted();
    const owner = await client();
    for (const [i, each] of before.entries()) await (await owner.request(`before-${i}`, each, never))();
    const request = await owner.request("the key", operation, never);
    const untouched = await footprint(db);
    for (const table of written) {
      await failing(db, table, () => expect(request(), table).rejects.toThrow("full of bees"));
      expect(await footprint(db), table).toEqual(untouched);
    }
    expect((await request()).replayed).toBe(false);
    expect((await request()).replayed).toBe(true);
    // The list is whole: what was written now is what has failed before.
    const changed = (await footprint(db)).filter((line) => !untouched.includes(line));
    expect(changed.map((line) => line.split(" ")[0])).toEqual(written);
  },
);
