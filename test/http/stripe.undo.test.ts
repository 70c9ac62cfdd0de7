import { Stripe } from "stripe";
import { expect } from "vitest";
import { test as inMarket } from "../support/market.ts";
import { sweepOnly } from "../support/sweeping.ts";

const test = inMarket
  .extend(
    "sweep",
    ({ trade, db }) =>
      () =>
        sweepOnly(db, trade.worker, "stripe_outbox"),
  )
  .extend("stripe", ({ trade }) => new Stripe("sk_test_market", trade.stripe.config))
  .extend("message", ({ db }) => async (key: string, kind: string, body: object) => {
    await db.query("select messages.enqueue('stripe', $2, null, $1, $3)", [key, kind, body]);
    return async () => {
      const sql = "select state, attempts, error from messages.outbox where dedupe_key = $1";
      return (await db.query(sql, [key])).rows[0];
    };
  })
  .extend("subscribed", ({ trade, db }) => async () => {
    const { id } = await trade.subscriber(await trade.plan());
    const { rows } = await db.query("select provider_id from billing.subscription where workspace_id = $1", [id]);
    return String(rows[0].provider_id);
  });

const undo = "undo_subscription";

test("a subscription is undone: it ends, and what it took goes back, once, however often it is told", async ({
  market,
  sweep,
  stripe,
  message,
  subscribed,
}) => {
  const subscription = await subscribed();
  const first = await message("first", undo, { subscription });
  expect(await sweep()).toMatchObject([{ processed: 1, failed: 0, error: null }]);
  expect(await first()).toMatchObject({ state: "delivered", error: null });
  expect((await stripe.subscriptions.retrieve(subscription)).status).toBe("canceled");
  const refunds = async () => (await stripe.refunds.list()).data.map(({ amount, status }) => [amount, status]);
  expect(await refunds()).toEqual([[1900, "succeeded"]]);
  // Stripe has forgotten the key by then.
  market.stripe.state.answers.clear();
  const second = await message("second", undo, { subscription });
  await sweep();
  expect(await second()).toMatchObject({ state: "delivered" });
  expect(await refunds()).toHaveLength(1);
});

test("D24 it is undone to its end by whoever comes after one that died in the middle", async ({
  market,
  sweep,
  stripe,
  message,
  subscribed,
  db,
}) => {
  const subscription = await subscribed();
  const before = (await stripe.refunds.list()).data.length;
  const told = await message("half", undo, { subscription });
  for (const match of ["DELETE /v1/subscriptions/", "GET /v1/invoices", "POST /v1/refunds"]) {
    market.stripe.faults.next({ kind: "drop", when: "after", times: 2, match });
    expect(await sweep()).toMatchObject([{ processed: 0, failed: 1, error: null }]);
    expect(await told()).toMatchObject({ state: "queued", error: expect.stringContaining("provider_unavailable") });
    expect((await told()).error).not.toContain("sk_test_market");
    await db.query("update messages.outbox set due_at = ops.now() where dedupe_key = 'half'");
  }
  await sweep();
  expect(await told()).toMatchObject({ state: "delivered", error: null });
  expect((await stripe.subscriptions.retrieve(subscription)).status).toBe("canceled");
  expect((await stripe.refunds.list()).data).toHaveLength(before + 1);
});

test("one that Stripe does not have is undone; what nobody understands is dead at once", async ({ sweep, message }) => {
  const gone = await message("gone", undo, { subscription: "sub_gone" });
  const odd = await message("odd", "do_something", {});
  expect(await sweep()).toMatchObject([{ processed: 1, failed: 1, error: null }]);
  expect(await gone()).toMatchObject({ state: "delivered" });
  expect(await odd()).toMatchObject({ state: "dead", attempts: 1 });
});
