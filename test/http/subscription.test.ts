import { randomUUID } from "node:crypto";
import { Stripe } from "stripe";
import { expect } from "vitest";
import { Api } from "../support/api.ts";
import { footprint } from "../support/footprint.ts";
import { places, test } from "../support/market.ts";

const nothing = {
  id: null,
  state: null,
  collection: null,
  plan: null,
  price: null,
  quantity: null,
  period: null,
  current_period_start: null,
  current_period_end: null,
  trial_end: null,
  cancel_at: null,
  ended_at: null,
  ended_reason: null,
  past_due_since: null,
  auto_renew: null,
  renews_at: null,
  ends_at: null,
  next: null,
  read_only: false,
  read_only_from: null,
  read_only_reason: null,
  frozen: false,
  frozen_at: null,
  frozen_reason: null,
};

test("who never had a subscription is told so, and may change nothing", async ({ api }) => {
  const { path } = await api.workspace();
  const answer = await api.get(`${path}/subscription`);
  expect([answer.status, answer.body]).toEqual([200, nothing]);
  for (const [verb, body] of [
    ["change", { quantity: 2, when: "now" }],
    ["cancel", { when: "now" }],
    ["uncancel", {}],
    ["keep", {}],
  ] as const) {
    const refused = await api.post(`${path}/subscription/${verb}`, body);
    expect([verb, refused.status, refused.body["code"]]).toEqual([verb, 409, "no_subscription"]);
  }
});

test("an upgrade is now, prorated, and gives the difference of the credits; a repeat gives nothing", async ({
  market,
  api,
}) => {
  const small = await market.plan({ included_credits: 100, amount_minor: 1000 });
  const large = await market.plan({ included_credits: 300, amount_minor: 3000 });
  const { path, credits } = await market.subscriber(small);
  expect((await api.get(credits)).body["available"]).toBe(100);
  const key = randomUUID();
  const changed = await api.post(`${path}/subscription/change`, { plan: large, when: "now" }, key);
  expect([changed.status, changed.body]).toMatchObject([200, { state: "active", plan: { code: large }, next: null }]);
  expect((await api.get(`${path}/subscription`)).body).toEqual(changed.body);
  await market.stripe.settled();
  const after = (await api.get(credits)).body["available"];
  // The period has hardly begun: all of the difference, but for a second's rounding.
  expect([299, 300]).toContain(after);
  const again = await api.post(`${path}/subscription/change`, { plan: large, when: "now" }, key);
  expect([again.status, again.body]).toEqual([200, changed.body]);
  expect(again.headers.get("Idempotent-Replayed")).toBe("true");
  await market.stripe.settled();
  expect((await api.get(credits)).body["available"]).toBe(after);
});

test("a downgrade waits for the period's end, is shown as what comes next, and may be taken back", async ({
  market,
  api,
}) => {
  const [large, small] = [await market.plan({ amount_minor: 3000 }), await market.plan({ amount_minor: 1000 })];
  const { path } = await market.subscriber(large);
  const planned = await api.post(`${path}/subscription/change`, { plan: small, when: "period_end" });
  expect([planned.status, planned.body]).toMatchObject([
    200,
    {
      collection: "stripe",
      auto_renew: null,
      renews_at: null,
      plan: { code: large },
      next: { plan: { code: small, version: 1 }, price: { amount_minor: 1000, interval: "month" }, quantity: null },
    },
  ]);
  const { next } = planned.body;
  expect(next).toHaveProperty("at", planned.body["current_period_end"]);
  const kept = await api.post(`${path}/subscription/keep`);
  expect([kept.status, kept.body]).toMatchObject([200, { plan: { code: large }, next: null }]);
  expect((await api.post(`${path}/subscription/keep`)).body).toMatchObject({ code: "change_invalid" });
});

test("a plan that costs less is refused now: what was paid would come back, and the credits stay", async ({
  market,
  api,
}) => {
  const [large, small] = [await market.plan({ amount_minor: 3000 }), await market.plan({ amount_minor: 2999 })];
  const { path } = await market.subscriber(large);
  const refused = await api.post(`${path}/subscription/change`, { plan: small, when: "now" });
  expect([refused.status, refused.body]).toMatchObject([
    422,
    { code: "change_invalid", reason: "a plan that costs less begins with the next period" },
  ]);
  expect((await api.get(`${path}/subscription`)).body).toMatchObject({ plan: { code: large } });
});

test("the step from a plan for nothing to one that costs gives the difference of the credits", async ({
  market,
  api,
}) => {
  const free = await market.plan({ included_credits: 10, amount_minor: 0 });
  const paid = await market.plan({ included_credits: 1000, amount_minor: 5000 });
  const { path, credits } = await market.subscriber(free);
  expect((await api.get(credits)).body["available"]).toBe(10);
  await api.post(`${path}/subscription/change`, { plan: paid, when: "now" });
  await market.stripe.settled();
  expect((await api.get(credits)).body["available"]).toBe(1000);
});

test("A3 a trial that is ended early, and paid, renews the credits", async ({ market, api }) => {
  const plan = await market.plan({ included_credits: 100, trial_days: 14 });
  const { path, credits } = await market.subscriber(plan);
  expect((await api.post(`${credits}/spend`, { amount: 70 })).body["available"]).toBe(30);
  const { id } = [...market.stripe.state.subscriptions.values()].at(-1) ?? { id: "" };
  const stripe = new Stripe("sk_test_market", market.stripe.config);
  await stripe.subscriptions.update(id, { trial_end: "now" });
  await market.stripe.settled();
  expect((await api.get(`${path}/subscription`)).body).toMatchObject({ state: "active" });
  expect((await api.get(credits)).body["available"]).toBe(100);
});

test("a quantity changes now, and gives no credits", async ({ market, api }) => {
  const plan = await market.plan({ included_credits: 100, seats: 2 });
  const { path, credits } = await market.subscriber(plan);
  const changed = await api.post(`${path}/subscription/change`, { quantity: 5, when: "now" });
  expect([changed.status, changed.body]).toMatchObject([200, { quantity: 5, plan: { code: plan } }]);
  await market.stripe.settled();
  expect((await api.get(credits)).body["available"]).toBe(100);
});

test("a cancellation at the period's end may be taken back; one now ends it, and the workspace is read-only", async ({
  market,
  api,
}) => {
  const plan = await market.plan();
  const { path, credits } = await market.subscriber(plan);
  const canceled = await api.post(`${path}/subscription/cancel`, { when: "period_end" });
  expect(canceled.body).toMatchObject({ state: "active", cancel_at: canceled.body["current_period_end"] });
  const back = await api.post(`${path}/subscription/uncancel`);
  expect([back.status, back.body]).toMatchObject([200, { state: "active", cancel_at: null }]);
  expect((await api.post(`${path}/subscription/uncancel`)).body).toMatchObject({ code: "change_invalid" });

  const ended = await api.post(`${path}/subscription/cancel`, { when: "now" });
  expect(ended.body).toMatchObject({ state: "canceled", read_only: true, read_only_reason: "canceled" });
  const refused = await api.post(`${credits}/spend`, { amount: 1 });
  expect([refused.status, refused.body]).toMatchObject([403, { code: "workspace_read_only", reason: "canceled" }]);
  expect((await api.post(`${path}/subscription/cancel`, { when: "now" })).body).toMatchObject({
    code: "no_subscription",
  });
  // Paying is what ends it.
  const packs = await api.post(`${path}/checkout`, { pack: await market.pack(), currency: "eur", ...places });
  expect([packs.status, packs.body["code"]]).toEqual([403, "workspace_read_only"]);
  await market.pay(await api.post(`${path}/checkout`, { plan, currency: "eur", ...places }));
  expect((await api.get(`${path}/subscription`)).body).toMatchObject({ state: "active", read_only: false });
  expect((await api.post(`${credits}/spend`, { amount: 1 })).status).toBe(200);
});

test("what a subscription cannot become is refused by name", async ({ market, api }) => {
  const plan = await market.plan();
  const { path } = await market.subscriber(plan);
  const refusals: [unknown, number, string][] = [
    [{ plan: "nothing", when: "now" }, 422, "plan_unknown"],
    [{ plan, version: 9, when: "now" }, 422, "plan_unknown"],
    [{ plan, quantity: 1, when: "now" }, 422, "change_invalid"],
    [{ when: "now" }, 400, "validation_failed"],
    [{ version: 1, quantity: 2, when: "now" }, 400, "validation_failed"],
    [{ quantity: 2, when: "period_end" }, 400, "validation_failed"],
    [{ quantity: 2, when: "later" }, 400, "validation_failed"],
  ];
  for (const [body, status, code] of refusals) {
    const answer = await api.post(`${path}/subscription/change`, body);
    expect([body, answer.status, answer.body["code"]]).toEqual([body, status, code]);
  }
});

test("A11 a change whose answer is lost is told as such, and its repeat finishes it once", async ({ market, api }) => {
  const [small, large] = [await market.plan({ amount_minor: 1000 }), await market.plan({ amount_minor: 3000 })];
  for (const when of ["before", "after"] as const) {
    const { path } = await market.subscriber(small);
    market.stripe.faults.next({ kind: "drop", when, match: "POST /v1/subscriptions/", times: 4 });
    const key = randomUUID();
    const lost = await api.post(`${path}/subscription/change`, { plan: large, when: "now" }, key);
    expect([lost.status, lost.body["code"]]).toEqual([503, "provider_unavailable"]);
    market.stripe.faults.clear();
    const done = await api.post(`${path}/subscription/change`, { plan: large, when: "now" }, key);
    expect([done.status, done.body]).toMatchObject([200, { plan: { code: large } }]);
  }
});

test("a repeat of a change comes too late after a day: Stripe has forgotten its key, and is not asked again", async ({
  market,
  api,
  db,
}) => {
  const { path } = await market.subscriber(await market.plan());
  const key = randomUUID();
  const three = { quantity: 3, when: "now" };
  expect((await api.post(`${path}/subscription/change`, three, key)).body).toMatchObject({ quantity: 3 });
  expect((await api.post(`${path}/subscription/change`, { quantity: 4, when: "now" })).body).toMatchObject({
    quantity: 4,
  });
  await db.query(
    `update ops.request set answer = (answer::jsonb || jsonb_build_object('asked_at', ops.now() - interval '1 day'))::json
      where idempotency_key = $1`,
    [key],
  );
  market.stripe.calls.length = 0;
  const late = await api.post(`${path}/subscription/change`, three, key);
  expect([late.status, late.body["quantity"]]).toEqual([200, 4]);
  expect(market.stripe.calls).toEqual([]);
});

test("a card that is refused changes nothing: the plan stays, as the answer says, until the difference is paid", async ({
  market,
  api,
}) => {
  const [small, large] = [await market.plan({ amount_minor: 1000 }), await market.plan({ amount_minor: 3000 })];
  const { path } = await market.subscriber(small);
  const customer = [...market.stripe.state.customers.keys()].at(-1) ?? "";
  market.stripe.setCard(customer, "declines");
  const changed = await api.post(`${path}/subscription/change`, { plan: large, when: "now" });
  expect([changed.status, changed.body]).toMatchObject([200, { state: "active", plan: { code: small } }]);
  expect((await api.get(`${path}/subscription`)).body).toMatchObject({ plan: { code: small } });
});

test("a workspace's key changes its own subscription with billing:write alone", async ({ market, api }) => {
  const workspace = await market.subscriber(await market.plan());
  const client = await api.withKey(["billing:write"], workspace.id);
  const changed = await client.post(`${workspace.path}/subscription/change`, { quantity: 3, when: "now" });
  expect([changed.status, changed.body["quantity"]]).toEqual([200, 3]);
  expect((await client.get(`${workspace.path}/subscription`)).body).toMatchObject({ code: "forbidden" });
});

test("a subscription of Stripe's is not changed by a deployment without Stripe, and nothing is written", async ({
  market,
  api,
  world,
  db,
}) => {
  const { path } = await market.subscriber(await market.plan());
  const without = new Api(world.url, api.apiKey);
  const rows = async () => (await db.query("select * from billing.subscription order by id")).rows;
  const before = [await footprint(db), await rows()];
  for (const [verb, body] of [
    ["change", { quantity: 2, when: "now" }],
    ["cancel", { when: "now" }],
    ["uncancel", {}],
    ["keep", {}],
  ] as const) {
    const refused = await without.post(`${path}/subscription/${verb}`, body);
    expect([verb, refused.status, refused.body["code"]]).toEqual([verb, 500, "misconfigured"]);
    expect((await without.as(`tg_${"x".repeat(43)}`).post(`${path}/subscription/${verb}`, body)).status).toBe(401);
  }
  // Nor is it renewed from a balance.
  const renewed = await api.put(`${path}/subscription/renewal`, { auto_renew: true });
  expect([renewed.status, renewed.body["code"]]).toEqual([409, "no_subscription"]);
  expect([await footprint(db), await rows()]).toEqual(before);
});

test("of what is paid from the balance Stripe is not asked", async ({ market, api }) => {
  const plan = await market.plan({ trial_days: 14 });
  const large = await market.plan({ amount_minor: 5000 });
  const { path } = await api.workspace();
  market.stripe.calls.length = 0;
  const begun = await api.post(`${path}/subscription/trial`, { plan, currency: "eur" });
  expect([begun.status, begun.body]).toMatchObject([201, { state: "trialing", collection: "balance" }]);
  for (const [verb, body, shown] of [
    ["change", { plan: large, when: "period_end" }, { next: { plan: { code: large } } }],
    ["keep", {}, { next: null }],
    ["cancel", { when: "period_end" }, { cancel_at: begun.body["trial_end"] }],
    ["uncancel", {}, { cancel_at: null }],
    ["cancel", { when: "now" }, { state: "canceled", ended_reason: "canceled" }],
  ] as const) {
    const key = randomUUID();
    const changed = await api.post(`${path}/subscription/${verb}`, body, key);
    expect([verb, changed.status, changed.body]).toMatchObject([verb, 200, shown]);
    const again = await api.post(`${path}/subscription/${verb}`, body, key);
    expect([again.status, again.body]).toEqual([200, changed.body]);
    expect(again.headers.get("Idempotent-Replayed")).toBe("true");
  }
  expect(market.stripe.calls).toEqual([]);
});
