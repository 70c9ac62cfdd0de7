import { describe, expect, test } from "vitest";
import { eventTypes, factOf } from "../../src/outside/stripe/fact.ts";

const uuid = "0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b";

const session = {
  id: "cs_test_a1",
  object: "checkout.session",
  customer: "cus_1",
  mode: "payment",
  status: "complete",
  payment_status: "paid",
  payment_intent: "pi_1",
  invoice: null,
  subscription: null,
  amount_total: 1000,
  currency: "eur",
  client_reference_id: uuid,
  url: "https://checkout.stripe.com/c/pay/cs_test_a1#fid",
  created: 100,
};

const charge = { id: "ch_1", payment_intent: "pi_1", customer: "cus_1", amount: 1000, amount_refunded: 400 };
const refund = { id: "re_1", payment_intent: "pi_1", charge: "ch_1", amount: 400, status: "succeeded", created: 100 };
const dispute = {
  id: "du_1",
  payment_intent: "pi_1",
  charge: "ch_1",
  amount: 1000,
  status: "needs_response",
  created: 100,
};

test("a checkout is its session, how it was paid, and the purchase that it was made for", () => {
  const { id, object: _, client_reference_id, ...rest } = session;
  const fact = { kind: "checkout", session: id, purchase: client_reference_id, ...rest };
  for (const event of ["completed", "async_payment_succeeded", "async_payment_failed", "expired"]) {
    expect(factOf(`checkout.session.${event}`, session).fact).toEqual({ ...fact, event });
  }
});

test.each([
  ["of nothing to pay", { payment_status: "no_payment_required", payment_intent: null, amount_total: 0 }],
  ["that was expanded", { payment_intent: { id: "pi_1", object: "payment_intent" } }, { payment_intent: "pi_1" }],
  ["that somebody else made", { client_reference_id: "their own" }, { purchase: null }],
  ["without a reference", { client_reference_id: null }, { purchase: null }],
  ["that is over", { status: "expired", url: null }, { status: "expired", url: null }],
  ["without a customer", { customer: null }, { customer: null }],
])("a checkout %s", (_, changes: object, expected: object = changes) => {
  expect(factOf("checkout.session.completed", { ...session, ...changes }).fact).toMatchObject(expected);
});

test("what went back: the charge's total, each refund, each dispute", () => {
  const ids = { payment_intent: "pi_1", charge: "ch_1" };
  expect(factOf("charge.refunded", charge).fact).toEqual({
    kind: "charge",
    ...ids,
    customer: "cus_1",
    amount: 1000,
    amount_refunded: 400,
  });
  for (const type of ["refund.created", "refund.updated", "refund.failed"]) {
    const fact = { kind: "refund", refund: "re_1", ...ids, amount: 400, status: "succeeded", created: 100 };
    expect(factOf(type, refund).fact).toEqual(fact);
  }
  for (const event of ["created", "funds_withdrawn", "funds_reinstated", "closed"]) {
    const fact = { kind: "dispute", dispute: "du_1", ...ids, amount: 1000, status: "needs_response", created: 100 };
    expect(factOf(`charge.dispute.${event}`, dispute).fact).toEqual(fact);
  }
});

test("a customer that was deleted", () => {
  const fact = { kind: "customer", customer: "cus_1", deleted: true };
  expect(factOf("customer.deleted", { id: "cus_1", object: "customer" }).fact).toEqual(fact);
});

test("a type without an effect is not looked at", () => {
  const nothing = { fact: null, lacks: null, fault: null };
  for (const type of ["product.created", "customer.created", "invoice.created", "charge.dispute.updated", "x", ""]) {
    expect(factOf(type, { id: 7 })).toEqual(nothing);
  }
});

test("each type that has an effect is read, and what it cannot read it says", () => {
  for (const type of eventTypes) {
    expect(factOf(type, {})).toMatchObject({ fact: null, lacks: null, fault: expect.stringContaining(type) });
  }
});

describe("what no fact may hold", () => {
  const long = "x".repeat(256);
  const bad: [type: string, object: object][] = [
    ...["", "cus_\u0000", "cus_\ud800", "cus 1", `cus_${long}`, 7, {}].map((customer): [string, object] => [
      "checkout.session.completed",
      { ...session, customer },
    ]),
    ...[-1, 0.5, 2 ** 53, "1000", Number.NaN].map((amount): [string, object] => [
      "refund.created",
      { ...refund, amount },
    ]),
    ...[-1, 1e12, "now", 1.5].map((created): [string, object] => ["charge.dispute.closed", { ...dispute, created }]),
    ...["", "A\nB", "paid; drop", `a${long}`].map((status): [string, object] => [
      "charge.dispute.closed",
      { ...dispute, status },
    ]),
    ["checkout.session.completed", { ...session, currency: "euro" }],
    ["checkout.session.completed", { ...session, url: "https://pay.example/\u0000" }],
    ["checkout.session.completed", { ...session, url: "javascript:alert(1)" }],
    ["charge.refunded", { ...charge, amount_refunded: null }],
  ];

  test.each(bad)("%s %j", (type, object) => {
    const { fact, lacks, fault } = factOf(type, object);
    expect([fact, lacks]).toEqual([null, null]);
    expect(fault?.length).toBeGreaterThan(type.length);
    expect(fault?.length).toBeLessThanOrEqual(500);
    expect(fault?.isWellFormed()).toBe(true);
    expect(fault).not.toContain("\u0000");
  });
});
