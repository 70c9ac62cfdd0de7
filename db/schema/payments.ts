import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
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

/** Promo codes that have one cap and one window together. Growth: one row per campaign. */
export const campaign = payments.table(
  "campaign",
  {
    id: uuid().notNull(),
    name: text().notNull(),
    max_redemptions: amount(),
    starts_at: time(),
    ends_at: time(),
    created_at: time().notNull(),
  },
  (t) => [
    primaryKey({ name: "campaign_pk", columns: [t.id] }),
    unique("campaign_name_once").on(t.name),
    check("campaign_name_length", sql`char_length(name) between 1 and 200`),
    check("campaign_window", sql`(ends_at > starts_at) is not false and isfinite(starts_at) and isfinite(ends_at)`),
  ],
);

/**
 * A promo code: `percent` off, or `amounts_minor[i]` off in `currencies[i]` (of a percentage, null: in all). `kinds`: of purchases
 * that it is for (null: all). `max_redemptions`, and its campaign's, are limits of ledger accounts in the unit `redemption`,
 * whose owners are the code and the campaign (null: not counted); `per_workspace` is counted under the workspace's lock.
 * Growth: one row per code, kept for ever.
 */
export const promoCode = payments.table(
  "promo_code",
  {
    id: uuid().notNull(),
    campaign_id: uuid(),
    code: text().notNull(),
    percent: integer(),
    currencies: text().array(),
    amounts_minor: bigint({ mode: "number" }).array(),
    kinds: text().array(),
    max_redemptions: amount(),
    per_workspace: integer(),
    starts_at: time(),
    ends_at: time(),
    disabled_at: time(),
    created_at: time().notNull(),
  },
  (t) => [
    primaryKey({ name: "promo_code_pk", columns: [t.id] }),
    foreignKey({ name: "promo_code_campaign", columns: [t.campaign_id], foreignColumns: [campaign.id] }),
    unique("promo_code_once").on(t.code),
    // One form of each: a person types it in any case.
    check("promo_code_form", sql`code ~ '^[A-Z0-9][A-Z0-9_-]{1,49}$'`),
    check("promo_code_one_way", sql`(percent is null) <> (amounts_minor is null)`),
    check("promo_code_percent_within", sql`percent between 1 and 100`),
    check(
      "promo_code_amount_each",
      // A check that knows of nothing to say lets it in: every amount is there, and so is its currency.
      sql`amounts_minor is null or (cardinality(amounts_minor) = cardinality(currencies)
        and cardinality(amounts_minor) > 0 and 0 < all (amounts_minor)) is true`,
    ),
    check("promo_code_per_workspace_positive", sql`per_workspace > 0`),
    check("promo_code_window", sql`(ends_at > starts_at) is not false and isfinite(starts_at) and isfinite(ends_at)`),
    index("promo_code_of_campaign").on(t.campaign_id, t.id),
  ],
);

/**
 * A purchase's use of a promo code (lifecycle `payments.redemption`): held while it can be paid, redeemed when it was, released
 * when it is over unpaid. `code_hold_id`, `campaign_hold_id`: the ledger's holds, where there are caps. `attempt`: a purchase
 * that is paid after its end takes a new one. Growth: one row per purchase with a code, kept for ever.
 */
export const redemption = payments.table(
  "redemption",
  {
    purchase_id: uuid().notNull(),
    promo_code_id: uuid().notNull(),
    workspace_id: uuid().notNull(),
    state: text().notNull(),
    version: integer().notNull().default(1),
    attempt: integer().notNull().default(1),
    code_hold_id: uuid(),
    campaign_hold_id: uuid(),
    ended_at: time(),
    created_at: time().notNull(),
  },
  (t) => [
    primaryKey({ name: "redemption_pk", columns: [t.purchase_id] }),
    foreignKey({ name: "redemption_promo_code", columns: [t.promo_code_id], foreignColumns: [promoCode.id] }),
    check("redemption_ended_when_not_held", sql`(state = 'held') = (ended_at is null)`),
    index("redemption_of_code").on(t.promo_code_id, t.workspace_id),
  ],
);

/** Who brought whom, once for ever. Growth: one row per workspace that was brought. */
export const referral = payments.table(
  "referral",
  {
    workspace_id: uuid().notNull(),
    referrer_id: uuid().notNull(),
    created_at: time().notNull(),
  },
  (t) => [
    primaryKey({ name: "referral_pk", columns: [t.workspace_id] }),
    check("referral_not_of_itself", sql`workspace_id <> referrer_id`),
    index("referral_of_referrer").on(t.referrer_id, t.workspace_id),
  ],
);

/**
 * What a referrer got for a payment, once for each; taken back with its refunds (the lot on the referrer's balance names the
 * payment). Growth: one row per rewarded payment, kept for ever.
 */
export const reward = payments.table(
  "reward",
  {
    payment_id: uuid().notNull(),
    workspace_id: uuid().notNull(),
    referrer_id: uuid().notNull(),
    amount_minor: amount().notNull(),
    currency: text().notNull(),
    created_at: time().notNull(),
  },
  (t) => [
    primaryKey({ name: "reward_pk", columns: [t.payment_id] }),
    foreignKey({ name: "reward_payment", columns: [t.payment_id], foreignColumns: [payment.id] }),
    index("reward_of_workspace").on(t.workspace_id, t.payment_id),
    index("reward_of_referrer").on(t.referrer_id, t.payment_id),
  ],
);

/** What a referrer gets, in one row: `percent` of what is paid (0: nothing), of the first payment or (`recurring`) of each. */
export const referralPolicy = payments.table(
  "referral_policy",
  {
    singleton: boolean().notNull().default(true),
    percent: integer().notNull().default(0),
    recurring: boolean().notNull().default(false),
  },
  (t) => [
    primaryKey({ name: "referral_policy_pk", columns: [t.singleton] }),
    check("referral_policy_one_row", sql`singleton`),
    check("referral_policy_percent_within", sql`percent between 0 and 100`),
  ],
);

/**
 * Something that a workspace is buying: a plan, a pack, or money for its balance; paid at Stripe, by hand (`manual`: a bank
 * transfer, cash) or from the balance (lifecycle `payments.purchase`). `provider_id`, `url`: the checkout session's, null
 * until it was made (under the lease) with an idempotency key made from this row's id, which the session carries too.
 * `canceled_at`: somebody asked for it to be cancelled; it is, once the provider has ended its session.
 * `awaits_payment`: the session is over and its payment is on its way. A purchase is its own quote: `list_minor` less
 * `discount_minor` (of `promo_code_id`) is `amount_minor`, and none of it ever changes (trigger purchase_quote_fixed).
 * `collection`: of a plan: `stripe`, or `balance`: one period is paid, and the next ones from the balance (`auto_renew`).
 * `parked_until`: the sweep purchases_expire failed at it, and leaves it alone until then.
 * `identity_hash`: whose trial it would begin. Growth: one row per purchase, kept for ever.
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
    list_minor: amount(),
    discount_minor: amount().notNull().default(0),
    promo_code_id: uuid(),
    collection: text(),
    auto_renew: boolean(),
    identity_hash: text(),
    parked_until: time(),
  },
  (t) => [
    primaryKey({ name: "purchase_pk", columns: [t.id] }),
    unique("purchase_provider_id_once").on(t.provider, t.provider_id),
    uniqueIndex("purchase_of_plan_open_once")
      .on(t.workspace_id)
      .where(sql`kind = 'subscription' and state = 'pending'`),
    check("purchase_kind_known", sql`kind in ('balance_topup', 'subscription', 'credit_pack', 'retail_token')`),
    check("purchase_provider_known", sql`provider in ('stripe', 'manual', 'balance', 'btcpay')`),
    check(
      "purchase_of_one",
      sql`case kind when 'balance_topup' then plan_id is null and pack_id is null and price_id is null
        else (plan_id is null) <> (pack_id is null) and price_id is not null end`,
    ),
    check("purchase_urls_of_sessions", sql`provider <> 'stripe' or success_url is not null and cancel_url is not null`),
    check("purchase_quantity_positive", sql`quantity > 0`),
    foreignKey({ name: "purchase_promo_code", columns: [t.promo_code_id], foreignColumns: [promoCode.id] }),
    check("purchase_collection_known", sql`collection in ('stripe', 'balance')`),
    check("purchase_discount_within", sql`discount_minor <= list_minor and amount_minor = list_minor - discount_minor`),
    check("purchase_expiry_finite", sql`isfinite(expires_at)`),
    index("purchase_by_hand_due")
      .on(t.expires_at, t.id)
      .where(sql`state = 'pending' and provider = 'manual'`),
    check("purchase_ended_when_not_pending", sql`(state = 'pending') = (ended_at is null)`),
    index("purchase_of_workspace").on(t.workspace_id, t.id),
    index("purchase_check_due")
      .on(t.check_due_at, t.id)
      .where(sql`check_due_at is not null`),
  ],
);

/**
 * Money that came, once per provider and reference: a checkout's session, an invoice, a bank's line, or what a subscription's
 * period took from the balance. `refunded` and `disputed` are its totals as last reckoned, never more than was taken back for.
 * `unsettled_at`: it came in another amount or currency, or for what was paid already; it is kept without effect until the
 * operator settles it. Growth: one row per payment, kept for ever.
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
    unsettled_at: time(),
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
