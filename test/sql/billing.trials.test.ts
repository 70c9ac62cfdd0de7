import { expect } from "vitest";
import { race, tally } from "../support/barrier.ts";
import { advance, call, outcome, refusal, rows } from "../support/scenario.ts";
import { Subscriber, soldPlan, sweepAll, travelTo } from "../support/subscriber.ts";
import { test } from "../support/sql.ts";
import { Till, checkoutFact } from "../support/till.ts";

test("D8 a trial is had once: by a workspace, and by whoever it is, also in a workspace made anew", async ({ db }) => {
  const plan = await soldPlan(db, { trial_days: 7 });
  const [first, again, other] = [await Subscriber.make(db), await Subscriber.make(db), await Subscriber.make(db)];
  await first.tryOut(plan, { identity: "a".repeat(64) });
  expect(await refusal(first.tryOut(plan))).toMatchObject({ code: "subscription_exists", state: "trialing" });
  expect(await refusal(again.tryOut(plan, { identity: "a".repeat(64) }))).toEqual({
    code: "trial_used",
    by: "identity",
  });
  const raced = await race(8, (i) => outcome((i % 2 === 0 ? again : other).tryOut(plan, { identity: "b".repeat(64) })));
  expect(tally(raced)).toMatchObject({ done: 1 });
  await advance(db, "8 days");
  await sweepAll(db, "trial_expire");
  expect(await first.standing()).toMatchObject({ state: "canceled", ended_reason: "trial_ended" });
  expect(await refusal(first.tryOut(plan))).toEqual({ code: "trial_used", by: "workspace" });
  const none = await soldPlan(db);
  expect(await refusal(again.tryOut(none))).toMatchObject({ code: "trial_not_offered" });
});

test("D8 a trial ends by itself without any sweep, is told of 3 days and 1 before, once each, and its key goes", async ({
  db,
}) => {
  const plan = await soldPlan(db, { trial_days: 7 });
  const of = await Subscriber.make(db, 0);
  const { trial_end } = await of.tryOut(plan);
  expect(await of.access()).toMatchObject({ states: ["pending"], until: trial_end });
  for (let day = 0; day < 7; day += 1) {
    await race(3, () => sweepAll(db, "trial_notice"));
    await race(3, () => sweepAll(db, "trial_expire"));
    await advance(db, "1 day");
  }
  expect((await of.notices()).map(({ kind, body }) => `${kind} ${String(body["days"])}`)).toEqual([
    "trial_notice 3",
    "trial_notice 1",
  ]);
  expect(await of.access()).toMatchObject({ states: ["pending"], until: null });
  await race(3, () => sweepAll(db, "trial_expire"));
  expect(await of.access()).toMatchObject({ states: ["removing"], until: null });
});

test("D8 a paid period ends the trial at once, keeps the key, and nothing of the trial ends it", async ({ db }) => {
  const plan = await soldPlan(db, { trial_days: 7 });
  const of = await Subscriber.make(db, 0);
  await of.tryOut(plan);
  const { keys } = await of.access();
  await advance(db, "2 days");
  await of.pay(plan, { auto_renew: false });
  const paid = await of.standing();
  expect(paid).toMatchObject({ state: "active", period_number: 1, renew_at: null, expire_at: paid.current_period_end });
  await advance(db, "6 days");
  await sweepAll(db, "trial_notice");
  await sweepAll(db, "trial_expire");
  expect(await of.standing()).toMatchObject({ state: "active" });
  expect(await of.access()).toEqual({ keys, states: ["pending"], until: paid.current_period_end });
  await travelTo(db, paid.current_period_end);
  await sweepAll(db, "expire");
  expect(await of.standing()).toMatchObject({ state: "canceled", ended_reason: "not_renewed" });
});

test("D8 a trial that renews is paid from the balance when it ends, or ends where the balance lacks the price", async ({
  db,
}) => {
  const plan = await soldPlan(db, { trial_days: 7, grace_days: 5 });
  const [rich, poor] = [await Subscriber.make(db, 700), await Subscriber.make(db, 400)];
  const { trial_end } = await rich.tryOut(plan, { auto_renew: true });
  await poor.tryOut(plan, { auto_renew: true });
  await advance(db, "7 days 1 minute");
  // Right before any sweep: who has the money goes on, who has not is out.
  expect((await rich.access()).until).not.toBeNull();
  expect((await poor.access()).until).toBeNull();
  await sweepAll(db, "auto_renew");
  await sweepAll(db, "trial_expire");
  expect(await rich.standing()).toMatchObject({ state: "active", period_number: 1, current_period_start: trial_end });
  expect(await rich.cents()).toBe(200);
  expect(await poor.standing()).toMatchObject({ state: "canceled", ended_reason: "trial_ended" });
  expect(await poor.cents()).toBe(400);
  expect(await rows(db, "select from access.key where workspace_id = $1", [rich.workspace])).toHaveLength(1);
});

test("D8 who had a trial, by whatever purchase and in whatever workspace, has none by a checkout; one that is not paid takes none", async ({
  db,
}) => {
  const till = new Till(db);
  const paid = await till.plan({ trial_days: 7 });
  const ours = await soldPlan(db, { trial_days: 7 });
  const identity_hash = "c".repeat(64);
  const checkout = async (of: string) => {
    const started = await call<{ id: string; trial_days: number; session_token: string }>(
      db,
      "payments.start_checkout",
      {
        workspace_id: of,
        plan_code: paid.code,
        plan_number: null,
        pack_code: null,
        currency: "eur",
        interval_unit: "month",
        interval_count: 1,
        quantity: 1,
        success_url: "https://app.example/ok",
        cancel_url: "https://app.example/no",
        caused_by: "test",
        identity_hash,
      },
    );
    return started;
  };
  const [one, two, three] = await Promise.all([till.customer(), till.customer(), till.customer()]);
  const days = (await Promise.all([one, two].map(({ workspace }) => checkout(workspace)))).map(
    ({ trial_days }) => trial_days,
  );
  expect(days.toSorted((a, b) => a - b)).toEqual([0, 7]);
  const holder = days[0] === 7 ? one : two;
  // While it may still be paid it is his.
  expect(await refusal((await Subscriber.make(db)).tryOut(ours, { identity: identity_hash }))).toEqual({
    code: "trial_used",
    by: "identity",
  });
  const held = await checkout(holder.workspace);
  await till.send("checkout.session.expired", {
    ...checkoutFact(holder, { purchase: held.id, session: `cs_${held.id}` }),
    status: "expired",
    payment_status: "unpaid",
  });
  const again = await checkout(three.workspace);
  expect(again.trial_days).toBe(7);
  const subscription = `sub_${again.id}`;
  await till.send("checkout.session.completed", {
    ...checkoutFact(three, { purchase: again.id, session: `cs_${again.id}` }, { amount_total: 0 }),
    mode: "subscription",
    payment_status: "no_payment_required",
    subscription,
  });
  expect((await checkout(holder.workspace)).trial_days).toBe(0);
  expect(await outcome((await Subscriber.make(db)).tryOut(ours, { identity: identity_hash }))).toBe("trial_used");
});
