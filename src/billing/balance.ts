import * as z from "zod";
import { routine } from "../db/routine.ts";
import { write } from "../db/write.ts";
import type { AppContext } from "../http/context.ts";
import { identityHash } from "../http/credential.ts";
import { instant } from "../http/time.ts";
import type { renewalBody, trialBody } from "./model.ts";
import { getSubscription } from "./subscription.ts";

const startTrialCall = routine({
  name: "billing.start_trial",
  context: { workspace_id: "workspace_id", caused_by: "caused_by" },
  args: z.strictObject({
    plan_code: z.string(),
    plan_number: z.int().nullable(),
    currency: z.string(),
    interval_unit: z.string(),
    interval_count: z.int(),
    quantity: z.int(),
    identity_hash: z.string().nullable(),
    auto_renew: z.boolean(),
  }),
  result: z.object({ id: z.string(), state: z.string(), trial_end: instant }),
});

const setRenewalCall = routine({
  name: "billing.set_renewal",
  context: { workspace_id: "workspace_id", caused_by: "caused_by" },
  args: z.strictObject({
    auto_renew: z.boolean(),
    plan_code: z.string().nullable(),
    plan_number: z.int().nullable(),
    interval_unit: z.string().nullable(),
    interval_count: z.int().nullable(),
    quantity: z.int().nullable(),
  }),
  result: z.object({ id: z.string(), renew_at: instant.nullable() }),
});

/** Every routine that is called here, for the contract test. */
export const calls = [startTrialCall, setRenewalCall];

/**
 * Begins a trial, which an operator alone may: a customer who could leave `identity` out would try again in each new workspace.
 * Answers as `getSubscription`. Refuses `not_found`, `workspace_frozen`, `plan_unknown`, `price_unknown`, `trial_not_offered`,
 * `subscription_exists`, `trial_used`.
 */
export async function startTrial(c: AppContext, workspace: string, body: z.infer<typeof trialBody>) {
  const scope = "credits:grant";
  await write(c, {
    routine: startTrialCall,
    args: {
      plan_code: body.plan,
      plan_number: body.version ?? null,
      currency: body.currency,
      interval_unit: body.interval,
      interval_count: body.interval_count,
      quantity: body.quantity,
      identity_hash: body.identity === undefined ? null : await identityHash(body.identity),
      auto_renew: body.auto_renew,
    },
    scope,
    workspace,
  });
  return getSubscription(c, workspace, scope);
}

/**
 * Sets whether the next period is paid from the balance, and of what it is. Answers as `getSubscription`. Refuses `not_found`,
 * `no_subscription`, `plan_unknown`, `price_unknown`.
 */
export async function setRenewal(c: AppContext, workspace: string, body: z.infer<typeof renewalBody>) {
  const scope = "billing:write";
  await write(c, {
    routine: setRenewalCall,
    args: {
      auto_renew: body.auto_renew,
      plan_code: body.plan ?? null,
      plan_number: body.version ?? null,
      interval_unit: body.interval ?? null,
      // Three months do not become three years because the unit was changed.
      interval_count: body.interval_count ?? (body.interval === undefined ? null : 1),
      quantity: body.quantity ?? null,
    },
    scope,
    workspace,
  });
  return getSubscription(c, workspace, scope);
}
