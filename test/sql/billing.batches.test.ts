import { expect, test as plain } from "vitest";
import { race } from "../support/barrier.ts";
import { createTestDatabase } from "../support/database.ts";
import type { TestDatabase } from "../support/database.ts";
import { Planned } from "../support/plans.ts";
import { Subscriber, soldPlan } from "../support/subscriber.ts";
import type { SoldPlan } from "../support/subscriber.ts";
import { withClient } from "../world/roles.ts";

// D14: what a batch of the sweeps of periods looks at does not grow with the table, whether its statistics are old or new.

const few = 1_000;
const many = 50_000;

/** Of whom nothing is due for 200 days: written past the triggers, by a superuser. The routines would take minutes. */
function crowd(plan: SoldPlan, from: number, to: number): string[] {
  const [id, each] = ["lpad(to_hex(i), 32, '0')::uuid", `from generate_series(${from}, ${to}) i`];
  const at = (days: number) => `now() + interval '${days} days' + i * interval '1 second'`;
  return [
    `insert into people.workspace (id, name, created_at) select ${id}, 'Acme', now() ${each}`,
    `insert into ledger.account (owner_id, unit, available, held, created_at) select ${id}, 'eur', 900, 0, now() ${each}`,
    `insert into ledger.lot (owner_id, unit, id, pool, drain_order, given, available, empty, created_at)
     select ${id}, 'eur', ${id}, 'balance', 1, 900, 900, false, now() ${each}`,
    `insert into billing.subscription
       (id, workspace_id, collection, plan_id, price_id, quantity, state, current_period_start, current_period_end, lived, anchor,
        anchor_number, period_number, auto_renew, renew_at, expire_at, notice_at, created_at)
     select ${id}, ${id}, 'balance', '${plan.id}', '${plan.price}', 1, case i % 2 when 0 then 'active' else 'trialing' end,
            now(), ${at(200)}, true, ${at(200)}, 1, (i + 1) % 2, i % 4 < 2, case when i % 4 < 2 then ${at(200)} end, ${at(207)},
            ${at(199)}, now() ${each}`,
    `insert into messages.outbox (id, channel, kind, workspace_id, dedupe_key, body, state, due_at, created_at)
     select ${id}, 'notice', 'reminder', ${id}, 'x:' || i, '{}', 'queued', now(), now() ${each}`,
    `insert into payments.payment (id, workspace_id, provider, reference, subscription_id, amount_minor, currency, paid_at, created_at)
     select ${id}, ${id}, 'balance', 'renewal:' || i, ${id}, 500, 'eur', now(), now() ${each}`,
  ];
}

const fill = ({ superuserUrl }: TestDatabase, statements: string[]) =>
  withClient(superuserUrl, async (client) => {
    await client.query("set session_replication_role = replica");
    for (const statement of statements) await client.query(statement);
  });

const test = plain
  // oxlint-disable-next-line no-empty-pattern -- vitest reads a fixture's needs from its pattern and takes no other
  .extend("database", { scope: "file" }, async ({}, { onCleanup }) => {
    const database = await createTestDatabase();
    onCleanup(() => database.drop());
    return database;
  })
  .extend("planned", { scope: "file" }, async ({ database }, { onCleanup }) => {
    const planned = await Planned.open(database);
    onCleanup(() => planned.close());
    return planned;
  });

/** Each sweep, and after how many days twenty and more are due. */
const sweeps = { auto_renew: 32, expire: 32, trial_expire: 8, trial_notice: 5, reminders: 26 };
const large = new Set(["subscription", "workspace", "account", "lot", "outbox", "payment", "transaction"]);

test("D14 a batch of each sweep of periods looks at as many rows among 50,000 as among 1,000", async ({
  database,
  planned,
}) => {
  const db = database.owner;
  const plan = await soldPlan(db, { trial_days: 7 });
  await race(5, async () => {
    for (let i = 0; i < 5; i += 1) {
      for (const auto_renew of [true, false]) await (await Subscriber.make(db, 600)).pay(plan, { auto_renew });
      await (await Subscriber.make(db)).tryOut(plan);
    }
  });
  /** How many rows a batch of twenty looks at, by sweep; of a plan's seventh run, which is generic. */
  const measure = async () => {
    const found: Record<string, number> = {};
    for (const [name, days] of Object.entries(sweeps)) {
      const due = { text: `update ops.clock set clock_offset = interval '${days} days'`, values: [] };
      for (let run = 0; run < 7; run += 1) {
        const readings = await planned.readings(`select billing.${name}(20)`, [], due);
        found[name] = readings.reduce((sum, { rows }) => sum + rows, 0);
        const whole = readings.filter(({ table, how, rows }) => large.has(table) && how === "Seq Scan" && rows > few);
        expect([name, whole]).toEqual([name, []]);
      }
    }
    return found;
  };
  const analyze = () => withClient(database.superuserUrl, (client) => client.query("analyze"));
  await fill(database, crowd(plan, 1, few));
  await analyze();
  const among = { few: await measure() };
  await fill(database, crowd(plan, few + 1, many));
  const old = await measure();
  await analyze();
  const fresh = await measure();
  console.log(JSON.stringify({ ...among, old, fresh }));
  for (const name of Object.keys(sweeps)) {
    for (const later of [old, fresh]) expect(later[name], name).toBeLessThanOrEqual(1.2 * (among.few[name] ?? 0));
  }
}, 180_000);
