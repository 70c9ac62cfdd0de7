import { sql } from "drizzle-orm";
import {
  boolean,
  check,
  foreignKey,
  index,
  integer,
  interval,
  pgSchema,
  primaryKey,
  text,
  unique,
  uniqueIndex,
  uuid,
} from "drizzle-orm/pg-core";
import { amount, time } from "./columns.ts";

/** What is sold: plans, packs and their prices; and who is subscribed to what. */
export const billing = pgSchema("billing");

/**
 * One version of a plan; a row never changes: a change is a new version, and subscribers keep theirs until moved.
 * `grants_access`: a subscription to it has an access key.
 * `seats` are per unit of a subscription's quantity; null: not limited. `rollover_cap` null: nothing rolls over;
 * `rollover_expires_in` null: what rolled over does not expire. Growth: one row per version, kept for ever.
 */
export const plan = billing.table(
  "plan",
  {
    id: uuid().notNull(),
    code: text().notNull(),
    number: integer().notNull(),
    name: text().notNull(),
    included_credits: amount().notNull(),
    rollover_cap: amount(),
    rollover_expires_in: interval(),
    seats: amount(),
    storage_bytes: amount(),
    trial_days: integer().notNull(),
    grace_days: integer().notNull(),
    created_at: time().notNull(),
    grants_access: boolean().notNull().default(false),
  },
  (t) => [
    primaryKey({ name: "plan_pk", columns: [t.id] }),
    unique("plan_number_once").on(t.code, t.number),
    check("plan_code_is_word", sql`code ~ '^[a-z][a-z0-9_]{0,49}$'`),
    check("plan_name_length", sql`char_length(name) between 1 and 200`),
    check("plan_days_within", sql`trial_days between 0 and 730 and grace_days between 0 and 365`),
    check("plan_rollover_whole", sql`rollover_cap is not null or rollover_expires_in is null`),
  ],
);

/** One version of what is bought once: credits (`credit_pack`) or tokens for one piece of work each (`retail_token`). */
export const pack = billing.table(
  "pack",
  {
    id: uuid().notNull(),
    code: text().notNull(),
    number: integer().notNull(),
    kind: text().notNull(),
    name: text().notNull(),
    quantity: amount().notNull(),
    created_at: time().notNull(),
  },
  (t) => [
    primaryKey({ name: "pack_pk", columns: [t.id] }),
    unique("pack_number_once").on(t.code, t.number),
    check("pack_code_is_word", sql`code ~ '^[a-z][a-z0-9_]{0,49}$'`),
    check("pack_kind_known", sql`kind in ('credit_pack', 'retail_token')`),
    check("pack_name_length", sql`char_length(name) between 1 and 200`),
    check("pack_quantity_positive", sql`quantity > 0`),
  ],
);

/**
 * What a plan's or a pack's version costs in a currency. `lookup_key` names it at the provider; `provider_id` is its id
 * there once `npm run stripe:setup` has made it.
 */
export const price = billing.table(
  "price",
  {
    id: uuid().notNull(),
    plan_id: uuid(),
    pack_id: uuid(),
    currency: text().notNull(),
    amount_minor: amount().notNull(),
    interval_unit: text(),
    interval_count: integer(),
    lookup_key: text().notNull(),
    provider_id: text(),
  },
  (t) => [
    primaryKey({ name: "price_pk", columns: [t.id] }),
    foreignKey({ name: "price_plan", columns: [t.plan_id], foreignColumns: [plan.id] }),
    foreignKey({ name: "price_pack", columns: [t.pack_id], foreignColumns: [pack.id] }),
    unique("price_lookup_key_once").on(t.lookup_key),
    unique("price_provider_id_once").on(t.provider_id),
    unique("price_of_plan_once").on(t.plan_id, t.currency, t.interval_unit, t.interval_count),
    unique("price_of_pack_once").on(t.pack_id, t.currency),
    check("price_of_one", sql`(plan_id is null) <> (pack_id is null)`),
    check("price_currency_form", sql`currency ~ '^[a-z]{3}$'`),
    check(
      "price_interval_of_plans",
      sql`(plan_id is null) = (interval_unit is null) and (interval_unit is null) = (interval_count is null)`,
    ),
    check(
      "price_interval_known",
      sql`interval_unit in ('day', 'week', 'month', 'year') and interval_count between 1 and 36`,
    ),
  ],
);

/**
 * Who is subscribed to what (lifecycle `billing.subscription`; its states are Stripe's): as the provider says it (collection
 * `stripe`), or as we do (`balance`: paid from the workspace's balance, or period by period).
 * `lived`: it was more than incomplete once, whoever told of it. `version` is the generation of the compare-and-swap: whoever writes steps it. `seen_at`, `seen_rank`: the provider's time of
 * the newest state that was taken; `synced_at`: our time before the object was last fetched; `sync_due_at`: to be fetched.
 * `superseded_by`: another one of the workspace's is kept, and this one is to be undone. `renewed_from`, `renewed_until`: the
 * newest period whose credits were given. `healthy_at`: the provider's time of the newest state that owed nothing; `owing`:
 * those of the states since then that owed, of which the first is `past_due_since` (a few: the provider's tries to be paid).
 * `lapse_at`: of one that a provider collects and that owes, the end of its grace: its customer's key is to go (null: it has gone).
 * `seats_given`, `bytes_given`: the limits that were last set for it.
 * Of collection `balance`: period n starts at `anchor` + (n − `anchor_number`) intervals, in UTC (`period_number`: the newest that
 * was paid for; 0: none, a trial). `auto_renew`: the next is paid from the balance at `renew_at` (null: it is not); where that
 * could not be done, again then. `expire_at`: when it ends if nothing is paid before. `notice_at`: when its customer is to hear
 * next that it ends or renews. `next_quantity`, with `next_price_id`: what the next period is of. `ended_reason`: why it is over.
 * `parked_until`: a sweep failed at it, and leaves it alone until then. Growth: one row per subscription, kept for ever.
 */
export const subscription = billing.table(
  "subscription",
  {
    id: uuid().notNull(),
    workspace_id: uuid().notNull(),
    collection: text().notNull(),
    provider_id: text(),
    plan_id: uuid(),
    price_id: uuid(),
    quantity: integer().notNull(),
    state: text().notNull(),
    version: integer().notNull().default(1),
    current_period_start: time(),
    current_period_end: time(),
    trial_end: time(),
    cancel_at: time(),
    canceled_at: time(),
    ended_at: time(),
    lived: boolean().notNull().default(false),
    next_price_id: uuid(),
    next_price_at: time(),
    schedule_id: text(),
    past_due_since: time(),
    lapse_at: time(),
    healthy_at: time(),
    owing: time()
      .array()
      .notNull()
      .default(sql`'{}'`),
    seen_at: time(),
    seen_rank: integer().notNull().default(0),
    synced_at: time(),
    sync_due_at: time(),
    sync_token: uuid(),
    sync_attempts: integer().notNull().default(0),
    superseded_by: uuid(),
    undone_at: time(),
    renewed_from: time(),
    renewed_until: time(),
    seats_given: amount(),
    bytes_given: amount(),
    created_at: time().notNull(),
    anchor: time(),
    anchor_number: integer(),
    period_number: integer(),
    auto_renew: boolean(),
    renew_at: time(),
    renew_attempts: integer().notNull().default(0),
    expire_at: time(),
    notice_at: time(),
    next_quantity: integer(),
    ended_reason: text(),
    parked_until: time(),
  },
  (t) => [
    primaryKey({ name: "subscription_pk", columns: [t.id] }),
    foreignKey({ name: "subscription_plan", columns: [t.plan_id], foreignColumns: [plan.id] }),
    foreignKey({ name: "subscription_price", columns: [t.price_id], foreignColumns: [price.id] }),
    unique("subscription_provider_id_once").on(t.provider_id),
    uniqueIndex("subscription_live_once")
      .on(t.workspace_id)
      .where(sql`ended_at is null and superseded_by is null`),
    check("subscription_collection_known", sql`collection in ('stripe', 'balance')`),
    // Stripe allows none of a thing.
    check("subscription_quantity_not_negative", sql`quantity >= 0`),
    check("subscription_ended_when_over", sql`(state in ('canceled', 'incomplete_expired')) = (ended_at is not null)`),
    index("subscription_of_workspace").on(t.workspace_id, t.id),
    index("subscription_sync_due")
      .on(t.sync_due_at, t.id)
      .where(sql`sync_due_at is not null`),
    // D20: a period ends after it began, and a customer's subscription has all that its renewal is reckoned from.
    check("subscription_period_positive", sql`collection = 'stripe' or current_period_start < current_period_end`),
    check(
      "subscription_of_balance_whole",
      sql`(collection = 'balance') = (anchor is not null) and (collection = 'balance') = (anchor_number is not null)
        and (collection = 'balance') = (period_number is not null) and (collection = 'balance') = (auto_renew is not null)
        and (collection = 'stripe' or plan_id is not null and price_id is not null and provider_id is null
          and quantity > 0 and (next_quantity > 0) is not false)`,
    ),
    check(
      "subscription_of_balance_expires",
      sql`(collection = 'balance' and ended_at is null) = (expire_at is not null)
        and (ended_at is null or renew_at is null and notice_at is null)`,
    ),
    check(
      "subscription_instants_finite",
      sql`isfinite(anchor) and isfinite(current_period_end) and isfinite(renew_at) and isfinite(expire_at)`,
    ),
    index("subscription_renew_due")
      .on(t.renew_at, t.id)
      .where(sql`renew_at is not null`),
    index("subscription_expire_due")
      .on(t.expire_at, t.id)
      .where(sql`expire_at is not null and state <> 'trialing'`),
    index("subscription_lapse_due")
      .on(t.lapse_at, t.id)
      .where(sql`lapse_at is not null`),
    index("subscription_trial_expire_due")
      .on(t.expire_at, t.id)
      .where(sql`expire_at is not null and state = 'trialing'`),
    index("subscription_reminder_due")
      .on(t.notice_at, t.id)
      .where(sql`notice_at is not null and state <> 'trialing'`),
    index("subscription_trial_notice_due")
      .on(t.notice_at, t.id)
      .where(sql`notice_at is not null and state = 'trialing'`),
    index("subscription_superseded")
      .on(t.superseded_by)
      .where(sql`superseded_by is not null and undone_at is null`),
  ],
);

/**
 * What each invoice gave to its subscription's workspace, once for ever: a period's credits (`period`) or the difference of
 * a change of plan within one (`upgrade`). `amount`: the plan's credits, or by how many the change raised them. `given`;
 * `waiting` for its period, or for it to be known which of two subscriptions is kept; `late`: its period, or all, was over.
 * `exact`: its period is the invoice's own, and not about what its checkout made one expect: it stands.
 * Growth: one row per paid invoice, kept for ever.
 */
export const renewal = billing.table(
  "renewal",
  {
    subscription_id: uuid().notNull(),
    invoice: text().notNull(),
    kind: text().notNull(),
    state: text().notNull(),
    plan_id: uuid().notNull(),
    price_id: uuid().notNull(),
    amount: amount().notNull(),
    starts_at: time().notNull(),
    ends_at: time().notNull(),
    exact: boolean().notNull(),
    payment_id: uuid().notNull(),
    created_at: time().notNull(),
  },
  (t) => [
    primaryKey({ name: "renewal_pk", columns: [t.subscription_id, t.invoice] }),
    foreignKey({ name: "renewal_subscription", columns: [t.subscription_id], foreignColumns: [subscription.id] }),
    check("renewal_kind_known", sql`kind in ('period', 'upgrade')`),
    check("renewal_state_known", sql`state in ('given', 'waiting', 'late')`),
    index("renewal_waiting")
      .on(t.subscription_id)
      .where(sql`state = 'waiting'`),
  ],
);

/**
 * Who had a trial, for ever: a workspace, and whatever its customer is known by (a SHA-256 of the operator's name for him: it
 * outlives the workspace). `subscription_id`: the trial's; of a trial that the provider gives, the purchase's that began it.
 * Growth: two rows per trial.
 */
export const trial = billing.table(
  "trial",
  {
    holder: text().notNull(),
    workspace_id: uuid().notNull(),
    subscription_id: uuid().notNull(),
    created_at: time().notNull(),
  },
  (t) => [primaryKey({ name: "trial_pk", columns: [t.holder] }), index("trial_of_subscription").on(t.subscription_id)],
);

/** What the operator decided, in one row. `after_end`: what a workspace is whose subscription is over. */
export const policy = billing.table(
  "policy",
  {
    singleton: boolean().notNull().default(true),
    after_end: text().notNull().default("read_only"),
    shortfall: text().notNull().default("debt"),
  },
  (t) => [
    primaryKey({ name: "policy_pk", columns: [t.singleton] }),
    check("policy_one_row", sql`singleton`),
    check("policy_after_end_known", sql`after_end in ('read_only', 'open')`),
    check("policy_shortfall_known", sql`shortfall in ('debt', 'clamp', 'freeze')`),
  ],
);
