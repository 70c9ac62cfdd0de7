import { expect } from "vitest";
import { Account, advance, call, refusal, rows } from "../support/scenario.ts";
import type { Db } from "../support/scenario.ts";
import { orders } from "../support/orders.ts";
import { test } from "../support/sql.ts";
import { Till, invoiceFact, subscriptionFact } from "../support/till.ts";
import type { Fact, Offer } from "../support/till.ts";

const now = async (db: Db) => {
  const [row] = await rows<{ at: number }>(db, "select floor(extract(epoch from ops.now()))::int8 as at");
  return row?.at ?? 0;
};

/** A subscription of a plan, of which events tell; `tell(seconds ago, what)`. */
async function subscribed(db: Db, plan: Offer, more: Record<string, unknown> = {}) {
  const till = new Till(db);
  const of = await till.customer();
  const id = `sub_${crypto.randomUUID()}`;
  const fact = (wish: Record<string, unknown> = {}): Fact => subscriptionFact(of, id, plan.price, { ...more, ...wish });
  const tell = async (ago: number, wish: Record<string, unknown> = {}) =>
    till.send("customer.subscription.updated", fact(wish), (await till.second()) - ago);
  const limit = async (unit: string) => (await new Account(db, { owner: of.workspace, unit }).sums())[0];
  const row = async () => {
    const [found] = await rows<{ id: string; version: number; state: string; quantity: number; due: boolean }>(
      db,
      "select id, version, state, quantity, sync_due_at is not null as due from billing.subscription where provider_id = $1",
      [id],
    );
    if (found === undefined) throw new Error("it is not there");
    return found;
  };
  const access = async () => {
    const found = await call<{ refusal: string | null; reason: string | null }>(db, "people.access_of", {
      workspace_id: of.workspace,
    });
    return found.refusal === null ? null : found.reason;
  };
  return { till, of, id, fact, tell, limit, row, access };
}

test("seats are the plan's times the quantity, storage is the plan's; both end with it", async ({ db }) => {
  const till = new Till(db);
  const [small, large] = [
    await till.plan({ seats: 3, storage_bytes: 100 }),
    await till.plan({ seats: 5, storage_bytes: 900 }),
  ];
  const { tell, limit } = await subscribed(db, small);
  const limits = async () => [await limit("seat"), await limit("byte")];
  await tell(90, { event: "created" });
  expect(await limits()).toEqual([3, 100]);
  await tell(80, { quantity: 4 });
  expect(await limits()).toEqual([12, 100]);
  await tell(70, { quantity: 2, price: large.price });
  expect(await limits()).toEqual([10, 900]);
  await tell(60, { quantity: 0, price: large.price });
  expect(await limits()).toEqual([0, 900]);
  await tell(50, { event: "deleted", status: "canceled", ended_at: await now(db) });
  expect(await limits()).toEqual([0, 0]);
});

test("a plan without a limit takes away what another had set, also after an end; where none was, none is counted", async ({
  db,
}) => {
  const till = new Till(db);
  const [small, open] = [await till.plan({ seats: 3, storage_bytes: 100 }), await till.plan()];
  const { tell, limit, till: told, of } = await subscribed(db, small);
  await tell(90, { event: "created" });
  expect(await limit("seat")).toBe(3);
  await tell(80, { price: open.price });
  expect([await limit("seat"), await limit("byte")]).toEqual([2 ** 52, 2 ** 52]);
  await tell(70, { price: small.price });
  expect([await limit("seat"), await limit("byte")]).toEqual([3, 100]);
  await tell(60, { event: "deleted", status: "canceled", ended_at: await now(db) });
  expect(await limit("seat")).toBe(0);
  await told.send("customer.subscription.created", subscriptionFact(of, `sub_${crypto.randomUUID()}`, open.price));
  expect(await limit("seat")).toBe(2 ** 52);
  const never = await subscribed(db, open);
  await never.tell(90, { event: "created" });
  expect(await rows(db, "select from ledger.account where owner_id = $1", [never.of.workspace])).toEqual([]);
});

test("a limit below what is in use throws nobody out: it is a debt, which the next raise pays", async ({ db }) => {
  const till = new Till(db);
  const plan = await till.plan({ seats: 3 });
  const { tell, of } = await subscribed(db, plan);
  await tell(90, { event: "created", quantity: 2 });
  const seats = new Account(db, { owner: of.workspace, unit: "seat" });
  await seats.hold(5);
  await tell(80, { quantity: 1 });
  expect(await seats.sums()).toEqual([0, 5, 2]);
  await tell(70, { quantity: 2 });
  expect(await seats.sums()).toEqual([1, 5, 0]);
});

test("B2 who owes writes until the grace is over, is read-only from that moment without any sweep, and writes again when it has paid", async ({
  db,
}) => {
  const { tell, access } = await subscribed(db, await new Till(db).plan({ grace_days: 5 }));
  await tell(90, { event: "created" });
  await tell(60, { status: "past_due" });
  expect(await access()).toBeNull();
  await advance(db, "5 days -5 minutes");
  expect(await access()).toBeNull();
  await advance(db, "5 minutes");
  expect(await access()).toBe("past_due");
  await tell(0, { status: "unpaid" });
  expect(await access()).toBe("unpaid");
  await advance(db, "2 seconds");
  await tell(0);
  expect(await access()).toBeNull();
});

test("B2 the grace begins with the first moment that it owed since it owed nothing, in every order", async ({ db }) => {
  const plan = await new Till(db).plan({ grace_days: 5 });
  const moments: [ago: number, status: string][] = [
    [500, "past_due"],
    [400, "active"],
    [300, "past_due"],
    [200, "unpaid"],
  ];
  for (const order of orders(moments)) {
    const { till, of, fact } = await subscribed(db, plan);
    const start = await now(db);
    for (const [ago, status] of order) await till.send("x", fact({ status }), start - ago);
    const [from] = await rows<{ ago: number }>(
      db,
      "select $2 + 5 * 86400 - extract(epoch from read_only_from)::int8 as ago from people.workspace where id = $1",
      [of.workspace, start],
    );
    expect([order, from?.ago]).toEqual([order, 300]);
  }
});

test("paused for want of a payment method is read-only at once, until it is resumed", async ({ db }) => {
  const { tell, access } = await subscribed(db, await new Till(db).plan({ grace_days: 5 }));
  await tell(90, { event: "created", status: "trialing" });
  await tell(60, { event: "paused", status: "paused" });
  expect(await access()).toBe("paused");
  await tell(50, { event: "resumed" });
  expect(await access()).toBeNull();
});

test("a workspace whose subscription is over is what the operator's policy says; one that was never paid means nothing", async ({
  db,
}) => {
  const till = new Till(db);
  const plan = await till.plan();
  const set = (after_end: string) =>
    call(db, "billing.set_policy", { after_end, shortfall: "debt", caused_by: "test" });
  try {
    for (const [policy, reason] of [
      ["read_only", "canceled"],
      ["open", null],
    ] as const) {
      await set(policy);
      const { tell, access } = await subscribed(db, plan);
      await tell(90, { event: "created" });
      await tell(60, { event: "deleted", status: "canceled", ended_at: (await now(db)) - 60 });
      expect([policy, await access()]).toEqual([policy, reason]);
    }
    await set("read_only");
    const { tell, access } = await subscribed(db, plan);
    await tell(90, { event: "created", status: "incomplete" });
    await tell(60, { status: "incomplete_expired", ended_at: (await now(db)) - 60 });
    expect(await access()).toBeNull();
  } finally {
    await set("read_only");
  }
  expect(await refusal(set("closed"))).toMatchObject({ constraint: "policy_after_end_known" });
});

test("B2 one that was cancelled before it was ever paid means nothing, and one that lived does, in every order", async ({
  db,
}) => {
  const plan = await new Till(db).plan({ seats: 3, trial_days: 14 });
  const over = { event: "deleted", status: "canceled", ended_at: await now(db) };
  const never = await subscribed(db, plan, { status: "incomplete" });
  await never.tell(90, { event: "created" });
  await never.tell(50, over);
  expect(await never.access()).toBeNull();
  // Nor has it used up the workspace's trial.
  const standing = () => call(db, "billing.standing_of", { workspace_id: never.of.workspace });
  expect(await standing()).toEqual({ state: null, had_one: false });

  const late = await subscribed(db, plan);
  await late.tell(50, over);
  await late.tell(90, { event: "updated" });
  expect(await late.access()).toBe("canceled");
  const paid = await subscribed(db, plan);
  await paid.tell(50, over);
  await paid.till.send("invoice.paid", invoiceFact(paid.of, paid.id, plan.price));
  expect(await paid.access()).toBe("canceled");
  // Never while it runs: what is stale tells it too.
  const stale = await subscribed(db, plan, { status: "incomplete" });
  await stale.tell(50);
  await stale.tell(90, { status: "active" });
  await stale.tell(40, over);
  expect(await stale.access()).toBe("canceled");
});

test("B2 deleted is final: whatever comes after it, and whoever asks", async ({ db }) => {
  const { tell, till, row, fact, access } = await subscribed(db, await new Till(db).plan());
  await tell(60, { event: "deleted", status: "canceled", ended_at: (await now(db)) - 60 });
  for (const [ago, more] of [
    [90, { event: "created" }],
    [60, {}],
    [10, {}],
    [0, { status: "past_due" }],
  ] as const) {
    expect(await tell(ago, more)).toMatchObject({ outcome: "final" });
  }
  const { id, version } = await row();
  const answer = { id, generation: version, asked_at: new Date().toISOString(), fact: JSON.stringify(fact()) };
  expect(await call(till.db, "billing.sync_subscription", answer)).toEqual({ id, outcome: "final" });
  expect(await row()).toMatchObject({ state: "canceled", version, due: false });
  expect(await access()).toBe("canceled");
});

const ask = async (db: Db) => {
  const claimed = await call<{ ids: string[]; generations: number[]; asked_at: string }>(db, "billing.claim_syncs", {
    batch: 100,
    lease: "1 minute",
  });
  return (id: string, fact: Fact | null) =>
    call<{ outcome: string }>(db, "billing.sync_subscription", {
      id,
      generation: claimed.generations[claimed.ids.indexOf(id)] ?? -1,
      asked_at: claimed.asked_at,
      fact: fact === null ? null : JSON.stringify(fact),
    });
};

test("B2 an answer that is older than a doubt does not settle it, whether it agrees with the row or not", async ({
  db,
}) => {
  for (const older of [{}, { quantity: 3 }, null]) {
    const { tell, row, fact } = await subscribed(db, await new Till(db).plan());
    await tell(60, { event: "created" });
    expect(await tell(50)).toMatchObject({ outcome: "same" });
    expect(await tell(50, { quantity: 2 })).toMatchObject({ outcome: "tie" });
    const { id } = await row();
    const answer = await ask(db);
    // Meanwhile something is told that nobody can place.
    expect(await tell(50, { quantity: 5 })).toMatchObject({ outcome: "tie" });
    const late = older === null ? null : fact(older);
    expect(await answer(id, late)).toMatchObject({
      outcome: late !== null && late["quantity"] === 1 ? "same" : "moved_on",
    });
    expect(await row()).toMatchObject({ quantity: 1, due: true });
    expect(await (await ask(db))(id, fact({ quantity: 5 }))).toMatchObject({ outcome: "written" });
    expect(await row()).toMatchObject({ quantity: 5, due: false });
    // What was told before the object was fetched is in doubt, and not simply believed.
    expect(await tell(10, { quantity: 7 })).toMatchObject({ outcome: "doubt" });
    expect(await (await ask(db))(id, fact({ quantity: 5 }))).toMatchObject({ outcome: "same" });
    expect(await row()).toMatchObject({ quantity: 5, due: false });
  }
});

test("B2 a doubt steps the generation also where the row is due already", async ({ db }) => {
  const { tell, till, row, fact, of } = await subscribed(db, await new Till(db).plan());
  await tell(60, { event: "created" });
  await tell(50);
  await tell(50, { quantity: 2 });
  const change = { workspace_id: of.workspace, change: "quantity", plan_code: null, plan_number: null, quantity: 2 };
  const asked = await call<{ id: string; generation: number; asked_at: string }>(till.db, "billing.begin_change", {
    ...change,
    caused_by: "test",
  });
  await tell(50, { quantity: 9 });
  const { id, generation, asked_at } = asked;
  const answer = { id, generation, asked_at, fact: JSON.stringify(fact({ quantity: 2 })) };
  expect(await call(db, "billing.sync_subscription", answer)).toMatchObject({ outcome: "moved_on" });
  expect(await row()).toMatchObject({ quantity: 1, due: true });
});

test("a subscription that the provider does not know is left as it is, under an alarm", async ({ db }) => {
  const { tell, row, id } = await subscribed(db, await new Till(db).plan());
  await tell(60, { event: "created" });
  await tell(50);
  await tell(50, { quantity: 2 });
  const { id: ours } = await row();
  expect(await (await ask(db))(ours, null)).toMatchObject({ outcome: "gone" });
  expect(await row()).toMatchObject({ state: "active", due: false });
  const alarms = await rows(db, "select from ops.alarm where code = 'subscription_unknown_there' and subject = $1", [
    id,
  ]);
  expect(alarms).toHaveLength(1);
  const unknown = { id: crypto.randomUUID(), generation: 1, asked_at: new Date().toISOString(), fact: null };
  expect(await refusal(call(db, "billing.sync_subscription", unknown))).toEqual({ code: "not_found" });
});

test("a state that was fetched for an old event is not dated to that event: nobody owes since a day when nothing was owed", async ({
  db,
}) => {
  const { fact, id, row, access } = await subscribed(db, await new Till(db).plan({ grace_days: 7 }));
  // Two events that came with another version of the API, after an outage: of a month ago, and of yesterday.
  for (const days of [31, 1]) {
    const event = { provider: "stripe", id: `evt_${days}_${id}` };
    await call(db, "ops.receive_event", {
      ...event,
      type: "customer.subscription.updated",
      subject: id,
      occurred_at: new Date(((await now(db)) - days * 86_400) * 1000).toISOString(),
      fact: null,
      payload: "{}",
      fetch_because: "api_version",
    });
    const owing = JSON.stringify(fact({ status: "past_due" }));
    const applied = await call(db, "ops.apply_fetched", { ...event, fact: owing, fault: null });
    expect(applied).toEqual({ state: "applied", outcome: "doubt" });
  }
  expect(await row()).toMatchObject({ due: true });
  const { version, id: subscription } = await row();
  const [asked] = await rows<{ at: string }>(db, "select ops.now()::text as at");
  await call(db, "billing.sync_subscription", {
    id: subscription,
    generation: version,
    asked_at: asked?.at,
    fact: JSON.stringify(fact({ status: "past_due" })),
  });
  expect(await row()).toMatchObject({ state: "past_due", due: false });
  expect(await access()).toBeNull();
  await advance(db, "8 days");
  expect(await access()).toBe("past_due");
});

test("B2 a second that tells of both, and was looked at: what is told later does not begin the grace anew", async ({
  db,
}) => {
  const { till, fact, tell, row, access } = await subscribed(db, await new Till(db).plan({ grace_days: 7 }));
  await tell(90, { event: "created" });
  const at = await till.second();
  await till.send("x", fact(), at);
  expect(await till.send("x", fact({ status: "past_due" }), at)).toMatchObject({ outcome: "tie" });
  const { id, version } = await row();
  const since = async () => {
    const [found] = await rows<{ since: string | null }>(
      db,
      "select extract(epoch from past_due_since)::float8 as since from billing.subscription where id = $1",
      [id],
    );
    return found?.since;
  };
  // Looked at in that very second.
  const asked = { id, generation: version, asked_at: new Date(at * 1000 + 90).toISOString() };
  await call(db, "billing.sync_subscription", { ...asked, fact: JSON.stringify(fact({ status: "past_due" })) });
  expect(await since()).toBe(at + 0.09);
  await advance(db, "6 days");
  await tell(0, { status: "past_due" });
  expect(await since()).toBe(at + 0.09);
  await advance(db, "2 hours");
  await tell(0, { status: "unpaid" });
  expect(await since()).toBe(at + 0.09);
  expect(await access()).toBeNull();
  await advance(db, "1 day");
  expect(await access()).toBe("unpaid");
  // Owing nothing ends it: who owes again has the whole grace.
  await tell(0);
  expect(await since()).toBeNull();
  await advance(db, "1 hour");
  await tell(0, { status: "past_due" });
  expect(await since()).toBe(await till.second());
  expect(await access()).toBeNull();
});

test("B2 a second that tells of both ends the grace before it, in whatever order it is told, and begins one", async ({
  db,
}) => {
  const plan = await new Till(db).plan({ grace_days: 7 });
  const day = 86_400;
  const moments: [ago: number, status: string][] = [
    [6 * day, "past_due"],
    [10, "active"],
    [10, "past_due"],
  ];
  for (const order of orders(moments)) {
    const { till, of, id, fact } = await subscribed(db, plan);
    const start = await till.second();
    for (const [ago, status] of order) await till.send("x", fact({ status }), start - ago);
    const [row] = await rows<{ id: string; version: number; at: string }>(
      db,
      "select id, version, ops.now()::text as at from billing.subscription where provider_id = $1",
      [id],
    );
    const answer = { id: row?.id, generation: row?.version, asked_at: row?.at };
    const seen = JSON.stringify(fact({ status: "past_due" }));
    const { outcome } = await call<{ outcome: string }>(db, "billing.sync_subscription", { ...answer, fact: seen });
    expect(["same", "written"]).toContain(outcome);
    const [after] = await rows<{ since: number; read_only_from: number }>(
      db,
      `select extract(epoch from s.past_due_since)::float8 as since, extract(epoch from w.read_only_from)::float8 as read_only_from
         from billing.subscription s join people.workspace w on w.id = s.workspace_id where w.id = $1`,
      [of.workspace],
    );
    // Since somebody looked; of a second told as a whole, the later.
    const told = JSON.stringify(order);
    expect(after?.since, told).toBeGreaterThanOrEqual(start - 10);
    expect(after?.read_only_from, told).toBe((after?.since ?? 0) + 7 * day);
    // What is told later does not begin it anew, nor is what was over still counted.
    await till.send("x", fact({ status: "unpaid" }), start + day);
    const [later] = await rows<{ since: number }>(
      db,
      "select extract(epoch from past_due_since)::float8 as since from billing.subscription where provider_id = $1",
      [id],
    );
    expect(later?.since, told).toBe(after?.since);
  }
});
