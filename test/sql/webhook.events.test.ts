import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { eventTypes } from "../../src/messages/webhook-model.ts";
import { Endpoint, eventsOf, silence } from "../support/endpoints.ts";
import { Guest } from "../support/guest.ts";
import { Account, advance, call, rows } from "../support/scenario.ts";
import type { Db } from "../support/scenario.ts";
import { test as base } from "../support/sql.ts";
import { soldPlan, Subscriber } from "../support/subscriber.ts";

/** Nobody listens when a test begins. */
const test = base.extend("silent", { auto: true }, async ({ db }) => {
  await silence(db);
  return true;
});

/** A credit account of a workspace that is there, with a mark at which it is low. */
async function marked(db: Db, below: number | null, amount: number): Promise<Account> {
  const { id } = await call<{ id: string }>(db, "people.create_workspace", { name: "Acme", caused_by: "test" });
  const account = new Account(db, { owner: id });
  if (amount > 0) await account.grant(amount);
  await mark(db, id, below);
  return account;
}

const mark = (db: Db, owner_id: string, below: number | null) =>
  call<{ available: number }>(db, "ledger.set_low_mark", { owner_id, unit: "credit", below, caused_by: "test" });

const lows = async (db: Db, { owner }: Account) =>
  (await eventsOf(db, owner)).map(({ type, version, data }) => [type, version, data["available"]]);

describe("credits.low", () => {
  test("is told once for each fall below the mark, by whatever it falls", async ({ db }) => {
    const endpoint = await Endpoint.listening(db, ["credits.low"]);
    const account = await marked(db, 10, 20);
    await account.spend(10);
    expect(await lows(db, account)).toEqual([]);
    await account.spend(1);
    await account.spend(1);
    expect(await lows(db, account)).toEqual([["credits.low", 1, 9]]);
    await account.grant(100);
    await account.spendMany([
      { key: "a", amount: 50 },
      { key: "b", amount: 50 },
    ]);
    await account.grant(100);
    const held = await account.hold(99);
    await account.release(held.id);
    await account.adjust(-100);
    expect(await lows(db, account)).toEqual([
      ["credits.low", 1, 9],
      ["credits.low", 2, 8],
      ["credits.low", 3, 9],
      ["credits.low", 4, 8],
    ]);
    expect(await endpoint.hears()).toEqual(["credits.low 1", "credits.low 2", "credits.low 3", "credits.low 4"]);
    const [event] = await eventsOf(db, account.owner);
    expect(event).toMatchObject({
      workspace_id: account.owner,
      data: {
        id: account.owner,
        workspace_id: account.owner,
        version: 1,
        unit: "credit",
        below: 10,
        available: 9,
        held: 0,
      },
    });
  });

  test("is told of what is left when the transaction ends: what expires and is given anew is not low", async ({
    db,
  }) => {
    await Endpoint.listening(db, ["credits.*"]);
    const account = await marked(db, 10, 0);
    await account.reset(50, { expires_in: "1 hour" });
    await advance(db, "2 hours");
    await account.reset(50, { expires_in: "1 hour" });
    expect(await lows(db, account)).toEqual([]);
    await advance(db, "2 hours");
    await call(db, "ledger.lots_expire", { batch: 100 });
    // The fall that was made good was counted.
    expect(await lows(db, account)).toEqual([["credits.low", 2, 0]]);
  });

  test("is told of a refund that takes them, and of a pool that is set to less", async ({ db }) => {
    await Endpoint.listening(db, ["credits.*"]);
    const account = await marked(db, 10, 5);
    const payment = randomUUID();
    await account.grant(20, { payment });
    await account.takeBack(payment, { refunded: 100 });
    expect(await lows(db, account)).toEqual([["credits.low", 1, 5]]);
    await account.reset(50);
    await account.reset(1);
    expect((await lows(db, account)).at(-1)?.slice(2)).toEqual([6]);
  });

  test("is told once of several falls in one transaction", async ({ db }) => {
    await Endpoint.listening(db, ["credits.*"]);
    const account = await marked(db, 10, 20);
    const client = await db.connect();
    await client.query("begin");
    const same = account.on(client);
    await same.spend(15);
    await same.grant(15);
    await same.spend(16);
    await client.query("commit");
    client.release();
    expect(await lows(db, account)).toEqual([["credits.low", 2, 4]]);
  });

  test("is not told without a mark, nor for what is below already, nor of what was refused", async ({ db }) => {
    await Endpoint.listening(db, ["*"]);
    const free = await marked(db, null, 20);
    await free.spend(20);
    const below = await marked(db, 30, 20);
    await below.spend(1);
    await expect(below.spend(1000)).rejects.toThrow();
    expect([await lows(db, free), await lows(db, below)]).toEqual([[], []]);
    await below.grant(100);
    await below.spend(100);
    expect(await lows(db, below)).toEqual([["credits.low", 1, 19]]);
    await mark(db, below.owner, null);
    await below.grant(100);
    await below.spend(100);
    expect(await lows(db, below)).toHaveLength(1);
    expect(
      await rows(db, "select from ops.audit where action = 'credits.low_mark' and workspace_id = $1", [below.owner]),
    ).toHaveLength(2);
  });
});

const told = async (db: Db, resource: string) =>
  (await eventsOf(db, resource)).map(({ type, data }) => `${type} ${String(data["state"])}`);

describe("subscription.*", () => {
  test("tells a life, each change with the version that it made", async ({ db }) => {
    const endpoint = await Endpoint.listening(db, ["subscription.*"]);
    const plan = await soldPlan(db);
    const subscriber = await Subscriber.make(db, 1000);
    const { subscription_id: id } = await subscriber.buy(plan);
    const version = async () =>
      (await rows<{ version: number }>(db, "select version from billing.subscription where id = $1", [id]))[0]?.version;
    expect(await told(db, id)).toEqual(["subscription.created active"]);
    const [created] = await eventsOf(db, id);
    expect(created).toMatchObject({
      workspace_id: subscriber.workspace,
      data: {
        id,
        version: 1,
        workspace_id: subscriber.workspace,
        plan: plan.code,
        plan_version: 1,
        quantity: 1,
        ended_at: null,
      },
    });
    expect(created?.data["current_period_end"]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);

    await advance(db, "32 days");
    await call(db, "billing.auto_renew", { batch: 100 });
    expect((await told(db, id)).slice(1)).toEqual(["subscription.renewed active"]);
    await advance(db, "32 days");
    // No money is left.
    await call(db, "billing.auto_renew", { batch: 100 });
    await call(db, "billing.expire", { batch: 100 });
    const all = await eventsOf(db, id);
    expect(all.at(-1)).toMatchObject({ type: "subscription.canceled", version: await version() });
    expect(all.at(-1)?.data).toMatchObject({ state: "canceled", ended_at: expect.any(String) });
    const versions = all.map((event) => event.version);
    expect(versions).toEqual([...new Set(versions)].toSorted((a, b) => a - b));
    expect(all.map(({ data }) => data["version"])).toEqual(versions);
    expect(await endpoint.hears()).toEqual(all.map((event) => `${event.type} ${event.version}`));
  });

  test("tells a batch of renewals in one go, each once; what no customer could notice is not told", async ({ db }) => {
    const plan = await soldPlan(db);
    const subscribers = [];
    for (let i = 0; i < 12; i += 1) {
      const subscriber = await Subscriber.make(db, 1000);
      subscribers.push({ subscriber, id: (await subscriber.buy(plan)).subscription_id });
    }
    await Endpoint.listening(db, ["subscription.renewed"]);
    const others = await Endpoint.listening(db, ["*"]);
    await advance(db, "32 days");
    await call(db, "billing.auto_renew", { batch: 100 });
    for (const { id } of subscribers) expect(await told(db, id)).toEqual(["subscription.renewed active"]);
    const heard = await others.hears();
    await db.query("update billing.subscription set notice_at = notice_at where plan_id = $1", [plan.id]);
    expect(await others.hears()).toEqual(heard);
    const [first, ...rest] = subscribers.map(({ id }) => id);
    // There and back, of one among all.
    await db.query("update billing.subscription set auto_renew = id <> $1 where plan_id = $2", [first, plan.id]);
    await db.query("update billing.subscription set auto_renew = true where plan_id = $1", [plan.id]);
    const updated = "subscription.updated active";
    expect(await told(db, first ?? "")).toEqual(["subscription.renewed active", updated, updated]);
    for (const id of rest) expect(await told(db, id)).toEqual(["subscription.renewed active"]);
  });
});

test("purchase.* tells each state of a purchase", async ({ db }) => {
  await Endpoint.listening(db, ["purchase.*"]);
  const plan = await soldPlan(db);
  const subscriber = await Subscriber.make(db, 1000);
  const { id } = await subscriber.buy(plan);
  const made = await eventsOf(db, id);
  expect(made.map(({ type }) => type).at(-1)).toBe("purchase.paid");
  expect(made.at(-1)?.data).toMatchObject({
    id,
    state: "paid",
    amount_minor: 500,
    currency: "eur",
    kind: "subscription",
  });
  // Every state has its type.
  const states = await rows<{ state: string }>(
    db,
    "select distinct to_state as state from ops.transition where machine = 'payments.purchase' and to_state <> 'pending'",
  );
  expect(eventTypes).toEqual(expect.arrayContaining(states.map(({ state }) => `purchase.${state}`)));
});

test("access.* tells a key's life, and never the key", async ({ db }) => {
  await Endpoint.listening(db, ["access.*"]);
  const guest = await Guest.withKey(db);
  const { id, key } = await guest.key();
  await guest.confirm(id, "active");
  await guest.end();
  await guest.confirm(id, "removed");
  const events = await eventsOf(db, id);
  expect(events.map(({ type, version }) => `${type} ${version}`)).toEqual([
    "access.created 1",
    "access.activated 2",
    "access.revoked 3",
    "access.removed 4",
  ]);
  expect(events[0]).toMatchObject({ workspace_id: guest.workspace });
  expect(JSON.stringify(events)).not.toContain(key);
});

test("hold.expired tells of holds that ended by themselves, and of no others", async ({ db, account }) => {
  await Endpoint.listening(db, ["hold.expired"]);
  await account.grant(100);
  const [settled, released, expired] = [await account.hold(5), await account.hold(5), await account.hold(5)];
  await account.settle(settled.id);
  await account.release(released.id);
  await advance(db, "2 hours");
  await call(db, "ledger.holds_expire", { batch: 100 });
  expect([await told(db, settled.id), await told(db, released.id)]).toEqual([[], []]);
  const [event] = await eventsOf(db, expired.id);
  expect(event).toMatchObject({
    type: "hold.expired",
    version: 2,
    data: { amount: 5, unit: "credit", state: "expired" },
  });
});

test("alarm.opened and alarm.closed are told once each, however often it is raised", async ({ db }) => {
  const endpoint = await Endpoint.listening(db, ["alarm.*"]);
  const subject = randomUUID();
  for (let i = 0; i < 3; i += 1) await db.query("select ops.raise_alarm('odd', $1, '{\"why\": 1}')", [subject]);
  for (let i = 0; i < 2; i += 1) await db.query("select ops.close_alarm('odd', $1)", [subject]);
  expect(await endpoint.hears()).toEqual(["alarm.opened 1", "alarm.closed 2"]);
  await db.query("select ops.raise_alarm('odd', $1, '{}')", [subject]);
  expect(await endpoint.hears()).toEqual(["alarm.opened 1", "alarm.closed 2", "alarm.opened 1"]);
});

describe("an event", () => {
  test("is kept, and told, only while an enabled endpoint listens to its type", async ({ db, account }) => {
    const tell = (type: string) => db.query("select messages.tell($1, $2, 'thing', 1, '{}')", [type, account.owner]);
    const seen = async () => (await rows(db, "select from messages.webhook_event where resource = 'thing'")).length;
    const deaf = await Endpoint.listening(db, ["hold.*", "subscription.created"]);
    for (const type of ["credits.low", "subscription.updated", "holder.x"]) await tell(type);
    const off = await Endpoint.listening(db);
    await off.change({ enabled: false });
    const gone = await Endpoint.listening(db);
    await gone.delete();
    await tell("credits.low");
    expect(await seen()).toBe(0);
    const all = await Endpoint.listening(db);
    const family = await Endpoint.listening(db, ["credits.*"]);
    await tell("credits.low");
    await tell("credits.low");
    expect(await seen()).toBe(1);
    expect(await Promise.all([deaf, off, gone, all, family].map((one) => one.hears()))).toEqual([
      [],
      [],
      [],
      ["credits.low 1"],
      ["credits.low 1"],
    ]);
  });

  test("is of its fact's transaction: what is rolled back was never told", async ({ db, account }) => {
    const endpoint = await Endpoint.listening(db);
    await account.grant(20);
    await mark(db, account.owner, 10);
    const client = await db.connect();
    await client.query("begin");
    await account.on(client).spend(15);
    await client.query("set constraints all immediate");
    await client.query("rollback");
    client.release();
    expect(await endpoint.hears()).toEqual([]);
  });

  test("goes after 35 days, and so does what of it was given up", async ({ db, account }) => {
    const endpoint = await Endpoint.listening(db);
    const tell = (version: number) =>
      db.query("select messages.tell('credits.low', null, $1, $2, '{}')", [account.owner, version]);
    await tell(1);
    await db.query("update messages.outbox set state = 'sending' where endpoint_id = $1", [endpoint.id]);
    await db.query("update messages.outbox set state = 'dead', due_at = null where endpoint_id = $1", [endpoint.id]);
    await advance(db, "34 days");
    await tell(2);
    await call(db, "messages.webhook_events_expire", { batch: 100 });
    expect(await eventsOf(db, account.owner)).toHaveLength(2);
    await advance(db, "25 hours");
    expect(await call(db, "messages.webhook_events_expire", { batch: 100 })).toMatchObject({ failed: 0, more: false });
    expect((await eventsOf(db, account.owner)).map(({ version }) => version)).toEqual([2]);
    expect(await endpoint.sent()).toHaveLength(1);
    expect(await call(db, "messages.webhook_events_expire", { batch: 100 })).toMatchObject({ processed: 0 });
  });
});
