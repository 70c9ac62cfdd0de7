import * as z from "zod";
import { routine } from "../db/routine.ts";
import type { BtcpayAccount, StripeAccount } from "../env.ts";
import { invoicesOf, retrieveInvoice } from "../outside/btcpay/invoices.ts";
import { findCheckout, retrieveCheckout } from "../outside/stripe/checkout.ts";
import { standingOfCustomer } from "../outside/stripe/customers.ts";
import { linksOf } from "../outside/stripe/intents.ts";
import { moveCursorCall, openCursorCall } from "../sweeps/cursor.ts";
import type { Done, Shift } from "../sweeps/shift.ts";
import { askedBatch, batch, btcpaySweep, stripeSweep, sweep } from "../sweeps/sweep.ts";
import { syncCheckoutCall } from "./store.ts";

/** Longer than four questions with their repeats, behind others: who took this long has died. */
const lease = "5 minutes";

const provider = "stripe";

const claimChecksCall = routine({
  name: "payments.claim_checks",
  context: {},
  args: z.strictObject({ batch: z.int(), lease: z.string(), provider: z.string() }),
  result: z.object({
    ids: z.array(z.string()),
    session_ids: z.array(z.string().nullable()),
    customer_ids: z.array(z.string().nullable()),
    asked_at: z.string(),
  }),
});

const claimLinksCall = routine({
  name: "payments.claim_links",
  context: {},
  args: z.strictObject({ batch: z.int(), lease: z.string() }),
  result: z.object({ ids: z.array(z.string()), payment_ids: z.array(z.string().nullable()) }),
});

const syncIntentCall = routine({
  name: "payments.sync_intent",
  context: {},
  args: z.strictObject({
    provider: z.string(),
    id: z.string(),
    reference: z.string().nullable(),
    refunds: z.string(),
    disputes: z.string(),
  }),
  result: z.object({ id: z.string(), linked: z.boolean() }),
});

const customersAfterCall = routine({
  name: "payments.customers_after",
  context: {},
  args: z.strictObject({ provider: z.string(), after: z.string().nullable(), batch: z.int() }),
  result: z.object({ provider: z.string(), ids: z.array(z.string()) }),
});

const compareCustomerCall = routine({
  name: "payments.compare_customer",
  context: {},
  args: z.strictObject({ customer: z.string(), provider: z.string(), deleted: z.boolean() }),
  result: z.object({ customer: z.string(), outcome: z.enum(["deleted", "unknown"]) }),
});

/** Purchases whose session should be over are asked for: what no delivery told is told now. */
async function checks(shift: Shift, account: StripeAccount): Promise<Done> {
  const { ids, session_ids, customer_ids, asked_at } = await shift.call(claimChecksCall, {
    batch: askedBatch,
    lease,
    provider,
  });
  const due = ids.map((id, i) => ({ id, session: session_ids[i] ?? null, customer: customer_ids[i] ?? null }));
  const done = await shift.each(
    due,
    ({ id }) => id,
    async ({ id, session, customer }) => {
      const fact = await shift.ask(async () => {
        if (session !== null) return retrieveCheckout(account, session);
        return customer === null ? null : findCheckout(account, { purchase: id, customer });
      });
      await shift.call(syncCheckoutCall, { id, fact: fact === null ? null : { ...fact }, asked_at });
    },
  );
  return { ...done, more: due.length === askedBatch };
}

/**
 * The watcher of what is paid in crypto: purchases whose invoice may still be paid, and for some days those whose invoice was or is
 * over, are asked for. What the webhook told is told again and changes nothing; what it did not tell is told now.
 */
async function invoices(shift: Shift, account: BtcpayAccount): Promise<Done> {
  const claimed = await shift.call(claimChecksCall, { batch: askedBatch, lease, provider: "btcpay" });
  const { asked_at } = claimed;
  const due = claimed.ids.map((id, i) => ({ id, known: claimed.session_ids[i] ?? null }));
  const done = await shift.each(
    due,
    ({ id }) => id,
    async ({ id, known }) => {
      const facts = await shift.ask(async () => {
        const named = await invoicesOf(account, id);
        if (known === null || named.some(({ invoice }) => invoice === known)) return named;
        // Somebody has renamed it there.
        const own = await retrieveInvoice(account, known);
        return own === null ? named : [own, ...named];
      });
      let own = known;
      for (const fact of facts) {
        own = (await shift.call(syncCheckoutCall, { id, fact: { ...fact }, asked_at })).session_id;
      }
      // Anybody may have named theirs so: the purchase has none for that.
      if (facts.length === 0 || own === null) await shift.call(syncCheckoutCall, { id, fact: null, asked_at });
    },
  );
  return { ...done, more: due.length === askedBatch };
}

/** Payment intents of which only a refund, a dispute or a charge told are asked for what they paid. */
async function links(shift: Shift, account: StripeAccount): Promise<Done> {
  const { ids } = await shift.call(claimLinksCall, { batch: askedBatch, lease });
  const done = await shift.each(
    ids,
    (id) => id,
    async (id) => {
      const { reference, refunds, disputes } = await shift.ask(() => linksOf(account, id));
      const facts = { refunds: JSON.stringify(refunds), disputes: JSON.stringify(disputes) };
      await shift.call(syncIntentCall, { provider, id, reference, ...facts });
    },
  );
  return { ...done, more: ids.length === askedBatch };
}

const list = "stripe_customers";

/** A page of our customers is asked for at Stripe: one that was deleted there is deleted here, one that is unknown is reported. */
async function customers(shift: Shift, account: StripeAccount): Promise<Done> {
  const { until, position } = await shift.call(openCursorCall, {
    name: list,
    overlap: "0",
    furthest: "30 days",
    lost: null,
  });
  const { ids } = await shift.call(customersAfterCall, { provider, after: position, batch });
  const done = await shift.each(
    ids,
    (customer) => customer,
    async (customer) => {
      const standing = await shift.ask(() => standingOfCustomer(account, customer));
      if (standing === "living") return;
      await shift.call(compareCustomerCall, { customer, provider, deleted: standing === "deleted" });
    },
  );
  // What the budget cut off is asked for by the next run.
  const more = ids.length === batch || done.processed + done.failed < ids.length;
  const last = ids[done.processed + done.failed - 1] ?? position;
  await shift.call(moveCursorCall, { name: list, position: more ? last : null, done: !more, until });
  return { ...done, more };
}

/**
 * What was to be paid by hand in time is over; what no delivery told is asked for within minutes; the customers are compared
 * each day.
 */
export const sweeps = [
  sweep("payments", "purchases_expire", 60),
  stripeSweep("stripe_checks", 60, [claimChecksCall, syncCheckoutCall], checks),
  btcpaySweep("btcpay_checks", 60, [claimChecksCall, syncCheckoutCall], invoices),
  stripeSweep("stripe_links", 60, [claimLinksCall, syncIntentCall], links),
  stripeSweep(list, 86_400, [openCursorCall, customersAfterCall, compareCustomerCall, moveCursorCall], customers),
];
