import type { Stripe } from "stripe";
import { describe, expect, test } from "vitest";
import { factOf } from "../../src/outside/stripe/fact.ts";
import { wholeSubscriptionFact } from "../../src/outside/stripe/facts/subscription.ts";

/** Some members of an object of the pinned version, each by its name and type there. */
type Some<Whole> = Whole extends (infer Member)[]
  ? Some<Member>[]
  : Whole extends object
    ? { [Name in keyof Whole]?: Some<Whole[Name]> }
    : Whole;

const subscriptionOf = (changes: Some<Stripe.Subscription> = {}) =>
  ({
    id: "sub_1",
    object: "subscription",
    customer: "cus_1",
    status: "active",
    items: {
      object: "list",
      has_more: false,
      data: [
        {
          id: "si_1",
          price: { id: "price_pro" },
          quantity: 3,
          current_period_start: 1_790_000_000,
          current_period_end: 1_792_592_000,
        },
      ],
    },
    trial_end: null,
    cancel_at: null,
    cancel_at_period_end: false,
    canceled_at: null,
    ended_at: null,
    schedule: null,
    pause_collection: null,
    created: 1_790_000_000,
    ...changes,
  }) satisfies Some<Stripe.Subscription>;

interface LineWish {
  price: string;
  amount: number;
  proration?: boolean;
  start?: number;
  subscription?: string;
  /** As an invoice item of its own, which is how prorations are billed by some settings. */
  item?: boolean;
}

function lineOf({ price, amount, proration = false, start = 100, subscription = "sub_1", item = false }: LineWish) {
  const details = { proration, proration_details: null, subscription, invoice_item: "ii_1" };
  return {
    object: "line_item",
    amount,
    period: { start, end: 200 },
    pricing: { type: "price_details", price_details: { price, product: "prod_1" }, unit_amount_decimal: null },
    parent: {
      type: item ? "invoice_item_details" : "subscription_item_details",
      invoice_item_details: item ? details : null,
      subscription_item_details: item ? null : { ...details, subscription_item: "si_1" },
    },
  } satisfies Some<Stripe.InvoiceLineItem>;
}

const invoiceOf = (lines: LineWish[], changes: Some<Stripe.Invoice> = {}, has_more = false) =>
  ({
    id: "in_1",
    object: "invoice",
    customer: "cus_1",
    billing_reason: "subscription_cycle",
    parent: {
      type: "subscription_details",
      quote_details: null,
      subscription_details: { subscription: "sub_1", metadata: {} },
    },
    amount_paid: 2000,
    amount_due: 2000,
    currency: "eur",
    created: 150,
    status_transitions: { finalized_at: 151, marked_uncollectible_at: null, paid_at: 160, voided_at: null },
    lines: { object: "list", has_more, data: lines.map(lineOf) },
    ...changes,
  }) satisfies Some<Stripe.Invoice>;

const update = { billing_reason: "subscription_update" } as const;
const paid = (object: object) => factOf("invoice.paid", object);

describe("a subscription", () => {
  test("is its item, its times and its states", () => {
    expect(factOf("customer.subscription.updated", subscriptionOf())).toEqual({
      lacks: null,
      fault: null,
      fact: {
        kind: "subscription",
        event: "updated",
        subscription: "sub_1",
        customer: "cus_1",
        status: "active",
        price: "price_pro",
        quantity: 3,
        current_period_start: 1_790_000_000,
        current_period_end: 1_792_592_000,
        trial_end: null,
        cancel_at: null,
        canceled_at: null,
        ended_at: null,
        schedule: null,
        paused: false,
        created: 1_790_000_000,
      },
    });
  });

  test.each<[what: string, Some<Stripe.Subscription>, fact: object]>([
    ["that ends with its period", { cancel_at_period_end: true }, { cancel_at: 1_792_592_000 }],
    ["that ends on a day", { cancel_at: 1_799_000_000 }, { cancel_at: 1_799_000_000 }],
    ["whose payments are paused", { pause_collection: { behavior: "void" } }, { paused: true, status: "active" }],
    ["on trial", { status: "trialing", trial_end: 1_791_000_000 }, { status: "trialing", trial_end: 1_791_000_000 }],
    ["with its customer and schedule expanded", { customer: { id: "cus_2" } }, { customer: "cus_2" }],
    ["that a schedule moves", { schedule: "sub_sched_1" }, { schedule: "sub_sched_1" }],
  ])("%s", (_, changes, fact) => {
    expect(factOf("customer.subscription.deleted", subscriptionOf(changes)).fact).toMatchObject({
      event: "deleted",
      ...fact,
    });
  });

  test("of a metered price counts one", () => {
    const item = { price: { id: "price_metered" }, current_period_start: 1, current_period_end: 2 };
    const object = subscriptionOf({ items: { data: [item] } });
    expect(factOf("customer.subscription.created", object).fact).toMatchObject({ quantity: 1 });
  });

  test("that was fetched says what its schedule will do, and that there is none", () => {
    expect(wholeSubscriptionFact(subscriptionOf())).toMatchObject({ next_price: null, next_price_at: null });
    const phases = [
      { start_date: 100, items: [{ price: "price_pro" }] },
      { start_date: 200, items: [{ price: "price_basic" }] },
    ];
    const schedule = { id: "sub_sched_1", current_phase: { start_date: 100, end_date: 200 }, phases };
    const moved = { schedule: "sub_sched_1", next_price: "price_basic", next_price_at: 200 };
    expect(wholeSubscriptionFact(subscriptionOf({ schedule }))).toMatchObject(moved);
    // The change has come, and the schedule is about to let go.
    const over = { ...schedule, current_phase: { start_date: 200, end_date: 300 } };
    expect(wholeSubscriptionFact(subscriptionOf({ schedule: over }))).toMatchObject({ next_price: null });
  });
});

describe("an invoice", () => {
  test("of a period: the price and the period of its subscription's line, and not those of prorations", () => {
    const lines = [
      { price: "price_pro", amount: -500, proration: true, start: 50 },
      { price: "price_pro", amount: 1500, proration: true, start: 50 },
      { price: "price_pro", amount: 2000 },
    ];
    expect(paid(invoiceOf(lines)).fact).toEqual({
      kind: "invoice",
      event: "paid",
      invoice: "in_1",
      customer: "cus_1",
      subscription: "sub_1",
      billing_reason: "subscription_cycle",
      amount_paid: 2000,
      amount_due: 2000,
      currency: "eur",
      created: 150,
      paid_at: 160,
      price: "price_pro",
      from_price: null,
      begins: false,
      starts_at: 100,
      ends_at: 200,
      payment_intents: [],
    });
  });

  test("of nothing is one too: a trial begins so", () => {
    const object = invoiceOf([{ price: "price_pro", amount: 0 }], {
      billing_reason: "subscription_create",
      amount_paid: 0,
      amount_due: 0,
    });
    expect(paid(object).fact).toMatchObject({ price: "price_pro", amount_paid: 0 });
  });

  test.each<[what: string, LineWish[], fact: object]>([
    [
      "to a dearer plan",
      [
        { price: "price_basic", amount: -500, proration: true },
        { price: "price_pro", amount: 1000, proration: true },
      ],
      { price: "price_pro", from_price: "price_basic", starts_at: 100, ends_at: 200 },
    ],
    [
      "whose prorations are items of their own",
      [
        { price: "price_pro", amount: 1000, proration: true, item: true },
        { price: "price_basic", amount: -500, proration: true, item: true },
      ],
      { price: "price_pro", from_price: "price_basic" },
    ],
    [
      "of the quantity alone: from the price to itself",
      [
        { price: "price_pro", amount: -500, proration: true },
        { price: "price_pro", amount: 1000, proration: true },
      ],
      { price: "price_pro", from_price: "price_pro" },
    ],
    [
      "to another interval, whose period begins now",
      [
        { price: "price_monthly", amount: -500, proration: true, start: 120 },
        { price: "price_yearly", amount: 20_000, start: 120 },
      ],
      { price: "price_yearly", from_price: "price_monthly", begins: false, starts_at: 120 },
    ],
    [
      "after changes of the quantity that were not billed yet",
      [
        { price: "price_basic", amount: -400, proration: true, start: 110 },
        { price: "price_basic", amount: 800, proration: true, start: 110 },
        { price: "price_basic", amount: -700, proration: true, start: 130 },
        { price: "price_pro", amount: 1400, proration: true, start: 130 },
      ],
      { price: "price_pro", from_price: "price_basic", starts_at: 130 },
    ],
    [
      "with a change of the quantity in the same second",
      [
        { price: "price_basic", amount: -400, proration: true },
        { price: "price_basic", amount: 800, proration: true },
        { price: "price_basic", amount: -800, proration: true },
        { price: "price_pro", amount: 1600, proration: true },
      ],
      { price: "price_pro", from_price: "price_basic" },
    ],
    [
      "from a plan for nothing, whose period begins anew with the first that costs",
      [
        { price: "price_free", amount: 0, proration: true, start: 120 },
        { price: "price_pro", amount: 1000, start: 120 },
      ],
      { price: "price_pro", from_price: "price_free", starts_at: 120 },
    ],
    [
      "to a plan for nothing",
      [
        { price: "price_pro", amount: -500, proration: true },
        { price: "price_free", amount: 0, proration: true },
      ],
      { price: "price_free", from_price: "price_pro" },
    ],
    [
      "between plans for nothing, of which nobody can say which was first",
      [
        { price: "price_free", amount: 0, proration: true },
        { price: "price_gift", amount: 0, proration: true },
      ],
      { price: null, from_price: null },
    ],
    [
      "from a trial, which paid nothing",
      [{ price: "price_pro", amount: 1000, proration: true }],
      { price: "price_pro", from_price: null },
    ],
    [
      "that is none: a trial ends early, and a period begins that nothing is credited against",
      [{ price: "price_pro", amount: 1000 }],
      { price: "price_pro", from_price: null, begins: true, starts_at: 100, ends_at: 200 },
    ],
    [
      "within a trial, which goes on and costs nothing",
      [{ price: "price_pro", amount: 0 }],
      { price: "price_pro", from_price: null, begins: false },
    ],
  ])("of a change %s", (_, lines, fact) => {
    expect(paid(invoiceOf(lines, update)).fact).toMatchObject(fact);
    expect(paid(invoiceOf(lines.toReversed(), update)).fact).toMatchObject(fact);
  });

  test("of another subscription's lines, or without a subscription, bills no price of ours", () => {
    const none = { price: null, from_price: null, starts_at: null, ends_at: null };
    expect(paid(invoiceOf([{ price: "price_1", amount: 5, subscription: "sub_2" }])).fact).toMatchObject(none);
    const object = invoiceOf([{ price: "price_1", amount: 5 }], { parent: null, billing_reason: "manual" });
    expect(paid(object).fact).toMatchObject({ subscription: null, ...none });
  });

  test("whose line may be behind the ten that Stripe embeds must be fetched", () => {
    const proration = { price: "price_pro", amount: 5, proration: true };
    const line = { price: "price_pro", amount: 5 };
    const fetched = { fact: null, lacks: "lines", fault: null };
    expect(paid(invoiceOf([proration], {}, true))).toEqual(fetched);
    expect(paid(invoiceOf([proration, line], update, true))).toEqual(fetched);
    expect(paid(invoiceOf([proration, line], {}, true)).fact).toMatchObject({ price: "price_pro" });
  });

  test("says by which intents it was paid, where they were asked for", () => {
    const data = [
      { payment: { type: "payment_intent", payment_intent: "pi_1" } },
      { payment: { type: "charge", charge: "ch_1" } },
    ];
    expect(paid(invoiceOf([], { payments: { data } })).fact).toMatchObject({ payment_intents: ["pi_1"] });
  });

  test("that was not paid is dated when it was made", () => {
    const object = invoiceOf([], { status_transitions: { paid_at: null }, amount_paid: 0 });
    expect(factOf("invoice.payment_failed", object).fact).toMatchObject({ event: "payment_failed", paid_at: 150 });
  });
});
