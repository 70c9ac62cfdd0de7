import { and, desc, eq, lt, sql } from "drizzle-orm";
import * as z from "zod";
import { pack, plan, policy, price } from "../../db/schema/billing.ts";
import { read } from "../db/read.ts";
import type { AppContext } from "../http/context.ts";
import type { Page } from "../http/pagination.ts";
import { utc } from "../http/time.ts";
import { intervalUnit } from "./catalogue.ts";
import { policyBody } from "./model.ts";

const operator = { scope: "billing:read", workspace: null } as const;

const published = { lookup_key: z.string(), provider_id: z.string().nullable() };
const packPrice = z.object({ currency: z.string(), amount_minor: z.int(), ...published });
const planPrice = packPrice.extend({ interval: intervalUnit, interval_count: z.int() });

/**
 * The prices of a row of plans or packs, as JSON. It is SQL within SQL: of a field's own columns drizzle drops the table's
 * name where the query has only one, and `id` would be the price's.
 */
function pricesOf(own: typeof price.plan_id | typeof price.pack_id, owner: typeof plan.id | typeof pack.id) {
  const list = sql`(
    select coalesce(json_agg(json_build_object(
             'currency', ${price.currency}, 'interval', ${price.interval_unit}, 'interval_count', ${price.interval_count},
             'amount_minor', ${price.amount_minor}, 'lookup_key', ${price.lookup_key}, 'provider_id', ${price.provider_id})
             order by ${price.lookup_key}), '[]')
      from ${price} where ${own} = ${owner})`;
  return sql`${list}`.as("prices");
}

/** A page of plans' versions, newest first, and one more. */
export async function listPlans(c: AppContext, page: Page, code: string | undefined) {
  const rows = await read(c, operator, (db) =>
    db
      .select({
        id: plan.id,
        code: plan.code,
        version: plan.number,
        name: plan.name,
        included_credits: plan.included_credits,
        cap: plan.rollover_cap,
        expires_in_days: sql<number | null>`(extract(epoch from ${plan.rollover_expires_in}) / 86400)::integer`.as(
          "expires_in_days",
        ),
        seats: plan.seats,
        storage_bytes: plan.storage_bytes,
        trial_days: plan.trial_days,
        grace_days: plan.grace_days,
        access: plan.grants_access,
        prices: pricesOf(price.plan_id, plan.id),
        created_at: plan.created_at,
      })
      .from(plan)
      .where(
        and(
          code === undefined ? undefined : eq(plan.code, code),
          page.after === null ? undefined : lt(plan.id, page.after),
        ),
      )
      .orderBy(desc(plan.id))
      .limit(page.limit + 1),
  );
  return rows.map(shownPlan);
}

interface PlanRow {
  cap: number | null;
  expires_in_days: number | null;
  prices: unknown;
  created_at: string;
}

function shownPlan<Row extends PlanRow>({ cap, expires_in_days, prices, created_at, ...row }: Row) {
  return {
    ...row,
    rollover: cap === null ? null : { cap, expires_in_days },
    prices: z.array(planPrice).parse(prices),
    created_at: utc(created_at),
  };
}

/** A page of packs' versions, newest first, and one more. */
export async function listPacks(c: AppContext, page: Page, code: string | undefined) {
  const rows = await read(c, operator, (db) =>
    db
      .select({
        id: pack.id,
        code: pack.code,
        version: pack.number,
        kind: pack.kind,
        name: pack.name,
        quantity: pack.quantity,
        prices: pricesOf(price.pack_id, pack.id),
        created_at: pack.created_at,
      })
      .from(pack)
      .where(
        and(
          code === undefined ? undefined : eq(pack.code, code),
          page.after === null ? undefined : lt(pack.id, page.after),
        ),
      )
      .orderBy(desc(pack.id))
      .limit(page.limit + 1),
  );
  return rows.map(shownPack);
}

function shownPack<Row extends { prices: unknown; created_at: string }>({ prices, created_at, ...row }: Row) {
  return { ...row, prices: z.array(packPrice).parse(prices), created_at: utc(created_at) };
}

/** What the operator decided. */
export async function getPolicy(c: AppContext) {
  const [row] = await read(c, operator, (db) =>
    db.select({ after_end: policy.after_end, shortfall: policy.shortfall }).from(policy),
  );
  return policyBody.parse(row);
}
