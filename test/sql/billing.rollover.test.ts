import { expect } from "vitest";
import { Account, advance, rows } from "../support/scenario.ts";
import type { Db } from "../support/scenario.ts";
import { test } from "../support/sql.ts";
import { Till, invoiceFact, subscriptionFact } from "../support/till.ts";
import type { Customer } from "../support/till.ts";

const month = 30 * 86_400;

/** A customer of a plan of 20 that rolls over, with periods of thirty days of which the first begins now. */
async function subscribed(db: Db, wish: { rollover_cap: number | null; rollover_expires_in?: string }) {
  const till = new Till(db);
  const plan = await till.plan({ included_credits: 20, ...wish });
  const of = await till.customer();
  const id = `sub_${crypto.randomUUID()}`;
  const [row] = await rows<{ at: number }>(db, "select extract(epoch from ops.now())::int8 as at");
  const start = row?.at ?? 0;
  const period = (n: number, more: Record<string, unknown> = {}) =>
    invoiceFact(of, id, plan.price, { starts_at: start + n * month, ends_at: start + (n + 1) * month, ...more });
  const account = new Account(db, { owner: of.workspace });
  return { till, plan, of, id, start, period, account };
}

const credits = (till: Till, { workspace }: Customer) => till.credits(workspace);

test("A3 what is left of a period rolls over up to the cap, is spent after the new, and nothing else is touched", async ({
  db,
}) => {
  const { till, of, period, account } = await subscribed(db, { rollover_cap: 30 });
  await account.grant(7);
  const seen: Record<string, number>[] = [];
  for (const n of [0, 1, 2, 3]) {
    await till.send("x", period(n));
    seen.push(await credits(till, of));
    if (n === 0) await account.spend(5);
  }
  expect(seen).toEqual([
    { subscription: 20, bulk: 7 },
    { subscription: 20, rollover: 15, bulk: 7 },
    { subscription: 20, rollover: 30, bulk: 7 },
    { subscription: 20, rollover: 30, bulk: 7 },
  ]);
});

test("without a cap nothing rolls over", async ({ db }) => {
  const { till, of, period } = await subscribed(db, { rollover_cap: null });
  for (const n of [0, 1]) await till.send("x", period(n));
  expect(await credits(till, of)).toEqual({ subscription: 20 });
});

test("what rolled over expires as long after the period's beginning as the plan says, however late that is told", async ({
  db,
}) => {
  const { till, of, period } = await subscribed(db, { rollover_cap: 30, rollover_expires_in: "10 days" });
  await till.send("x", period(0));
  await advance(db, "34 days");
  await till.send("x", period(1));
  expect(await credits(till, of)).toEqual({ subscription: 20, rollover: 20 });
  await advance(db, "6 days 1 minute");
  expect(await credits(till, of)).toEqual({ subscription: 20 });
  // After its expiry it rolls over no more.
  await advance(db, "60 days");
  await till.send("x", period(2));
  expect(await credits(till, of)).toEqual({ subscription: 20 });
});

test("B2 invoices of periods that others have followed give what would have rolled over, in every order", async ({
  db,
}) => {
  const orders = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ];
  for (const rollover_cap of [null, 15, 30, 100]) {
    const ends = [];
    for (const order of orders) {
      const { till, of, period } = await subscribed(db, { rollover_cap });
      for (const n of order) expect(await till.send("x", period(n))).toMatchObject({ state: "applied" });
      ends.push(await credits(till, of));
    }
    const rollover = Math.min(rollover_cap ?? 0, 40);
    expect(ends).toEqual(orders.map(() => (rollover > 0 ? { rollover, subscription: 20 } : { subscription: 20 })));
  }
});

test("an invoice gives once, whoever tells of it and how often: late ones too", async ({ db }) => {
  const { till, of, period } = await subscribed(db, { rollover_cap: 30 });
  const [first, second] = [period(0), period(1)];
  for (const fact of [second, first, first, second]) await till.send("x", fact);
  expect(await credits(till, of)).toEqual({ subscription: 20, rollover: 20 });
});

test("what rolled over is taken back with the payment that gave it", async ({ db }) => {
  for (const order of [
    [0, 1],
    [1, 0],
  ]) {
    const { till, of, period, id } = await subscribed(db, { rollover_cap: 30 });
    for (const n of order) await till.send("x", period(n, { payment_intents: [`pi_${id}_${n}`] }));
    expect(await credits(till, of)).toEqual({ subscription: 20, rollover: 20 });
    const refund = {
      kind: "refund",
      refund: `re_${id}`,
      payment_intent: `pi_${id}_0`,
      charge: "ch",
      status: "succeeded",
      created: 1,
    };
    await till.send("x", { ...refund, amount: 1000 });
    expect(await credits(till, of)).toEqual({ subscription: 20, rollover: 10 });
  }
});

test("when the subscription ends, what its plan gave ends, once; what was bought stays; what comes later gives nothing", async ({
  db,
}) => {
  const { till, plan, of, id, start, period, account } = await subscribed(db, { rollover_cap: 30 });
  for (const n of [0, 1]) await till.send("x", period(n));
  await account.grant(7);
  await account.grant(3, { pool: "promo" });
  const told = { event: "deleted", status: "canceled", ended_at: start };
  for (let i = 0; i < 2; i += 1) await till.send("x", subscriptionFact(of, id, plan.price, told), start);
  expect(await credits(till, of)).toEqual({ bulk: 7, promo: 3 });
  await account.grant(4, { pool: "subscription" });
  await till.send("x", subscriptionFact(of, id, plan.price, told), start);
  expect(await till.send("x", period(2))).toMatchObject({ outcome: "late" });
  expect(await credits(till, of)).toEqual({ bulk: 7, promo: 3, subscription: 4 });
  expect(await account.kinds()).toMatchObject({ reset: 4 });
});

test("an upgrade that still waited when the subscription ended waits no more", async ({ db }) => {
  const { till, plan, of, id, start, period } = await subscribed(db, { rollover_cap: null });
  const better = await till.plan({ included_credits: 50 });
  await till.send("x", period(0));
  const change = { billing_reason: "subscription_update", from_price: plan.price };
  const upgrade = invoiceFact(of, id, better.price, {
    ...change,
    starts_at: start + month + 5,
    ends_at: start + 2 * month,
  });
  expect(await till.send("x", upgrade)).toMatchObject({ outcome: "waiting" });
  await till.send(
    "x",
    subscriptionFact(of, id, plan.price, { event: "deleted", status: "canceled", ended_at: start }),
    start,
  );
  const states = await rows(db, "select state from billing.renewal where invoice = $1", [upgrade.invoice]);
  expect(states).toEqual([{ state: "late" }]);
});
