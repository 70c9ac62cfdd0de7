import { and, eq, sql } from "drizzle-orm";
import { alias } from "drizzle-orm/pg-core";
import type * as z from "zod";
import { plan, price, subscription } from "../../db/schema/billing.ts";
import { workspace } from "../../db/schema/people.ts";
import { read } from "../db/read.ts";
import type { AppContext } from "../http/context.ts";
import { Problem } from "../http/problem.ts";
import { utcOrNull } from "../http/time.ts";
import type { subscriptionAnswer } from "./model.ts";

type Shown = z.infer<ReturnType<typeof subscriptionAnswer>>;

const nextPrice = alias(price, "next_price");
const nextPlan = alias(plan, "next_plan");

/** The subscription that counts: the one that lives and is kept, else the last one that did. */
const standing = sql`(
  select s.id from ${subscription} s
   where s.workspace_id = ${workspace.id}
   order by s.superseded_by is null desc, s.ended_at is null desc, s.ended_at desc, s.id desc limit 1)`;

type Interval = NonNullable<Shown["price"]>["interval"];

/** What the next period is of, where it differs from this one; Stripe knows of its own how many. */
const nextPriceId = sql`coalesce(${subscription.next_price_id},
  case when ${subscription.next_quantity} is not null then ${subscription.price_id} end)`;
const nextQuantity = sql`case when ${subscription.collection} = 'balance'
  then coalesce(${subscription.next_quantity}, ${subscription.quantity}) end`;
const nextAt = sql`case when ${subscription.collection} = 'balance'
  then ${subscription.current_period_end} else ${subscription.next_price_at} end`;

/** What a workspace is subscribed to, and whether it may write; all null where it never was. Refuses `not_found`. */
export async function getSubscription(
  c: AppContext,
  of: string,
  scope: "billing:read" | "billing:write" | "credits:grant" = "billing:read",
): Promise<Shown> {
  const [row] = await read(c, { scope, workspace: of }, (db, permit) =>
    db
      .select({
        id: sql<string | null>`${subscription.id}`.as("subscription_id"),
        state: sql<Shown["state"]>`${subscription.state}`.as("state"),
        collection: sql<Shown["collection"]>`${subscription.collection}`.as("collection"),
        quantity: sql<number | null>`${subscription.quantity}`.as("quantity"),
        period: subscription.period_number,
        current_period_start: subscription.current_period_start,
        current_period_end: subscription.current_period_end,
        trial_end: subscription.trial_end,
        cancel_at: subscription.cancel_at,
        ended_at: subscription.ended_at,
        ended_reason: sql<Shown["ended_reason"]>`${subscription.ended_reason}`.as("ended_reason"),
        past_due_since: subscription.past_due_since,
        auto_renew: subscription.auto_renew,
        renew_at: subscription.renew_at,
        expire_at: subscription.expire_at,
        plan_code: sql<string | null>`${plan.code}`.as("plan_code"),
        plan_number: sql<number>`${plan.number}`.as("plan_number"),
        plan_name: sql<string>`${plan.name}`.as("plan_name"),
        included_credits: sql`${plan.included_credits}`.mapWith(Number).as("included_credits"),
        seats: plan.seats,
        storage_bytes: plan.storage_bytes,
        currency: sql<string | null>`${price.currency}`.as("currency"),
        amount_minor: sql`${price.amount_minor}`.mapWith(Number).as("amount_minor"),
        interval_unit: sql<Interval>`${price.interval_unit}`.as("interval_unit"),
        interval_count: sql<number>`${price.interval_count}`.as("interval_count"),
        next_code: sql<string | null>`${nextPlan.code}`.as("next_code"),
        next_number: sql<number>`${nextPlan.number}`.as("next_number"),
        next_name: sql<string>`${nextPlan.name}`.as("next_name"),
        next_currency: sql<string>`${nextPrice.currency}`.as("next_currency"),
        next_amount_minor: sql`${nextPrice.amount_minor}`.mapWith(Number).as("next_amount_minor"),
        next_interval_unit: sql<Interval>`${nextPrice.interval_unit}`.as("next_interval_unit"),
        next_interval_count: sql<number>`${nextPrice.interval_count}`.as("next_interval_count"),
        next_quantity: sql<number | null>`${nextQuantity}`.as("next_quantity"),
        next_at: sql<string | null>`${nextAt}`.as("next_at"),
        read_only: sql<boolean>`coalesce(${workspace.read_only_from} <= ops.now(), false)`.as("read_only"),
        read_only_from: workspace.read_only_from,
        read_only_reason: workspace.read_only_reason,
        frozen_at: workspace.frozen_at,
        frozen_reason: workspace.frozen_reason,
      })
      .from(workspace)
      .leftJoin(subscription, eq(subscription.id, standing))
      .leftJoin(plan, eq(plan.id, subscription.plan_id))
      .leftJoin(price, eq(price.id, subscription.price_id))
      .leftJoin(nextPrice, eq(nextPrice.id, nextPriceId))
      .leftJoin(nextPlan, eq(nextPlan.id, nextPrice.plan_id))
      .where(eq(workspace.id, permit.workspace_id)),
  );
  if (row === undefined) throw new Problem("not_found");
  return {
    id: row.id,
    state: row.state,
    collection: row.collection,
    plan:
      row.plan_code === null
        ? null
        : {
            code: row.plan_code,
            version: row.plan_number,
            name: row.plan_name,
            included_credits: row.included_credits,
            seats: row.seats,
            storage_bytes: row.storage_bytes,
          },
    price:
      row.currency === null
        ? null
        : {
            currency: row.currency,
            amount_minor: row.amount_minor,
            interval: row.interval_unit,
            interval_count: row.interval_count,
          },
    quantity: row.quantity,
    period: row.period,
    current_period_start: utcOrNull(row.current_period_start),
    current_period_end: utcOrNull(row.current_period_end),
    trial_end: utcOrNull(row.trial_end),
    cancel_at: utcOrNull(row.cancel_at),
    ended_at: utcOrNull(row.ended_at),
    ended_reason: row.ended_reason,
    past_due_since: utcOrNull(row.past_due_since),
    auto_renew: row.auto_renew,
    renews_at: utcOrNull(row.renew_at),
    ends_at: utcOrNull(row.expire_at),
    next:
      row.next_code === null
        ? null
        : {
            plan: { code: row.next_code, version: row.next_number, name: row.next_name },
            price: {
              currency: row.next_currency,
              amount_minor: row.next_amount_minor,
              interval: row.next_interval_unit,
              interval_count: row.next_interval_count,
            },
            quantity: row.next_quantity,
            at: utcOrNull(row.next_at),
          },
    read_only: row.read_only,
    read_only_from: utcOrNull(row.read_only_from),
    read_only_reason: row.read_only_reason,
    frozen: row.frozen_at !== null,
    frozen_at: utcOrNull(row.frozen_at),
    frozen_reason: row.frozen_reason,
  };
}

/** What a question to Stripe about a subscription is compared with when it is answered. Refuses `not_found`. */
export async function generationOf(c: AppContext, of: string, id: string) {
  const [row] = await read(c, { scope: "billing:write", workspace: of }, (db, permit) =>
    db
      .select({ generation: subscription.version, asked_at: sql<string>`ops.now()`.as("asked_at") })
      .from(subscription)
      .where(and(eq(subscription.workspace_id, permit.workspace_id), eq(subscription.id, id))),
  );
  if (row === undefined) throw new Problem("not_found");
  return row;
}
