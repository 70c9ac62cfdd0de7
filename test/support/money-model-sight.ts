import { isDeepStrictEqual } from "node:util";
import * as customers from "./money-model-customer.ts";
import type { Customer } from "./money-model-customer.ts";
import type { Money } from "./money-model.ts";
import { rows } from "./scenario.ts";
import type { Db } from "./scenario.ts";

/** What is to be seen of a customer: the same of the model and of the database. */
export interface Sight {
  cents: Record<string, number>;
  /** Of the plan, and bought. */
  credits: [plan: number, bulk: number];
  read_only: [from: number, reason: string] | null;
  subscription: Record<string, unknown> | null;
  let_in: number | "yes" | null;
  /** Of which subscription each is, and whether it lives. */
  keys: string[];
  purchases: Record<string, number>;
  /** By currency: how many, how much, how much of it was refunded, how many are not settled. */
  payments: Record<string, [number, number, number, number]>;
  redemptions: Record<string, number>;
  /** What it gave to who brought him, and what of that was left. */
  rewards: Record<string, number>;
  /** What he was told at this moment. */
  told: string[];
}

function count<Item>(items: readonly Item[], by: (item: Item) => string | null): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of items.map(by)) if (name !== null) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** What the model has to show of a customer. */
export function expected(money: Money, of: Customer): Sight {
  const purchases = money.purchasesOf(of.name);
  const payments: Sight["payments"] = {};
  const rewards: Record<string, number> = {};
  for (const { currency, amount, refunded, unsettled, reward } of of.payments) {
    const [number, all, back, waiting] = payments[currency] ?? [0, 0, 0, 0];
    payments[currency] = [number + 1, all + amount, back + refunded, waiting + (unsettled ? 1 : 0)];
    if (reward !== null) rewards[currency] = (rewards[currency] ?? 0) + reward.given;
  }
  const credits = (pool: string) => of.lots.reduce((sum, lot) => sum + (lot.pool === pool ? lot.available : 0), 0);
  return {
    cents: Object.fromEntries(Object.entries(of.cents).filter(([, cents]) => cents !== 0)),
    credits: [credits("plan"), credits("bulk")],
    read_only: customers.readOnly(of),
    subscription: shown(of),
    let_in: customers.letIn(of, money.now),
    keys: of.keys.map(({ subscription, lives }) => `${subscription} ${lives ? "lives" : "is over"}`),
    purchases: count(purchases, ({ state }) => state),
    payments,
    redemptions: count(purchases, ({ code, redemption }) => (code === null ? null : `${code} ${redemption}`)),
    rewards,
    told: [...of.told].flatMap(([fact, at]) => (at === money.now ? [fact] : [])).toSorted(),
  };
}

function shown({ subscription: it }: Customer): Record<string, unknown> | null {
  if (it === null) return null;
  const { name, state, number, start, end, quantity, ended_at, ended_reason } = it;
  const { plan, unit, count: intervals, currency } = it.price;
  const always = { name, state, number, start, end, quantity, price: `${plan} ${currency} ${intervals} ${unit}` };
  if (ended_at !== null) return { ...always, ended_at, ended_reason };
  const next = it.next_price;
  return {
    ...always,
    auto_renew: it.auto_renew,
    cancel_at: it.cancel_at,
    renew_at: it.renew_at,
    expire_at: it.expire_at,
    past_due_since: it.past_due_since,
    next_price: next === null ? null : `${next.plan} ${next.currency} ${next.count} ${next.unit}`,
    next_quantity: it.next_quantity,
  };
}

const ms = (column: string) => `(extract(epoch from ${column}) * 1000)::bigint`;

const looking = `
  select w.id,
    (select coalesce(jsonb_object_agg(a.unit, a.available - a.debt), '{}') from ledger.account a
      where a.owner_id = w.id and a.unit in ('eur', 'usd', 'gbp') and a.available <> a.debt) as cents,
    (select jsonb_build_array(coalesce(sum(l.available) filter (where l.pool = 'subscription'), 0),
       coalesce(sum(l.available) filter (where l.pool = 'bulk'), 0))
       from ledger.lot l where l.owner_id = w.id and l.unit = 'credit' and not l.empty) as credits,
    case when w.read_only_from is not null then jsonb_build_array(${ms("w.read_only_from")}, w.read_only_reason) end as read_only,
    s.subscription, ${ms("s.until")} as let_in,
    (select coalesce(jsonb_agg(k.subscription_id || case when k.state in ('pending', 'active') then ' lives' else ' is over' end order by k.id), '[]')
       from access.key k where k.workspace_id = w.id) as keys,
    (select coalesce(jsonb_object_agg(p.state, p.n), '{}') from (
       select p.state, count(*) as n from payments.purchase p where p.workspace_id = w.id group by 1) p) as purchases,
    (select coalesce(jsonb_object_agg(p.currency, p.sums), '{}') from (
       select p.currency, jsonb_build_array(count(*), sum(p.amount_minor), sum(p.refunded), count(p.unsettled_at)) as sums
         from payments.payment p where p.workspace_id = w.id group by 1) p) as payments,
    (select coalesce(jsonb_object_agg(r.code, r.n), '{}') from (
       select c.code || ' ' || r.state as code, count(*) as n
         from payments.purchase p join payments.redemption r on r.purchase_id = p.id join payments.promo_code c on c.id = r.promo_code_id
        where p.workspace_id = w.id and p.promo_code_id is not null group by 1) r) as redemptions,
    (select coalesce(jsonb_object_agg(r.currency, r.sum), '{}') from (
       select r.currency, sum(r.amount_minor) as sum from payments.reward r where r.workspace_id = w.id group by 1) r) as rewards,
    (select coalesce(jsonb_agg(o.dedupe_key), '[]') from messages.outbox o
      where o.workspace_id = w.id and o.channel = 'notice' and o.created_at = ops.now()) as told
    from people.workspace w
    left join lateral (
      select billing.paid_until(s.id) as until, jsonb_build_object(
          'name', s.id, 'state', s.state, 'number', s.period_number, 'start', ${ms("s.current_period_start")},
          'end', ${ms("s.current_period_end")}, 'quantity', s.quantity,
          'price', q.code || ' ' || r.currency || ' ' || r.interval_count || ' ' || r.interval_unit)
        || case when s.ended_at is not null then jsonb_build_object('ended_at', ${ms("s.ended_at")}, 'ended_reason', s.ended_reason)
          else jsonb_build_object('auto_renew', s.auto_renew, 'cancel_at', ${ms("s.cancel_at")}, 'renew_at', ${ms("s.renew_at")},
            'expire_at', ${ms("s.expire_at")}, 'past_due_since', ${ms("s.past_due_since")}, 'next_quantity', s.next_quantity,
            'next_price', (select nq.code || ' ' || n.currency || ' ' || n.interval_count || ' ' || n.interval_unit
               from billing.price n join billing.plan nq on nq.id = n.plan_id where n.id = s.next_price_id)) end as subscription
        from billing.subscription s join billing.price r on r.id = s.price_id join billing.plan q on q.id = s.plan_id
       where s.workspace_id = w.id order by s.id desc limit 1) s on true
   where w.id = any ($1)`;

const uuid = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

/** What is to be seen of these workspaces in the database, by their ids; nothing has a name yet. */
export async function seen(db: Db, ids: readonly string[]): Promise<Map<string, Sight>> {
  const found = await rows<Sight & { id: string }>(db, looking, [ids]);
  return new Map(found.map(({ id, ...sight }) => [id, sight]));
}

/** The same by the model's names. */
export function named(sight: Sight, name: (id: string) => string): Sight {
  const by = (text: string) => text.replaceAll(uuid, name);
  const { subscription, keys, told } = sight;
  return {
    ...sight,
    subscription: subscription === null ? null : { ...subscription, name: by(String(subscription["name"])) },
    keys: keys.map(by),
    told: told.map(by).toSorted(),
  };
}

/** What of a sight is not as it should be, in words. */
export function differences(sight: Sight, right: Sight): string[] {
  const is = new Map<string, unknown>(Object.entries(sight));
  return Object.entries(right).flatMap(([what, should]) =>
    isDeepStrictEqual(is.get(what), should)
      ? []
      : [`${what} is ${JSON.stringify(is.get(what))}, not ${JSON.stringify(should)}`],
  );
}

/** What everybody was told, ever: `customer: fact`. */
export async function toldAll(db: Db, name: (id: string) => string): Promise<string[]> {
  const found = await rows<{ told: string }>(
    db,
    "select workspace_id || ': ' || dedupe_key as told from messages.outbox where channel = 'notice'",
  );
  return found.map(({ told }) => told.replaceAll(uuid, name)).toSorted();
}

/** What of each currency is on balances, and what should be by payments alone: what came, was given, and went. */
export async function sums(db: Db): Promise<{ currency: string; there: number; due: number }[]> {
  return await rows(
    db,
    `with moved as (
       select p.currency, p.list_minor - p.list_minor * m.refunded / m.amount_minor as cents
         from payments.purchase p join payments.payment m on m.id = p.payment_id where p.kind = 'balance_topup'
       union all
       select m.currency, m.amount_minor - m.refunded
         from payments.payment m join payments.purchase p on p.id = m.purchase_id
        where m.provider = 'manual' and m.unsettled_at is null and m.id is distinct from p.payment_id
       union all
       select w.currency, w.amount_minor - w.amount_minor * m.refunded / m.amount_minor
         from payments.reward w join payments.payment m on m.id = w.payment_id
       union all
       select m.currency, m.refunded - m.amount_minor from payments.payment m where m.provider = 'balance'),
     due as (select currency, sum(cents)::bigint as due from moved group by 1)
     select currency, (select coalesce(sum(a.available - a.debt), 0)::bigint from ledger.account a where a.unit = d.currency) as there, due
       from due d order by currency`,
  );
}
