import * as z from "zod";
import { pageQuery } from "../http/pagination.ts";
import { moment, uuid } from "../http/parameters.ts";
import { credit, currencyForm } from "./model.ts";

/** A unit that is no currency: money is explained beside the balance, to who may see it. */
const unit = z
  .string()
  .regex(/^(?![a-z]{3}$)[a-z][a-z0-9_]{0,31}$/, "must be the name of a unit; a currency has a route of its own")
  .default(credit)
  .meta({ description: "`credit`, `seat`, `byte`, `retail_token`.", example: "seat" });

export const explainQuery = z.strictObject({ ...pageQuery, unit });

export const explainMoneyQuery = z.strictObject({
  ...pageQuery,
  currency: z
    .string()
    .regex(currencyForm, "must be an ISO 4217 code in lower case")
    .meta({ description: "ISO 4217, in lower case.", example: "eur" }),
});

/** Made only where it is described (src/http/route.ts). */
function explanation() {
  const sum = z.number().int().meta({ example: 42 });
  const text = z.string().nullable();
  const sums = { available: sum, held: sum, debt: sum };

  const version = z.object({ code: z.string(), version: z.int() }).nullable();
  const money = {
    id: uuid,
    provider: z.string().nullable().meta({ example: "stripe" }),
    reference: text.meta({ description: "The provider's name of it: a session, an invoice, a bank's line." }),
    amount_minor: z.int().nullable(),
    currency: text,
    refunded: z.int().nullable(),
    disputed: z.int().nullable(),
  };
  const payment = z.object(money).nullable();
  const bought = { purchase_id: uuid.nullable(), subscription_id: uuid.nullable() };

  const whoKey = z.object({
    type: z.enum(["key", "operator"]),
    id: uuid,
    name: text.meta({ description: "Of an operator's key, shown to operators only." }),
    prefix: text,
  });
  const event = z.object({
    type: z.literal("event"),
    id: z.string().meta({ example: "evt_1" }),
    provider: text,
    event_type: text.meta({ description: "Null once the event is no longer kept, after 35 days." }),
    received_at: moment.nullable(),
  });
  const sweep = z.object({
    type: z.literal("sweep"),
    name: z.string().meta({ example: "auto_renew" }),
    run: z
      .object({ id: uuid, started_at: moment, finished_at: moment.nullable() })
      .nullable()
      .meta({ description: "Null once the run is no longer kept, after 35 days." }),
  });
  const sync = z
    .object({ type: z.literal("sync") })
    .meta({ description: "We asked the provider how things are there." });
  const other = z.object({ type: z.literal("other"), id: z.string() });

  const movers = [whoKey, event, sweep, sync, other] as const;

  const facts = [
    z.object({
      type: z.literal("purchase"),
      id: uuid,
      kind: text.meta({ example: "credit_pack" }),
      provider: text,
      state: text,
      plan: version,
      pack: version,
      quantity: z.int().nullable(),
      amount_minor: z.int().nullable(),
      currency: text,
      discount_minor: z.int().nullable(),
      promo_code: text,
      payment,
    }),
    z
      .object({ type: z.literal("payment"), ...money, ...bought })
      .meta({ description: "It was refunded or disputed, or is no longer: what it had given follows." }),
    z.object({ type: z.literal("refund"), id: uuid, amount_minor: z.int().nullable(), payment, ...bought }),
    z
      .object({
        type: z.literal("referral"),
        payment_id: uuid,
        workspace_id: uuid.nullable(),
        amount_minor: z.int().nullable(),
        currency: text,
      })
      .meta({ description: "Somebody whom the workspace had brought has paid: who, and the reward." }),
    z.object({
      type: z.literal("subscription"),
      id: uuid.nullable(),
      collection: text,
      plan: version,
      period: z
        .object({ number: z.int().nullable(), starts_at: moment.nullable(), ends_at: moment.nullable() })
        .nullable()
        .meta({ description: "Which was paid for; null of what no period gave: limits, a trial, the end." }),
      payment,
      ended_at: moment.nullable(),
      ended_reason: text,
    }),
    z
      .object({ type: z.literal("expiry"), lot_id: uuid, pool: text, expired_at: moment.nullable() })
      .meta({ description: "Its time had passed; whoever came by first wrote it down." }),
  ] as const;

  const explained = z.object({
    id: uuid,
    kind: z.string().meta({ example: "spend" }),
    amount: sum,
    change: z.object(sums).meta({ description: "What it did to the balance." }),
    after: z.object(sums).meta({ description: "The balance right after it." }),
    entries: z
      .array(z.object({ side: z.string(), pool: z.string().nullable(), lot_id: uuid.nullable(), amount: sum }))
      .meta({ description: "What moved, side by side; the amounts sum to zero." }),
    reason: text,
    idempotency_key: text.meta({ description: "What its caller named it; null where the system did." }),
    hold: z
      .object({ id: uuid, state: text, amount: z.int().nullable(), reason: text })
      .nullable()
      .meta({ description: "The hold that it began or ended, as it is now." }),
    reverses: z
      .object({ id: uuid, kind: text, amount: z.int().nullable(), reason: text })
      .nullable()
      .meta({ description: "The transaction that it undoes." }),
    cause: z.discriminatedUnion("type", [...facts, ...movers]).meta({ description: "Why it was." }),
    by: z
      .discriminatedUnion("type", [...movers])
      .nullable()
      .meta({ description: "Who or what moved it; null where the cause says so." }),
    created_at: moment,
  });

  const line = z.object({
    kind: z.string().meta({ example: "grant" }),
    cause: z
      .string()
      .meta({ description: "The type of the causes; `due`: of what has expired and was not swept yet." }),
    transactions: z.int(),
    ...sums,
  });

  return {
    ...sums,
    made_of: z
      .array(line)
      .meta({ description: "The whole history, added up by kind and cause: the lines sum to the balance." }),
    data: z.array(explained),
    next_cursor: z.string().nullable().meta({ description: "For `?cursor=`; null on the last page." }),
  };
}

export const explainAnswer = () => z.object({ unit: z.string().meta({ example: credit }), ...explanation() });
export const explainMoneyAnswer = () => z.object({ currency: z.string().meta({ example: "eur" }), ...explanation() });

export type Explanation = Omit<z.infer<ReturnType<typeof explainAnswer>>, "unit" | "next_cursor">;
