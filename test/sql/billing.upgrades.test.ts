import { expect } from "vitest";
import { Account, call } from "../support/scenario.ts";
import { orders } from "../support/orders.ts";
import { test } from "../support/sql.ts";
import { Till, invoiceFact } from "../support/till.ts";
import type { Customer, TillEvent } from "../support/till.ts";

const at = (date: string) => Date.parse(`${date}${date.includes("T") ? "" : "T00:00"}Z`) / 1000;

interface Prices {
  month: string;
  year: string;
}

/** A plan of 20, 50 and 110 credits, monthly and yearly. */
async function ladder(till: Till): Promise<Record<"a" | "b" | "c", Prices>> {
  const made: Prices[] = [];
  for (const included_credits of [20, 50, 110]) {
    const code = `plan_${crypto.randomUUID().replaceAll("-", "").slice(0, 12)}`;
    await call(till.db, "billing.create_plan", {
      code,
      name: code,
      included_credits,
      rollover_cap: null,
      rollover_expires_in: null,
      seats: null,
      storage_bytes: null,
      trial_days: 0,
      grace_days: 7,
      currencies: ["eur", "eur"],
      interval_units: ["month", "year"],
      interval_counts: [1, 1],
      amounts_minor: [100, 1000],
      caused_by: "test",
    });
    const price = (every: string) => till.publish(`tollgate_${code}_1_eur_1${every}`);
    made.push({ month: await price("month"), year: await price("year") });
  }
  const [a, b, c] = made;
  if (a === undefined || b === undefined || c === undefined) throw new Error("there are three");
  return { a, b, c };
}

/** One subscription's invoices. */
class Bills {
  readonly of: Customer;
  readonly id = `sub_${crypto.randomUUID().slice(0, 12)}`;

  constructor(of: Customer) {
    this.of = of;
  }

  period(price: string, starts: string, ends: string, more: Record<string, unknown> = {}) {
    return invoiceFact(this.of, this.id, price, { starts_at: at(starts), ends_at: at(ends), ...more });
  }

  change(from_price: string | null, price: string, starts: string, ends: string) {
    const more = { billing_reason: "subscription_update", from_price };
    return invoiceFact(this.of, this.id, price, { starts_at: at(starts), ends_at: at(ends), ...more });
  }
}

const dates: [what: string, every: "month" | "year", starts: string, changed: string, ends: string, given: number][] = [
  ["half a month", "month", "2026-04-01", "2026-04-16", "2026-05-01", 15],
  ["all of a month", "month", "2026-04-01", "2026-04-01", "2026-05-01", 30],
  ["its last second", "month", "2026-04-01", "2026-04-30T23:59:59", "2026-05-01", 0],
  ["Jan 31 to Feb 28: 14 days of 28", "month", "2026-01-31", "2026-02-14", "2026-02-28", 15],
  ["Jan 31 to Feb 29 of a leap year: 15 of 29", "month", "2028-01-31", "2028-02-14", "2028-02-29", 15],
  ["Jan 28 to Feb 28: 14 of 31", "month", "2026-01-28", "2026-02-14", "2026-02-28", 13],
  ["Feb 28 to Mar 31, anchored on the 31st: 31 days", "month", "2026-02-28", "2026-03-16", "2026-03-31", 14],
  ["half a year", "year", "2026-01-01", "2026-07-02T12:00", "2027-01-01", 15],
  ["Feb 29 to Feb 28 a year later", "year", "2028-02-29", "2028-02-29", "2029-02-28", 30],
  ["a trial of 14 days, in its middle", "month", "2026-04-01", "2026-04-08", "2026-04-15", 15],
  ["a trial of 60 days, in its middle", "month", "2026-04-01", "2026-05-01", "2026-05-31", 15],
];

test.for(dates)(
  "an upgrade gives the difference for what is left: %s",
  async ([, every, starts, changed, ends, given], { db }) => {
    const till = new Till(db);
    const { a, b } = await ladder(till);
    for (const order of ["in order", "the change first"]) {
      const bills = new Bills(await till.customer());
      const facts = [bills.period(a[every], starts, ends), bills.change(a[every], b[every], changed, ends)];
      for (const fact of order === "in order" ? facts : facts.toReversed()) await till.send("invoice.paid", fact);
      expect([order, await till.credits(bills.of.workspace)]).toEqual([order, { subscription: 20 + given }]);
    }
  },
);

/** Delivers the same invoices in every order, each order to a customer of its own. */
async function everyOrder(
  till: Till,
  make: (bills: Bills) => ReturnType<Bills["period"]>[],
  credits: Record<string, number>,
) {
  const facts = make(new Bills(await till.customer()));
  for (const order of orders([...facts.keys()])) {
    const bills = new Bills(await till.customer());
    const events: TillEvent[] = make(bills).map((fact) => till.event("invoice.paid", fact));
    for (const i of order) await till.deliver(events[i] ?? till.event("none", null));
    expect([order, await till.credits(bills.of.workspace)]).toEqual([order, credits]);
  }
}

const [from, to] = ["2026-04-01", "2026-05-01"] as const;

test("A → B → A → B gives the way up once, in every order: by the first time", async ({ db }) => {
  const till = new Till(db);
  const { a, b } = await ladder(till);
  const make = (bills: Bills) => [
    bills.period(a.month, from, to),
    bills.change(a.month, b.month, "2026-04-11", to),
    bills.change(b.month, a.month, "2026-04-16", to),
    bills.change(a.month, b.month, "2026-04-21", to),
  ];
  await everyOrder(till, make, { subscription: 20 + 20 });
});

test("A → B → A → C gives each step up once, each for what was left when it was first made", async ({ db }) => {
  const till = new Till(db);
  const { a, b, c } = await ladder(till);
  const make = (bills: Bills) => [
    bills.period(a.month, from, to),
    bills.change(a.month, b.month, "2026-04-11", to),
    bills.change(b.month, a.month, "2026-04-12", to),
    bills.change(a.month, c.month, "2026-04-16", to),
  ];
  // 30 × 20/30 and 60 × 15/30
  await everyOrder(till, make, { subscription: 20 + 20 + 30 });
});

test("leaving a better plan and coming back gives nothing; nor does a quantity, or what nobody knows", async ({
  db,
}) => {
  const till = new Till(db);
  const { a, b } = await ladder(till);
  const bills = new Bills(await till.customer());
  await till.send("invoice.paid", bills.period(b.month, from, to));
  for (const [price, changed] of [
    [a.month, "2026-04-02"],
    [b.month, "2026-04-03"],
  ] as const) {
    await till.send("invoice.paid", bills.change(price === a.month ? b.month : a.month, price, changed, to));
  }
  for (const unknown of [b.month, null, "price_of_another_product"]) {
    const change = bills.change(unknown, b.month, "2026-04-04", to);
    expect(await till.send("invoice.paid", change)).toMatchObject({ state: "applied", outcome: "nothing" });
  }
  expect(await till.credits(bills.of.workspace)).toEqual({ subscription: 50 });
});

test("B2 two changes in two periods, told in every order, end as in their own", async ({ db }) => {
  const till = new Till(db);
  const { a, b, c } = await ladder(till);
  const make = (bills: Bills) => [
    bills.period(a.month, from, to),
    bills.change(a.month, b.month, "2026-04-16", to),
    bills.period(b.month, to, "2026-06-01"),
    bills.change(b.month, c.month, "2026-05-16T12:00", "2026-06-01"),
  ];
  await everyOrder(till, make, { subscription: 50 + 30 });
});

test("a change of interval begins a period of its own, of which later changes have their part", async ({ db }) => {
  const till = new Till(db);
  const { a, c } = await ladder(till);
  const make = (bills: Bills) => [
    bills.period(a.month, from, to),
    bills.change(a.month, a.year, "2026-04-16", "2027-04-16"),
    bills.change(a.year, c.year, "2026-10-15T12:00", "2027-04-16"),
  ];
  // Half a year of 90 more.
  await everyOrder(till, make, { subscription: 20 + 45 });
});

test("B2 what a change of interval left counts as what its period began with", async ({ db }) => {
  const till = new Till(db);
  const { a, b, c } = await ladder(till);
  const make = (bills: Bills) => [
    bills.period(a.month, from, to),
    bills.change(a.month, b.month, "2026-04-28", to),
    bills.change(b.month, b.year, "2026-04-28T00:00:01", "2027-04-28T00:00:01"),
    bills.change(a.year, c.year, "2026-10-27T12:00:01", "2027-04-28T00:00:01"),
  ];
  // 30 × 3/30 of the month, and 60 for half of the year.
  await everyOrder(till, make, { subscription: 20 + 3 + 30 });
});

test("an upgrade waits until its period is known exactly, and not only from the checkout", async ({ db }) => {
  const till = new Till(db);
  const plans = [await till.plan({ included_credits: 20 }), await till.plan({ included_credits: 50 })];
  const [low, high] = plans;
  if (low === undefined || high === undefined) throw new Error("there are two");
  const bills = new Bills(await till.customer());
  const checkout = await till.checkout(bills.of, { plan: low });
  const first = bills.period(low.price, from, to, { billing_reason: "subscription_create" });
  await till.send("x", {
    kind: "checkout",
    event: "completed",
    ...checkout,
    customer: bills.of.customer,
    mode: "subscription",
    status: "complete",
    payment_status: "paid",
    payment_intent: null,
    invoice: first.invoice,
    subscription: bills.id,
    amount_total: 2000,
    currency: "eur",
    created: at(from) - 3600,
  });
  const upgrade = bills.change(low.price, high.price, "2026-04-16", to);
  expect(await till.send("x", upgrade)).toMatchObject({ outcome: "waiting" });
  expect(await till.credits(bills.of.workspace)).toEqual({ subscription: 20 });
  expect(await till.send("x", first)).toMatchObject({ outcome: "known" });
  expect(await till.credits(bills.of.workspace)).toEqual({ subscription: 35 });
});

test("what an upgrade gave is taken back with its own payment", async ({ db }) => {
  const till = new Till(db);
  const { a, b } = await ladder(till);
  const bills = new Bills(await till.customer());
  await till.send("x", bills.period(a.month, from, to, { payment_intents: ["pi_up_1"] }));
  const upgrade = {
    ...bills.change(a.month, b.month, "2026-04-16", to),
    payment_intents: ["pi_up_2"],
    amount_paid: 1000,
  };
  await till.send("x", upgrade);
  const account = new Account(db, { owner: bills.of.workspace });
  await account.spend(5);
  const refund = {
    kind: "refund",
    payment_intent: "pi_up_2",
    charge: "ch_up",
    amount: 1000,
    status: "succeeded",
    created: 1,
  };
  await till.send("x", { ...refund, refund: "re_up" });
  expect(await till.credits(bills.of.workspace)).toEqual({ subscription: 15 });
});

test("a change that bills no price gives nothing, and waits for none", async ({ db }) => {
  const till = new Till(db);
  const of = await till.customer();
  const bill = (billing_reason: string) =>
    invoiceFact(of, `sub_${of.customer}`, "", { billing_reason, price: null, starts_at: null, ends_at: null });
  expect(await till.send("invoice.paid", bill("subscription_update"))).toMatchObject({ state: "applied" });
  // A period that bills none is one that nobody here sold: a person must hear.
  expect(await till.send("invoice.paid", bill("subscription_cycle"))).toMatchObject({ state: "parked" });
});
