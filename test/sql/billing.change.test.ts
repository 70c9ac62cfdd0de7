import { expect } from "vitest";
import { call, refusal, rows } from "../support/scenario.ts";
import type { Db } from "../support/scenario.ts";
import { test } from "../support/sql.ts";
import { Till, subscriptionFact } from "../support/till.ts";
import type { Customer, Offer } from "../support/till.ts";

async function subscribed(db: Db, plan: Offer, more: Record<string, unknown> = {}): Promise<Customer & { id: string }> {
  const till = new Till(db);
  const customer = await till.customer();
  const id = `sub_${crypto.randomUUID()}`;
  await till.send("x", subscriptionFact(customer, id, plan.price, more), 1_790_000_000);
  return { ...customer, id };
}

const change = (db: Db, { workspace }: Customer, what: string, wish: Record<string, unknown> = {}) =>
  call<Record<string, unknown>>(db, "billing.begin_change", {
    workspace_id: workspace,
    change: what,
    plan_code: null,
    plan_number: null,
    quantity: null,
    caused_by: "test",
    ...wish,
  });

test("a change is asked for at the price and quantity that it means, is written down, and is fetched if its answer is lost", async ({
  db,
}) => {
  const till = new Till(db);
  const [small, large] = [await till.plan(), await till.plan()];
  const customer = await subscribed(db, small, { quantity: 2 });
  const asked = await change(db, customer, "upgrade", { plan_code: large.code });
  expect(asked).toMatchObject({
    provider_id: customer.id,
    price_provider_id: large.price,
    current_price_provider_id: small.price,
    quantity: 2,
    schedule_id: null,
  });
  expect(await change(db, customer, "quantity", { quantity: 7 })).toMatchObject({
    price_provider_id: small.price,
    quantity: 7,
  });
  const [row] = await rows<{ due_in: number; quantity: number }>(
    db,
    `select quantity, round(extract(epoch from sync_due_at - ops.now()))::int8 as due_in
       from billing.subscription where provider_id = $1`,
    [customer.id],
  );
  expect(row?.quantity).toBe(2);
  expect(row?.due_in).toBeGreaterThan(30);
  const audit = await rows(
    db,
    "select action from ops.audit where workspace_id = $1 and action ~ '^subscription' order by id",
    [customer.workspace],
  );
  expect(audit).toEqual([{ action: "subscription.upgrade" }, { action: "subscription.quantity" }]);
});

test("what makes no sense is refused, and says why", async ({ db }) => {
  const till = new Till(db);
  const [plan, other, cheap] = [await till.plan(), await till.plan(), await till.plan({ amount: 1999 })];
  const unpublished = await call<{ number: number }>(db, "billing.create_plan", {
    code: "not_yet",
    name: "Not yet",
    included_credits: 1,
    rollover_cap: null,
    rollover_expires_in: null,
    seats: null,
    storage_bytes: null,
    trial_days: 0,
    grace_days: 0,
    currencies: ["eur"],
    interval_units: ["month"],
    interval_counts: [1],
    amounts_minor: [1],
    caused_by: "test",
  });
  expect(unpublished.number).toBe(1);
  const customer = await subscribed(db, plan);
  const invalid = (reason: string) => ({ code: "change_invalid", reason });
  const asks: [string, Record<string, unknown>, Record<string, unknown>][] = [
    ["upgrade", { plan_code: "nothing" }, { code: "plan_unknown" }],
    ["upgrade", { plan_code: plan.code, plan_number: 2 }, { code: "plan_unknown" }],
    ["upgrade", { plan_code: "not_yet" }, { code: "price_not_published" }],
    ["upgrade", { plan_code: plan.code }, invalid("it is what the subscription has")],
    ["downgrade", { plan_code: plan.code, quantity: 1 }, invalid("it is what the subscription has")],
    ["upgrade", { plan_code: cheap.code }, invalid("a plan that costs less begins with the next period")],
    ["upgrade", { plan_code: cheap.code, quantity: 9 }, invalid("a plan that costs less begins with the next period")],
    ["quantity", {}, invalid("there is nothing to change")],
    ["uncancel", {}, invalid("it is not being cancelled")],
    ["keep", {}, invalid("no change is scheduled")],
  ];
  for (const [what, wish, why] of asks) {
    expect([what, wish, await refusal(change(db, customer, what, wish))]).toEqual([what, wish, why]);
  }
  for (const status of ["past_due", "unpaid", "incomplete", "paused"]) {
    const owing = await subscribed(db, plan, { status });
    for (const [what, wish] of [
      ["upgrade", { plan_code: other.code }],
      ["quantity", { quantity: 2 }],
    ] as const) {
      expect(await refusal(change(db, owing, what, wish))).toEqual(invalid(`the subscription is ${status}`));
    }
    expect(await change(db, owing, "cancel_now")).toMatchObject({ provider_id: owing.id });
  }
});

test("a workspace without a subscription, or whose last one is over, has none to change", async ({ db }) => {
  const till = new Till(db);
  const over = await subscribed(db, await till.plan(), {
    event: "deleted",
    status: "canceled",
    ended_at: 1_790_000_000,
  });
  for (const customer of [over, await till.customer()]) {
    expect(await refusal(change(db, customer, "cancel"))).toEqual({ code: "no_subscription" });
  }
});

test("what is scheduled and what is being cancelled may be taken back", async ({ db }) => {
  const till = new Till(db);
  const customer = await subscribed(db, await till.plan(), { cancel_at: 1_792_592_000, schedule: "sub_sched_1" });
  expect(await change(db, customer, "uncancel")).toMatchObject({ provider_id: customer.id });
  expect(await change(db, customer, "keep")).toMatchObject({ schedule_id: "sub_sched_1" });
});
