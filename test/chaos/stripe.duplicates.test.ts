import { expect } from "vitest";
import { type Crossing, test } from "../support/crossing.ts";
import { CustomerLife, type Shelf, stock } from "../support/customer-life.ts";
import { idOf } from "../world/stripe/ids.ts";

/** All that is done from the moment at which two subscriptions are known until one is undone. */
const steps = [
  "billing.duplicates_settle",
  "billing.claim_syncs",
  "billing.sync_subscription",
  "messages.claim",
  "DELETE /v1/subscriptions/*",
  "GET /v1/invoices",
  "GET /v1/invoice_payments",
  "POST /v1/refunds",
  "messages.settle_many",
];

/** A workspace that has paid for two: the second by a session that we never made. */
async function twice(crossing: Crossing, shelf: Shelf): Promise<CustomerLife> {
  const life = await CustomerLife.begin(crossing, shelf);
  await life.buyPlan();
  const [price] = (await life.stripe.prices.list({ lookup_keys: [`tollgate_${shelf.small}_1_eur_1month`] })).data;
  const session = await life.stripe.checkout.sessions.create({
    mode: "subscription",
    customer: life.customer,
    line_items: [{ price: price?.id ?? "", quantity: 1 }],
    success_url: "https://app.example.com/",
  });
  crossing.stripe.pay(session.id);
  await crossing.stripe.settled();
  return life;
}

test("A11 of two paid subscriptions one is kept, the other ended and refunded, wherever the deployment dies", async ({
  crossing,
}) => {
  const { stripe, wires, travel, tick, api, mend } = crossing;
  const shelf = await stock(crossing);
  const lives: CustomerLife[] = [];
  const unbroken: string[] = [];
  for (const what of steps) {
    // To die before a step is to die after the one before it; but Stripe may do what was asked while nobody hears of it.
    const whens = /^(POST|DELETE)/.test(what) ? (["before", "after"] as const) : (["after"] as const);
    for (const when of whens) {
      lives.push(await twice(crossing, shelf));
      const trip = wires.trip({ nth: 1, when, how: "dead", of: (step) => step.what === what });
      for (let i = 0; i < 6 && !trip.done; i += 1) {
        await travel(2);
        await tick().catch(() => undefined);
      }
      wires.mend();
      if (!trip.done) unbroken.push(`${what} ${when}`);
    }
  }
  expect(unbroken).toEqual([]);
  for (let i = 0; i < 4; i += 1) {
    await travel(15);
    await tick();
  }

  const undone: string[] = [];
  const ends = await Promise.all(
    lives.map(async ({ customer, workspace }) => {
      const theirs = [...stripe.state.subscriptions.values()].filter((one) => idOf(one.customer) === customer);
      const [kept, ...more] = theirs.toSorted((a, b) => a.status.localeCompare(b.status));
      undone.push(...more.map(({ id }) => `subscription_duplicate ${id}`));
      const charges = [...stripe.state.charges.values()].filter((charge) => idOf(charge.customer) === customer);
      return {
        kept: kept?.status,
        more: more.map(({ status }) => status),
        returned: charges.map(({ amount_refunded }) => amount_refunded).toSorted((a, b) => a - b),
        shown: (await api.get(`${workspace.path}/subscription`)).body["state"],
        credits: (await api.get(workspace.credits)).body["available"],
      };
    }),
  );
  const right = { kept: "active", more: ["canceled"], returned: [0, 1900], shown: "active", credits: 500 };
  expect(ends).toEqual(lives.map(() => right));
  await mend({ alarms: undone });
});
