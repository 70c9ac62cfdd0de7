import { and, desc, eq, lt, sql } from "drizzle-orm";
import * as z from "zod";
import { campaign, promoCode, redemption } from "../../db/schema/payments.ts";
import { read } from "../db/read.ts";
import { routine } from "../db/routine.ts";
import { write } from "../db/write.ts";
import type { AppContext } from "../http/context.ts";
import type { Page } from "../http/pagination.ts";
import { instant, utc, utcOrNull } from "../http/time.ts";
import { kind, type Kind } from "./model.ts";
import type { campaignBody, promoBody } from "./promo-model.ts";

const operator = { scope: "plans:write", workspace: null } as const;
const reading = { scope: "billing:read", workspace: null } as const;
const text = z.string().nullable();
const int = z.int().nullable();

const createCampaignCall = routine({
  name: "payments.create_campaign",
  context: { caused_by: "caused_by" },
  args: z.strictObject({ name: z.string(), max_redemptions: int, starts_at: text, ends_at: text }),
  result: z.object({
    id: z.string(),
    name: z.string(),
    max_redemptions: int,
    starts_at: instant.nullable(),
    ends_at: instant.nullable(),
    created_at: instant,
  }),
});

const createPromoCall = routine({
  name: "payments.create_promo_code",
  context: { caused_by: "caused_by" },
  args: z.strictObject({
    code: z.string(),
    campaign_id: text,
    percent: int,
    currencies: z.array(z.string()).nullable(),
    amounts_minor: z.array(z.int()).nullable(),
    kinds: z.array(z.string()).nullable(),
    max_redemptions: int,
    per_workspace: int,
    starts_at: text,
    ends_at: text,
  }),
  result: z.object({
    id: z.string(),
    code: z.string(),
    campaign_id: text,
    percent: int,
    currencies: z.array(z.string()).nullable(),
    amounts_minor: z.array(z.int()).nullable(),
    kinds: z.array(kind).nullable(),
    max_redemptions: int,
    per_workspace: int,
    starts_at: instant.nullable(),
    ends_at: instant.nullable(),
    created_at: instant,
  }),
});

const disablePromoCall = routine({
  name: "payments.disable_promo_code",
  context: { caused_by: "caused_by" },
  args: z.strictObject({ code: z.string() }),
  result: z.object({ id: z.string(), code: z.string(), disabled_at: instant }),
});

/** Every routine that is called here, for the contract test. */
export const calls = [createCampaignCall, createPromoCall, disablePromoCall];

/** Makes a campaign. Refuses `campaign_exists`. */
export async function createCampaign(c: AppContext, body: z.infer<typeof campaignBody>) {
  const args = {
    name: body.name,
    max_redemptions: body.max_redemptions ?? null,
    starts_at: body.starts_at ?? null,
    ends_at: body.ends_at ?? null,
  };
  return write(c, { routine: createCampaignCall, args, ...operator });
}

/** Makes a promo code. Refuses `promo_exists`, `campaign_unknown`. */
export async function createPromoCode(c: AppContext, body: z.infer<typeof promoBody>) {
  const args = {
    code: body.code,
    campaign_id: body.campaign_id ?? null,
    percent: body.percent ?? null,
    currencies: body.amounts?.map(({ currency }) => currency) ?? body.currencies ?? null,
    amounts_minor: body.amounts?.map(({ amount_minor }) => amount_minor) ?? null,
    kinds: body.kinds ?? null,
    max_redemptions: body.max_redemptions ?? null,
    per_workspace: body.per_workspace ?? null,
    starts_at: body.starts_at ?? null,
    ends_at: body.ends_at ?? null,
  };
  const made = await write(c, { routine: createPromoCall, args, ...operator });
  return shownPromo({ ...made, held: 0, redeemed: 0, disabled_at: null });
}

/** From now on nobody may use it. Refuses `not_found`. */
export async function disablePromoCode(c: AppContext, code: string) {
  return write(c, { routine: disablePromoCall, args: { code }, ...operator });
}

/** A page of campaigns, newest first, and one more. */
export async function listCampaigns(c: AppContext, page: Page) {
  const rows = await read(c, reading, (db) =>
    db
      .select()
      .from(campaign)
      .where(page.after === null ? undefined : lt(campaign.id, page.after))
      .orderBy(desc(campaign.id))
      .limit(page.limit + 1),
  );
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    max_redemptions: row.max_redemptions,
    starts_at: utcOrNull(row.starts_at),
    ends_at: utcOrNull(row.ends_at),
    created_at: utc(row.created_at),
  }));
}

/** How many purchases have a code in this state. */
const used = (state: "held" | "redeemed") =>
  sql`(select count(*)::integer from ${redemption} r where r.promo_code_id = "promo_code".id and r.state = ${state})`
    .mapWith(Number)
    .as(state);

/** A page of promo codes, newest first, and one more. */
export async function listPromoCodes(c: AppContext, page: Page, code: string | undefined) {
  const rows = await read(c, reading, (db) =>
    db
      .select({
        id: promoCode.id,
        code: promoCode.code,
        campaign_id: promoCode.campaign_id,
        percent: promoCode.percent,
        currencies: sql<string[] | null>`${promoCode.currencies}`.as("currencies"),
        amounts_minor: sql<string[] | null>`${promoCode.amounts_minor}`.as("amounts_minor"),
        kinds: sql<Kind[] | null>`${promoCode.kinds}`.as("kinds"),
        max_redemptions: promoCode.max_redemptions,
        per_workspace: promoCode.per_workspace,
        held: used("held"),
        redeemed: used("redeemed"),
        starts_at: promoCode.starts_at,
        ends_at: promoCode.ends_at,
        disabled_at: promoCode.disabled_at,
        created_at: promoCode.created_at,
      })
      .from(promoCode)
      .where(
        and(
          code === undefined ? undefined : eq(promoCode.code, code.toUpperCase()),
          page.after === null ? undefined : lt(promoCode.id, page.after),
        ),
      )
      .orderBy(desc(promoCode.id))
      .limit(page.limit + 1),
  );
  return rows.map(shownPromo).map(withInstants);
}

interface Promo {
  currencies: string[] | null;
  amounts_minor: (string | number)[] | null;
}

interface Instants {
  starts_at: string | null;
  ends_at: string | null;
  disabled_at: string | null;
  created_at: string;
}

function withInstants<Row extends Instants>(row: Row) {
  return {
    ...row,
    starts_at: utcOrNull(row.starts_at),
    ends_at: utcOrNull(row.ends_at),
    disabled_at: utcOrNull(row.disabled_at),
    created_at: utc(row.created_at),
  };
}

/** Fixed amounts with their currencies; a percentage has currencies alone. */
function shownPromo<Row extends Promo>({ currencies, amounts_minor, ...row }: Row) {
  const amounts = amounts_minor?.map((amount, i) => ({
    currency: currencies?.[i] ?? "",
    amount_minor: Number(amount),
  }));
  return { ...row, amounts: amounts ?? null, currencies: amounts === undefined ? currencies : null };
}
