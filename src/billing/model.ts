import * as z from "zod";
import { moment, uuid } from "../http/parameters.ts";
import { code, intervalUnit, quantity, version } from "./catalogue.ts";

export const workspaceParams = z.strictObject({ workspace: uuid });

export const policyBody = z.strictObject({
  after_end: z.enum(["read_only", "open"]).meta({
    description: "What a workspace is whose subscription is over.",
  }),
  shortfall: z.enum(["debt", "clamp", "freeze"]).meta({
    description: "What a refund of credits that were spent leaves: a debt, nothing, or a debt and a frozen workspace.",
  }),
});

export const policyAnswer = () => policyBody;

const when = z.enum(["now", "period_end"]);

export const changeBody = z
  .strictObject({
    plan: code.optional().meta({ description: "The plan to move to; without it, the plan stays." }),
    version: version.optional().meta({ description: "Of the plan; without it, the newest." }),
    quantity: quantity.optional(),
    when: when.meta({
      description:
        "`now`: prorated; a plan's difference is invoiced at once, a quantity's with the next invoice. `period_end`: with " +
        "the next period.",
    }),
  })
  .superRefine((body, context) => {
    if (body.plan === undefined && body.quantity === undefined) {
      context.addIssue({ code: "custom", path: ["plan"], message: "give a plan, a quantity or both", input: body });
    }
    if (body.plan === undefined && body.version !== undefined) {
      context.addIssue({ code: "custom", path: ["version"], message: "is a plan's: give the plan", input: body });
    }
    if (body.plan === undefined && body.when === "period_end") {
      const message = "a quantity alone changes now; at the period's end, give the plan too";
      context.addIssue({ code: "custom", path: ["when"], message, input: body });
    }
  })
  .meta({ example: { plan: "team", when: "now" } });

export const cancelBody = z.strictObject({
  when: when.meta({
    description: "`period_end`: what is paid for is still had. `now`: it ends at once.",
    example: "period_end",
  }),
});

export const nothingBody = z.strictObject({});

const momentOrNull = moment.nullable();

export const subscriptionAnswer = () =>
  z.object({
    id: uuid.nullable().meta({ description: "Null where the workspace never had a subscription." }),
    state: z
      .enum(["incomplete", "trialing", "active", "past_due", "unpaid", "paused", "canceled", "incomplete_expired"])
      .nullable()
      .meta({ description: "As Stripe names it.", example: "active" }),
    plan: z
      .object({
        code: z.string(),
        version,
        name: z.string(),
        included_credits: z.int(),
        seats: z.int().nullable(),
        storage_bytes: z.int().nullable(),
      })
      .nullable(),
    price: z
      .object({ currency: z.string(), amount_minor: z.int(), interval: intervalUnit, interval_count: z.int() })
      .nullable(),
    quantity: z.int().nullable(),
    current_period_start: momentOrNull,
    current_period_end: momentOrNull,
    trial_end: momentOrNull,
    cancel_at: momentOrNull.meta({ description: "When it will end, where it was cancelled." }),
    ended_at: momentOrNull,
    past_due_since: momentOrNull,
    next: z
      .object({ plan: z.object({ code: z.string(), version, name: z.string() }), at: momentOrNull })
      .nullable()
      .meta({ description: "The plan that it moves to at the period's end." }),
    read_only: z.boolean(),
    read_only_from: momentOrNull.meta({ description: "May lie ahead: the end of a grace." }),
    read_only_reason: z.string().nullable(),
    frozen: z.boolean(),
    frozen_at: momentOrNull,
    frozen_reason: z.string().nullable(),
  });
