import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { advance, outcome, refusal, rows } from "../support/scenario.ts";
import { Subscriber, soldPlan, sweepAll, timeOf, travelTo } from "../support/subscriber.ts";
import { Till, subscriptionFact } from "../support/till.ts";
import { test } from "../support/sql.ts";

// What a period that is paid for gives, whenever it is paid: on time, in advance, late, and when no sweep ran.

const day = 86_400_000;

/** How many days a subscription is paid for from now on, rounded. */
async function daysLeft(of: Subscriber): Promise<number> {
  const [now, { current_period_end }] = [await timeOf(of.db), await of.standing()];
  return Math.round((Date.parse(current_period_end) - Date.parse(now)) / day);
}

/** What is left of its credits, by pool. */
const credits = (of: Subscriber) => new Till(of.db).credits(of.workspace);

test("D20 thirty days after a year of months are thirty days more: a month is no length of time", async ({ db }) => {
  const [monthly, daily] = [await soldPlan(db, { grace_days: 5 }), await soldPlan(db, { every: [30, "day"] })];
  const of = await Subscriber.make(db, 0);
  for (let month = 0; month < 14; month += 1) await of.pay(monthly);
  await travelTo(db, (await of.standing()).current_period_end);
  await sweepAll(db, "auto_renew");
  expect(await of.standing()).toMatchObject({ state: "past_due", period_number: 14 });
  await of.pay(daily);
  expect([await daysLeft(of), (await of.standing()).period_number]).toEqual([30, 15]);
});

test("D7 a period that is paid for after the end that no sweep has seen begins now, and nothing is paid for the past", async ({
  db,
}) => {
  const [plan, other] = [await soldPlan(db), await soldPlan(db, { every: [2, "week"] })];
  const [same, moved] = [await Subscriber.make(db), await Subscriber.make(db)];
  for (const of of [same, moved]) await of.pay(plan, { auto_renew: false });
  const { keys } = await same.access();
  await advance(db, "100 days");
  expect((await same.access()).until).toBeNull();
  await same.pay(plan);
  await moved.pay(other, { auto_renew: false });
  expect(await daysLeft(same)).toBeGreaterThanOrEqual(28);
  expect(await daysLeft(moved)).toBe(14);
  expect(await same.standing()).toMatchObject({
    period_number: 2,
    renew_at: (await same.standing()).current_period_end,
  });
  expect((await moved.standing()).renew_at).toBeNull();
  await sweepAll(db, "expire");
  // D19: nobody had taken it away.
  expect(await same.access()).toEqual({ keys, states: ["pending"], until: (await same.standing()).current_period_end });
});

test("D7 a period that is paid for while its renewal is due, and is not tried yet, takes its place", async ({ db }) => {
  const plan = await soldPlan(db, { every: [1, "day"], grace_days: 6, included_credits: 5 });
  const of = await Subscriber.make(db);
  await of.pay(plan);
  const end = (await of.standing()).current_period_end;
  await advance(db, "36 hours");
  await of.pay(plan);
  expect(await of.standing()).toMatchObject({ state: "active", period_number: 2, current_period_start: end });
  await advance(db, "3 days");
  await of.pay(plan);
  expect([await daysLeft(of), (await of.standing()).period_number]).toEqual([1, 3]);
  expect(await refusal(of.pay(plan))).toEqual({ code: "subscription_exists", state: "active" });
});

test("D9 who cannot pay yet is let in for its grace, whether a sweep has said that it owes or not", async ({ db }) => {
  const [plan, hard] = [await soldPlan(db, { grace_days: 3 }), await soldPlan(db)];
  const [of, other] = [await Subscriber.make(db), await Subscriber.make(db)];
  await of.pay(plan);
  await other.pay(hard);
  const end = Date.parse((await of.standing()).current_period_end);
  await travelTo(db, (await other.standing()).current_period_end);
  const before = (await of.access()).until;
  expect(Date.parse(before ?? "") - end).toBe(3 * day);
  expect((await other.access()).until).toBeNull();
  await sweepAll(db, "auto_renew");
  expect(await of.standing()).toMatchObject({ state: "past_due" });
  expect((await of.access()).until).toBe(before);
  await advance(db, "3 days");
  expect((await of.access()).until).toBeNull();
});

test("D8 what a trial's plan gave ends with the trial, also where the plan that is paid for gives nothing", async ({
  db,
}) => {
  const [tried, plain] = [await soldPlan(db, { trial_days: 7, included_credits: 30 }), await soldPlan(db)];
  const [bought, renewed] = [await Subscriber.make(db), await Subscriber.make(db, 600)];
  await bought.tryOut(tried);
  await renewed.tryOut(tried, { auto_renew: true });
  expect(await credits(bought)).toEqual({ subscription: 30 });
  await bought.pay(plain);
  expect(await credits(bought)).toEqual({});
  await renewed.renewal(true, { plan: plain });
  await advance(db, "7 days 1 minute");
  await sweepAll(db, "auto_renew");
  expect(await renewed.standing()).toMatchObject({ state: "active", period_number: 1 });
  expect([await credits(renewed), await renewed.cents()]).toEqual([{}, 100]);
});

test("D8 a trial gives way to a provider's subscription that is paid for, whichever is told of first", async ({
  db,
}) => {
  const till = new Till(db);
  const [offer, plan] = [await till.plan(), await soldPlan(db, { trial_days: 7, included_credits: 3 })];
  const customer = await till.customer();
  const of = (await Subscriber.make(db)).of(customer.workspace);
  await of.tryOut(plan);
  const told = (status: string, ago: number) =>
    till.send(
      "x",
      subscriptionFact(customer, "sub_paid", offer.price, { status }),
      Math.floor(Date.now() / 1000) - ago,
    );
  await told("incomplete", 60);
  expect(await of.access()).toMatchObject({ states: ["pending"] });
  await told("active", 30);
  const found = await rows(
    db,
    "select collection, state, ended_reason, superseded_by from billing.subscription where workspace_id = $1 order by id",
    [of.workspace],
  );
  expect(found).toEqual([
    { collection: "balance", state: "canceled", ended_reason: "trial_ended", superseded_by: null },
    { collection: "stripe", state: "active", ended_reason: null, superseded_by: null },
  ]);
  expect(await of.access()).toMatchObject({ states: ["removing"] });
  expect(await credits(of)).toEqual({});
  expect(await outcome(of.pay(plan))).toBe("subscription_exists");
});

test("what was arranged for after a period comes after those that are paid for in advance", async ({ db }) => {
  const [plan, next] = [await soldPlan(db), await soldPlan(db, { amount: 300 })];
  const of = await Subscriber.make(db, 2000);
  await of.pay(plan);
  await of.change("downgrade", next, 2);
  await of.pay(plan);
  const { current_period_end } = await of.standing();
  const scheduled = () =>
    rows(db, "select next_price_id, next_price_at, next_quantity from billing.subscription where workspace_id = $1", [
      of.workspace,
    ]);
  expect(await scheduled()).toEqual([
    { next_price_id: next.price, next_price_at: current_period_end, next_quantity: 2 },
  ]);
  await travelTo(db, current_period_end);
  await sweepAll(db, "auto_renew");
  expect([await of.cents(), (await of.standing()).period_number]).toEqual([1400, 3]);
  expect(await scheduled()).toEqual([{ next_price_id: null, next_price_at: null, next_quantity: null }]);
});

test("D4 who pays late is paid for where the period stood, for as long as that period lasts by its anchor", async ({
  db,
}) => {
  const patient = await soldPlan(db, { grace_days: 40 });
  const of = await Subscriber.make(db);
  await travelTo(db, "2041-01-31T12:00:00Z");
  await of.pay(patient);
  await travelTo(db, "2041-02-28T12:30:00Z");
  await sweepAll(db, "auto_renew");
  expect(await of.standing()).toMatchObject({ state: "past_due", period_number: 1 });
  // A month after February 28 it is over; the second period ends on March 31.
  await travelTo(db, "2041-03-29T12:00:00Z");
  await of.pay(patient);
  const { current_period_start, current_period_end, ...paid } = await of.standing();
  expect(paid).toMatchObject({ state: "active", period_number: 2 });
  expect([current_period_start.slice(0, 10), current_period_end.slice(0, 10)]).toEqual(["2041-02-28", "2041-03-31"]);
});

test("D4 D18 who is let in because his balance has the next period's price is let in by it, however late the sweep: it begins then", async ({
  db,
}) => {
  const [month, days] = [await soldPlan(db), await soldPlan(db, { amount: 30, every: [1, "day"] })];
  const of = await Subscriber.make(db, 500);
  await of.pay(month);
  await of.renewal(true, { plan: days, every: [1, "day"] });
  const { current_period_end } = await of.standing();
  await travelTo(db, new Date(Date.parse(current_period_end) + 4 * day).toISOString());
  expect((await of.access()).until).not.toBeNull();
  await sweepAll(db, "auto_renew");
  await sweepAll(db, "expire");
  expect([await of.cents(), (await of.standing()).period_number, await daysLeft(of)]).toEqual([470, 2, 1]);
  expect((await of.access()).until).toBe((await of.standing()).current_period_end);
});

test("a reminder that is due and not told yet is told, whatever its customer arranges before the sweep comes", async ({
  db,
}) => {
  const [plan, dearer] = [await soldPlan(db), await soldPlan(db, { amount: 700 })];
  const reminded = async (of: Subscriber) =>
    (await of.notices()).flatMap(({ kind, body }) => (kind === "reminder" ? [body["days"]] : []));
  const [arranges, cancels, pays] = [await Subscriber.make(db), await Subscriber.make(db), await Subscriber.make(db)];
  for (const of of [arranges, cancels, pays]) await of.pay(plan);
  const { current_period_end } = await arranges.standing();
  await travelTo(db, new Date(Date.parse(current_period_end) - 2.5 * day).toISOString());
  await arranges.renewal(true, { plan: dearer });
  await cancels.change("cancel");
  await pays.pay(plan);
  await sweepAll(db, "reminders");
  expect([await reminded(arranges), await reminded(cancels)]).toEqual([[3], [3]]);
  // Its period ends a month later than what it was to hear of.
  expect(await reminded(pays)).toEqual([]);
});

test("one that is ended at once is no longer parked", async ({ db }) => {
  const plan = await soldPlan(db);
  const of = await Subscriber.make(db);
  const id = await of.pay(plan);
  await db.query(
    "update billing.subscription set parked_until = ops.park('reminders', id::text, 'P0001', $2) where id = $1",
    [id, randomUUID()],
  );
  await of.change("cancel_now");
  expect(await rows(db, "select parked_until from billing.subscription where id = $1", [id])).toEqual([
    { parked_until: null },
  ]);
  expect(await rows(db, "select from ops.parked where subject = $1", [id])).toEqual([]);
});
