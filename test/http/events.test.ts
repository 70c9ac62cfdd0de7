import { expect } from "vitest";
import { Api } from "../support/api.ts";
import { Till } from "../support/till.ts";
import { test as inWorld } from "../support/world.ts";

const test = inWorld
  .extend("api", ({ world }) => new Api(world.url, world.operatorKey))
  .extend("till", ({ db }) => new Till(db));

const chargeOf = (customer: string) => ({
  kind: "charge",
  charge: "ch_1",
  payment_intent: "pi_1",
  customer,
  amount: 100,
  amount_refunded: 100,
});

test("an event is listed with what became of it, and shown with its body", async ({ api, till }) => {
  const event = till.event("product.created", null);
  await till.deliver(event);
  const item = {
    provider: "stripe",
    id: event.id,
    type: "product.created",
    subject: null,
    state: "ignored",
    outcome: null,
    error: null,
    waits_for: null,
    attempts: 0,
    next_attempt_at: null,
    occurred_at: expect.stringMatching(/Z$/),
    received_at: expect.stringMatching(/Z$/),
    applied_at: null,
  };
  expect((await api.get("/v1/events?limit=1")).body["data"]).toEqual([item]);
  expect((await api.get(`/v1/events/${event.id}`)).body).toEqual({ ...item, payload: "{}" });
});

test("events page by when they came, through those of one instant too, and by state", async ({ api, till, db }) => {
  const events = Array.from({ length: 7 }, () => till.event("product.updated", null));
  for (const event of events) await till.deliver(event);
  const ids = events.map(({ id }) => id);
  await db.query("update ops.event set received_at = '2098-03-01T00:00:00.000123Z' where id = any($1)", [ids]);
  const seen: unknown[] = [];
  let cursor = "";
  for (let page = 0; page < 4; page += 1) {
    const { body } = await api.get(`/v1/events?state=ignored&limit=2${cursor}`);
    seen.push(
      ...[body["data"]].flat().map((item: unknown) => (item instanceof Object && "id" in item ? item.id : item)),
    );
    cursor = `&cursor=${String(body["next_cursor"])}`;
  }
  expect(seen.slice(0, 7)).toEqual(ids.toSorted((a, b) => (a < b ? 1 : -1)));
  expect((await api.get("/v1/events?state=dead")).body).toEqual({ data: [], next_cursor: null });
});

test.for([
  "x",
  "AAAA",
  Buffer.from("2027-03-01T00:00:00Z").toString("base64url"),
  Buffer.from("2027-02-30T00:00:00Z evt_1").toString("base64url"),
  Buffer.from("infinity evt_1").toString("base64url"),
  Buffer.from("2027-03-01T00:00:00Z evt 1").toString("base64url"),
  `${Buffer.from("2027-03-01T00:00:00Z evt_1").toString("base64url")}=`,
])("a cursor that this list did not make is refused: %s", async (cursor, { api }) => {
  const answer = await api.get(`/v1/events?cursor=${encodeURIComponent(cursor)}`);
  expect([answer.status, answer.body["code"]]).toEqual([400, "cursor_invalid"]);
});

test("what waits is shown with what it waits for, and a replay applies it once that is there", async ({
  api,
  till,
  db,
}) => {
  const { workspace, customer } = await till.customer();
  // The customer is not known yet.
  await db.query("update payments.customer set provider_id = null where workspace_id = $1", [workspace]);
  const plan = await till.plan({ included_credits: 20 });
  const event = till.event("customer.subscription.created", {
    kind: "subscription",
    event: "created",
    subscription: "sub_events",
    customer,
    status: "active",
    price: plan.price,
    quantity: 1,
    current_period_start: 1_790_000_000,
    current_period_end: 1_792_592_000,
    trial_end: null,
    cancel_at: null,
    canceled_at: null,
    ended_at: null,
    schedule: null,
    paused: false,
    created: 1_790_000_000,
  });
  await till.deliver(event);
  expect((await api.get(`/v1/events/${event.id}`)).body).toMatchObject({
    state: "parked",
    waits_for: `customer:${customer}`,
    next_attempt_at: expect.any(String),
  });
  const early = await api.post(`/v1/events/${event.id}/replay`);
  expect([early.status, early.body["state"]]).toEqual([200, "parked"]);
  await db.query("update payments.customer set provider_id = $2 where workspace_id = $1", [workspace, customer]);
  const replayed = await api.post(`/v1/events/${event.id}/replay`);
  expect([replayed.status, replayed.body]).toMatchObject([
    200,
    { provider: "stripe", id: event.id, state: "applied", error: null },
  ]);
  expect((await api.get(`/v1/workspaces/${workspace}/subscription`)).body).toMatchObject({ state: "active" });
  const audit = await api.get("/v1/audit?limit=1");
  expect(audit.body["data"]).toMatchObject([{ action: "event.replay", subject: `event:${event.id}` }]);
});

test("A1 an event that was applied may be replayed as often as one likes: its effect is there once", async ({
  api,
  till,
}) => {
  const of = await till.customer();
  const pack = await till.pack(100);
  const { purchase, session } = await till.checkout(of, { pack });
  const event = till.event("checkout.session.completed", {
    kind: "checkout",
    event: "completed",
    session,
    customer: of.customer,
    mode: "payment",
    status: "complete",
    payment_status: "paid",
    payment_intent: null,
    invoice: null,
    subscription: null,
    amount_total: 1000,
    currency: "eur",
    purchase,
    created: 1_790_000_000,
  });
  await till.deliver(event);
  const answers = await Promise.all(Array.from({ length: 10 }, () => api.post(`/v1/events/${event.id}/replay`)));
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 200));
  expect(await till.credits(of.workspace)).toEqual({ bulk: 100 });
});

test("an event that is not there, and a key that may not, are refused", async ({ api, till }) => {
  expect((await api.get("/v1/events/evt_nowhere")).status).toBe(404);
  expect((await api.post("/v1/events/evt_nowhere/replay")).status).toBe(404);
  expect((await api.get("/v1/events/evt%20nowhere")).status).toBe(400);
  expect((await api.get("/v1/events?state=lost")).status).toBe(400);
  const reader = await api.withKey(["ops:read"]);
  const event = till.event("product.created", null);
  await till.deliver(event);
  expect((await reader.post(`/v1/events/${event.id}/replay`)).body).toMatchObject({
    code: "forbidden",
    scope: "ops:write",
  });
});

test("an event of somebody else's is shown, and a replay looks again whose it is", async ({ api, db }) => {
  await db.query(
    `select ops.receive_event(provider => 'stripe', id => 'evt_foreign', type => 'charge.refunded', subject => 'ch_1',
       occurred_at => now(), fact => $1, payload => '{}', foreign_because => 'livemode')`,
    [JSON.stringify(chargeOf("cus_1"))],
  );
  expect((await api.get("/v1/events/evt_foreign")).body).toMatchObject({ state: "foreign", subject: "ch_1" });
  const again = await api.post("/v1/events/evt_foreign/replay");
  expect([again.status, again.body]).toMatchObject([200, { state: "fetching" }]);
});
