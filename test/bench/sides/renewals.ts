import type { Client } from "pg";
import { migrate } from "../../../db/tool/migrate.ts";
import { prepareWorkerRole } from "../../../db/tool/role.ts";
import { makeCrowd } from "../../support/crowd.ts";
import { Planned } from "../../support/plans.ts";
import { createDatabase, urlFor, withClient } from "../../world/roles.ts";
import { connect, disconnect, nth } from "../arena.ts";
import type { Arena, Connection } from "../arena.ts";
import { startAside } from "../aside.ts";
import type { Fact, Group, Ratio, Side } from "../measure.ts";

/** What the Worker's sweep sends. */
const statementOf = (sweep: string) => `select processed, failed, more from ${sweep}($1)`;
const renewing = statementOf("billing.auto_renew");

const sweeps = [
  "billing.auto_renew",
  "billing.expire",
  "billing.trial_expire",
  "billing.trial_notice",
  "billing.reminders",
  "payments.purchases_expire",
  "ledger.holds_expire",
];

const count = (n: number) => n.toLocaleString("en");

/** A database with so many subscriptions; time there is moved on to have some of them due. */
interface Shop {
  size: number;
  ownerUrl: string;
  workerUrl: string;
  superuserUrl: string;
  owner: Connection;
  worker: Connection;
  /** How many more are due than a crowd's first, which nobody takes. */
  due: number;
}

/** The databases of the sides below, made once. */
export async function openShops(arena: Arena, sizes: readonly number[], log: (line: string) => void): Promise<Shop[]> {
  const shops: Shop[] = [];
  for (const size of sizes) {
    const started = performance.now();
    const name = `shop_${size}`;
    await createDatabase(arena.superuserUrl, name);
    const [ownerUrl, workerUrl, superuserUrl] = [arena.ownerUrl, arena.workerUrl, arena.superuserUrl].map((url) =>
      urlFor(url, name),
    );
    if (ownerUrl === undefined || workerUrl === undefined || superuserUrl === undefined) throw new Error("three urls");
    await migrate(ownerUrl);
    await withClient(ownerUrl, (owner) => prepareWorkerRole(owner, decodeURIComponent(new URL(workerUrl).password)));
    await withClient(superuserUrl, (superuser) =>
      superuser.query(`alter database ${name} set plpgsql.extra_errors = 'none'`),
    );
    await makeCrowd(superuserUrl, size);
    await withClient(superuserUrl, (superuser) => superuser.query("checkpoint"));
    const [owner, worker] = [nth(await connect(ownerUrl, 1), 0), nth(await connect(workerUrl, 1), 0)];
    shops.push({ size, ownerUrl, workerUrl, superuserUrl, owner, worker, due: 0 });
    log(`  ${count(size)} subscriptions made in ${((performance.now() - started) / 1000).toFixed(0)} s`);
  }
  return shops;
}

export async function closeShops(shops: readonly Shop[]): Promise<void> {
  await disconnect(...shops.flatMap(({ owner, worker }) => [owner, worker]));
}

/** Time goes on until so many more are due, as they fall due evenly; not by a week, after which the first would be over. */
async function goOn(shop: Shop, more: number): Promise<void> {
  await shop.owner.client.query("update ops.clock set clock_offset = clock_offset + $1 * interval '30 days'", [
    more / (shop.size * 0.7),
  ]);
  shop.due += more;
}

/** One call of the sweep, for as many as are to be renewed. */
async function renew(shop: Shop, client: Client, batch: number): Promise<void> {
  if (shop.due < batch) await goOn(shop, Math.max(batch - shop.due, 500));
  const { rows } = await client.query<{ processed: string }>({ name: "renew", text: renewing, values: [batch] });
  if (Number(rows[0]?.processed) !== batch) {
    throw new Error(`of ${batch} subscriptions ${rows[0]?.processed} were renewed`);
  }
  shop.due -= batch;
}

/** What a batch costs must not depend on how many subscriptions there are. */
export function renewalsBySize(shops: readonly Shop[]): Group {
  const name = (batch: number, { size }: Shop) => `renewals, batches of ${count(batch)}, of ${count(size)}`;
  const batches = [100, 1000];
  const smallest = nth(shops, 0);
  return {
    sides: batches.flatMap((batch) =>
      shops.map((shop): Side => ({
        name: name(batch, shop),
        clients: 1,
        call: () => renew(shop, shop.worker.client, batch),
        things: batch,
        backends: [shop.worker.pid],
      })),
    ),
    ratios: batches.flatMap((batch) =>
      shops.slice(1).map((shop): Ratio => ({
        what: `renewals in batches of ${count(batch)}: ${count(shop.size)} subscriptions / ${count(smallest.size)}`,
        of: name(batch, shop),
        to: name(batch, smallest),
        // A batch may cost 1.3 times as much.
        reach: 0.77,
      })),
    ),
    stop: async () => undefined,
  };
}

/**
 * The same renewal as a service of the usual kind does it: a transaction for each, of one statement after the other, each a
 * round trip. The same rows at the end, prepared too.
 */
async function renewInteractively(shop: Shop, client: Client): Promise<void> {
  if (shop.due < 1) await goOn(shop, 500);
  const ask = async (name: string, text: string, values: unknown[]): Promise<Record<string, string>> => {
    const { rows } = await client.query<Record<string, string>>({ name, text, values });
    return nth(rows, 0);
  };
  await client.query("begin");
  const row = await ask(
    "due",
    `select s.id, s.workspace_id, s.period_number + 1 as number, s.current_period_end + interval '30 days' as ends_at,
            r.amount_minor, r.currency, p.grace_days
       from billing.subscription s join billing.price r on r.id = s.price_id join billing.plan p on p.id = s.plan_id
       join people.workspace w on w.id = s.workspace_id
      where s.renew_at <= (select ops.now()) and s.expire_at > (select ops.now())
      order by s.renew_at, s.id limit 1 for no key update of s, w skip locked`,
    [],
  );
  const { id, workspace_id, number, ends_at, amount_minor, currency } = row;
  await ask(
    "pay",
    `update ledger.account set available = available - $3
      where owner_id = $1 and unit = $2 and available >= $3 returning available`,
    [workspace_id, currency, amount_minor],
  );
  const lot = await ask(
    "draw",
    `update ledger.lot set available = available - $3
      where owner_id = $1 and unit = $2 and available >= $3 and id = (
        select id from ledger.lot where owner_id = $1 and unit = $2 and not empty order by drain_order, expires_at, id limit 1)
    returning id`,
    [workspace_id, currency, amount_minor],
  );
  await ask(
    "post",
    `insert into ledger.transaction
       (owner_id, unit, id, kind, amount, sides, lots, amounts, idempotency_key, caused_by, created_at)
     values ($1, $2, uuidv7(), 'charge', $3, '{available,revenue}', array[$4, $4]::uuid[], array[-($6::bigint), $6::bigint], $5,
             'interactive', clock_timestamp()) returning id`,
    [workspace_id, currency, amount_minor, lot["id"], `tg:renewal:${id}:${number}`, amount_minor],
  );
  await ask(
    "record",
    `insert into payments.payment
       (id, workspace_id, provider, reference, subscription_id, amount_minor, currency, paid_at, created_at)
     values (uuidv7(), $1, 'balance', $2, $3, $4, $5, clock_timestamp(), clock_timestamp()) returning id`,
    [workspace_id, `renewal:${id}:${number}`, id, amount_minor, currency],
  );
  await ask(
    "extend",
    `update billing.subscription
        set period_number = $2, current_period_start = current_period_end, current_period_end = $3, renew_at = $3,
            expire_at = $3::timestamptz + interval '7 days', notice_at = $3::timestamptz - interval '7 days'
      where id = $1 returning id`,
    [id, number, ends_at],
  );
  await ask(
    "tell",
    `insert into messages.outbox (id, channel, kind, workspace_id, dedupe_key, body, state, due_at, created_at)
     values (uuidv7(), 'notice', 'subscription_renewed', $1, $2, jsonb_build_object('subscription_id', $3::text, 'period', $4::text),
             'queued', clock_timestamp(), clock_timestamp()) returning id`,
    [workspace_id, `renewed:${id}:${number}`, id, number],
  );
  await client.query("commit");
  shop.due -= 1;
}

/** A statement for a hundred against one for each, and against a transaction for each, at a network's round trip. */
export async function renewalsOneByOne(arena: Arena, shop: Shop, roundTripMs: number): Promise<Group> {
  const delay = roundTripMs === 0 ? null : await startAside({ kind: "delay", port: arena.cluster.port, roundTripMs });
  const through = (url: string) => {
    const changed = new URL(url);
    changed.port = String(delay?.port ?? arena.cluster.port);
    return changed.href;
  };
  const [worker, owner] = [await connect(through(shop.workerUrl), 1), await connect(through(shop.ownerUrl), 1)];
  const ofWorker = { clients: 1, backends: worker.map(({ pid }) => pid) };
  const at = ` at ${roundTripMs} ms`;
  const [batches, singles, transactions] = [
    `renewals, batches of 100,${at}`,
    `renewals, one call each,${at}`,
    `renewals, an interactive transaction each,${at}`,
  ];
  return {
    sides: [
      { name: batches, ...ofWorker, call: () => renew(shop, nth(worker, 0).client, 100), things: 100 },
      { name: singles, ...ofWorker, call: () => renew(shop, nth(worker, 0).client, 1) },
      {
        name: transactions,
        clients: 1,
        backends: owner.map(({ pid }) => pid),
        call: () => renewInteractively(shop, nth(owner, 0).client),
      },
    ],
    ratios: [
      { what: `renewals: batch of 100 / 100 calls,${at}`, of: batches, to: singles, reach: roundTripMs === 0 ? 8 : 20 },
      { what: `renewals: batch of 100 / 100 interactive transactions,${at}`, of: batches, to: transactions },
    ],
    stop: async () => {
      await disconnect(...worker, ...owner);
      await delay?.stop();
    },
  };
}

/** Each sweep until nothing is left, of a crowd of which a hundredth is due. Once: what is done is done. */
export async function passes(shop: Shop): Promise<Fact[]> {
  const facts: Fact[] = [];
  for (const sweep of sweeps) {
    const started = performance.now();
    let [done, slowest] = [0, 0];
    for (let more = true; more;) {
      const before = performance.now();
      const { rows } = await shop.worker.client.query<{ processed: string; failed: string; more: string }>({
        name: sweep,
        text: statementOf(sweep),
        values: [100],
      });
      slowest = Math.max(slowest, performance.now() - before);
      const row = nth(rows, 0);
      if (row.failed !== "0") throw new Error(`${sweep} failed at ${row.failed}`);
      done += Number(row.processed);
      more = row.more === "t";
    }
    const seconds = (performance.now() - started) / 1000;
    facts.push({
      what: `sweep ${sweep}: all that is due of ${count(shop.size)} subscriptions, in batches of 100`,
      figure: `${count(done)} in ${seconds.toFixed(1)} s, ${(done / seconds).toFixed(0)}/s; the slowest batch ${slowest.toFixed(0)} ms`,
    });
  }
  // A few more than are taken, as a batch's share of time is not quite whole.
  await goOn(shop, shop.size / 100);
  shop.due = 0;
  return facts;
}

/** Which tables a batch reads from end to end, at each size and with plans as they come to be (generic with the sixth run). */
export async function plansOf(shops: readonly Shop[]): Promise<Fact> {
  const small = new Set(["clock", "plan", "price", "transition", "policy"]);
  const found = new Set<string>();
  for (const shop of shops) {
    for (const batch of [100, 1000]) {
      const planned = await Planned.open(shop);
      try {
        for (let run = 0; run < 7; run += 1) {
          const later = {
            text: "update ops.clock set clock_offset = clock_offset + $1 * interval '30 days'",
            values: [batch / (shop.size * 0.7)],
          };
          for (const { table, how } of await planned.readings(renewing, [batch], later)) {
            if (how === "Seq Scan" && !small.has(table)) found.add(`${table}, ${count(batch)} of ${count(shop.size)}`);
          }
        }
      } finally {
        await planned.close();
      }
    }
  }
  return {
    what: `renewals: tables that a batch of 100 or 1,000 reads from end to end, at ${shops.map(({ size }) => count(size)).join(", ")}`,
    figure: found.size === 0 ? "none" : [...found].join("; "),
    reach: "none",
    reached: found.size === 0,
  };
}
