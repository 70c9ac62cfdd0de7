import { expect } from "vitest";
import { refusal, rows } from "../support/scenario.ts";
import { Subscriber, soldPlan, sweepAll, travelTo } from "../support/subscriber.ts";
import { test } from "../support/sql.ts";

// What a customer does with a subscription that is paid from the balance, and what else it leaves.

test("a cancellation that is taken back, however, leaves no time of it", async ({ db }) => {
  const plan = await soldPlan(db, { trial_days: 7 });
  const of = await Subscriber.make(db);
  const canceled = async () => {
    const [row] = await rows<{ cancel_at: string | null; canceled_at: string | null }>(
      db,
      "select cancel_at, canceled_at from billing.subscription where workspace_id = $1",
      [of.workspace],
    );
    return row;
  };
  const none = { cancel_at: null, canceled_at: null };
  await of.tryOut(plan);
  for (const back of [() => of.change("uncancel"), () => of.renewal(true), () => of.pay(plan)]) {
    await of.change("cancel");
    expect(await canceled()).toEqual({ cancel_at: expect.any(String), canceled_at: expect.any(String) });
    await back();
    expect(await canceled()).toEqual(none);
  }
});

test("D18 what is over is not brought back by a change, whether or not a sweep has ended it", async ({ db }) => {
  const plan = await soldPlan(db, { grace_days: 7 });
  for (const leaves of [(of: Subscriber) => of.change("cancel"), (of: Subscriber) => of.renewal(false)]) {
    const of = await Subscriber.make(db);
    await of.pay(plan);
    await leaves(of);
    await travelTo(db, (await of.standing()).current_period_end);
    const over = await of.standing();
    for (const change of [() => of.change("uncancel"), () => of.renewal(true), () => of.change("cancel_now")]) {
      expect(await refusal(change())).toEqual({ code: "no_subscription" });
    }
    expect(await of.standing()).toEqual(over);
    expect((await of.access()).until).toBeNull();
  }
});

test("who pays on although he had cancelled is still leaving, when all that is paid is over", async ({ db }) => {
  const plan = await soldPlan(db);
  const of = await Subscriber.make(db);
  await of.pay(plan);
  await of.change("cancel");
  await of.pay(plan);
  const { current_period_end, expire_at, renew_at } = await of.standing();
  expect([expire_at, renew_at]).toEqual([current_period_end, null]);
  await travelTo(db, current_period_end);
  await sweepAll(db, "expire");
  expect(await of.standing()).toMatchObject({ state: "canceled", ended_reason: "canceled" });
});

test("one that a sweep had failed at, and is ended at once, is kept apart no more", async ({ db }) => {
  const plan = await soldPlan(db);
  const of = await Subscriber.make(db);
  const id = await of.pay(plan);
  await db.query(
    "update billing.subscription set parked_until = ops.park('auto_renew', id::text, 'XX000', 'a fault') where id = $1",
    [id],
  );
  await of.change("cancel_now");
  expect(await rows(db, "select parked_until from billing.subscription where id = $1", [id])).toEqual([
    { parked_until: null },
  ]);
  expect(await rows(db, "select from ops.parked")).toEqual([]);
  expect(await rows(db, "select from ops.alarm where code = 'row_parked' and closed_at is null")).toEqual([]);
});

test("B9 the audit knows who began a trial, and who changed how it goes on", async ({ db }) => {
  const plan = await soldPlan(db, { trial_days: 7 });
  const of = await Subscriber.make(db);
  const { id } = await of.tryOut(plan);
  await of.renewal(true);
  await of.change("cancel_now");
  expect(
    await rows(db, "select actor, action, subject from ops.audit where workspace_id = $1 order by created_at, id", [
      of.workspace,
    ]),
  ).toEqual(
    expect.arrayContaining(
      ["subscription.trial", "subscription.renewal", "subscription.cancel_now"].map((action) => ({
        actor: "test",
        action,
        subject: `subscription:${id}`,
      })),
    ),
  );
});
