import * as z from "zod";
import { identity, moment, uuid } from "../http/parameters.ts";
import { code, currency, intervalCount, intervalUnit, quantity, version } from "./catalogue.ts";

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
        "the next period; what is paid from the balance changes only so.",
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

export const trialBody = z
  .strictObject({
    plan: code,
    version: version.optional().meta({ description: "Of the plan; without it, the newest." }),
    currency: currency.meta({ description: "In which the periods after it are paid." }),
    interval: intervalUnit.default("month").meta({ description: "How often they are paid." }),
    interval_count: intervalCount.default(1).meta({ description: "Every how many of them." }),
    quantity: quantity.default(1),
    identity: identity.optional(),
    auto_renew: z.boolean().default(false).meta({
      description: "When the trial ends, the first period is paid from the balance, if it has the price.",
    }),
  })
  .meta({ example: { plan: "pro", currency: "eur", identity: "user-4711" } });

export const renewalBody = z
  .strictObject({
    auto_renew: z.boolean().meta({ description: "Whether the next period is paid from the balance.", example: true }),
    plan: code.optional().meta({ description: "The plan of the next period; without it, the one that it has." }),
    version: version.optional().meta({ description: "Of that plan; without it, the newest." }),
    interval: intervalUnit.optional().meta({ description: "Of the next period; without it, as now." }),
    interval_count: intervalCount.optional().meta({ description: "Without it, 1 of a new interval, or as now." }),
    quantity: quantity.optional().meta({ description: "Of the next period; without it, as now." }),
  })
  .superRefine((body, context) => {
    if (body.plan === undefined && body.version !== undefined) {
      context.addIssue({ code: "custom", path: ["version"], message: "is a plan's: give the plan", input: body });
    }
  })
  .meta({ example: { auto_renew: true, interval: "year" } });

const momentOrNull = moment.nullable();

const shownPrice = () =>
  z.object({ currency: z.string(), amount_minor: z.int(), interval: intervalUnit, interval_count: z.int() });

export const subscriptionAnswer = () =>
  z.object({
    id: uuid.nullable().meta({ description: "Null where the workspace never had a subscription." }),
    state: z
      .enum(["incomplete", "trialing", "active", "past_due", "unpaid", "paused", "canceled", "incomplete_expired"])
      .nullable()
      .meta({
        description:
          "As Stripe names it. What is paid from the balance is `trialing`, `active`, `past_due` (its period is over, and the " +
          "next could not be paid yet) or `canceled`.",
        example: "active",
      }),
    collection: z
      .enum(["stripe", "balance"])
      .nullable()
      .meta({ description: "How it is paid: at Stripe, or from the workspace's balance." }),
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
    price: shownPrice().nullable(),
    quantity: z.int().nullable(),
    period: z.int().nullable().meta({
      description: "From the balance: how many periods were paid for; 0: a trial that nobody has paid.",
    }),
    current_period_start: momentOrNull,
    current_period_end: momentOrNull,
    trial_end: momentOrNull,
    cancel_at: momentOrNull.meta({ description: "When it will end, where it was cancelled." }),
    ended_at: momentOrNull,
    ended_reason: z.enum(["canceled", "not_renewed", "unpaid", "trial_ended"]).nullable().meta({
      description: "From the balance: why it is over.",
    }),
    past_due_since: momentOrNull,
    auto_renew: z.boolean().nullable().meta({
      description: "From the balance: whether the next period is paid by itself.",
    }),
    renews_at: momentOrNull.meta({
      description: "From the balance: when the next period is paid, or tried again. Null: it is not.",
    }),
    ends_at: momentOrNull.meta({
      description: "From the balance: when it ends at the latest, if nothing is paid before.",
    }),
    next: z
      .object({
        plan: z.object({ code: z.string(), version, name: z.string() }),
        price: shownPrice().nullable(),
        quantity: z.int().nullable().meta({ description: "Of Stripe's: null, it is known there." }),
        at: momentOrNull,
      })
      .nullable()
      .meta({ description: "What it moves to at the period's end: a plan, an interval, a quantity." }),
    read_only: z.boolean(),
    read_only_from: momentOrNull.meta({ description: "May lie ahead: the end of a grace." }),
    read_only_reason: z.string().nullable(),
    frozen: z.boolean(),
    frozen_at: momentOrNull,
    frozen_reason: z.string().nullable(),
  });
