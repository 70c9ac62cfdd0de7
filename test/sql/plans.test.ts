import { createHash, randomUUID } from "node:crypto";
import { describe, expect, test as plain } from "vitest";
import { sql as drizzleSql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/pg-proxy";
import { compose } from "../../src/db/write.ts";
import type { Page } from "../../src/http/pagination.ts";
import { explanationOf } from "../../src/ledger/explain.ts";
import { race } from "../support/barrier.ts";
import { createTestDatabase } from "../support/database.ts";
import { declared } from "../support/declarations.ts";
import { Door } from "../support/door.ts";
import { Planned } from "../support/plans.ts";
import type { Reading } from "../support/plans.ts";
import { Account, call, refusal } from "../support/scenario.ts";
import { withClient } from "../world/roles.ts";

// The cost of a request and of a batch must not depend on how large the tables are (DESIGN §7, PITFALLS). Here are the
// plans as they were really run, generic ones included, in a database where others have 200,000 of everything.

const many = 200_000;

/** Owner i is the uuid of i. */
const owner = "lpad(to_hex(i), 32, '0')::uuid";
const each = `from generate_series(1, ${many}) i`;
/** Of what no sweep looks for, fewer are enough to make a scan dear. */
const fewer = `from generate_series(1, ${many / 10}) i`;

/** Written past the triggers, by a superuser: nobody else could, and by the routines it would take minutes. */
const crowd = [
  `insert into ledger.account (owner_id, unit, available, held, next_expiry, created_at)
   select ${owner}, 'credit', 5, 1, now() + interval '1 day' + i * interval '1 second', now() ${each}`,
  `insert into ledger.lot (owner_id, unit, id, pool, drain_order, given, available, empty, expires_at, created_at)
   select ${owner}, 'credit', ${owner}, 'promo', 1, 6, case when i % 10 = 0 then 5 else 0 end, i % 10 <> 0,
          now() + interval '1 day' + i * interval '1 second', now() ${each}`,
  `insert into ledger.hold (owner_id, id, unit, state, amount, lots, lot_amounts, expires_at, ended_at, created_at)
   select ${owner}, ${owner}, 'credit', case when i % 2 = 0 then 'held' else 'settled' end, 1, '{}', '{}',
          now() + case when i % 2 = 0 then interval '1 day' else interval '-1 day' end + i * interval '1 second',
          case when i % 2 = 0 then null else now() end, now() ${each}`,
  `insert into ledger.transaction
     (owner_id, unit, id, kind, amount, sides, lots, amounts, idempotency_key, caused_by, created_at)
   select ${owner}, 'credit', ${owner}, 'hold', 1, '{available,held}', array[${owner}, null], '{-1,1}',
          'key-' || i, 'test', now() ${fewer}`,
  `insert into ops.request (workspace_id, idempotency_key, fingerprint, request_id, answer, created_at)
   select ${owner}, 'key-' || i, '\\x00', ${owner}, '{}', now() - interval '34 days' + i * interval '10 seconds'
   ${each}`,
  `insert into ops.sweep_run (id, name, started_at, finished_at)
   select ${owner}, 'a_sweep', now() - interval '34 days' + i * interval '10 seconds', now() ${each}`,
  `insert into people.workspace (id, name, created_at) select ${owner}, 'Acme', now() ${fewer}`,
  `insert into people.api_key (id, workspace_id, name, hash, prefix, scopes, created_at)
   select ${owner}, ${owner}, 'a key', lpad(to_hex(i), 64, '0'), 'tg_', '{credits:write}', now() ${fewer}`,
];

const test = plain
  // oxlint-disable-next-line no-empty-pattern -- vitest reads a fixture's needs from its pattern and takes no other
  .extend("database", { scope: "file" }, async ({}, { onCleanup }) => {
    const database = await createTestDatabase();
    onCleanup(() => database.drop());
    await race(2, (half) =>
      withClient(database.superuserUrl, async (client) => {
        await client.query("set session_replication_role = replica");
        for (const statement of crowd.filter((_, i) => i % 2 === half)) await client.query(statement);
      }),
    );
    return database;
  })
  /** One owner who has done a hundred things: lots that are empty, holds that have ended. */
  .extend("account", { scope: "file" }, async ({ database }) => {
    const door = await Door.open(database.owner);
    const account = new Account(database.owner, { owner: await door.workspace() });
    await account.grant(60);
    for (let i = 0; i < 60; i += 1) await account.spend(1);
    for (let i = 0; i < 20; i += 1) await account.grant(1, { pool: "promo", expires_in: "1 day" });
    await account.spend(20);
    await account.grant(1_000, { pool: "promo", expires_in: "1 year" });
    await account.grant(1_000);
    for (let i = 0; i < 20; i += 1) await account.release((await account.hold(1)).id);
    await withClient(database.superuserUrl, (client) => client.query("analyze"));
    return account;
  })
  .extend("planned", { scope: "file" }, async ({ database, account }, { onCleanup }) => {
    expect(account.unit).toBe("credit");
    const planned = await Planned.open(database);
    onCleanup(() => planned.close());
    return planned;
  });

/** The statement that explains an account's credits, as the Worker composes it but for the permit. */
async function explaining(workspace: string, page: Page): Promise<{ text: string; values: unknown[] }> {
  const sent: { text: string; values: unknown[] }[] = [];
  const db = drizzle(async (text, params) => {
    sent.push({ text, values: params });
    return { rows: [] };
  });
  const permit = { workspace_id: drizzleSql<string>`p.workspace_id`, key_id: drizzleSql<string>`p.key_id` };
  await explanationOf(db, permit, "credit", page);
  const [{ text, values } = { text: "", values: [] }] = sent;
  return {
    text: `select r.* from (select '${workspace}'::uuid as workspace_id, uuidv7() as key_id) p
  left join lateral (select true as present, q.* from (${text}) q) r on true`,
    values,
  };
}

const large = new Set(["account", "lot", "hold", "transaction", "request", "sweep_run", "workspace", "api_key"]);

/** Tables of one row and of a few. */
const reference = new Set(["clock", "transition"]);

/** No statement read a large table from end to end, nor looked at more rows than the work in hand has. */
function expectBounded(readings: Reading[], most: number): void {
  const greedy = readings.filter(
    ({ table, how, rows }) => (large.has(table) && how === "Seq Scan") || (!reference.has(table) && rows > most),
  );
  expect(greedy).toEqual([]);
  expect(readings.some(({ table }) => large.has(table))).toBe(true);
}

/** The first test waits for the crowd. */
const loading = { timeout: 180_000 };

describe("a sweep that finds little looks at little", loading, () => {
  const sweeps: [routine: string, index: string, due: string][] = [
    [
      "ledger.holds_expire",
      "hold_expiry_due",
      "update ledger.hold set expires_at = now() where owner_id = $1 and state = 'held'",
    ],
    ["ledger.lots_expire", "account_expiry_due", "update ledger.account set next_expiry = now() where owner_id = $1"],
    [
      "ops.requests_expire",
      "request_age",
      "update ops.request set created_at = now() - interval '36 days' where workspace_id = $1",
    ],
    [
      "ledger.holds_retire",
      "hold_ended",
      "update ledger.hold set state = 'released', ended_at = now() - interval '401 days' where owner_id = $1 and state = 'held'",
    ],
    [
      "ops.sweep_runs_expire",
      "sweep_run_age",
      "update ops.sweep_run set started_at = now() - interval '36 days' where started_at = (select min(started_at) from ops.sweep_run) and $1 <> gen_random_uuid()",
    ],
  ];
  test.for(sweeps)(
    "D16 %s by %s, with nothing due and with one row due",
    async ([routine, index, due], { planned }) => {
      // A plan of plpgsql's becomes generic with its sixth run.
      for (let run = 0; run < 7; run += 1) {
        const readings = await planned.readings(`select ${routine}(100)`);
        expectBounded(readings, 0);
        expect(readings.map((one) => one.index)).toContain(index);
      }
      const two = "00000000-0000-0000-0000-000000000002";
      expectBounded(await planned.readings(`select ${routine}(100)`, [], { text: due, values: [two] }), 2);
    },
  );

  test("D16 of many due rows a sweep looks at a batch", async ({ planned }) => {
    const due = { text: "update ops.clock set clock_offset = interval '40 days'", values: [] };
    expectBounded(await planned.readings("select ops.requests_expire(100)", [], due), 100);
    expectBounded(await planned.readings("select ops.sweep_runs_expire(100)", [], due), 100);
    expectBounded(await planned.readings("select ledger.holds_expire(10)", [], due), 10);
    expectBounded(await planned.readings("select ledger.lots_expire(10)", [], due), 10);
  });
});

describe("a request looks at its own rows, whatever else there is", loading, () => {
  const args = { unit: "credit", amount: 1, reason: null };
  const requests: [title: string, routine: string, args: Record<string, unknown>, most: number][] = [
    ["spend", "ledger.spend", args, 10],
    ["hold", "ledger.hold", { ...args, expires_in: "1 hour" }, 10],
    ["grant", "ledger.grant", { ...args, pool: "bulk", expires_at: null }, 10],
    [
      "spend_many of 10",
      "ledger.spend_many",
      {
        unit: "credit",
        keys: Array.from({ length: 10 }, (_, i) => `i${i}`),
        amounts: Array(10).fill(1),
        reasons: Array(10).fill(null),
      },
      40,
    ],
  ];
  test.for(requests)("%s, its envelope included", async ([, name, given, most], { planned, account, database }) => {
    const hash = createHash("sha256").update(randomUUID()).digest("hex");
    await database.owner.query(
      `select people.create_api_key(workspace_id => $1, name => 'a', scopes => '{credits:write}', hash => $2, prefix => 'tg_',
         expires_in => null, caused_by => 'test')`,
      [account.owner, hash],
    );
    const routine = declared(name);
    const values = () => [
      hash,
      "credits:write",
      account.owner,
      randomUUID(),
      "00",
      randomUUID(),
      ...Object.keys(routine.args.shape).map((key) => given[key]),
    ];
    for (let run = 0; run < 7; run += 1) {
      const readings = await planned.readings(compose(routine), values());
      expectBounded(readings, most);
      const used = new Set(readings.map(({ index }) => index));
      for (const index of ["api_key_hash_once", "request_once", "account_pk"]) expect(used).toContain(index);
      if (name !== "ledger.grant") expect(used).toContain("lot_drain");
    }
  });

  test("the balance, and a spend that is refused", async ({ planned, account }) => {
    for (let run = 0; run < 7; run += 1) {
      expectBounded(await planned.readings("select ledger.balance_of($1, 'credit')", [account.owner]), 4);
    }
    expect(await refusal(account.spend(9_999))).toMatchObject({ code: "insufficient_credits" });
  });

  test("an explanation: its account's history once, and a page, whatever others did", async ({ planned, account }) => {
    const given = { owner_id: account.owner, unit: "credit", pool: "bulk", amount: 1, expires_at: null, reason: null };
    for (const [key, caused_by] of [
      ["tg:hold_expire:x", "sweep:a_sweep"],
      [`tg:purchase:${randomUUID()}`, `key:${randomUUID()}`],
      ["tg:invoice:in_1", "event:evt_1"],
      [`tg:refund:${randomUUID()}`, "sync"],
    ]) {
      await call(account.db, "ledger.grant", { ...given, idempotency_key: key, caused_by });
    }
    const kinds = await account.kinds();
    const history = Object.values(kinds).reduce((sum, one) => sum + one, 0);
    expect(history).toBeGreaterThan(100);
    const past = await account.db.query<{ id: string }>(
      "select id from ledger.transaction where owner_id = $1 order by id desc offset 30 limit 1",
      [account.owner],
    );
    for (const after of [null, past.rows[0]?.id ?? null]) {
      const { text, values } = await explaining(account.owner, { limit: 20, after });
      for (let run = 0; run < 7; run += 1) {
        const readings = await planned.readings(text, values);
        expectBounded(readings, history);
        // The owner is what either index of transactions begins with; only this one has them in the order of a page.
        const own = readings.filter(({ table, rows: read }) => table === "transaction" && read > 0);
        expect(own.map(({ rows: read }) => read).toSorted((a, b) => a - b)).toEqual([21, history]);
        expect(own.find(({ rows: read }) => read === 21)?.index).toBe("transaction_pk");
        if (after === null) expect(readings.map(({ index }) => index)).toContain("sweep_run_age");
      }
    }
  });
});
