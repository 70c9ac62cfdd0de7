import type { Pool } from "pg";
import { facts, movers } from "../../src/ledger/clues.ts";
import { registry } from "../../src/sweeps/registry.ts";
import { parking, periods } from "./invariants-periods.ts";
import type { Db } from "./scenario.ts";

const listed = (known: object) =>
  Object.keys(known)
    .map((name) => `'${name}'`)
    .join(", ");

/**
 * What must hold over a whole database, whatever was done to it. Each query answers what violates it; nothing is right.
 * They are written apart from the routines and from ledger.verify, so that a fault of those cannot hide itself.
 */
const violations: Record<string, string> = {
  "the entries of a transaction sum to zero": `
    select transaction_id::text as subject from ledger.entry group by transaction_id having sum(amount) <> 0`,

  "an effect's key is used once": `
    select owner_id || ' ' || idempotency_key as subject from ledger.transaction
     group by owner_id, idempotency_key having count(*) > 1`,

  "each side of an account is what its entries say": `
    select coalesce(a.owner_id, e.owner_id) || ' ' || coalesce(a.unit, e.unit) as subject
      from ledger.account a
      full join (
        select owner_id, unit, coalesce(sum(amount) filter (where side = 'available'), 0) as available,
               coalesce(sum(amount) filter (where side = 'held'), 0) as held,
               coalesce(sum(-amount) filter (where side = 'debt'), 0) as debt
          from ledger.entry group by owner_id, unit) e
        on e.owner_id = a.owner_id and e.unit = a.unit
     where coalesce(a.available, -1) <> coalesce(e.available, 0)
        or coalesce(a.held, -1) <> coalesce(e.held, 0)
        or coalesce(a.debt, -1) <> coalesce(e.debt, 0)`,

  "nothing is below zero": `
    select owner_id || ' ' || unit as subject from ledger.account where least(available, held, debt) < 0
    union all
    select id::text from ledger.lot where least(given, available, expired, recovered, covered) < 0
    union all
    select id::text from ledger.hold where least(amount, settled) < 0`,

  "debt leaves nothing available": `
    select owner_id || ' ' || unit as subject from ledger.account where debt > 0 and available > 0`,

  "an account's lots are its available": `
    select a.owner_id || ' ' || a.unit as subject from ledger.account a
     where a.available <> (select coalesce(sum(l.available), 0) from ledger.lot l
                            where l.owner_id = a.owner_id and l.unit = a.unit)`,

  "each lot's available is what its entries say": `
    select l.id::text as subject from ledger.lot l
      full join (select owner_id, lot_id, sum(amount) as amount from ledger.entry where side = 'available' group by 1, 2) e
        on e.owner_id = l.owner_id and e.lot_id = l.id
     where coalesce(l.available, -1) <> coalesce(e.amount, 0)`,

  "what was given is available, expired, recovered or outside, and no more than that": `
    select id::text as subject from ledger.lot
     where given < available + expired + recovered or covered > recovered or empty <> (available = 0)`,

  // A lot that paid a debt, or lent to another lot at a refund, lacks that besides. A limit is lowered below what is in use.
  "what is outside of a lot is spent or held": `
    select l.id::text as subject from ledger.lot l
      left join (
        select e.owner_id, e.lot_id,
               coalesce(sum(e.amount) filter (where e.side in ('spent', 'revenue') or (e.side = 'adjusted'
                 and (t.kind = 'adjust' and e.amount > 0 or t.kind = 'reverse' and e.amount < 0))), 0) as used,
               bool_or(e.side = 'debt' or (e.side = 'available' and e.amount < 0
                 and t.kind in ('take_back', 'reverse', 'limit'))) as lent
          from ledger.entry e
          join ledger.transaction t on t.owner_id = e.owner_id and t.unit = e.unit and t.id = e.transaction_id
         group by 1, 2) e on e.owner_id = l.owner_id and e.lot_id = l.id
      left join (
        select h.owner_id, x.lot_id, sum(x.amount) as held
          from ledger.hold h cross join lateral unnest(h.lots, h.lot_amounts) x(lot_id, amount)
         where h.state = 'held' group by 1, 2) h on h.owner_id = l.owner_id and h.lot_id = l.id
     cross join lateral (
       select l.given - l.available - l.expired - l.recovered + l.covered - coalesce(e.used, 0) - coalesce(h.held, 0) as more) o
     where l.pool <> 'limit' and (o.more < 0 or o.more > 0 and not coalesce(e.lent, false))`,

  "what is held is the sum of the open holds": `
    select coalesce(a.owner_id, h.owner_id) || ' ' || coalesce(a.unit, h.unit) as subject
      from ledger.account a
      full join (select owner_id, unit, sum(amount) as amount from ledger.hold where state = 'held' group by 1, 2) h
        on h.owner_id = a.owner_id and h.unit = a.unit
     where coalesce(a.held, -1) <> coalesce(h.amount, 0)`,

  "a hold's lots are its amount, and only a settled one was settled": `
    select h.id::text as subject from ledger.hold h
     where h.amount <> (select sum(x) from unnest(h.lot_amounts) x)
        or cardinality(h.lots) <> cardinality(h.lot_amounts)
        or (h.state <> 'settled' and h.settled <> 0)`,

  "an account knows its soonest expiry": `
    select a.owner_id || ' ' || a.unit as subject from ledger.account a
      join ledger.lot l on l.owner_id = a.owner_id and l.unit = a.unit and not l.empty and l.expires_at is not null
     where a.next_expiry is null or a.next_expiry > l.expires_at`,

  "of each transaction it can be told what it came from (src/ledger/clues.ts)": `
    select t.idempotency_key || ' by ' || t.caused_by as subject from ledger.transaction t
     where t.idempotency_key like 'tg:%' and split_part(t.idempotency_key, ':', 2) not in (${listed(facts)})
        or split_part(t.caused_by, ':', 1) not in (${listed({ ...movers, test: true })})`,

  "a row that is kept apart is named, and no other": `
    select coalesce(p.sweep || ':' || p.subject, x.sweep || ':' || x.subject) as subject
      from (select * from ops.parked where sweep not in ${parking}) p
      full join (
        select 'holds_expire' as sweep, id::text as subject from ledger.hold where parked_until is not null
        union all
        select 'lots_expire', owner_id || ':' || unit from ledger.account where parked_until is not null
        union all
        select 'purchases_expire', id::text from payments.purchase where parked_until is not null
        union all
        select 'notices', id::text from messages.outbox where channel = 'notice' and state = 'queued' and error is not null
        union all
        select p.sweep, p.subject from ops.parked p
          join messages.broadcast b on b.id::text = p.subject and b.state in ('running', 'stopped')
         where p.sweep = 'broadcasts') x
        on x.sweep = p.sweep and x.subject = p.subject
     where p.subject is null or x.subject is null`,

  "a workspace has one subscription that is kept, while any lives": `
    select workspace_id::text as subject from billing.subscription
     where ended_at is null and undone_at is null
     group by workspace_id having count(*) filter (where superseded_by is null) <> 1`,

  "a subscription is superseded by another of its workspace": `
    select s.id::text as subject from billing.subscription s
      left join billing.subscription k on k.id = s.superseded_by and k.workspace_id = s.workspace_id and k.id <> s.id
     where s.superseded_by is not null and k.id is null`,

  "a period that was given has its transaction": `
    select r.invoice as subject from billing.renewal r
      join billing.subscription s on s.id = r.subscription_id
     where r.kind = 'period' and r.state = 'given' and not exists (
       select from ledger.transaction t
        where t.owner_id = s.workspace_id and t.idempotency_key = 'tg:invoice:' || r.invoice and t.kind = 'reset')`,

  "what a subscription was renewed for is the newest period that it gave": `
    select s.id::text as subject from billing.subscription s
     where s.renewed_from is distinct from (
       select max(r.starts_at) from billing.renewal r
        where r.subscription_id = s.id and r.kind = 'period' and r.state = 'given')`,

  "of a subscription that is over nothing is due, and nothing waits": `
    select s.id::text as subject from billing.subscription s
     where s.ended_at is not null and (s.sync_due_at is not null
       or exists (select from billing.renewal r where r.subscription_id = s.id and r.state = 'waiting'))`,

  "a workspace whose subscription owes has an end of its grace": `
    select s.id::text as subject from billing.subscription s
      join people.workspace w on w.id = s.workspace_id
     where s.superseded_by is null and s.state in ('past_due', 'unpaid')
       and (w.read_only_from is null or s.past_due_since is null or w.read_only_reason <> s.state)`,

  "a key that lives is of a subscription that lives, and whose plan grants access": `
    select k.id::text as subject from access.key k
     where k.state in ('pending', 'active') and not exists (
       select from billing.subscription s join billing.plan p on p.id = s.plan_id
        where s.id = k.subscription_id and s.workspace_id = k.workspace_id and s.ended_at is null
          and s.superseded_by is null and p.grants_access)`,

  "a subscription of ours that lives has its key, where its plan grants access": `
    select s.id::text as subject from billing.subscription s join billing.plan p on p.id = s.plan_id
     where s.collection = 'balance' and s.ended_at is null and s.superseded_by is null and p.grants_access
       and not exists (select from access.key k where k.subscription_id = s.id and k.state in ('pending', 'active'))`,

  // Retention drops what was settled 35 days ago; whoever provisions may confirm later than that.
  "a key that is to be added or removed has its message": `
    select k.id::text as subject from access.key k
     where k.state = 'pending' and k.created_at > ops.now() - interval '35 days'
       and not exists (select from messages.outbox o where o.channel = 'provisioner' and o.dedupe_key = 'add:' || k.id)
    union all
    select k.id::text from access.key k
     where k.revoked_at > ops.now() - interval '35 days'
       and not exists (select from messages.outbox o where o.channel = 'provisioner' and o.dedupe_key = 'remove:' || k.id)`,

  "nothing adds a key that was revoked, or removes one that lives": `
    select k.id::text as subject from access.key k
      join messages.outbox o on o.channel = 'provisioner'
       and o.dedupe_key = case when k.revoked_at is null then 'remove:' else 'add:' end || k.id
     where k.revoked_at is null or o.state in ('queued', 'sending', 'dead')`,

  "an event that is to be tried again has its time, and no other": `
    select id as subject from ops.event
     where (state in ('parked', 'failed', 'fetching')) <> (next_attempt_at is not null)`,

  "a purchase costs what was listed, less what a code takes off": `
    select id::text as subject from payments.purchase
     where amount_minor <> list_minor - discount_minor or discount_minor > 0 and promo_code_id is null`,

  "a redemption is held while its purchase can be paid, and not longer": `
    select coalesce(p.id, r.purchase_id)::text as subject
      from payments.purchase p full join payments.redemption r on r.purchase_id = p.id
     where (p.promo_code_id is not null or r.purchase_id is not null)
       and (r.promo_code_id is distinct from p.promo_code_id or r.workspace_id is distinct from p.workspace_id
         or (p.state = 'pending') is distinct from (r.state = 'held')
         or p.state in ('expired', 'canceled') and r.state <> 'released')`,

  "of a promo code and a campaign no more is held and redeemed than may be, and the ledger says the same": `
    select x.owner_id::text as subject
      from (
        select c.id as owner_id, c.max_redemptions::bigint as most, r.state
          from payments.promo_code c left join payments.redemption r on r.promo_code_id = c.id
        union all
        select g.id, g.max_redemptions::bigint, r.state
          from payments.campaign g left join payments.promo_code c on c.campaign_id = g.id
          left join payments.redemption r on r.promo_code_id = c.id) x
      left join ledger.account a on a.owner_id = x.owner_id and a.unit = 'redemption'
     where x.most is not null
     group by x.owner_id, x.most, a.available, a.held
    having count(*) filter (where x.state in ('held', 'redeemed')) > x.most
        or a.held is distinct from count(*) filter (where x.state = 'held')
        or a.available is distinct from x.most - count(*) filter (where x.state in ('held', 'redeemed'))`,

  "a workspace uses a promo code no oftener than it may": `
    select r.workspace_id::text as subject
      from payments.redemption r join payments.promo_code c on c.id = r.promo_code_id
     where r.state in ('held', 'redeemed')
     group by r.workspace_id, c.id, c.per_workspace having count(*) > c.per_workspace`,

  "what is paid has its payment, which names it; nothing else has": `
    select p.id::text as subject
      from payments.purchase p left join payments.payment m on m.id = p.payment_id
     where (p.state in ('paid', 'partly_refunded', 'refunded')) <> (p.payment_id is not null)
        or p.payment_id is not null and (m.purchase_id is distinct from p.id or m.workspace_id is distinct from p.workspace_id)`,

  "what was bought from a balance was taken from it, to the cent": `
    select coalesce(p.id::text, t.idempotency_key) as subject
      from (select * from payments.purchase where provider = 'balance' and amount_minor > 0) p
      full join (select * from ledger.transaction where idempotency_key like 'tg:purchase:%:paid') t
        on t.owner_id = p.workspace_id and t.idempotency_key = 'tg:purchase:' || p.id || ':paid'
     where p.state is null or p.state = 'pending' or t.amount is distinct from p.amount_minor or t.unit <> p.currency`,

  "a period that was renewed from a balance was taken from it, to the cent, and nothing was for another": `
    select coalesce(p.reference, t.idempotency_key) as subject
      from (select * from payments.payment where provider = 'balance' and reference like 'renewal:%' and amount_minor > 0) p
      full join (select * from ledger.transaction where idempotency_key like 'tg:renewal:%') t
        on t.owner_id = p.workspace_id and t.idempotency_key = 'tg:' || p.reference
       and t.unit = p.currency and t.amount = p.amount_minor
      left join billing.subscription s on s.id = p.subscription_id and s.workspace_id = p.workspace_id
       and s.period_number >= split_part(p.reference, ':', 3)::integer
     where p.id is null or t.id is null or s.id is null`,

  "no payment is without what it was for": `
    select id::text as subject from payments.payment where purchase_id is null and subscription_id is null`,

  "money that waits for the operator has its alarm, and no other has": `
    select coalesce(p.subject, a.subject) as subject
      from (select distinct 'purchase:' || purchase_id as subject from payments.payment where unsettled_at is not null) p
      full join (select subject from ops.alarm where code = 'payment_does_not_fit' and closed_at is null) a
        on a.subject = p.subject
     where p.subject is null or a.subject is null`,

  "nobody is above itself": `
    with recursive up as (
      select r.workspace_id as below, r.referrer_id as id from payments.referral r
      union
      select u.below, r.referrer_id from up u join payments.referral r on r.workspace_id = u.id)
    select below::text as subject from up where id = below`,

  "a reward is its referrer's for a payment of whom it brought, and no more than the payment": `
    select w.payment_id::text as subject from payments.reward w
      left join payments.payment p on p.id = w.payment_id and p.workspace_id = w.workspace_id and p.currency = w.currency
        and p.provider <> 'balance' and p.unsettled_at is null and p.amount_minor >= w.amount_minor
      left join payments.referral r on r.workspace_id = w.workspace_id and r.referrer_id = w.referrer_id
     where p.id is null or r.workspace_id is null or w.amount_minor = 0`,

  "each reward is granted on its referrer's balance, and nothing else from there": `
    select coalesce(w.payment_id::text, t.idempotency_key) as subject
      from payments.reward w
      full join (select * from ledger.transaction where 'referral' = any (sides)) t
        on t.owner_id = w.referrer_id and t.idempotency_key = 'tg:referral:' || w.payment_id
       and t.unit = w.currency and t.amount = w.amount_minor and t.sides[1] = 'referral'
     where w.payment_id is null or t.id is null`,

  "of a reward that part is taken back which of its payment was": `
    select w.payment_id::text as subject
      from payments.reward w
      join payments.payment p on p.id = w.payment_id
      join ledger.lot l on l.owner_id = w.referrer_id and l.unit = w.currency and l.payment_id = w.payment_id
     cross join lateral (
       select floor(l.given::numeric * least(p.refunded::numeric + p.disputed, p.amount_minor) / p.amount_minor) as part) x
     where l.recovered <> x.part - least(x.part, l.forgiven)`,

  ...periods,

  "each owner's ledger.verify agrees": `
    select o.owner_id || ' ' || array_to_string(v.names, ',') || ' ' || array_to_string(v.oks, ',') as subject
      from (select distinct owner_id from ledger.account) o
     cross join lateral ledger.verify(o.owner_id) v
     where not (true = all (v.oks))`,
};

/** Throws with every violation that it finds, by name. Then runs the sweeps, twice: the second time changes nothing. */
export async function assertInvariants(db: Pool): Promise<void> {
  await assertStanding(db);
  await assertSweepsRest(db);
  await assertStanding(db);
}

/** The invariants as the database stands, without running anything. */
export async function assertStanding(db: Db): Promise<void> {
  const found: string[] = [];
  for (const [name, query] of Object.entries(violations)) {
    const { rows } = await db.query<{ subject: string }>(query);
    if (rows.length > 0) {
      found.push(
        `not so: ${name}: ${rows
          .slice(0, 5)
          .map(({ subject }) => subject)
          .join("; ")}`,
      );
    }
  }
  if (found.length > 0) throw new Error(found.join("\n"));
}

/** Tables that sweeps exist to change; nothing else may differ after a second run. */
const tables = [
  "ledger.account",
  "ledger.lot",
  "ledger.hold",
  "ledger.transaction",
  "ops.request",
  "ops.audit",
  "ops.alarm",
  "ops.parked",
  "ops.event",
  "people.workspace",
  "people.api_key",
  "billing.subscription",
  "billing.renewal",
  "access.key",
  "payments.purchase",
  "payments.payment",
  "payments.intent",
  "payments.redemption",
  "payments.reward",
  "messages.outbox",
];

async function assertSweepsRest(db: Pool): Promise<void> {
  // Time passes meanwhile, and something may come due between two runs; but not between any two of four.
  let before = await afterSweeps(db);
  for (let run = 0; run < 4; run += 1) {
    const after = await afterSweeps(db);
    const changed = tables.filter((table) => after.get(table) !== before.get(table));
    if (changed.length === 0) return;
    if (run === 3) throw new Error(`not so: running the sweeps again changes nothing: ${changed.join(", ")}`);
    before = after;
  }
}

/** Runs every sweep that is a routine until it has nothing more to do, and answers a digest of each table. */
async function afterSweeps(db: Pool): Promise<Map<string, string>> {
  const routines = registry.filter(({ calls }) => Object.keys(calls[0]?.args.shape ?? {}).join() === "batch");
  for (const { calls, batch } of routines) {
    for (let more = true; more;) {
      const { rows } = await db.query<{ more: boolean }>(`select more from ${calls[0]?.name}($1)`, [batch]);
      more = rows[0]?.more ?? false;
    }
  }
  const digests = tables.map((table) => `(select coalesce(sum(hashtextextended(t::text, 0)), 0) from ${table} t)`);
  const { rows } = await db.query<{ digests: string[] }>(`select array[${digests.join(", ")}]::text[] as digests`);
  return new Map(tables.map((table, i) => [table, rows[0]?.digests[i] ?? ""]));
}
