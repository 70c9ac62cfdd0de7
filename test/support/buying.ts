import { call, rows } from "./scenario.ts";
import type { Db } from "./scenario.ts";

/** What starting or claiming a checkout answers. */
export interface Claimed {
  id: string;
  kind: string;
  state: string;
  url: string | null;
  session_id: string | null;
  price_provider_id: string;
  quantity: number;
  mode: string;
  trial_days: number;
  expires_at: string;
  customer_id: string | null;
  customer_number: number | null;
  customer_token: string | null;
  search_customer: boolean | null;
  session_token: string | null;
}

/** What is wished for: a plan's or a pack's code, unless told monthly in euros. */
export interface Wish {
  plan?: string;
  number?: number;
  pack?: string;
  currency?: string;
  interval?: [unit: string, count: number] | null;
  quantity?: number;
}

/** Starts a checkout, as the Worker's route does. */
export function start(db: Db, workspace: string, wish: Wish): Promise<Claimed> {
  const interval = wish.interval === undefined && wish.plan !== undefined ? (["month", 1] as const) : wish.interval;
  return call<Claimed>(db, "payments.start_checkout", {
    workspace_id: workspace,
    plan_code: wish.plan ?? null,
    plan_number: wish.number ?? null,
    pack_code: wish.pack ?? null,
    currency: wish.currency ?? "eur",
    interval_unit: interval?.[0] ?? null,
    interval_count: interval?.[1] ?? null,
    quantity: wish.quantity ?? 1,
    success_url: "https://app.example/ok",
    cancel_url: "https://app.example/no",
    caused_by: "test",
  });
}

/** Comes again for a checkout that was started. */
export const claim = (db: Db, id: string): Promise<Claimed> => call<Claimed>(db, "payments.claim_checkout", { id });

/** The provider made a customer for whoever has the claim. */
export function recordCustomer(db: Db, workspace_id: string, { number, token, customer }: NewCustomer) {
  return call<{ workspace_id: string; customer: string | null }>(db, "payments.record_customer", {
    workspace_id,
    number,
    token,
    customer,
  });
}

interface NewCustomer {
  number: number | null;
  token: string | null;
  customer: string;
}

/** The provider made a session for whoever has the claim; it is open until an hour from now. */
export function recordSession(db: Db, id: string, token: string | null, session_id: string) {
  return call<{ id: string; state: string; url: string | null; session_id: string | null }>(
    db,
    "payments.record_session",
    {
      id,
      token,
      session_id,
      url: `https://pay.example/${session_id}`,
      expires_at: new Date(Date.now() + 3_600_000).toISOString(),
    },
  );
}

/** The purchase's row. */
export async function purchaseOf(db: Db, id: string) {
  const [row] = await rows<{
    state: string;
    url: string | null;
    provider_id: string | null;
    awaits_payment: string | null;
    payment_id: string | null;
    is_over: boolean;
    is_checked: boolean;
  }>(
    db,
    `select state, url, provider_id, awaits_payment, payment_id, ended_at is not null as is_over,
            check_due_at is not null as is_checked
       from payments.purchase where id = $1`,
    [id],
  );
  return row;
}

/** What the provider answered when it was asked for a purchase's session; null: there is none. */
export const syncCheckout = (db: Db, id: string, fact: unknown) =>
  call<{ id: string; state: string }>(db, "payments.sync_checkout", {
    id,
    fact: fact === null ? null : JSON.stringify(fact),
  });

/** A payment's row by its reference. */
export async function paymentOf(db: Db, reference: string) {
  const [row] = await rows<{
    amount_minor: number;
    currency: string;
    refunded: number;
    disputed: number;
    purchase_id: string | null;
  }>(
    db,
    "select amount_minor::bigint, currency, refunded::bigint, disputed::bigint, purchase_id from payments.payment where reference = $1",
    [reference],
  );
  return row;
}
