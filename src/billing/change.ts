import { sql } from "drizzle-orm";
import * as z from "zod";
import { call } from "../db/call.ts";
import { read } from "../db/read.ts";
import { routine } from "../db/routine.ts";
import { write } from "../db/write.ts";
import type { StripeAccount } from "../env.ts";
import type { AppContext } from "../http/context.ts";
import { instant } from "../http/time.ts";
import { stripeOf } from "../outside/account.ts";
import type { SubscriptionFact } from "../outside/stripe/facts/subscription.ts";
import { releaseSchedule, scheduleChange } from "../outside/stripe/schedules.ts";
import {
  cancelAtPeriodEnd,
  cancelNow,
  changeQuantity,
  retrieveSubscription,
  uncancel,
  upgradeSubscription,
} from "../outside/stripe/subscriptions.ts";
import type { changeBody } from "./model.ts";
import { generationOf, getSubscription } from "./subscription.ts";

/** What a subscription may be asked to do; see `billing.begin_change`. */
type Change = "upgrade" | "downgrade" | "quantity" | "cancel" | "cancel_now" | "uncancel" | "keep";

const scope = "billing:write";
const text = z.string().nullable();

const begun = z.object({
  id: text,
  /** Null: it is paid from the balance, and changed already. */
  provider_id: text,
  schedule_id: text,
  price_provider_id: text,
  current_price_provider_id: text,
  quantity: z.int().nullable(),
  current_period_end: instant.nullable(),
  asked_at: instant.nullable(),
  generation: z.int().nullable(),
});

/** What Stripe is to be asked for. */
const question = z.object({
  id: z.string(),
  provider_id: z.string(),
  schedule_id: text,
  price_provider_id: z.string(),
  quantity: z.int(),
  asked_at: z.string(),
  generation: z.int(),
});

type Question = z.infer<typeof question>;

const beginChangeCall = routine({
  name: "billing.begin_change",
  context: { workspace_id: "workspace_id", caused_by: "caused_by" },
  args: z.strictObject({
    change: z.string(),
    plan_code: text,
    plan_number: z.int().nullable(),
    quantity: z.int().nullable(),
  }),
  result: begun,
});

/** What the provider says of a subscription is written, if it is still at the generation that it had before it was asked. */
export const syncSubscriptionCall = routine({
  name: "billing.sync_subscription",
  context: {},
  args: z.strictObject({
    id: z.string(),
    generation: z.int(),
    asked_at: z.string(),
    fact: z.unknown(),
  }),
  result: z.object({ id: z.string(), outcome: z.string() }),
});

/** Every routine that is called here, for the contract test. */
export const calls = [beginChangeCall, syncSubscriptionCall];

interface Wish {
  plan_code?: string | undefined;
  plan_number?: number | undefined;
  quantity?: number | undefined;
}

/** Moves the subscription to another plan or quantity, now or with the next period. */
export async function change(c: AppContext, workspace: string, body: z.infer<typeof changeBody>) {
  const now = body.plan === undefined ? "quantity" : "upgrade";
  const wish = { plan_code: body.plan, plan_number: body.version, quantity: body.quantity };
  return ask(c, workspace, body.when === "now" ? now : "downgrade", wish);
}

/** Ends the subscription, now or with the period. */
export async function cancel(c: AppContext, workspace: string, when: "now" | "period_end") {
  return ask(c, workspace, when === "now" ? "cancel_now" : "cancel");
}

/** Takes back the end that lies ahead (`uncancel`), or the change (`keep`). */
export async function takeBack(c: AppContext, workspace: string, what: "uncancel" | "keep") {
  return ask(c, workspace, what);
}

/**
 * Of a subscription that is paid from the balance: does it. Of Stripe's: writes down what is asked for, asks Stripe under a
 * key made from that, and writes what Stripe answered: nothing is true before Stripe says so. Where that answer is lost, a
 * sweep fetches it, and the client may repeat with its key.
 * Answers as `getSubscription`. Throws `no_subscription`, `plan_unknown`, `price_unknown`, `price_not_published`,
 * `change_invalid`, `provider_refused`, `provider_unavailable`, `misconfigured`.
 */
async function ask(c: AppContext, workspace: string, what: Change, wish: Wish = {}) {
  const account = await accountOf(c, workspace);
  const answer = await write(c, {
    routine: beginChangeCall,
    args: {
      change: what,
      plan_code: wish.plan_code ?? null,
      plan_number: wish.plan_number ?? null,
      quantity: wish.quantity ?? null,
    },
    scope,
    workspace,
  });
  if (answer.provider_id !== null) {
    const asked = question.parse(answer);
    if (!c.get("trace").replayed || (await isFresh(c, workspace, asked))) {
      const stripe = account ?? stripeOf(c);
      await follow(c, stripe, workspace, asked, await tell(stripe, what, asked));
    }
  }
  return getSubscription(c, workspace, scope);
}

/** Events that this very change caused may come first, and then it is asked again; after this often, a sweep does it. */
const rounds = 3;

/** Writes what Stripe answered, unless the row has moved on since it was asked: then Stripe is asked how it stands now. */
async function follow(
  c: AppContext,
  account: StripeAccount,
  workspace: string,
  asked: Question,
  told: SubscriptionFact | null,
): Promise<void> {
  let { generation, asked_at } = asked;
  let fact = told;
  for (let round = 1; ; round += 1) {
    const args = { id: asked.id, generation, asked_at, fact };
    const { outcome } = await call(c.get("database"), syncSubscriptionCall, args, c.get("trace"));
    if (outcome !== "moved_on" || round === rounds) return;
    ({ generation, asked_at } = await generationOf(c, workspace, asked.id));
    fact = await retrieveSubscription(account, asked.provider_id);
  }
}

/**
 * Null in a deployment without Stripe, where the workspace has no subscription of Stripe's: that one is refused before
 * anything is written.
 */
async function accountOf(c: AppContext, workspace: string): Promise<StripeAccount | null> {
  try {
    return stripeOf(c);
  } catch (error) {
    const { collection, ended_at } = await getSubscription(c, workspace, scope);
    if (collection === "stripe" && ended_at === null) throw error;
    return null;
  }
}

/** Does Stripe still know the key of this change? For a day; later, a repeat would be a second change. */
async function isFresh(c: AppContext, workspace: string, { asked_at }: Question): Promise<boolean> {
  const [row] = await read(c, { scope, workspace }, (db) =>
    db
      .select({ fresh: sql<boolean>`${asked_at}::timestamptz > ops.now() - interval '23 hours'`.as("fresh") })
      .from(sql`(select) nothing`),
  );
  return row?.fresh === true;
}

async function tell(account: StripeAccount, what: Change, asked: Question): Promise<SubscriptionFact | null> {
  const subscription = asked.provider_id;
  const key = `tollgate:change:${asked.id}:${asked.generation}`;
  const { price_provider_id: price, quantity, schedule_id: schedule } = asked;
  switch (what) {
    case "upgrade":
      return upgradeSubscription(account, { subscription, key, price, quantity });
    case "downgrade":
      return (await scheduleChange(account, { subscription, key, price, quantity })).fact;
    case "quantity":
      return changeQuantity(account, { subscription, key, quantity });
    case "cancel":
      return cancelAtPeriodEnd(account, { subscription, key });
    case "cancel_now":
      return cancelNow(account, subscription);
    case "uncancel":
      return uncancel(account, { subscription, key });
    case "keep":
      return schedule === null
        ? retrieveSubscription(account, subscription)
        : releaseSchedule(account, { subscription, schedule });
  }
}
