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

/** What a workspace is subscribed to, and whether it may write; all null where it never was. Refuses `not_found`. */
export async function getSubscription(
  c: AppContext,
  of: string,
  scope: "billing:read" | "billing:write" = "billing:read",
): Promise<Shown> {
  const [row] = await read(c, { scope, workspace: of }, (db, permit) =>
    db
      .select({
        id: sql<string | null>`${subscription.id}`.as("subscription_id"),
        state: sql<Shown["state"]>`${subscription.state}`.as("state"),
        quantity: sql<number | null>`${subscription.quantity}`.as("quantity"),
        current_period_start: subscription.current_period_start,
        current_period_end: subscription.current_period_end,
        trial_end: subscription.trial_end,
        cancel_at: subscription.cancel_at,
        ended_at: subscription.ended_at,
        past_due_since: subscription.past_due_since,
        plan_code: sql<string | null>`${plan.code}`.as("plan_code"),
        plan_number: sql<number>`${plan.number}`.as("plan_number"),
        plan_name: sql<string>`${plan.name}`.as("plan_name"),
        included_credits: sql`${plan.included_credits}`.mapWith(Number).as("included_credits"),
        seats: plan.seats,
        storage_bytes: plan.storage_bytes,
        currency: sql<string | null>`${price.currency}`.as("currency"),
        amount_minor: sql`${price.amount_minor}`.mapWith(Number).as("amount_minor"),
        interval_unit: sql<NonNullable<Shown["price"]>["interval"]>`${price.interval_unit}`.as("interval_unit"),
        interval_count: sql<number>`${price.interval_count}`.as("interval_count"),
        next_code: sql<string | null>`${nextPlan.code}`.as("next_code"),
        next_number: sql<number>`${nextPlan.number}`.as("next_number"),
        next_name: sql<string>`${nextPlan.name}`.as("next_name"),
        next_at: subscription.next_price_at,
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
      .leftJoin(nextPrice, eq(nextPrice.id, subscription.next_price_id))
      .leftJoin(nextPlan, eq(nextPlan.id, nextPrice.plan_id))
      .where(eq(workspace.id, permit.workspace_id)),
  );
  if (row === undefined) throw new Problem("not_found");
  return {
    id: row.id,
    state: row.state,
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
    current_period_start: utcOrNull(row.current_period_start),
    current_period_end: utcOrNull(row.current_period_end),
    trial_end: utcOrNull(row.trial_end),
    cancel_at: utcOrNull(row.cancel_at),
    ended_at: utcOrNull(row.ended_at),
    past_due_since: utcOrNull(row.past_due_since),
    next:
      row.next_code === null
        ? null
        : {
            plan: { code: row.next_code, version: row.next_number, name: row.next_name },
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
