import * as z from "zod";
import { pageQuery } from "../http/pagination.ts";
import { largest, moment, name, uuid } from "../http/parameters.ts";

/** What is sold: the shapes that the routes and the plan file of `npm run db:seed` share. */

/** The most intervals that a subscription may be billed for at once; Stripe's limit for months and years is three years. */
const longest = { day: 36, week: 36, month: 36, year: 3 } as const;
/**
 * What a purchase comes to is a price, or what a pack holds, times a quantity: with these it stays an exact integer, and
 * far from the limit of a balance. An amount that was paid for and did not fit would be nobody's to give.
 */
const largestPrice = 99_999_999_999;
const largestPack = 1_000_000_000;
const largestPeriod = 1_000_000_000_000;
const largestQuantity = 10_000;

export const intervalUnit = z.enum(["day", "week", "month", "year"]);
export const code = z
  .string()
  .regex(/^[a-z][a-z0-9_]{0,49}$/, "must be a lower-case word of 50 characters at most: letters, digits and _")
  .meta({ example: "pro" });
export const currency = z
  .string()
  .regex(/^[a-z]{3}$/, "must be an ISO 4217 code in lower case")
  .meta({ example: "eur" });
export const intervalCount = z.int().min(1).max(longest.month).meta({ example: 1 });
export const version = z.int().min(1).max(2_147_483_647).meta({ example: 1 });
export const quantity = z.int().min(1).max(largestQuantity).meta({ description: "How many, as of seats.", example: 1 });

const amount_minor = z.int().min(0).max(largestPrice).meta({
  description: "In the currency's smallest unit.",
  example: 1900,
});
const days = (max: number) => z.int().min(0).max(max).default(0);
const limit = (max: number) => z.int().min(0).max(max).optional();

const planPrice = z
  .strictObject({ currency, interval: intervalUnit, interval_count: intervalCount.default(1), amount_minor })
  .refine(({ interval, interval_count }) => interval_count <= longest[interval], {
    path: ["interval_count"],
    message: "must not make more than three years",
  });

const packPrice = z.strictObject({ currency, amount_minor });

/** Refuses a second price for what has one. */
function onceEach<Price>(prices: readonly Price[], nameOf: (price: Price) => string, context: z.core.$RefinementCtx) {
  const seen = new Set<string>();
  for (const [index, price] of prices.entries()) {
    if (seen.has(nameOf(price))) {
      const message = "has a price for this already";
      context.addIssue({ code: "custom", path: ["prices", index], message, input: price });
    }
    seen.add(nameOf(price));
  }
}

export const planBody = z
  .strictObject({
    code,
    name,
    included_credits: z
      .int()
      .min(0)
      .max(largestPeriod)
      .meta({ description: "What each period begins with.", example: 500 }),
    rollover: z
      .strictObject({
        cap: z.int().min(1).max(largestPeriod).meta({ description: "The most that rolls over.", example: 100 }),
        expires_in_days: z.int().min(1).max(3660).optional().meta({ example: 90 }),
      })
      .optional()
      .meta({ description: "What is left at a period's end goes into the pool `rollover`; without it, it expires." }),
    seats: limit(largestPack).meta({ description: "Seats for each unit of the quantity; without it, not limited." }),
    storage_bytes: limit(largest),
    trial_days: days(730),
    grace_days: days(365).meta({ description: "How long a subscription may owe before its workspace is read-only." }),
    access: z.boolean().default(false).meta({
      description: "Whoever subscribes has an access key, which is valid for as long as it is paid for.",
    }),
    prices: z.array(planPrice).min(1).max(40),
  })
  .superRefine(({ prices }, context) => {
    onceEach(prices, (price) => [price.currency, price.interval, price.interval_count].join(" "), context);
  })
  .meta({
    example: {
      code: "pro",
      name: "Pro",
      included_credits: 500,
      rollover: { cap: 250, expires_in_days: 90 },
      trial_days: 14,
      grace_days: 7,
      prices: [{ currency: "eur", interval: "month", amount_minor: 1900 }],
    },
  });

export const packBody = z
  .strictObject({
    code,
    kind: z.enum(["credit_pack", "retail_token"]).meta({
      description: "`credit_pack` adds bulk credits; a `retail_token` pays for one piece of work.",
    }),
    name,
    quantity: z
      .int()
      .min(1)
      .max(largestPack)
      .meta({ description: "Credits or tokens for each piece bought.", example: 100 }),
    prices: z.array(packPrice).min(1).max(40),
  })
  .superRefine(({ prices }, context) => {
    onceEach(prices, (price) => price.currency, context);
  })
  .meta({
    example: {
      code: "credits_100",
      kind: "credit_pack",
      name: "100 credits",
      quantity: 100,
      prices: [{ currency: "eur", amount_minor: 900 }],
    },
  });

export const madeAnswer = () =>
  z.object({
    id: uuid,
    code: z.string(),
    version,
    created: z.boolean().meta({ description: "False: the newest version was this already." }),
    created_at: moment,
  });

export const soldQuery = z.strictObject({
  ...pageQuery,
  code: code.optional().meta({ description: "Only the versions of this one." }),
});

/** A price's name at the provider, and its id there. */
const published = {
  lookup_key: z.string().meta({ example: "tollgate_pro_1_eur_1month" }),
  provider_id: z.string().nullable().meta({ description: "Null until npm run stripe:setup made it." }),
};

export const planItem = () =>
  z.object({
    id: uuid,
    code: z.string(),
    version,
    name: z.string(),
    included_credits: z.int(),
    rollover: z.object({ cap: z.int(), expires_in_days: z.int().nullable() }).nullable(),
    seats: z.int().nullable(),
    storage_bytes: z.int().nullable(),
    trial_days: z.int(),
    grace_days: z.int(),
    access: z.boolean(),
    prices: z.array(
      z.object({
        currency: z.string(),
        interval: intervalUnit,
        interval_count: z.int(),
        amount_minor: z.int(),
        ...published,
      }),
    ),
    created_at: moment,
  });

export const packItem = () =>
  z.object({
    id: uuid,
    code: z.string(),
    version,
    kind: z.string().meta({ example: "credit_pack" }),
    name: z.string(),
    quantity: z.int(),
    prices: z.array(z.object({ currency: z.string(), amount_minor: z.int(), ...published })),
    created_at: moment,
  });
