import { and, desc, eq, isNull, lt, sql } from "drizzle-orm";
import { pack, plan } from "../../db/schema/billing.ts";
import { customer, payment, promoCode, purchase } from "../../db/schema/payments.ts";
import { read } from "../db/read.ts";
import type { AppContext } from "../http/context.ts";
import type { Page } from "../http/pagination.ts";
import { utc, utcOrNull } from "../http/time.ts";
import type { Kind, State } from "./model.ts";

const scope = "billing:read";

const purchaseColumns = {
  id: sql<string>`${purchase.id}`.as("purchase_id"),
  kind: sql<Kind>`${purchase.kind}`.as("kind"),
  provider: sql<"stripe" | "manual" | "balance" | "btcpay">`${purchase.provider}`.as("provider"),
  state: sql<State>`${purchase.state}`.as("state"),
  session_id: sql<string | null>`${purchase.provider_id}`.as("session_id"),
  plan_code: sql<string | null>`${plan.code}`.as("plan_code"),
  plan_number: sql<number>`${plan.number}`.as("plan_number"),
  pack_code: sql<string | null>`${pack.code}`.as("pack_code"),
  pack_number: sql<number>`${pack.number}`.as("pack_number"),
  quantity: sql<number>`${purchase.quantity}`.as("quantity"),
  list_minor: sql<string>`coalesce(${purchase.list_minor}, ${purchase.amount_minor})`.as("list_minor"),
  discount_minor: purchase.discount_minor,
  amount_minor: purchase.amount_minor,
  currency: purchase.currency,
  promo_code: sql<string | null>`${promoCode.code}`.as("promo_code"),
  collection: sql<"stripe" | "balance" | null>`${purchase.collection}`.as("collection"),
  url: purchase.url,
  subscription_id: purchase.subscription_id,
  payment_id: purchase.payment_id,
  expires_at: purchase.expires_at,
  ended_at: purchase.ended_at,
  created_at: sql<string>`${purchase.created_at}`.as("created_at"),
};

/** A page of purchases, newest first, and one more. */
export async function listPurchases(
  c: AppContext,
  workspace: string,
  page: Page,
  { state, kind }: { state?: State | undefined; kind?: Kind | undefined },
) {
  const rows = await read(c, { scope, workspace }, (db, permit) =>
    db
      .select(purchaseColumns)
      .from(purchase)
      .leftJoin(plan, eq(plan.id, purchase.plan_id))
      .leftJoin(pack, eq(pack.id, purchase.pack_id))
      .leftJoin(promoCode, eq(promoCode.id, purchase.promo_code_id))
      .where(
        and(
          eq(purchase.workspace_id, permit.workspace_id),
          state === undefined ? undefined : eq(purchase.state, state),
          kind === undefined ? undefined : eq(purchase.kind, kind),
          page.after === null ? undefined : lt(purchase.id, page.after),
        ),
      )
      .orderBy(desc(purchase.id))
      .limit(page.limit + 1),
  );
  return rows.map(shownPurchase);
}

/** One purchase, with the name of its session at Stripe, which is null where none was made; null: there is no such purchase. */
export async function getPurchase(
  c: AppContext,
  workspace: string,
  id: string,
  as: "billing:read" | "billing:write" = "billing:read",
) {
  const [row] = await read(c, { scope: as, workspace }, (db, permit) =>
    db
      .select(purchaseColumns)
      .from(purchase)
      .leftJoin(plan, eq(plan.id, purchase.plan_id))
      .leftJoin(pack, eq(pack.id, purchase.pack_id))
      .leftJoin(promoCode, eq(promoCode.id, purchase.promo_code_id))
      .where(and(eq(purchase.workspace_id, permit.workspace_id), eq(purchase.id, id))),
  );
  return row === undefined ? null : { state: row.state, session_id: row.session_id, shown: shownPurchase(row) };
}

interface PurchaseRow {
  id: string;
  kind: Kind;
  provider: "stripe" | "manual" | "balance" | "btcpay";
  state: State;
  plan_code: string | null;
  plan_number: number;
  pack_code: string | null;
  pack_number: number;
  quantity: number;
  list_minor: string;
  discount_minor: number;
  amount_minor: number;
  currency: string;
  promo_code: string | null;
  collection: "stripe" | "balance" | null;
  url: string | null;
  subscription_id: string | null;
  payment_id: string | null;
  expires_at: string;
  ended_at: string | null;
  created_at: string;
}

function shownPurchase(row: PurchaseRow) {
  return {
    id: row.id,
    kind: row.kind,
    provider: row.provider,
    state: row.state,
    plan: row.plan_code === null ? null : { code: row.plan_code, version: row.plan_number },
    pack: row.pack_code === null ? null : { code: row.pack_code, version: row.pack_number },
    quantity: row.quantity,
    list_minor: Number(row.list_minor),
    discount_minor: row.discount_minor,
    amount_minor: row.amount_minor,
    currency: row.currency,
    promo_code: row.promo_code,
    collection: row.collection,
    url: row.state === "pending" ? row.url : null,
    subscription_id: row.subscription_id,
    payment_id: row.payment_id,
    expires_at: utc(row.expires_at),
    ended_at: utcOrNull(row.ended_at),
    created_at: utc(row.created_at),
  };
}

/** A page of payments, newest first, and one more. */
export async function listPayments(c: AppContext, workspace: string, page: Page) {
  const rows = await read(c, { scope, workspace }, (db, permit) =>
    db
      .select({
        id: payment.id,
        amount_minor: payment.amount_minor,
        currency: payment.currency,
        refunded: payment.refunded,
        disputed: payment.disputed,
        provider: payment.provider,
        reference: payment.reference,
        purchase_id: payment.purchase_id,
        subscription_id: payment.subscription_id,
        unsettled_at: payment.unsettled_at,
        paid_at: payment.paid_at,
        created_at: payment.created_at,
      })
      .from(payment)
      .where(
        and(
          eq(payment.workspace_id, permit.workspace_id),
          page.after === null ? undefined : lt(payment.id, page.after),
        ),
      )
      .orderBy(desc(payment.id))
      .limit(page.limit + 1),
  );
  return rows.map(shownPayment);
}

function shownPayment<Row extends { unsettled_at: string | null; paid_at: string; created_at: string }>(row: Row) {
  return {
    ...row,
    unsettled_at: utcOrNull(row.unsettled_at),
    paid_at: utc(row.paid_at),
    created_at: utc(row.created_at),
  };
}

/** The workspace's customer at Stripe, for who may write; null: it has none. */
export async function customerOf(c: AppContext, workspace: string): Promise<string | null> {
  const [row] = await read(c, { scope: "billing:write", workspace }, (db, permit) =>
    db
      .select({ provider_id: customer.provider_id })
      .from(customer)
      .where(
        and(
          eq(customer.workspace_id, permit.workspace_id),
          eq(customer.provider, "stripe"),
          isNull(customer.deleted_at),
        ),
      ),
  );
  return row?.provider_id ?? null;
}
