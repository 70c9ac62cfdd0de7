import { and, desc, eq, exists, gte, inArray, isNull, lte, or, sql } from "drizzle-orm";
import { QueryBuilder } from "drizzle-orm/pg-core";
import { pack, plan, renewal, subscription } from "../../db/schema/billing.ts";
import { lot } from "../../db/schema/ledger.ts";
import { event, sweep_run } from "../../db/schema/ops.ts";
import { intent, payment, promoCode, purchase, refund, reward } from "../../db/schema/payments.ts";
import { api_key } from "../../db/schema/people.ts";
import { idOf, silent } from "./clues.ts";
import { shownAt, told, toldOf } from "./told.ts";

/**
 * Where a transaction came from, as SQL tells it: each subquery depends on a row of `page` (src/ledger/explain.ts) and its clues,
 * and is run only for a row that it tells of.
 */

/** One row: what is joined to it may be missing (an event is kept for 35 days), and its cause still has type and id. */
export const nothing = sql`(select) nothing`;

const query = new QueryBuilder();
const subject = sql`page.subject`;
const owner = sql`page.owner_id`;
const versionOf = (sold: typeof plan | typeof pack) => toldOf(sold.id, { code: sold.code, version: sold.number });
const money = {
  id: payment.id,
  provider: payment.provider,
  reference: payment.reference,
  amount_minor: payment.amount_minor,
  currency: payment.currency,
  refunded: payment.refunded,
  disputed: payment.disputed,
};

const ofPurchase = query
  .select({
    told: told({
      type: sql`'purchase'`,
      id: subject,
      kind: purchase.kind,
      provider: purchase.provider,
      state: purchase.state,
      plan: versionOf(plan),
      pack: versionOf(pack),
      quantity: purchase.quantity,
      amount_minor: purchase.amount_minor,
      currency: purchase.currency,
      discount_minor: purchase.discount_minor,
      promo_code: promoCode.code,
      payment: toldOf(payment.id, money),
    }),
  })
  .from(nothing)
  .leftJoin(purchase, and(eq(purchase.id, subject), eq(purchase.workspace_id, owner)))
  .leftJoin(plan, eq(plan.id, purchase.plan_id))
  .leftJoin(pack, eq(pack.id, purchase.pack_id))
  .leftJoin(promoCode, eq(promoCode.id, purchase.promo_code_id))
  .leftJoin(payment, eq(payment.id, purchase.payment_id));

/** What a payment gave was taken back or given again, as it was refunded or disputed: its totals as they are by now. */
const ofPayment = query
  .select({
    told: told({
      type: sql`'payment'`,
      ...money,
      id: subject,
      purchase_id: payment.purchase_id,
      subscription_id: payment.subscription_id,
    }),
  })
  .from(nothing)
  .leftJoin(payment, and(eq(payment.id, subject), eq(payment.workspace_id, owner)));

/** What was paid from a balance went back to it. */
const ofRefund = query
  .select({
    told: told({
      type: sql`'refund'`,
      id: subject,
      amount_minor: refund.amount_minor,
      payment: toldOf(payment.id, money),
      purchase_id: payment.purchase_id,
      subscription_id: payment.subscription_id,
    }),
  })
  .from(nothing)
  .leftJoin(refund, and(eq(refund.provider, "balance"), eq(refund.id, sql`${subject}::text`)))
  .leftJoin(intent, and(eq(intent.provider, refund.provider), eq(intent.id, refund.intent_id)))
  .leftJoin(payment, and(eq(payment.id, intent.payment_id), eq(payment.workspace_id, owner)));

/** A workspace that this one had brought has paid. The payment is that one's, and not told of. */
const ofReferral = query
  .select({
    told: told({
      type: sql`'referral'`,
      payment_id: subject,
      workspace_id: reward.workspace_id,
      amount_minor: reward.amount_minor,
      currency: reward.currency,
    }),
  })
  .from(nothing)
  .leftJoin(reward, and(eq(reward.payment_id, subject), eq(reward.referrer_id, owner)));

/** The period's name: the provider's invoice, or of a subscription of ours its own id and the number. */
const invoice = sql`'renewal:' || page.rest`;
const number = sql`substring(coalesce(${renewal.invoice}, ${invoice}) from '^renewal:[0-9a-f-]{36}:([0-9]+)$')::integer`;
const ofSubscription = query
  .select({
    told: told({
      type: sql`'subscription'`,
      id: sql`coalesce(${subscription.id}, ${subject})`,
      collection: subscription.collection,
      plan: versionOf(plan),
      period: toldOf(sql`coalesce(${renewal.invoice}, ${number}::text)`, {
        number,
        starts_at: shownAt(renewal.starts_at),
        ends_at: shownAt(renewal.ends_at),
      }),
      payment: toldOf(payment.id, money),
      ended_at: shownAt(subscription.ended_at),
      ended_reason: subscription.ended_reason,
    }),
  })
  .from(nothing)
  .leftJoin(
    subscription,
    and(
      eq(subscription.workspace_id, owner),
      or(
        eq(subscription.id, subject),
        exists(
          query
            .select({ one: sql`1` })
            .from(renewal)
            .where(and(eq(renewal.subscription_id, subscription.id), eq(renewal.invoice, sql`page.rest`))),
        ),
      ),
    ),
  )
  .leftJoin(
    renewal,
    and(
      eq(renewal.subscription_id, subscription.id),
      or(eq(renewal.invoice, sql`page.rest`), eq(renewal.invoice, invoice)),
    ),
  )
  .leftJoin(plan, eq(plan.id, sql`coalesce(${renewal.plan_id}, ${subscription.plan_id})`))
  .leftJoin(
    payment,
    and(
      eq(payment.workspace_id, owner),
      or(eq(payment.id, renewal.payment_id), and(eq(payment.provider, "balance"), eq(payment.reference, invoice))),
    ),
  )
  .limit(1);

const ofExpiry = query
  .select({
    told: told({ type: sql`'expiry'`, lot_id: subject, pool: lot.pool, expired_at: shownAt(lot.expires_at) }),
  })
  .from(nothing)
  .leftJoin(lot, and(eq(lot.owner_id, owner), eq(lot.unit, sql`page.unit`), eq(lot.id, subject)));

/** Who the operator's people are is for the operator. */
const seen = (name: unknown) =>
  sql`case when ${api_key.workspace_id} is not null or (select r.is_operator from reader r) then ${name} end`;
const byKey = query
  .select({
    told: told({
      type: sql`case when ${api_key.workspace_id} is null then 'operator' else 'key' end`,
      id: api_key.id,
      name: seen(api_key.name),
      prefix: seen(api_key.prefix),
    }),
  })
  .from(nothing)
  .innerJoin(api_key, eq(api_key.id, idOf(sql`page.mover_name`)));

/** Whoever sent it: no two name theirs alike. */
const byEvent = query
  .select({
    told: told({
      type: sql`'event'`,
      id: sql`page.mover_name`,
      provider: event.provider,
      event_type: event.type,
      received_at: shownAt(event.received_at),
    }),
  })
  .from(nothing)
  .leftJoin(event, and(inArray(event.provider, ["stripe", "btcpay"]), eq(event.id, sql`page.mover_name`)));

/** The newest run of its name that had begun by then and was not over. None lasts as long as five minutes (budget, timeouts). */
const run = query
  .select({
    told: told({
      id: sql`"sweep_run".id`,
      started_at: shownAt(sql`"sweep_run".started_at`),
      finished_at: shownAt(sql`"sweep_run".finished_at`),
    }),
  })
  .from(sweep_run)
  .where(
    and(
      eq(sweep_run.name, sql`page.mover_name`),
      lte(sweep_run.started_at, sql`page.created_at`),
      gte(sweep_run.started_at, sql`page.created_at - interval '5 minutes'`),
      or(isNull(sweep_run.finished_at), gte(sweep_run.finished_at, sql`page.created_at`)),
    ),
  )
  .orderBy(desc(sweep_run.started_at), desc(sweep_run.id))
  .limit(1);

const other = told({ type: sql`'other'`, id: sql`page.caused_by` });

/** Who or what moved it. */
const by = sql`case page.mover
  when 'key' then coalesce(${byKey}, ${other})
  when 'event' then ${byEvent}
  when 'sweep' then ${told({ type: sql`'sweep'`, name: sql`page.mover_name`, run: sql`${run}` })}
  when 'sync' then ${told({ type: sql`'sync'` })}
  else ${other} end`;

/** The fact, or who moved it where there is no other; and beside a fact, who did. */
export const causes = {
  cause: sql`case page.fact
    when 'purchase' then ${ofPurchase}
    when 'payment' then ${ofPayment}
    when 'refund' then ${ofRefund}
    when 'referral' then ${ofReferral}
    when 'subscription' then ${ofSubscription}
    when 'expiry' then ${ofExpiry}
    else ${by} end`,
  by: sql`case when page.fact is not null and page.mover not in (${sql.raw(silent)}) then ${by} end`,
};
