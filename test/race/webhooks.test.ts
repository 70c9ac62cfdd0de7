import { randomUUID } from "node:crypto";
import { beforeEach, expect, vi } from "vitest";
import { race, raceBehind, tally } from "../support/barrier.ts";
import { Endpoint, eventsOf, silence } from "../support/endpoints.ts";
import { Account, advance, call, outcome, rows } from "../support/scenario.ts";
import { soldPlan, Subscriber } from "../support/subscriber.ts";
import { Telling } from "../support/telling.ts";
import { testRoutines, times } from "./arena.ts";

const test = testRoutines
  .extend("telling", async ({ database }, { onCleanup }) => {
    const telling = await Telling.open(database);
    onCleanup(() => telling.stop());
    return telling;
  })
  .extend("listener", async ({ db }) => {
    await silence(db);
    return await Endpoint.listening(db);
  });

beforeEach(() => {
  const told = vi.spyOn(console, "error").mockReturnValue(undefined);
  return () => told.mockRestore();
});

test.for([2, 4, 8])("%i pumps at once tell each endpoint each event once", async (n, { telling }) => {
  const [one, two] = [await telling.connect(), await telling.connect()];
  const resource = randomUUID();
  const versions = times(60).map((i) => i + 1);
  await telling.tell(resource, versions);
  await race(n, () => telling.pump());
  for (const { receiver } of [one, two]) {
    expect(receiver.events.map(({ data }) => data.version).toSorted((a, b) => a - b)).toEqual(versions);
    expect(tally([...receiver.times.values()])).toEqual({ 1: 60 });
    expect(receiver.refused).toEqual([]);
  }
});

test.for([2, 4, 8])(
  "%i pumps at once, a receiver that fails, cuts and is slow, and versions that come meanwhile in any order: it ends at the truth",
  async (n, { telling }) => {
    const { endpoint, receiver } = await telling.connect();
    const resource = randomUUID();
    receiver.peer.behave("cut", 3);
    receiver.peer.behave("error", 3);
    receiver.peer.behave("throttled", 1);
    receiver.peer.behave("cut", 2);
    await Promise.all([
      telling.tell(
        resource,
        times(20).map((i) => 2 * (i + 1)),
      ),
      telling.tell(
        resource,
        times(20).map((i) => 39 - 2 * i),
      ),
      race(n, () => telling.pump()),
    ]);
    await telling.mend(n);
    expect((await endpoint.sent()).every(({ state }) => state === "delivered")).toBe(true);
    expect(receiver.events).toHaveLength(40);
    expect(receiver.knows.get(resource)?.data["said"]).toBe(40);
  },
);

test("a fact that many tell at once is one event, and one message for each endpoint", async ({ db, listener }) => {
  const second = await Endpoint.listening(db);
  const resource = randomUUID();
  await race(20, () => db.query("select messages.tell('hold.expired', null, $1, 1, '{}')", [resource]));
  expect(await eventsOf(db, resource)).toHaveLength(1);
  expect([await listener.hears(), await second.hears()]).toEqual([["hold.expired 1"], ["hold.expired 1"]]);
});

test("many who spend at once pass the mark once", async ({ db, listener }) => {
  for (const round of times(5)) {
    const { id } = await call<{ id: string }>(db, "people.create_workspace", { name: "Acme", caused_by: "test" });
    const account = new Account(db, { owner: id });
    await account.grant(20);
    await call(db, "ledger.set_low_mark", { owner_id: id, unit: "credit", below: 10 + (round % 2), caused_by: "test" });
    const spent = await raceBehind(db, account.lock, 20, () => outcome(account.spend(1)));
    expect(tally(spent)).toEqual({ done: 20 });
    expect((await eventsOf(db, id)).map(({ version, data }) => [version, data["available"]])).toEqual([
      [1, 9 + (round % 2)],
    ]);
  }
  expect(tally(await listener.hears())).toMatchObject({ "credits.low 1": 5 });
});

test("renewals by four sweeps at once, and an endpoint that comes and goes: each is told once, and nobody waits in a ring", async ({
  db,
  listener,
}) => {
  const plan = await soldPlan(db);
  const made = await race(40, async () => {
    const subscriber = await Subscriber.make(db, 1000);
    return (await subscriber.buy(plan)).subscription_id;
  });
  await advance(db, "32 days");
  const renewed = race(4, async () => {
    while ((await call<{ processed: number }>(db, "billing.auto_renew", { batch: 10 })).processed > 0);
  });
  const comes = race(2, async () => {
    for (const _ of times(10)) {
      const other = await Endpoint.listening(db, ["subscription.*"]);
      await other.change({ enabled: false });
      await other.change({ enabled: true });
      await other.delete();
    }
  });
  await Promise.all([renewed, comes]);
  const told = await rows<{ resource: string; type: string; n: number }>(
    db,
    `select w.resource, w.type, count(*) as n from messages.webhook_event w
       join messages.outbox o on o.dedupe_key = w.id || ':' || $2
      where w.resource = any($1) and w.type = 'subscription.renewed' group by 1, 2`,
    [made, listener.id],
  );
  expect(told.map(({ n }) => n)).toEqual(made.map(() => 1));
});
