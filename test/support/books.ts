import type { Pool } from "pg";
import type Stripe from "stripe";
import type { StripeMiniature } from "../world/stripe.ts";
import { idOf } from "../world/stripe/ids.ts";
import { rows } from "./scenario.ts";

interface PurchaseRow {
  id: string;
  workspace_id: string;
  state: string;
  provider_id: string | null;
  url: string | null;
  awaits_payment: string | null;
}

interface SubscriptionRow {
  workspace_id: string;
  provider_id: string;
  state: string;
  price: string | null;
  quantity: number;
  starts: number | null;
  ends: number | null;
  trial_end: number | null;
  cancel_at: number | null;
  ended: boolean;
  schedule_id: string | null;
}

interface PaymentRow {
  workspace_id: string;
  reference: string;
  amount: number;
  refunded: number;
  disputed: number;
}

/** What our side has of a Stripe account. */
interface Ours {
  customers: { workspace_id: string; provider_id: string | null }[];
  purchases: PurchaseRow[];
  subscriptions: SubscriptionRow[];
  payments: PaymentRow[];
  /** Invoices that gave, or were reckoned with. */
  renewals: { invoice: string; state: string }[];
}

/**
 * What differs between the database and Stripe's objects, by workspace: nothing, where all is well. It knows nothing of how
 * either came to be so.
 */
export async function differences(db: Pool, { state }: StripeMiniature): Promise<Record<string, string[]>> {
  const ours = await oursOf(db);
  const found: Record<string, string[]> = {};
  const owners = new Map(ours.customers.map(({ workspace_id, provider_id }) => [provider_id, workspace_id]));
  const say = (workspace: string | undefined, what: string): void => {
    (found[workspace ?? "nobody"] ??= []).push(what);
  };
  const ownerOf = (customer: Parameters<typeof idOf>[0]): string | undefined => owners.get(idOf(customer) ?? null);

  const made = new Map<string, string[]>();
  for (const { id, metadata } of state.customers.values()) {
    const workspace = metadata["tollgate_workspace"];
    if (workspace !== undefined) made.set(workspace, [...(made.get(workspace) ?? []), id]);
  }
  for (const [workspace, ids] of made) if (ids.length > 1) say(workspace, `customers at Stripe: ${ids.join(", ")}`);
  for (const { workspace_id, provider_id } of ours.customers) {
    if (provider_id !== null && made.get(workspace_id)?.[0] !== provider_id) {
      say(workspace_id, `Stripe has not made ${provider_id} for it`);
    }
  }

  const sessionOf = new Map<string, Stripe.Checkout.Session[]>();
  for (const session of state.sessions.values()) {
    const of = session.client_reference_id ?? "";
    sessionOf.set(of, [...(sessionOf.get(of) ?? []), session]);
  }
  for (const purchase of ours.purchases) {
    const sessions = sessionOf.get(purchase.id) ?? [];
    for (const fault of faultsOfPurchase(purchase, sessions)) say(purchase.workspace_id, fault);
    sessionOf.delete(purchase.id);
  }
  for (const strangers of sessionOf.values()) {
    for (const { id, customer, status } of strangers) {
      if (status === "open") say(ownerOf(customer), `${id} can be paid, and nobody knows it`);
    }
  }

  const known = new Map(ours.subscriptions.map((row) => [row.provider_id, row]));
  for (const subscription of state.subscriptions.values()) {
    const row = known.get(subscription.id);
    const fault = row === undefined ? `nobody knows ${subscription.id}` : faultOfSubscription(row, subscription);
    if (fault !== null) say(row?.workspace_id ?? ownerOf(subscription.customer), fault);
  }
  for (const [id, { workspace_id }] of known) {
    if (!state.subscriptions.has(id)) say(workspace_id, `Stripe does not know ${id}`);
  }

  const payments = new Map(ours.payments.map((row) => [row.reference, row]));
  for (const theirs of paymentsOf(state)) {
    const row = payments.get(theirs.reference);
    const [want, have] = [theirs, row].map((one) =>
      one === undefined ? "nothing" : `${one.amount}, refunded ${one.refunded}, disputed ${one.disputed}`,
    );
    if (want !== have)
      say(row?.workspace_id ?? ownerOf(theirs.customer), `${theirs.reference} took ${want}; here: ${have}`);
  }
  const renewed = new Set(ours.renewals.map(({ invoice }) => invoice));
  for (const { id, status, billing_reason, customer } of state.invoices.values()) {
    const renews = billing_reason === "subscription_create" || billing_reason === "subscription_cycle";
    if (renews && status === "paid" && !renewed.has(id)) say(ownerOf(customer), `${id} renewed nothing`);
  }
  return found;
}

/** The codes and subjects of the alarms that are open. */
export async function alarms(db: Pool): Promise<string[]> {
  const open = await rows<{ alarm: string }>(
    db,
    "select code || ' ' || subject as alarm from ops.alarm where closed_at is null order by 1",
  );
  return open.map(({ alarm }) => alarm);
}

const kept = [
  "billing.subscription",
  "billing.renewal",
  "payments.customer",
  "payments.purchase",
  "payments.payment",
  "payments.intent",
  "payments.refund",
  "payments.dispute",
  "payments.redemption",
  "payments.reward",
  "access.key",
  "messages.outbox",
  "ledger.account",
  "ledger.lot",
  "ledger.transaction",
  "ops.event",
  "ops.alarm",
  "ops.audit",
  "people.workspace",
];

/** A digest of each table that what came from Stripe is kept in; when a row was last looked at is left out. */
export async function digest(db: Pool): Promise<Record<string, string>> {
  const sums = kept.map(
    (table) =>
      `(select coalesce(sum(hashtextextended((to_jsonb(t) - '{synced_at,check_due_at,version}'::text[])::text, 0)), 0) from ${table} t)`,
  );
  const [row] = await rows<{ sums: string[] }>(db, `select array[${sums.join(", ")}]::text[] as sums`);
  return Object.fromEntries(kept.map((table, i) => [table, row?.sums[i] ?? ""]));
}

async function oursOf(db: Pool): Promise<Ours> {
  const seconds = (column: string) => `extract(epoch from s.${column})::int8`;
  const [customers, purchases, subscriptions, payments, renewals] = await Promise.all([
    rows<Ours["customers"][number]>(
      db,
      "select workspace_id, provider_id from payments.customer where deleted_at is null",
    ),
    rows<PurchaseRow>(
      db,
      "select id, workspace_id, state, provider_id, url, awaits_payment from payments.purchase order by id",
    ),
    rows<SubscriptionRow>(
      db,
      `select s.workspace_id, s.provider_id, s.state, p.provider_id as price, s.quantity,
              ${seconds("current_period_start")} as starts, ${seconds("current_period_end")} as ends,
              ${seconds("trial_end")} as trial_end, ${seconds("cancel_at")} as cancel_at, s.ended_at is not null as ended,
              s.schedule_id
         from billing.subscription s left join billing.price p on p.id = s.price_id`,
    ),
    rows<PaymentRow>(
      db,
      "select workspace_id, reference, amount_minor as amount, refunded, disputed from payments.payment",
    ),
    rows<Ours["renewals"][number]>(db, "select invoice, state from billing.renewal"),
  ]);
  return { customers, purchases, subscriptions, payments, renewals };
}

function* faultsOfPurchase(row: PurchaseRow, sessions: Stripe.Checkout.Session[]): Generator<string> {
  const open = sessions.filter(({ status }) => status === "open");
  if (open.length > 1) yield `purchase ${row.id} has ${open.length} sessions that can be paid`;
  for (const { id, url } of open) {
    if (row.state !== "pending" || row.provider_id !== id) yield `${id} can be paid, and its purchase is ${row.state}`;
    else if (row.url !== url) yield `${id} can be paid, and its purchase has ${row.url ?? "no url"}`;
  }
  const complete = sessions.filter(({ status }) => status === "complete");
  if (complete.length > 1) yield `purchase ${row.id} was paid ${complete.length} times`;
  const paid = complete.some(({ payment_status }) => payment_status !== "unpaid");
  const isPaid = ["paid", "partly_refunded", "refunded"].includes(row.state);
  if (paid !== isPaid) yield `purchase ${row.id} is ${row.state}, and Stripe says ${paid ? "paid" : "not paid"}`;
  if (row.state === "pending" && open.length === 0 && row.awaits_payment === null) {
    yield `purchase ${row.id} is pending, and has no session that can be paid`;
  }
}

function faultOfSubscription(row: SubscriptionRow, theirs: Stripe.Subscription): string | null {
  const [item] = theirs.items.data;
  const over = theirs.status === "canceled" || theirs.status === "incomplete_expired";
  const want = {
    state: theirs.status,
    price: item?.price.id ?? null,
    quantity: item?.quantity ?? 1,
    starts: item?.current_period_start ?? null,
    ends: item?.current_period_end ?? null,
    trial_end: theirs.trial_end,
    cancel_at: theirs.cancel_at ?? (theirs.cancel_at_period_end ? (item?.current_period_end ?? null) : null),
    ended: over,
    schedule_id: idOf(theirs.schedule),
  };
  const have: Record<string, unknown> = { ...row };
  const differ = Object.entries(want).filter(([name, value]) => (have[name] ?? null) !== (value ?? null));
  if (differ.length === 0) return null;
  const said = differ.map(([name, value]) => `${name} ${String(value)} and not ${String(have[name])}`);
  return `${theirs.id}: ${said.join(", ")}`;
}

interface Taken {
  reference: string;
  customer: Stripe.Invoice["customer"];
  amount: number;
  refunded: number;
  disputed: number;
}

/** What was paid: checkouts that were paid once, and invoices. */
function* paymentsOf(state: StripeMiniature["state"]): Generator<Taken> {
  const returned = (intents: (string | null)[]) => {
    const of = (one: { payment_intent: Parameters<typeof idOf>[0] }) =>
      intents.includes(idOf(one.payment_intent) ?? "");
    const refunds = [...state.refunds.values()].filter(
      (refund) => of(refund) && refund.status !== "failed" && refund.status !== "canceled",
    );
    const disputes = [...state.disputes.values()].filter(
      (dispute) => of(dispute) && ["needs_response", "under_review", "lost"].includes(dispute.status),
    );
    return { refunded: sum(refunds), disputed: sum(disputes) };
  };
  for (const session of state.sessions.values()) {
    if (session.mode !== "payment" || session.status !== "complete" || session.payment_status === "unpaid") continue;
    const intent = idOf(session.payment_intent);
    const { id: reference, customer, amount_total } = session;
    yield { reference, customer: idOf(customer), amount: amount_total ?? 0, ...returned([intent]) };
  }
  for (const { id: reference, customer, status, amount_paid } of state.invoices.values()) {
    if (status !== "paid") continue;
    const intents = [...state.invoice_payments.values()]
      .filter(({ invoice }) => idOf(invoice) === reference)
      .map(({ payment }) => idOf(payment.payment_intent));
    yield { reference, customer, amount: amount_paid, ...returned(intents) };
  }
}

function sum(parts: { amount: number }[]): number {
  return parts.reduce((total, { amount }) => total + amount, 0);
}
