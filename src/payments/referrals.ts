import { and, desc, eq, lt, sql } from "drizzle-orm";
import * as z from "zod";
import { lot, transaction } from "../../db/schema/ledger.ts";
import { referral, referralPolicy, reward } from "../../db/schema/payments.ts";
import { read } from "../db/read.ts";
import { routine } from "../db/routine.ts";
import { write } from "../db/write.ts";
import type { AppContext } from "../http/context.ts";
import type { Page } from "../http/pagination.ts";
import { instant, utc } from "../http/time.ts";
import { earned, policyBody } from "./referral-model.ts";

const scope = "billing:read";

const setReferrerCall = routine({
  name: "payments.set_referrer",
  context: { workspace_id: "workspace_id", caused_by: "caused_by" },
  args: z.strictObject({ referrer_id: z.string() }),
  result: z.object({ workspace_id: z.string(), referrer_id: z.string(), created_at: instant }),
});

const setPolicyCall = routine({
  name: "payments.set_referral_policy",
  context: { caused_by: "caused_by" },
  args: policyBody,
  result: policyBody,
});

/** Every routine that is called here, for the contract test. */
export const calls = [setReferrerCall, setPolicyCall];

/**
 * Says who brought a workspace, once for ever. Refuses `referrer_fixed`, `referral_self`, `referral_cycle`, `referral_late`,
 * `referral_too_deep`, `referrer_unknown`, `not_found`.
 */
export async function setReferrer(c: AppContext, workspace: string, referrer_id: string) {
  return write(c, { routine: setReferrerCall, args: { referrer_id }, scope: "workspaces:write", workspace });
}

/** Sets what a referrer gets. */
export async function setReferralPolicy(c: AppContext, policy: z.infer<typeof policyBody>) {
  return write(c, { routine: setPolicyCall, args: policy, scope: "plans:write", workspace: null });
}

/** What a referrer gets. */
export async function getReferralPolicy(c: AppContext) {
  const [row] = await read(c, { scope, workspace: null }, (db) =>
    db.select({ percent: referralPolicy.percent, recurring: referralPolicy.recurring }).from(referralPolicy),
  );
  return policyBody.parse(row);
}

/** Who brought a workspace; nulls where nobody did. */
export async function getReferrer(c: AppContext, workspace: string) {
  const [row] = await read(c, { scope, workspace }, (db, permit) =>
    db
      .select({ referrer_id: referral.referrer_id, created_at: referral.created_at })
      .from(referral)
      .where(eq(referral.workspace_id, permit.workspace_id)),
  );
  if (row === undefined) return { workspace_id: workspace, referrer_id: null, created_at: null };
  return { workspace_id: workspace, referrer_id: row.referrer_id, created_at: utc(row.created_at) };
}

/**
 * The lot of a reward, whose `recovered` is what was taken back; found by the key of its grant, for a referrer may have as many
 * lots as there are payments.
 */
const lotOf = sql`${transaction} t
  join ${lot} l on l.owner_id = t.owner_id and l.unit = t.unit and l.id = t.lots[1]`;

/** What a workspace earned its referrer, as JSON. */
const earnedOf = sql`(
  select coalesce(json_agg(json_build_object(
           'currency', e.currency, 'amount_minor', e.amount_minor, 'taken_back', e.taken_back) order by e.currency), '[]')
    from (
      select w.currency, sum(w.amount_minor) as amount_minor, sum(l.recovered) as taken_back
        from ${reward} w
        join (${lotOf}) on t.owner_id = w.referrer_id and t.idempotency_key = 'tg:referral:' || w.payment_id
       where w.workspace_id = "referral".workspace_id
       group by w.currency) e)`;

/** A page of the workspaces that one brought, newest first, and one more. */
export async function listReferrals(c: AppContext, workspace: string, page: Page) {
  const rows = await read(c, { scope, workspace }, (db, permit) =>
    db
      .select({
        workspace_id: referral.workspace_id,
        earned: sql`${earnedOf}`.as("earned"),
        created_at: referral.created_at,
      })
      .from(referral)
      .where(
        and(
          eq(referral.referrer_id, permit.workspace_id),
          page.after === null ? undefined : lt(referral.workspace_id, page.after),
        ),
      )
      .orderBy(desc(referral.workspace_id))
      .limit(page.limit + 1),
  );
  return rows.map(shownReferral);
}

function shownReferral<Row extends { earned: unknown; created_at: string }>(row: Row) {
  return { ...row, earned: z.array(earned).parse(row.earned), created_at: utc(row.created_at) };
}

const takenBackOf = sql<string>`(
  select l.recovered from ${lotOf}
   where t.owner_id = "reward".referrer_id and t.idempotency_key = 'tg:referral:' || "reward".payment_id)`;

/** A page of what a workspace got for those that it brought, newest payment first, and one more. */
export async function listRewards(c: AppContext, workspace: string, page: Page) {
  const rows = await read(c, { scope, workspace }, (db, permit) =>
    db
      .select({
        payment_id: reward.payment_id,
        workspace_id: reward.workspace_id,
        amount_minor: reward.amount_minor,
        currency: reward.currency,
        taken_back: takenBackOf.as("taken_back"),
        created_at: reward.created_at,
      })
      .from(reward)
      .where(
        and(
          eq(reward.referrer_id, permit.workspace_id),
          page.after === null ? undefined : lt(reward.payment_id, page.after),
        ),
      )
      .orderBy(desc(reward.payment_id))
      .limit(page.limit + 1),
  );
  return rows.map(shownReward);
}

function shownReward<Row extends { taken_back: string; created_at: string }>({ taken_back, created_at, ...row }: Row) {
  return { ...row, taken_back: Number(taken_back), created_at: utc(created_at) };
}
