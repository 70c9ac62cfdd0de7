import { sql } from "drizzle-orm";
import {
  check,
  foreignKey,
  index,
  integer,
  pgSchema,
  primaryKey,
  text,
  unique,
  uniqueIndex,
  uuid,
} from "drizzle-orm/pg-core";
import { amount, time } from "./columns.ts";

/** What was paid, and what became of it: customers at the provider, purchases, payments, refunds, disputes. */
export const payments = pgSchema("payments");

/**
 * A workspace's customer at the provider (B1). The row is claimed (lease) before the provider is asked, with an idempotency
 * key made from workspace and number; `provider_id` is written once. A customer that was deleted there keeps its row, and the
 * next has the next number. `claimed_at`: when it was first claimed; a day later the provider may have forgotten the key.
 */
export const customer = payments.table(
  "customer",
  {
    workspace_id: uuid().notNull(),
    provider: text().notNull(),
    number: integer().notNull(),
    provider_id: text(),
    lease_token: uuid(),
    leased_until: time(),
    claimed_at: time().notNull(),
    deleted_at: time(),
  },
  (t) => [
    primaryKey({ name: "customer_pk", columns: [t.workspace_id, t.provider, t.number] }),
    uniqueIndex("customer_live_once")
      .on(t.workspace_id, t.provider)
      .where(sql`deleted_at is null`),
    unique("customer_provider_id_once").on(t.provider, t.provider_id),
  ],
);

/**
 * Something that a workspace is buying: a plan, a pack, or money for its balance; paid at Stripe, by hand (`manual`: a bank
 * transfer, cash) or from the balance (lifecycle `payments.purchase`). `provider_id`, `url`: the checkout session's, null
 * until it was made (under the lease) with an idempotency key made from this row's id, which the session carries too.
 * `canceled_at`: somebody asked for it to be cancelled; it is, once the provider has ended its session.
 * `awaits_payment`: the session is over and its payment is on its way. Growth: one row per purchase, kept for ever.
 */
export const purchase = payments.table(
  "purchase",
  {
    id: uuid().notNull(),
    workspace_id: uuid().notNull(),
    kind: text().notNull(),
    provider: text().notNull(),
    state: text().notNull(),
    version: integer().notNull().default(1),
    plan_id: uuid(),
    pack_id: uuid(),
    price_id: uuid(),
    quantity: integer().notNull(),
    amount_minor: amount().notNull(),
    currency: text().notNull(),
    trial_days: integer().notNull(),
    success_url: text(),
    cancel_url: text(),
    provider_id: text(),
    url: text(),
    awaits_payment: text(),
    canceled_at: time(),
    subscription_id: uuid(),
    payment_id: uuid(),
    lease_token: uuid(),
    leased_until: time(),
    check_due_at: time(),
    expires_at: time().notNull(),
    ended_at: time(),
    created_at: time().notNull(),
  },
  (t) => [
    primaryKey({ name: "purchase_pk", columns: [t.id] }),
    unique("purchase_provider_id_once").on(t.provider, t.provider_id),
    uniqueIndex("purchase_of_plan_open_once")
      .on(t.workspace_id)
      .where(sql`kind = 'subscription' and state = 'pending'`),
    check("purchase_kind_known", sql`kind in ('balance_topup', 'subscription', 'credit_pack', 'retail_token')`),
    check("purchase_provider_known", sql`provider in ('stripe', 'manual', 'balance')`),
    check(
      "purchase_of_one",
      sql`case kind when 'balance_topup' then plan_id is null and pack_id is null and price_id is null
        else (plan_id is null) <> (pack_id is null) and price_id is not null end`,
    ),
    check("purchase_urls_of_sessions", sql`provider <> 'stripe' or success_url is not null and cancel_url is not null`),
    check("purchase_quantity_positive", sql`quantity > 0`),
    check("purchase_ended_when_not_pending", sql`(state = 'pending') = (ended_at is null)`),
    index("purchase_of_workspace").on(t.workspace_id, t.id),
    index("purchase_check_due")
      .on(t.check_due_at, t.id)
      .where(sql`check_due_at is not null`),
  ],
);

/**
 * Money that came, once per provider and reference: a checkout's session or an invoice. `refunded` and `disputed` are its
 * totals as last reckoned, never more than was taken back for. Growth: one row per payment, kept for ever.
 */
export const payment = payments.table(
  "payment",
  {
    id: uuid().notNull(),
    workspace_id: uuid().notNull(),
    provider: text().notNull(),
    reference: text().notNull(),
    purchase_id: uuid(),
    subscription_id: uuid(),
    amount_minor: amount().notNull(),
    currency: text().notNull(),
    refunded: amount().notNull().default(0),
    disputed: amount().notNull().default(0),
    reckoned: integer().notNull().default(0),
    paid_at: time().notNull(),
    created_at: time().notNull(),
  },
  (t) => [
    primaryKey({ name: "payment_pk", columns: [t.id] }),
    unique("payment_reference_once").on(t.provider, t.reference),
    index("payment_of_workspace").on(t.workspace_id, t.id),
  ],
);

/**
 * The provider's name of a charge (Stripe's payment intent), and which payment it was for: refunds and disputes name only
 * it, and may come before it is known. `refunded_seen`: the largest total refund that the charge itself has told.
 * `link_due_at`: the provider is to be asked for whose it is, or for its refunds; `asked_at`: when it last was.
 */
export const intent = payments.table(
  "intent",
  {
    provider: text().notNull(),
    id: text().notNull(),
    payment_id: uuid(),
    customer: text(),
    refunded_seen: amount().notNull().default(0),
    link_due_at: time(),
    link_attempts: integer().notNull().default(0),
    asked_at: time(),
    created_at: time().notNull(),
  },
  (t) => [
    primaryKey({ name: "intent_pk", columns: [t.provider, t.id] }),
    foreignKey({ name: "intent_payment", columns: [t.payment_id], foreignColumns: [payment.id] }),
    index("intent_of_payment").on(t.payment_id),
    index("intent_link_due")
      .on(t.link_due_at, t.provider, t.id)
      .where(sql`link_due_at is not null`),
  ],
);

/** A refund, in the provider's states; one that failed or was canceled took nothing, and stays so. */
export const refund = payments.table(
  "refund",
  {
    provider: text().notNull(),
    id: text().notNull(),
    intent_id: text().notNull(),
    amount_minor: amount().notNull(),
    state: text().notNull(),
    created_at: time().notNull(),
  },
  (t) => [
    primaryKey({ name: "refund_pk", columns: [t.provider, t.id] }),
    foreignKey({
      name: "refund_intent",
      columns: [t.provider, t.intent_id],
      foreignColumns: [intent.provider, intent.id],
    }),
    index("refund_of_intent").on(t.provider, t.intent_id),
  ],
);

/**
 * A dispute: `open` and `lost` count against the payment, `won` and `inquiry` do not. `seen_at`: the provider's time of the
 * newest state that was taken.
 */
export const dispute = payments.table(
  "dispute",
  {
    provider: text().notNull(),
    id: text().notNull(),
    intent_id: text().notNull(),
    amount_minor: amount().notNull(),
    state: text().notNull(),
    seen_at: time().notNull(),
    created_at: time().notNull(),
  },
  (t) => [
    primaryKey({ name: "dispute_pk", columns: [t.provider, t.id] }),
    foreignKey({
      name: "dispute_intent",
      columns: [t.provider, t.intent_id],
      foreignColumns: [intent.provider, intent.id],
    }),
    check("dispute_state_known", sql`state in ('inquiry', 'open', 'won', 'lost')`),
    index("dispute_of_intent").on(t.provider, t.intent_id),
  ],
);
