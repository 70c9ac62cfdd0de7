import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { race, tally } from "../support/barrier.ts";
import { Endpoint, eventsOf, replayEvent, silence } from "../support/endpoints.ts";
import { advance, call, outcome, refusal, rows } from "../support/scenario.ts";
import type { Db } from "../support/scenario.ts";
import { test as base } from "../support/sql.ts";

/** Nobody listens when a test begins. */
const test = base.extend("silent", { auto: true }, async ({ db }) => {
  await silence(db);
  return true;
});

const tell = async (db: Db, resource: string = randomUUID(), type = "credits.low") => {
  await db.query("select messages.tell($1, null, $2, 1, '{}')", [type, resource]);
  const [event] = await eventsOf(db, resource);
  return event?.id ?? "";
};

interface Claimed {
  ids: string[];
  tokens: string[];
  endpoint_ids: string[];
}

/** Claims what is due to an endpoint, and nothing of others': they are silent. */
const claim = (db: Db) => call<Claimed>(db, "messages.claim", { channel: "webhook", batch: 25, lease: "2 minutes" });

/** Claims and fails the one message that is due. */
async function failed(db: Db, how: { gone?: boolean; final?: boolean; retry_after?: string } = {}) {
  const { ids, tokens } = await claim(db);
  expect(ids).toHaveLength(1);
  return call<{ state: string; open: boolean }>(db, "messages.fail", {
    id: ids[0],
    token: tokens[0],
    error: how.gone === true ? "answered 410" : "answered 500",
    final: how.gone === true || how.final === true,
    retry_after: how.retry_after ?? null,
    unavailable: how.gone !== true && how.final !== true,
    gone: how.gone === true,
  });
}

const settled = async (db: Db) => {
  const { ids, tokens } = await claim(db);
  return call<{ lost: number }>(db, "messages.settle_many", { ids, tokens });
};

const states = async (endpoint: Endpoint) => (await endpoint.sent()).map(({ state }) => state);

describe("an endpoint that says that it is gone", () => {
  test("is disabled at once, under an alarm; what waits for it is canceled when it is claimed", async ({ db }) => {
    const endpoint = await Endpoint.listening(db, ["credits.*"]);
    await tell(db);
    expect(await failed(db, { gone: true })).toEqual(expect.objectContaining({ state: "dead", open: true }));
    expect(await endpoint.row()).toMatchObject({ disabled_reason: "gone", error: "answered 410" });
    expect(await endpoint.alarms()).toEqual(["endpoint_disabled"]);
    expect(await tell(db)).toBe("");
    const given = (await endpoint.sent())[0]?.event_id ?? "";
    for (const act of [() => endpoint.test(), () => endpoint.replay("2026-01-01"), () => endpoint.replayEvent(given)]) {
      expect(await refusal(act())).toEqual({ code: "endpoint_disabled" });
    }
    await endpoint.change({ enabled: true });
    expect(await endpoint.alarms()).toEqual([]);
    await endpoint.test();
    await tell(db);
    await endpoint.change({ enabled: false });
    expect((await claim(db)).ids).toEqual([]);
    expect(await states(endpoint)).toEqual(["dead", "canceled", "canceled"]);
    // By a person, that is no alarm.
    expect(await endpoint.alarms()).toEqual([]);
  });

  test("takes only its own down", async ({ db }) => {
    const [gone, other] = [await Endpoint.listening(db, ["hold.*"]), await Endpoint.listening(db, ["credits.*"])];
    await tell(db, undefined, "hold.expired");
    await failed(db, { gone: true });
    await tell(db);
    expect((await claim(db)).endpoint_ids).toEqual([other.id]);
    expect((await gone.row()).disabled_reason).toBe("gone");
    expect((await other.row()).disabled_at).toBeNull();
  });
});

describe("an endpoint that takes nothing", () => {
  test("for five days is disabled, under an alarm; a minute less, and it is not", async ({ db }) => {
    const endpoint = await Endpoint.listening(db, ["credits.*"]);
    await tell(db);
    await failed(db);
    await advance(db, "119 hours 50 minutes");
    await failed(db);
    expect(await endpoint.row()).toMatchObject({ disabled_at: null, failures: 2 });
    await advance(db, "11 minutes");
    expect(await failed(db)).toMatchObject({ open: true });
    expect(await endpoint.row()).toMatchObject({ disabled_reason: "failing" });
    expect(await endpoint.alarms()).toEqual(["endpoint_disabled"]);
    // Enabled again, it has five days again.
    await endpoint.change({ enabled: true });
    expect(await endpoint.row()).toMatchObject({ failures: 0, failing_since: null, open_until: null, error: null });
    await tell(db);
    await advance(db, "1 day");
    await db.query(
      "update messages.outbox set due_at = null, state = 'canceled' where id in (select id from messages.outbox where endpoint_id = $1 and state = 'queued' order by id limit 1)",
      [endpoint.id],
    );
    await failed(db);
    expect(await endpoint.row()).toMatchObject({ disabled_at: null });
  });

  test("but one thing in five days goes on", async ({ db }) => {
    const endpoint = await Endpoint.listening(db, ["credits.*"]);
    await tell(db);
    await failed(db);
    await advance(db, "4 days 23 hours");
    expect(await settled(db)).toMatchObject({ lost: 0 });
    expect(await endpoint.row()).toMatchObject({ failures: 0, failing_since: null });
    await tell(db);
    await failed(db);
    await advance(db, "4 days 23 hours");
    await failed(db);
    expect(await endpoint.row()).toMatchObject({ disabled_at: null });
  });

  test("is forgiven at another address", async ({ db }) => {
    const endpoint = await Endpoint.listening(db, ["credits.*"]);
    await tell(db);
    // A message that died counts as a failure of its endpoint: the next success closes its alarm.
    await failed(db, { final: true });
    expect(await endpoint.alarms()).toEqual(["endpoint_failing"]);
    await tell(db);
    await failed(db);
    await endpoint.change({ events: ["*"] });
    expect(await endpoint.row()).toMatchObject({ failures: 2, failing_since: expect.any(String) });
    await endpoint.change({ url: "https://new.example/" });
    expect(await endpoint.row()).toMatchObject({ failures: 0, failing_since: null });
    expect(await endpoint.alarms()).toEqual([]);
  });
});

describe("a replay", () => {
  test("sends what was delivered again, under its id, in a message of its own; to all that listen, or to one", async ({
    db,
  }) => {
    const [one, two] = [await Endpoint.listening(db, ["credits.*"]), await Endpoint.listening(db)];
    const deaf = await Endpoint.listening(db, ["hold.*"]);
    const event = await tell(db);
    await settled(db);
    const all = await replayEvent(db, event, null);
    expect(all.endpoint_ids).toEqual([one.id, two.id]);
    expect((await one.sent()).map(({ id, event_id, state }) => [id, event_id, state])).toEqual([
      [expect.any(String), event, "delivered"],
      [all.delivery_ids[0], event, "queued"],
    ]);
    expect((await deaf.replayEvent(event)).endpoint_ids).toEqual([deaf.id]);
    expect((await claim(db)).ids).toHaveLength(3);
    expect(
      await eventsOf(
        db,
        (await rows<{ resource: string }>(db, "select resource from messages.webhook_event where id = $1", [event]))[0]
          ?.resource ?? "",
      ),
    ).toHaveLength(1);
  });

  test("of what waits makes it due, of what was given up tries it anew: no second message", async ({ db }) => {
    const endpoint = await Endpoint.listening(db, ["credits.*"]);
    const event = await tell(db);
    await failed(db);
    expect((await endpoint.sent())[0]?.seconds).toBeGreaterThan(0);
    await endpoint.replayEvent(event);
    expect((await endpoint.sent())[0]).toMatchObject({ seconds: 0, attempts: 1 });
    await failed(db, { final: true });
    await endpoint.replayEvent(event);
    expect(await endpoint.sent()).toMatchObject([{ state: "queued", attempts: 0 }]);
    // And of what is being sent, nothing: its sender is at it.
    const { ids } = await claim(db);
    expect((await endpoint.replayEvent(event)).delivery_ids).toEqual(ids);
    expect(await endpoint.sent()).toMatchObject([{ state: "sending", attempts: 1 }]);
  });

  test("at the same moment twice, to an endpoint that never had it, is one message", async ({ db }) => {
    await Endpoint.listening(db, ["credits.*"]);
    const event = await tell(db);
    const late = await Endpoint.listening(db, ["hold.*"]);
    expect(tally(await race(8, () => outcome(late.replayEvent(event))))).toEqual({ done: 8 });
    expect(await states(late)).toEqual(["queued"]);
  });

  test("of all that was given up since then takes no more and no others'", async ({ db }) => {
    const [endpoint, other] = [await Endpoint.listening(db, ["credits.*"]), await Endpoint.listening(db, ["hold.*"])];
    await tell(db);
    await failed(db, { final: true });
    await advance(db, "1 hour");
    const [{ at } = { at: "" }] = await rows<{ at: string }>(db, "select ops.now()::text as at");
    await tell(db);
    await failed(db, { final: true });
    await tell(db, undefined, "hold.expired");
    await failed(db, { final: true });
    expect(await endpoint.replay(at)).toMatchObject({ replayed: 1, more: false });
    expect([await states(endpoint), await states(other)]).toEqual([["dead", "queued"], ["dead"]]);
    expect(await endpoint.replay(at)).toMatchObject({ replayed: 0 });
    expect(await endpoint.replay("2026-01-01")).toMatchObject({ replayed: 1 });
  });

  test("is refused for what is not there", async ({ db }) => {
    const endpoint = await Endpoint.listening(db);
    const event = await tell(db);
    const nothing = { code: "not_found" };
    expect(await refusal(endpoint.replayEvent(randomUUID()))).toEqual(nothing);
    expect(await refusal(replayEvent(db, event, randomUUID()))).toEqual(nothing);
    await endpoint.delete();
    expect(await refusal(endpoint.replayEvent(event))).toEqual(nothing);
    expect(await refusal(endpoint.replay("2026-01-01"))).toEqual(nothing);
    expect(await refusal(endpoint.test())).toEqual(nothing);
  });
});

test("the courier is told where each message goes, and of what; not of one whose event has gone", async ({ db }) => {
  const endpoint = await Endpoint.listening(db, ["credits.*"], "https://app.example/hook");
  const [event] = [await tell(db), await tell(db)];
  const { ids } = await claim(db);
  await call(db, "messages.rotate_endpoint", { id: endpoint.id, keep: "1 hour", caused_by: "test" });
  const of = () =>
    call<{
      message_ids: string[];
      event_ids: string[];
      urls: string[];
      secret_numbers: number[];
      old_counts: boolean[];
    }>(db, "messages.webhooks_of", { ids });
  expect(await of()).toMatchObject({
    secret_numbers: [2, 2],
    old_counts: [true, true],
    urls: ["https://app.example/hook", "https://app.example/hook"],
  });
  await advance(db, "61 minutes");
  await db.query("delete from messages.webhook_event where id = $1", [event]);
  const left = await of();
  expect(left).toMatchObject({ old_counts: [false] });
  expect(ids).toContain(left.message_ids[0]);
});
