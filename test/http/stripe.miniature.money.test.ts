import { describe, expect } from "vitest";
import { test } from "../support/shop.ts";
import type { Shop } from "../support/shop.ts";
import { idOf } from "../world/stripe/ids.ts";

/** A payment of 15.00, and its charge. */
async function payment(shop: Shop): Promise<{ intent: string; charge: string }> {
  const session = await shop.stripe.checkout.sessions.create({
    mode: "payment",
    line_items: [{ price: await shop.price(1500), quantity: 1 }],
    success_url: "https://shop.example/done",
  });
  const intent = idOf(shop.world.pay(session.id).payment_intent) ?? "";
  const { latest_charge: charge } = await shop.stripe.paymentIntents.retrieve(intent);
  await shop.world.settled();
  shop.taken();
  return { intent, charge: idOf(charge) ?? "" };
}

describe("refunds", () => {
  test("the stand-in gives a payment back in parts, and never more than was paid", async ({ open }) => {
    const shop = await open();
    const { intent, charge } = await payment(shop);
    const first = await shop.stripe.refunds.create({
      payment_intent: intent,
      amount: 500,
      reason: "requested_by_customer",
      metadata: { why: "late" },
    });
    expect(first).toMatchObject({ status: "succeeded", charge, amount: 500, metadata: { why: "late" } });
    await shop.world.settled();
    expect(shop.taken()).toEqual(["refund.created", "charge.refunded", "refund.updated", "charge.refund.updated"]);
    const [refunded] = shop.world.events("charge.refunded");
    expect(refunded?.data).toMatchObject({
      object: { id: charge, amount_refunded: 500, refunded: false },
      previous_attributes: { amount_refunded: 0 },
    });
    await expect(shop.stripe.refunds.create({ charge, amount: 1001 })).rejects.toMatchObject({ param: "amount" });
    await shop.stripe.refunds.create({ charge });
    expect(await shop.stripe.charges.retrieve(charge)).toMatchObject({ amount_refunded: 1500, refunded: true });
    await expect(shop.stripe.refunds.create({ charge })).rejects.toMatchObject({ code: "charge_already_refunded" });
    const listed = await shop.stripe.refunds.list({ payment_intent: intent });
    expect(listed.data.map(({ amount }) => amount)).toEqual([1000, 500]);
    const expanded = await shop.stripe.charges.retrieve(charge, { expand: ["refunds"] });
    expect(expanded.refunds?.data).toHaveLength(2);
  });

  test("the stand-in's refund may fail later, and then the charge counts it no more", async ({ open }) => {
    const shop = await open();
    const { charge } = await payment(shop);
    const { id } = await shop.stripe.refunds.create({ charge });
    await shop.world.settled();
    shop.taken();
    expect(shop.world.failRefund(id)).toMatchObject({ status: "failed", failure_reason: expect.any(String) });
    await shop.world.settled();
    expect(shop.taken()).toEqual(["charge.updated", "refund.failed", "refund.updated", "charge.refund.updated"]);
    expect(await shop.stripe.charges.retrieve(charge)).toMatchObject({ amount_refunded: 0, refunded: false });
    expect(() => shop.world.failRefund(id)).toThrow("failed already");
  });
});

test("the stand-in's refunds are on their way until they are told to arrive, where the policy says so", async ({
  open,
}) => {
  const shop = await open(undefined, { policies: { refunds: "pend" } });
  const { charge } = await payment(shop);
  const { id, status } = await shop.stripe.refunds.create({ charge });
  expect([status, (await shop.stripe.charges.retrieve(charge)).amount_refunded]).toEqual(["pending", 1500]);
  expect(shop.world.settleRefund(id).status).toBe("succeeded");
  expect(shop.world.events("refund.updated")).toMatchObject([{ data: { previous_attributes: { status: "pending" } } }]);
});

describe("disputes", () => {
  test("the stand-in's disputes take the money at once, and bring it back when they are won", async ({ open }) => {
    const shop = await open();
    const { intent, charge } = await payment(shop);
    const { id } = shop.world.openDispute({ payment: intent });
    await shop.world.settled();
    expect(shop.taken()).toEqual(["charge.dispute.created", "charge.dispute.funds_withdrawn"]);
    expect(await shop.stripe.disputes.retrieve(id)).toMatchObject({
      status: "needs_response",
      amount: 1500,
      charge,
      payment_intent: intent,
      balance_transactions: [{ amount: -1500 }],
    });
    await expect(shop.stripe.refunds.create({ charge })).rejects.toMatchObject({ code: "charge_disputed" });
    shop.world.closeDispute(id, "won");
    await shop.world.settled();
    expect(shop.taken()).toEqual([
      "charge.dispute.updated",
      "charge.dispute.closed",
      "charge.dispute.funds_reinstated",
    ]);
    expect((await shop.stripe.disputes.list({ charge })).data).toMatchObject([{ id, status: "won" }]);
    expect(() => shop.world.closeDispute(id, "lost")).toThrow("already closed");
  });

  test("the stand-in's disputes keep the money when they are lost", async ({ open }) => {
    const shop = await open();
    const { charge } = await payment(shop);
    const { id } = shop.world.openDispute({ payment: charge, amount: 700, reason: "product_not_received" });
    await shop.world.settled();
    shop.taken();
    expect(shop.world.closeDispute(id, "lost")).toMatchObject({ status: "lost", amount: 700 });
    await shop.world.settled();
    expect(shop.taken()).toEqual(["charge.dispute.updated", "charge.dispute.closed"]);
  });

  test("the stand-in's inquiries take no money, and leave the payment refundable", async ({ open }) => {
    const shop = await open();
    const { intent, charge } = await payment(shop);
    const { id } = shop.world.openDispute({ payment: intent, inquiry: true });
    expect(await shop.stripe.charges.retrieve(charge)).toMatchObject({ disputed: false });
    expect(shop.world.closeDispute(id, "won").status).toBe("warning_closed");
    expect(shop.world.events("charge.dispute.funds_withdrawn")).toEqual([]);
    expect((await shop.stripe.refunds.create({ charge })).status).toBe("succeeded");
  });
});
