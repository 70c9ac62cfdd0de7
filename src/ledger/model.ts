import * as z from "zod";
import { pageQuery } from "../http/pagination.ts";
import { amount, futureMoment, largest, moment, reason, uuid } from "../http/parameters.ts";

/** Credits are the ledger's unit of this part of the API; seats, bytes and money have their own routes. */
export const credit = "credit";

/** Longer than any job: what a forgotten hold keeps from its owner, it keeps for a month at most. */
const longestHoldSeconds = 31 * 24 * 60 * 60;

export const workspaceParams = z.strictObject({ workspace: uuid });
export const holdParams = z.strictObject({ workspace: uuid, hold: uuid });
export const transactionParams = z.strictObject({ workspace: uuid, transaction: uuid });

export const grantBody = z.strictObject({
  pool: z.enum(["subscription", "bulk", "promo"]),
  amount,
  expires_at: futureMoment.optional(),
  reason: reason.optional(),
});

export const resetBody = z.strictObject({
  amount: z.int().min(0).max(largest).meta({ example: 20 }),
  expires_at: futureMoment.optional(),
  reason: reason.optional(),
});

export const spendBody = z.strictObject({ amount, reason: reason.optional() });

const itemKey = z
  .string()
  .regex(/^(?![tT][gG]:)[\x20-\x7e]{1,255}$/, "must be 1 to 255 printable ASCII characters, not beginning with tg:")
  .meta({ description: "Names this item's spend, in the space of Idempotency-Keys.", example: "order-4711-line-1" });

export const batchBody = z
  .strictObject({
    items: z
      .array(z.strictObject({ key: itemKey, amount, reason: reason.optional() }))
      .min(1)
      .max(1000),
  })
  .superRefine(({ items }, context) => {
    const seen = new Set<string>();
    for (const [index, { key }] of items.entries()) {
      if (seen.has(key)) {
        const message = "another item of this batch has the same key";
        context.addIssue({ code: "custom", path: ["items", index, "key"], message });
      }
      seen.add(key);
    }
  });

export const lowBody = z.strictObject({
  below: z.int().min(1).max(largest).nullable().meta({
    description: "Falling below it is told to your webhook endpoints; null: never.",
    example: 100,
  }),
});

export const lowAnswer = () => z.object({ below: z.int().nullable(), available: z.int() });

export const holdBody = z.strictObject({
  amount,
  expires_in: z.int().min(1).max(longestHoldSeconds).meta({
    description: "Seconds until the hold ends by itself, 31 days at most.",
    example: 900,
  }),
  reason: reason.optional(),
});

export const settleBody = z.strictObject({
  amount: amount.optional().meta({ description: "How much of the hold was used; without it, all. The rest returns." }),
});

export const releaseBody = z.strictObject({});

export const adjustBody = z.strictObject({
  amount: z
    .int()
    .min(-largest)
    .max(largest)
    .refine((value) => value !== 0, "must not be 0")
    .meta({ description: "Above zero gives, below zero takes.", example: -5 }),
  reason,
});

export const reverseBody = z.strictObject({ reason });

const counted = z.int().meta({ example: 45 });

/** What every answer about credits ends with. */
const balance = () => ({
  unit: z.literal(credit),
  available: counted,
  held: counted,
  debt: counted.meta({ description: "Owed by a take-back; above zero only while available is zero.", example: 0 }),
  pools: z.array(z.object({ pool: z.string(), available: counted, expires_at: moment.nullable() })),
});

const holdState = z.enum(["held", "settled", "released", "expired"]);

export type HoldState = z.infer<typeof holdState>;

export const holdsQuery = z.strictObject({ ...pageQuery, state: holdState.optional() });
export const transactionsQuery = z.strictObject(pageQuery);

export const balanceAnswer = () => z.object(balance());
export const balancesAnswer = () =>
  z.object({ data: z.array(z.object({ ...balance(), unit: z.string().meta({ example: "seat" }) })) });
/** A currency is a unit of three letters (ISO 4217, in lower case); no other unit is. */
export const currencyForm = /^[a-z]{3}$/;

export const moneyAnswer = () =>
  z.object({
    data: z.array(
      z.object({ currency: z.string().meta({ example: "eur" }), available: counted, held: counted, debt: counted }),
    ),
  });

export const movedAnswer = () => z.object({ transaction_id: uuid, ...balance() });
export const spendAnswer = () =>
  z.object({
    transaction_id: uuid,
    amount: counted,
    drawn: z.array(z.object({ pool: z.string(), amount: counted })),
    ...balance(),
  });
export const batchAnswer = () =>
  z.object({
    results: z.array(
      z.object({
        key: z.string(),
        outcome: z.enum(["spent", "replayed", "refused"]),
        amount: counted,
        transaction_id: uuid.optional(),
        code: z.string().optional(),
      }),
    ),
    ...balance(),
  });
export const heldAnswer = () =>
  z.object({
    id: uuid,
    amount: counted,
    state: holdState,
    expires_at: moment,
    ...balance(),
  });
export const endedAnswer = () =>
  z.object({
    id: uuid,
    state: holdState,
    settled: counted,
    released: counted,
    ...balance(),
  });
export const adjustAnswer = () => z.object({ transaction_id: uuid, amount: counted, ...balance() });
export const reverseAnswer = () => z.object({ transaction_id: uuid, reversed: uuid, ...balance() });

export const holdItem = () =>
  z.object({
    id: uuid,
    amount: counted,
    state: holdState,
    settled: counted,
    reason: z.string().nullable(),
    expires_at: moment,
    ended_at: moment.nullable(),
    created_at: moment,
  });

export const moneyTransactionsQuery = z.strictObject({
  ...pageQuery,
  currency: z.string().regex(currencyForm, "must be an ISO 4217 code in lower case").optional(),
});

export const moneyTransactionItem = () => transactionItem().extend({ currency: z.string().meta({ example: "eur" }) });

export const transactionItem = () =>
  z.object({
    id: uuid,
    kind: z.string().meta({ example: "spend" }),
    amount: counted,
    entries: z
      .array(z.object({ side: z.string(), pool: z.string().nullable(), lot_id: uuid.nullable(), amount: counted }))
      .meta({ description: "What moved, side by side; the amounts sum to zero." }),
    reason: z.string().nullable(),
    caused_by: z.string(),
    created_at: moment,
  });

export const verifyAnswer = () =>
  z.object({
    ok: z.boolean(),
    checks: z.array(z.object({ name: z.string(), ok: z.boolean(), detail: z.string().nullable() })),
  });
