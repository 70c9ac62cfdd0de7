import * as z from "zod";
import { routine } from "../db/routine.ts";
import { write } from "../db/write.ts";
import type { AppContext } from "../http/context.ts";
import { instant } from "../http/time.ts";
import type { packBody, planBody } from "./catalogue.ts";
import { policyBody } from "./model.ts";

const operator = { scope: "plans:write", workspace: null } as const;

const made = z.object({
  id: z.string(),
  code: z.string(),
  number: z.int(),
  created: z.boolean(),
  created_at: instant,
});

const createPlanCall = routine({
  name: "billing.create_plan",
  context: { caused_by: "caused_by" },
  args: z.strictObject({
    code: z.string(),
    name: z.string(),
    included_credits: z.int(),
    rollover_cap: z.int().nullable(),
    rollover_expires_in: z.string().nullable(),
    seats: z.int().nullable(),
    storage_bytes: z.int().nullable(),
    trial_days: z.int(),
    grace_days: z.int(),
    currencies: z.array(z.string()),
    interval_units: z.array(z.string()),
    interval_counts: z.array(z.int()),
    amounts_minor: z.array(z.int()),
    grants_access: z.boolean(),
  }),
  result: made,
});

const createPackCall = routine({
  name: "billing.create_pack",
  context: { caused_by: "caused_by" },
  args: z.strictObject({
    code: z.string(),
    kind: z.string(),
    name: z.string(),
    quantity: z.int(),
    currencies: z.array(z.string()),
    amounts_minor: z.array(z.int()),
  }),
  result: made,
});

const setPolicyCall = routine({
  name: "billing.set_policy",
  context: { caused_by: "caused_by" },
  args: policyBody,
  result: policyBody,
});

/** Every routine that this store calls, for the contract test. */
export const calls = [createPlanCall, createPackCall, setPolicyCall];

/** A plan as `billing.create_plan` takes it. */
export function planArguments(plan: z.infer<typeof planBody>) {
  const days = plan.rollover?.expires_in_days;
  return {
    code: plan.code,
    name: plan.name,
    included_credits: plan.included_credits,
    rollover_cap: plan.rollover?.cap ?? null,
    rollover_expires_in: days === undefined ? null : `${days} days`,
    seats: plan.seats ?? null,
    storage_bytes: plan.storage_bytes ?? null,
    trial_days: plan.trial_days,
    grace_days: plan.grace_days,
    currencies: plan.prices.map((price) => price.currency),
    interval_units: plan.prices.map((price) => price.interval),
    interval_counts: plan.prices.map((price) => price.interval_count),
    amounts_minor: plan.prices.map((price) => price.amount_minor),
    grants_access: plan.access,
  };
}

/** A pack as `billing.create_pack` takes it. */
export function packArguments(pack: z.infer<typeof packBody>) {
  return {
    code: pack.code,
    kind: pack.kind,
    name: pack.name,
    quantity: pack.quantity,
    currencies: pack.prices.map((price) => price.currency),
    amounts_minor: pack.prices.map((price) => price.amount_minor),
  };
}

const shownMade = ({ id, code, number, created, created_at }: z.infer<typeof made>) => ({
  id,
  code,
  version: number,
  created,
  created_at,
});

/** Makes a version of a plan; one that is as the newest already is answered and not made. */
export async function createPlan(c: AppContext, plan: z.infer<typeof planBody>) {
  return shownMade(await write(c, { routine: createPlanCall, args: planArguments(plan), ...operator }));
}

/** Makes a version of a pack, as `createPlan` does of a plan. */
export async function createPack(c: AppContext, pack: z.infer<typeof packBody>) {
  return shownMade(await write(c, { routine: createPackCall, args: packArguments(pack), ...operator }));
}

/** Sets what the operator decided once for all workspaces. */
export async function setPolicy(c: AppContext, policy: z.infer<typeof policyBody>) {
  const { after_end, shortfall } = await write(c, { routine: setPolicyCall, args: policy, ...operator });
  return { after_end, shortfall };
}
