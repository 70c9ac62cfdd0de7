import { createHash, randomUUID } from "node:crypto";
import { expect } from "vitest";
import { Api, type Workspace } from "../support/api.ts";
import { race, tally } from "../support/barrier.ts";
import { sweepOnly } from "../support/sweeping.ts";
import { test as inWorld } from "../support/world.ts";

// Subscriptions that are paid from the balance, in a deployment without Stripe.

let made = 0;

interface Wish {
  included_credits?: number;
  trial_days?: number;
  amount_minor?: number;
}

const test = inWorld
  .extend("api", ({ world }) => new Api(world.url, world.operatorKey))
  .extend("plan", ({ api }) => async ({ amount_minor = 1000, ...wish }: Wish = {}) => {
    const code = `plan_${(made += 1)}`;
    const prices = [
      { currency: "eur", interval: "month", amount_minor },
      { currency: "eur", interval: "month", interval_count: 3, amount_minor: 3 * amount_minor },
      { currency: "eur", interval: "year", amount_minor: 10 * amount_minor },
    ];
    const answer = await api.post("/v1/plans", {
      code,
      name: `Plan ${code}`,
      included_credits: 100,
      trial_days: 14,
      grace_days: 7,
      ...wish,
      prices,
    });
    expect(answer.status).toBe(201);
    return code;
  })
  .extend("topUp", ({ api }) => async ({ path }: Workspace, amount_minor: number) => {
    const answer = await api.post(`${path}/balance/topups`, { amount_minor, currency: "eur", reference: randomUUID() });
    expect(answer.status).toBe(201);
  })
  .extend(
    "sweep",
    ({ world, db }) =>
      (...names: string[]) =>
        sweepOnly(db, world.worker, ...names),
  )
  // Moves the database's clock to a moment that lies ahead.
  .extend("reach", ({ db }) => async (moment: unknown) => {
    await db.query("update ops.clock set clock_offset = clock_offset + greatest($1::timestamptz - ops.now(), '0')", [
      moment,
    ]);
  })
  // A workspace that tries a plan of 10 € a month; the first period will be paid, and `money` is left.
  .extend("trying", ({ api, plan, topUp }) => async (money = 0) => {
    const [code, workspace] = [await plan(), await api.workspace()];
    const subscription = `${workspace.path}/subscription`;
    await topUp(workspace, 1000 + money);
    const begun = await api.post(`${subscription}/trial`, { plan: code, currency: "eur", auto_renew: true });
    return { ...workspace, subscription, plan: code, end: begun.body["trial_end"] };
  })
  // The period of it, or the trial, is over, and the sweep has been there.
  .extend("over", ({ api, sweep, reach }) => async <Of extends { subscription: string; end: unknown }>(of: Of) => {
    await reach(of.end);
    await sweep("auto_renew", "expire", "trial_expire");
    const { body } = await api.get(of.subscription);
    return { ...of, body, end: body["current_period_end"] };
  })
  // A workspace whose trial is over, and whose first period is paid.
  .extend("paying", ({ trying, over }) => async (money = 0) => {
    const paid = await over(await trying(money));
    expect(paid.body).toMatchObject({ state: "active", period: 1, plan: { code: paid.plan } });
    return paid;
  });

/** What is left of the balance's euros. */
async function euros(api: Api, { path }: Workspace): Promise<unknown> {
  const { data } = (await api.get(`${path}/balance`)).body;
  return Array.isArray(data) ? data[0]?.available : null;
}

const days = (from: unknown, to: unknown) => (Date.parse(String(to)) - Date.parse(String(from))) / 86_400_000;

test("a trial is there at once, with its credits, and is not given twice to a workspace", async ({ api, plan }) => {
  const code = await plan();
  const { path, credits } = await api.workspace();
  const body = { plan: code, currency: "eur", interval: "year", quantity: 2 };
  const key = randomUUID();
  const begun = await api.post(`${path}/subscription/trial`, body, key);
  expect([begun.status, begun.body]).toMatchObject([
    201,
    {
      state: "trialing",
      collection: "balance",
      plan: { code, version: 1, included_credits: 100 },
      price: { currency: "eur", amount_minor: 10_000, interval: "year", interval_count: 1 },
      quantity: 2,
      period: 0,
      cancel_at: null,
      ended_reason: null,
      auto_renew: false,
      renews_at: null,
      ends_at: begun.body["trial_end"],
      next: null,
      read_only: false,
    },
  ]);
  expect(days(begun.body["current_period_start"], begun.body["trial_end"])).toBe(14);
  expect((await api.get(credits)).body).toMatchObject({ available: 100 });
  expect((await api.get(`${path}/subscription`)).body).toEqual(begun.body);

  const repeated = await api.post(`${path}/subscription/trial`, body, key);
  expect([repeated.status, repeated.body]).toEqual([201, begun.body]);
  expect(repeated.headers.get("Idempotent-Replayed")).toBe("true");
  expect((await api.get(credits)).body).toMatchObject({ available: 100 });

  const again = () => api.post(`${path}/subscription/trial`, body);
  expect([(await again()).status, (await again()).body]).toMatchObject([
    409,
    { code: "subscription_exists", state: "trialing" },
  ]);
  const ended = await api.post(`${path}/subscription/cancel`, { when: "now" });
  expect([ended.status, ended.body]).toMatchObject([
    200,
    { state: "canceled", ended_reason: "canceled", auto_renew: false, renews_at: null, ends_at: null, read_only: true },
  ]);
  expect((await api.get(credits)).body).toMatchObject({ available: 0 });
  expect([(await again()).status, (await again()).body]).toMatchObject([409, { code: "trial_used", by: "workspace" }]);
});

test("a trial is had once by whoever it is, also in a workspace made anew; of him only a hash is kept", async ({
  api,
  db,
  plan,
}) => {
  const code = await plan();
  const tryIt = async (identity: string) => {
    const { path } = await api.workspace();
    return { path, ...(await api.post(`${path}/subscription/trial`, { plan: code, currency: "eur", identity })) };
  };
  const name = `Zo\u00eb ${randomUUID()}`;
  expect((await tryIt(name)).status).toBe(201);
  for (const same of [name, `  ${name}\u00a0`, name.normalize("NFD")]) {
    const refused = await tryIt(same);
    expect([refused.status, refused.body]).toMatchObject([409, { code: "trial_used", by: "identity" }]);
    // Nothing of it stays: the workspace may have its trial as somebody else's.
    expect((await api.get(`${refused.path}/subscription`)).body).toMatchObject({ id: null });
    const other = { plan: code, currency: "eur", identity: randomUUID() };
    expect((await api.post(`${refused.path}/subscription/trial`, other)).status).toBe(201);
  }
  expect((await tryIt(name.toUpperCase())).status).toBe(201);

  const { rows } = await db.query<{ holder: string }>(
    "select holder from billing.trial where holder like 'identity:%'",
  );
  expect(rows.map(({ holder }) => holder)).toContain(`identity:${createHash("sha256").update(name).digest("hex")}`);
  for (const { holder } of rows) expect(holder).toMatch(/^identity:[0-9a-f]{64}$/);
});

test("of twenty workspaces that one customer makes at once, one has the trial", async ({ api, plan }) => {
  const code = await plan();
  const identity = randomUUID();
  const workspaces = await Promise.all(Array.from({ length: 20 }, () => api.workspace()));
  const outcomes = await race(20, async (i) => {
    const answer = await api.post(`${workspaces[i]?.path}/subscription/trial`, {
      plan: code,
      currency: "eur",
      identity,
    });
    return answer.status === 201 ? "begun" : String(answer.body["code"]);
  });
  expect(tally(outcomes)).toEqual({ begun: 1, trial_used: 19 });
});

test("what cannot be a trial is refused by name, and only an operator starts one", async ({ api, plan }) => {
  const [code, without] = [await plan(), await plan({ trial_days: 0 })];
  const { path, id } = await api.workspace();
  const good = { plan: code, currency: "eur" };
  const refusals: [object, number, string][] = [
    [{ ...good, plan: "nothing" }, 422, "plan_unknown"],
    [{ ...good, version: 9 }, 422, "plan_unknown"],
    [{ ...good, currency: "usd" }, 422, "price_unknown"],
    [{ ...good, interval: "week" }, 422, "price_unknown"],
    [{ ...good, interval_count: 2 }, 422, "price_unknown"],
    [{ ...good, plan: without }, 422, "trial_not_offered"],
    [{ ...good, identity: " " }, 400, "validation_failed"],
    [{ ...good, identity: "a\nb" }, 400, "validation_failed"],
    [{ ...good, identity: "x".repeat(201) }, 400, "validation_failed"],
    [{ ...good, quantity: 0 }, 400, "validation_failed"],
    [{ plan: code }, 400, "validation_failed"],
  ];
  for (const [body, status, name] of refusals) {
    const answer = await api.post(`${path}/subscription/trial`, body);
    expect([body, answer.status, answer.body["code"]]).toEqual([body, status, name]);
  }
  const unnamed = await api.post(`${path}/subscription/trial`, good, null);
  expect([unnamed.status, unnamed.body["code"]]).toEqual([400, "idempotency_key_required"]);
  const nowhere = await api.post(`/v1/workspaces/${randomUUID()}/subscription/trial`, good);
  expect([nowhere.status, nowhere.body["code"]]).toEqual([404, "not_found"]);
  for (const client of [await api.withKey(["billing:write"], id), await api.withKey(["billing:write"])]) {
    const answer = await client.post(`${path}/subscription/trial`, good);
    expect([answer.status, answer.body]).toMatchObject([403, { code: "forbidden", scope: "credits:grant" }]);
  }
  await api.post(`${path}/freeze`, { reason: "fraud" });
  const frozen = await api.post(`${path}/subscription/trial`, good);
  expect([frozen.status, frozen.body]).toMatchObject([403, { code: "workspace_frozen", reason: "fraud" }]);
  await api.post(`${path}/unfreeze`);
  expect((await (await api.withKey(["credits:grant"])).post(`${path}/subscription/trial`, good)).status).toBe(201);
});

test("a trial that is not renewed ends, and says why; one that is becomes a paid period", async ({
  api,
  plan,
  topUp,
  over,
}) => {
  const code = await plan();
  const begin = async (auto_renew: boolean) => {
    const workspace = await api.workspace();
    await topUp(workspace, 1000);
    const subscription = `${workspace.path}/subscription`;
    const { body } = await api.post(`${subscription}/trial`, { plan: code, currency: "eur", auto_renew });
    expect(body).toMatchObject({ auto_renew, renews_at: auto_renew ? body["trial_end"] : null });
    return { ...workspace, subscription, end: body["trial_end"] };
  };
  const [leaves, stays] = [await over(await begin(false)), await over(await begin(true))];
  expect(leaves.body).toMatchObject({
    state: "canceled",
    ended_reason: "trial_ended",
    read_only: true,
  });
  expect(await euros(api, leaves)).toBe(1000);
  const { body } = stays;
  expect(body).toMatchObject({
    state: "active",
    period: 1,
    auto_renew: true,
    renews_at: body["current_period_end"],
    current_period_start: body["trial_end"],
    read_only: false,
  });
  expect(days(body["current_period_end"], body["ends_at"])).toBe(7);
  expect(await euros(api, stays)).toBe(0);
  expect((await api.get(`${stays.path}/payments`)).body).toMatchObject({
    data: [{ amount_minor: 1000, provider: "balance", subscription_id: body["id"] }, { provider: "manual" }],
  });
});

test("a trial may be told how it goes on while it lasts", async ({ api, plan }) => {
  const code = await plan();
  const { path } = await api.workspace();
  await api.post(`${path}/subscription/trial`, { plan: code, currency: "eur" });
  const { body } = await api.put(`${path}/subscription/renewal`, { auto_renew: true, interval: "year" });
  expect(body).toMatchObject({
    state: "trialing",
    auto_renew: true,
    renews_at: body["trial_end"],
    next: { plan: { code }, price: { interval: "year", amount_minor: 10_000 }, at: body["trial_end"] },
  });
});

test("the next period is of the plan, interval and quantity that were asked for, and of its price", async ({
  api,
  plan,
  paying,
  over,
}) => {
  const workspace = await paying(40_000);
  const { subscription } = workspace;
  const large = await plan({ amount_minor: 2000, included_credits: 300 });
  const set = await api.put(`${subscription}/renewal`, {
    auto_renew: true,
    plan: large,
    interval: "year",
    quantity: 2,
  });
  const yearly = { currency: "eur", amount_minor: 20_000, interval: "year", interval_count: 1 };
  expect([set.status, set.body]).toMatchObject([
    200,
    {
      plan: { code: workspace.plan },
      price: { interval: "month" },
      quantity: 1,
      next: { plan: { code: large, version: 1 }, price: yearly, quantity: 2, at: workspace.end },
    },
  ]);
  expect((await api.get(subscription)).body).toEqual(set.body);
  const { body } = await over(workspace);
  expect(body).toMatchObject({ plan: { code: large }, price: yearly, quantity: 2, period: 2, next: null });
  expect(body["current_period_start"]).toBe(workspace.end);
  expect(days(body["current_period_start"], body["current_period_end"])).toBeGreaterThanOrEqual(365);
  expect(await euros(api, workspace)).toBe(0);
  expect((await api.get(workspace.credits)).body).toMatchObject({ available: 300 });
});

test("what is left out of a renewal is as now, and another interval is one of it", async ({ api, paying }) => {
  const { subscription, plan } = await paying();
  const put = async (body: object) => (await api.put(`${subscription}/renewal`, { auto_renew: true, ...body })).body;
  expect(await put({ interval_count: 3 })).toMatchObject({
    next: { plan: { code: plan }, price: { interval: "month", interval_count: 3 }, quantity: 1 },
  });
  expect(await put({ interval: "year" })).toMatchObject({ next: { price: { interval: "year", interval_count: 1 } } });
  expect(await put({ quantity: 5 })).toMatchObject({
    next: { plan: { code: plan }, price: { interval: "month", interval_count: 1 }, quantity: 5 },
  });
  expect(await put({})).toMatchObject({ quantity: 1, next: null });
});

test("a change begins with the next period, only so, and is taken back by keep", async ({ api, plan, paying }) => {
  const { subscription, plan: small, end } = await paying();
  const large = await plan({ amount_minor: 3000 });
  const planned = await api.post(`${subscription}/change`, { plan: large, when: "period_end" });
  expect([planned.status, planned.body]).toMatchObject([
    200,
    { plan: { code: small }, next: { plan: { code: large }, quantity: 1, at: end } },
  ]);
  expect((await api.post(`${subscription}/keep`)).body).toMatchObject({ plan: { code: small }, next: null });
  // Of a quantity alone, the plan that comes is the one that is had.
  const more = await api.post(`${subscription}/change`, { plan: small, quantity: 4, when: "period_end" });
  expect(more.body).toMatchObject({ quantity: 1, next: { plan: { code: small }, quantity: 4 } });
  await api.post(`${subscription}/keep`);

  const refusals: [string, object, string][] = [
    ["change", { plan: large, when: "now" }, "change_invalid"],
    ["change", { quantity: 2, when: "now" }, "change_invalid"],
    ["change", { plan: small, when: "period_end" }, "change_invalid"],
    ["change", { plan: "nothing", when: "period_end" }, "plan_unknown"],
    ["keep", {}, "change_invalid"],
    ["uncancel", {}, "change_invalid"],
  ];
  for (const [verb, wish, code] of refusals) {
    const refused = await api.post(`${subscription}/${verb}`, wish);
    expect([verb, refused.status, refused.body["code"]]).toEqual([verb, 422, code]);
  }
  for (const [wish, status, code] of [
    [{ auto_renew: true, plan: "nothing" }, 422, "plan_unknown"],
    [{ auto_renew: true, plan: small, version: 2 }, 422, "plan_unknown"],
    [{ auto_renew: true, interval: "day" }, 422, "price_unknown"],
    [{ auto_renew: true, version: 1 }, 400, "validation_failed"],
    [{}, 400, "validation_failed"],
  ] as const) {
    const refused = await api.put(`${subscription}/renewal`, wish);
    expect([wish, refused.status, refused.body["code"]]).toEqual([wish, status, code]);
  }
  expect((await api.get(subscription)).body).toMatchObject({ plan: { code: small }, next: null, auto_renew: true });
});

test("without renewal it ends with what was paid for, and says why", async ({ api, paying, over }) => {
  const workspace = await paying(1000);
  const { subscription, end } = workspace;
  const off = await api.put(`${subscription}/renewal`, { auto_renew: false });
  expect(off.body).toMatchObject({ auto_renew: false, renews_at: null, ends_at: end });
  expect((await over(workspace)).body).toMatchObject({
    state: "canceled",
    ended_reason: "not_renewed",
    period: 1,
    ended_at: expect.any(String),
    read_only: true,
    read_only_reason: "canceled",
  });
  const late = await api.put(`${subscription}/renewal`, { auto_renew: true });
  expect([late.status, late.body["code"]]).toEqual([409, "no_subscription"]);
});

test("a cancellation may be taken back until the period ends; one now ends it now", async ({ api, paying, over }) => {
  const workspace = await paying(1000);
  const { subscription, credits, end } = workspace;
  const canceled = await api.post(`${subscription}/cancel`, { when: "period_end" });
  const ahead = { state: "active", cancel_at: end, ends_at: end };
  expect([canceled.status, canceled.body]).toMatchObject([200, { ...ahead, auto_renew: true, renews_at: null }]);
  const back = { state: "active", cancel_at: null, auto_renew: true, renews_at: end };
  expect((await api.post(`${subscription}/uncancel`)).body).toMatchObject(back);
  await api.post(`${subscription}/cancel`, { when: "period_end" });
  expect((await api.put(`${subscription}/renewal`, { auto_renew: true })).body).toMatchObject(back);

  await api.post(`${subscription}/cancel`, { when: "period_end" });
  const { body } = await over(workspace);
  expect(body).toMatchObject({ state: "canceled", ended_reason: "canceled", period: 1 });
  expect((await api.post(`${subscription}/uncancel`)).body).toMatchObject({ code: "no_subscription" });
  expect((await api.get(credits)).body).toMatchObject({ available: 0 });

  const other = await paying();
  const now = await api.post(`${other.subscription}/cancel`, { when: "now" });
  expect(now.body).toMatchObject({ state: "canceled", ended_reason: "canceled", renews_at: null, ends_at: null });
  expect((await api.post(`${other.credits}/spend`, { amount: 1 })).body).toMatchObject({ code: "workspace_read_only" });
});

test("who runs dry owes, is asked again, and goes on where he stood; else it ends after the grace", async ({
  api,
  trying,
  topUp,
  over,
  reach,
  sweep,
}) => {
  const [one, other] = [await trying(), await trying()];
  const [pays, leaves] = [await over(one), await over(other)];
  await over(leaves);
  const { body: dry } = await over(pays);
  expect(dry).toMatchObject({ state: "past_due", period: 1, past_due_since: pays.end, read_only: false });
  expect(days(pays.end, dry["ends_at"])).toBe(7);
  expect(days(pays.end, dry["renews_at"])).toBeLessThan(1);
  // Not by itself any more, and then again.
  const off = await api.put(`${pays.subscription}/renewal`, { auto_renew: false });
  expect(off.body).toMatchObject({ state: "past_due", renews_at: null, ends_at: dry["ends_at"] });
  const on = await api.put(`${pays.subscription}/renewal`, { auto_renew: true });
  expect(on.body).toMatchObject({ state: "past_due", renews_at: expect.any(String), ends_at: dry["ends_at"] });

  await topUp(pays, 1000);
  await sweep("auto_renew");
  const again = (await api.get(pays.subscription)).body;
  expect(again).toMatchObject({ state: "active", period: 2, past_due_since: null, current_period_start: pays.end });
  await reach((await api.get(leaves.subscription)).body["ends_at"]);
  await sweep("expire");
  expect((await api.get(leaves.subscription)).body).toMatchObject({ state: "canceled", ended_reason: "unpaid" });
  expect((await api.get(pays.subscription)).body).toEqual(again);

  // Whose period is over has nothing to keep until its end.
  const { body } = await over({ ...pays, end: again["current_period_end"] });
  expect(body).toMatchObject({ state: "past_due" });
  const canceled = await api.post(`${pays.subscription}/cancel`, { when: "period_end" });
  expect(canceled.body).toMatchObject({ state: "canceled", ended_reason: "canceled" });
});

test("without Stripe, who has no subscription is told so, and a stranger nothing", async ({ api }) => {
  const { path } = await api.workspace();
  const stranger = api.as(`tg_${"x".repeat(43)}`);
  const foreign = await api.withKey(["billing:write"], (await api.workspace()).id);
  for (const [method, verb, body] of [
    ["POST", "change", { quantity: 2, when: "now" }],
    ["POST", "cancel", { when: "now" }],
    ["POST", "uncancel", {}],
    ["POST", "keep", {}],
    ["PUT", "renewal", { auto_renew: true }],
  ] as const) {
    const call = (client: Api) => client.call(method, `${path}/subscription/${verb}`, { body, key: randomUUID() });
    const answers = [await call(api), await call(stranger), await call(foreign)];
    expect([verb, ...answers.map((answer) => [answer.status, answer.body["code"]])]).toEqual([
      verb,
      [409, "no_subscription"],
      [401, "unauthenticated"],
      [404, "not_found"],
    ]);
  }
});

test("a workspace's key sets its own renewal with billing:write alone, once by its key", async ({ api, paying }) => {
  const { id, subscription } = await paying();
  const client = await api.withKey(["billing:write"], id);
  const key = randomUUID();
  const off = await client.put(`${subscription}/renewal`, { auto_renew: false }, key);
  expect([off.status, off.body["auto_renew"]]).toEqual([200, false]);
  await client.put(`${subscription}/renewal`, { auto_renew: true });
  // The repeat does nothing, and shows how it is now.
  const late = await client.put(`${subscription}/renewal`, { auto_renew: false }, key);
  expect([late.status, late.body["auto_renew"]]).toEqual([200, true]);
  expect(late.headers.get("Idempotent-Replayed")).toBe("true");
  expect((await client.put(`${subscription}/renewal`, { auto_renew: true }, null)).status).toBe(400);
});
