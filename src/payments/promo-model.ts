import * as z from "zod";
import { pageQuery } from "../http/pagination.ts";
import { futureMoment, moment, name, uuid } from "../http/parameters.ts";
import { kind } from "./model.ts";
import { currency } from "./order.ts";

const most = 1_000_000_000;
const cap = z.int().min(1).max(most).optional();
const window = {
  starts_at: futureMoment.optional().meta({ description: "Not before; without it, at once." }),
  ends_at: futureMoment.optional().meta({ description: "Not from then on; without it, for ever." }),
};

/** Refuses a window that ends before it begins. */
function refuseEmptyWindow(
  body: { starts_at?: string | undefined; ends_at?: string | undefined },
  context: z.core.$RefinementCtx,
) {
  const { starts_at, ends_at } = body;
  if (starts_at === undefined || ends_at === undefined || Date.parse(ends_at) > Date.parse(starts_at)) return;
  context.addIssue({ code: "custom", path: ["ends_at"], message: "must be after starts_at", input: body });
}

export const campaignBody = z
  .strictObject({
    name,
    max_redemptions: cap.meta({ description: "Of all its codes together; without it, not limited." }),
    ...window,
  })
  .superRefine(refuseEmptyWindow)
  .meta({ example: { name: "Autumn", max_redemptions: 500, ends_at: "2027-01-31T00:00:00Z" } });

const momentOrNull = moment.nullable();

export const campaignItem = () =>
  z.object({
    id: uuid,
    name: z.string(),
    max_redemptions: z.int().nullable(),
    starts_at: momentOrNull,
    ends_at: momentOrNull,
    created_at: moment,
  });

export const campaignsQuery = z.strictObject(pageQuery);

export const promoBody = z
  .strictObject({
    code: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{1,49}$/, "must be 2 to 50 letters, digits, - or _")
      .meta({ description: "In any case: it is kept, and compared, in upper case.", example: "WELCOME10" }),
    campaign_id: uuid.optional(),
    percent: z.int().min(1).max(100).optional().meta({ description: "Off the price; this or `amounts`.", example: 10 }),
    amounts: z
      .array(z.strictObject({ currency, amount_minor: z.int().min(1).max(99_999_999_999) }))
      .min(1)
      .max(40)
      .optional()
      .meta({ description: "Off the price, by currency: it is for no other." }),
    currencies: z.array(currency).min(1).max(40).optional().meta({ description: "Of a percentage; without it, all." }),
    kinds: z
      .array(kind)
      .min(1)
      .max(4)
      .optional()
      .meta({ description: "Of purchases that it is for; without it, all, money for the balance too." }),
    max_redemptions: cap.meta({ description: "In all; without it, not limited." }),
    per_workspace: z
      .int()
      .min(1)
      .max(most)
      .optional()
      .meta({ description: "By one workspace; without it, as often as it likes." }),
    ...window,
  })
  .superRefine((body, context) => {
    const refuse = (member: string, message: string) =>
      context.addIssue({ code: "custom", path: [member], message, input: body });
    if ((body.percent === undefined) === (body.amounts === undefined))
      refuse("percent", "give percent or amounts, one of them");
    if (body.amounts !== undefined && body.currencies !== undefined) refuse("currencies", "is of a percentage");
    for (const [member, list] of [
      ["amounts", body.amounts?.map((one) => one.currency)],
      ["currencies", body.currencies],
      ["kinds", body.kinds],
    ] as const) {
      if (list !== undefined && new Set(list).size < list.length) refuse(member, "names one twice");
    }
    refuseEmptyWindow(body, context);
  })
  .meta({
    example: {
      code: "WELCOME5",
      amounts: [{ currency: "eur", amount_minor: 500 }],
      max_redemptions: 100,
      per_workspace: 1,
    },
  });

export const promoItem = () =>
  z.object({
    id: uuid,
    code: z.string(),
    campaign_id: uuid.nullable(),
    percent: z.int().nullable(),
    amounts: z.array(z.object({ currency: z.string(), amount_minor: z.int() })).nullable(),
    currencies: z.array(z.string()).nullable(),
    kinds: z.array(kind).nullable(),
    max_redemptions: z.int().nullable(),
    per_workspace: z.int().nullable(),
    held: z.int().meta({ description: "By purchases that can still be paid." }),
    redeemed: z.int(),
    starts_at: momentOrNull,
    ends_at: momentOrNull,
    disabled_at: momentOrNull,
    created_at: moment,
  });

export const promoQuery = z.strictObject({
  ...pageQuery,
  code: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{1,49}$/, "must be a promo code")
    .optional()
    .meta({ description: "Only this one." }),
});

export const promoParams = z.strictObject({
  code: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{1,49}$/, "must be a promo code")
    .meta({ example: "WELCOME10" }),
});

export const disableBody = z.strictObject({});

export const disableAnswer = () => z.object({ id: uuid, code: z.string(), disabled_at: moment });
