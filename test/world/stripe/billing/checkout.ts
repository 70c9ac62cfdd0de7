import type Stripe from "stripe";
import type { Account } from "../account.ts";
import { day } from "../calendar.ts";
import type { Due } from "../due.ts";
import { invalid } from "../failure.ts";
import { idOf } from "../ids.ts";
import { customerFromCheckout, liveCustomer } from "../resources/customers.ts";
import type { SessionSecrets } from "../state.ts";
import { concludeProcessing } from "./invoices.ts";
import { start } from "./lifecycle.ts";
import { attempt, createPaymentIntent, settleProcessing } from "./payments.ts";

/** What a person does on the pay page. `later…` is a delayed payment: accepted now, decided in some days. */
export type PayOutcome = "pay" | "decline" | "later_succeeds" | "later_fails";

/** What a session knows that its object does not show. */
export function secretsOf(account: Account, session: Stripe.Checkout.Session): SessionSecrets {
  return account.find(account.state.session_secrets, "checkout.session", session.id);
}

/** Does what a person does on the pay page. True when the session is complete by then. */
export function pay(
  account: Account,
  session: Stripe.Checkout.Session,
  outcome: PayOutcome,
  email: string | null = null,
): boolean {
  if (session.status !== "open") {
    throw invalid(`This Checkout Session is ${session.status}, so it cannot be paid.`, "id");
  }
  if (outcome === "decline") {
    refusePayment(account, session);
    return false;
  }
  const customer = customerOf(account, session, email);
  const secrets = secretsOf(account, session);
  const later = outcome !== "pay" && (session.amount_total ?? 0) > 0;
  const answer = later ? "processing" : "succeeds";
  if (session.mode === "subscription") {
    const subscription = start(
      account,
      {
        customer: customer ?? "",
        items: secrets.line_items.map(({ price, quantity }) => ({ price: priceOf(price), quantity: quantity ?? 1 })),
        metadata: secrets.subscription_metadata,
        trial_end: trialEnd(account, secrets.trial),
      },
      answer,
    );
    // The card that was just typed in is the one that renewals are taken from.
    account.state.cards.set(customer ?? "", "pays");
    session.subscription = subscription.id;
    session.invoice = subscription.latest_invoice;
  } else if ((session.amount_total ?? 0) > 0) {
    const intent = createPaymentIntent(account, {
      amount: session.amount_total ?? 0,
      currency: session.currency ?? "usd",
      customer,
      metadata: secrets.payment_metadata,
    });
    session.payment_intent = intent.id;
    attempt(account, intent, answer);
  }
  if (later) {
    secrets.async = {
      due: account.seconds() + account.policies.async_seconds,
      succeeds: outcome === "later_succeeds",
    };
  }
  complete(account, session, later);
  return true;
}

function trialEnd(account: Account, trial: SessionSecrets["trial"]): number | null {
  if (trial === null) {
    return null;
  }
  return "days" in trial ? account.seconds() + trial.days * day : trial.end;
}

function complete(account: Account, session: Stripe.Checkout.Session, later: boolean): void {
  session.status = "complete";
  session.url = null;
  session.payment_status = (session.amount_total ?? 0) === 0 ? "no_payment_required" : later ? "unpaid" : "paid";
  account.emit("checkout.session.completed", session);
}

/** The bank says no: the session stays open, and the person may try again. */
function refusePayment(account: Account, session: Stripe.Checkout.Session): void {
  if (session.mode === "payment" && (session.amount_total ?? 0) > 0) {
    const intent = createPaymentIntent(account, {
      amount: session.amount_total ?? 0,
      currency: session.currency ?? "usd",
      customer: idOf(session.customer),
      metadata: secretsOf(account, session).payment_metadata,
    });
    attempt(account, intent, "fails");
  }
}

function priceOf(price: Stripe.Price | null): Stripe.Price {
  if (price === null) {
    throw new Error("A line of a checkout session has no price.");
  }
  return price;
}

/** Who pays: the session's customer, one that Checkout makes, or nobody in particular. */
function customerOf(account: Account, session: Stripe.Checkout.Session, email: string | null): string | null {
  const address = email ?? session.customer_email;
  if (session.customer === null && (session.mode === "subscription" || session.customer_creation === "always")) {
    session.customer = customerFromCheckout(account, address).id;
  }
  const id = idOf(session.customer);
  const customer = id === null ? null : liveCustomer(account, id);
  session.customer_details = {
    address: null,
    business_name: null,
    email: customer?.email ?? address,
    individual_name: null,
    name: customer?.name ?? null,
    phone: null,
    tax_exempt: "none",
    tax_ids: [],
  };
  return id;
}

/** Decides a delayed payment: it arrives, or it fails. */
export function settleLater(account: Account, session: Stripe.Checkout.Session, succeeds: boolean): void {
  const secrets = secretsOf(account, session);
  if (secrets.async === null) {
    throw invalid("This Checkout Session waits for no delayed payment.", "id");
  }
  secrets.async = null;
  const invoice = account.state.invoices.get(idOf(session.invoice) ?? "");
  const intent = account.state.payment_intents.get(idOf(session.payment_intent) ?? "");
  if (succeeds) {
    session.payment_status = "paid";
  }
  if (invoice !== undefined) {
    concludeProcessing(account, invoice, succeeds);
  } else if (intent !== undefined) {
    settleProcessing(account, intent, succeeds);
  }
  account.emit(
    succeeds ? "checkout.session.async_payment_succeeded" : "checkout.session.async_payment_failed",
    session,
  );
}

/** Closes an open session: nobody can pay it any more. */
export function expire(account: Account, session: Stripe.Checkout.Session): void {
  if (session.status !== "open") {
    throw invalid(
      `Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of \`${session.status}\`.`,
      "session",
    );
  }
  session.status = "expired";
  session.url = null;
  account.emit("checkout.session.expired", session);
}

/** Gives open sessions the address of this start: the last one may have listened on another port. */
export function readdress(account: Account): void {
  for (const session of account.state.sessions.values()) {
    if (session.status === "open") {
      session.url = `${account.url}/pay/${session.id}`;
    }
  }
}

/** What comes due of checkout sessions. */
export function* checkoutDue(account: Account): Generator<Due> {
  for (const session of account.state.sessions.values()) {
    if (session.status === "open") {
      yield { at: session.expires_at, rank: 0, run: () => expire(account, session) };
    } else if (session.status === "complete" && session.payment_status === "unpaid") {
      const waiting = secretsOf(account, session).async;
      if (waiting !== null) {
        yield { at: waiting.due, rank: 0, run: () => settleLater(account, session, waiting.succeeds) };
      }
    }
  }
}
