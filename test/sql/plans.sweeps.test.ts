import { describe, expect, test as plain } from "vitest";
import { makeCrowd } from "../support/crowd.ts";
import { createTestDatabase } from "../support/database.ts";
import { Planned } from "../support/plans.ts";
import type { Reading } from "../support/plans.ts";
import { withClient } from "../world/roles.ts";

// What a sweep reads must not depend on how many subscriptions there are (D14, D16, PITFALLS): here are the plans of each sweep
// as they were really run, custom and generic, in batches of any size, among 24,000 subscriptions.

const size = 24_000;

const test = plain
  // oxlint-disable-next-line no-empty-pattern -- vitest reads a fixture's needs from its pattern and takes no other
  .extend("database", { scope: "file" }, async ({}, { onCleanup }) => {
    const database = await createTestDatabase();
    onCleanup(() => database.drop());
    await makeCrowd(database.superuserUrl, size);
    return database;
  })
  .extend("planned", async ({ database }, { onCleanup }) => {
    const planned = await Planned.open(database);
    onCleanup(() => planned.close());
    return planned;
  });

/** Tables of a few rows, whatever a shop has. */
const small = new Set(["clock", "plan", "policy", "price", "transition"]);

/** Of holds, and of purchases by hand, there are a tenth as many. */
const sweeps: [routine: string, index: string, most: number][] = [
  ["billing.auto_renew", "subscription_renew_due", 1000],
  ["billing.expire", "subscription_expire_due", 1000],
  ["billing.trial_expire", "subscription_trial_expire_due", 1000],
  ["billing.trial_notice", "subscription_trial_notice_due", 1000],
  ["billing.reminders", "subscription_reminder_due", 1000],
  ["payments.purchases_expire", "purchase_by_hand_due", 100],
  ["ledger.holds_expire", "hold_expiry_due", 100],
];

const moved = (by: string) => ({
  text: `update ops.clock set clock_offset = clock_offset + interval '${by}'`,
  values: [],
});
/** So that more is due than any batch takes. */
const later = moved("4 days");
const sooner = moved("-30 days");

/** What looks at more than the batch has, with the few lots or keys of each, or reads a table from end to end. */
function greedy(readings: Reading[], batch: number): Reading[] {
  return readings.filter(
    ({ table, how, rows }) => !small.has(table) && (rows > 3 * batch || (how === "Seq Scan" && rows > 0)),
  );
}

/** The first test waits for the crowd. */
describe("D16 a sweep among many reads what it does something for, by its partial index", { timeout: 180_000 }, () => {
  test.for(sweeps)("%s", async ([routine, index, most], { planned, database }) => {
    // On a connection of its own: planned for what it gets at first; a plan of plpgsql's becomes generic with the sixth run.
    const hundreds = Array.from({ length: 6 }, () => [100, undefined] as const);
    // Each finds the outbox empty, as autovacuum left it, and puts messages into it as it goes on: a plan that was made for no rows
    // reads all of them for each subscription.
    for (const [batch, due] of [[most, later] as const, ...hundreds, [100, sooner] as const]) {
      await withClient(database.superuserUrl, (client) => client.query("vacuum analyze messages.outbox"));
      const readings = await planned.readings(`select ${routine}($1)`, [batch], due);
      expect(readings.map((one) => one.index)).toContain(index);
      expect(greedy(readings, batch), `a batch of ${batch}`).toEqual([]);
    }
  });

  test("D16 the crowd has what each of them looks for", async ({ database }) => {
    const { rows } = await database.owner.query<Record<string, string>>(
      `select (select count(*) from billing.subscription where renew_at <= ops.now()) as renew,
              (select count(*) from billing.subscription where expire_at <= ops.now() and state <> 'trialing') as expire,
              (select count(*) from billing.subscription where expire_at <= ops.now() and state = 'trialing') as trial_expire,
              (select count(*) from billing.subscription where notice_at <= ops.now() and state = 'trialing') as trial_notice,
              (select count(*) from billing.subscription where notice_at <= ops.now() and state <> 'trialing') as reminders,
              (select count(*) from payments.purchase where expires_at <= ops.now()) as purchases,
              (select count(*) from ledger.hold where expires_at <= ops.now()) as holds`,
    );
    for (const [what, due] of Object.entries(rows[0] ?? {})) {
      expect(Number(due), what).toBeGreaterThanOrEqual(size / 100);
      expect(Number(due), what).toBeLessThan(size / 50);
    }
    const proven = await database.owner.query<{ holds: boolean }>(
      `select bool_and(v.ok) as holds from people.workspace w
        cross join lateral unnest((ledger.verify(w.id)).oks) v(ok)
        where w.id in (select id from people.workspace order by id limit 500)`,
    );
    expect(proven.rows).toEqual([{ holds: true }]);
  });

  test("D16 how many keys live is counted in an index, and no further than it matters", async ({ planned }) => {
    for (let i = 0; i < 7; i += 1) {
      const readings = await planned.readings("select access.most_strays()");
      expect(readings.filter(({ table }) => table === "key")).toEqual([
        { table: "key", how: "Index Only Scan", index: "key_live_once", rows: 500 },
      ]);
    }
  });

  test("D16 a batch of 1,000 renewals, of tables that nobody has analyzed yet", async ({ database, planned }) => {
    const tables = ["billing.subscription", "people.workspace", "ledger.account", "ledger.lot"];
    await withClient(database.superuserUrl, async (client) => {
      await client.query("delete from pg_statistic where starelid = any ($1::regclass[])", [tables]);
      await client.query(
        "update pg_class set relpages = 0, reltuples = -1, relallvisible = 0 where oid = any ($1::regclass[])",
        [tables],
      );
    });
    const readings = await planned.readings("select billing.auto_renew(1000)", [], later);
    expect(greedy(readings, 1000)).toEqual([]);
  });
});
