import { randomUUID } from "node:crypto";
import { beforeEach, describe, expect, vi } from "vitest";
import { Telling } from "../support/telling.ts";
import { test as inSql } from "../support/sql.ts";
import type { Behaviour } from "../world/peer.ts";

const test = inSql.extend("telling", async ({ database }, { onCleanup }) => {
  const telling = await Telling.open(database);
  onCleanup(() => telling.stop());
  return telling;
});

beforeEach(() => {
  const logged = vi.spyOn(console, "error").mockReturnValue(undefined);
  return () => logged.mockRestore();
});

const versions = [1, 2, 3, 4];
const sent = (states: { state: string }[]) => states.map(({ state }) => state);

describe("D24 whoever delivers webhooks is killed", () => {
  for (const what of ["messages.claim", "messages.webhooks_of", "POST /webhooks", "messages.settle_many"]) {
    for (const when of ["before", "after"] as const) {
      for (const nth of what === "POST /webhooks" ? versions : [1]) {
        test(`${when} ${what} ${nth}: each event arrives, under one id, and its receiver ends at the truth`, async ({
          telling,
        }) => {
          const { endpoint, receiver } = await telling.connect();
          const resource = randomUUID();
          await telling.tell(resource, versions);
          const trip = telling.wires.trip({ nth, when, how: "dead", of: (step) => step.what === what });
          await telling.pump().catch(() => undefined);
          expect(trip.done).toBe(true);
          await telling.mend();
          expect(sent(await endpoint.sent())).toEqual(versions.map(() => "delivered"));
          expect(receiver.events.map(({ data }) => data.version).toSorted((a, b) => a - b)).toEqual(versions);
          expect(receiver.knows.get(resource)?.data["said"]).toBe(4);
          // Again is only what had been sent and could not be settled.
          const again = [...receiver.times.values()].filter((times) => times > 1).length;
          if (what !== "messages.settle_many" && !(what === "POST /webhooks" && when === "after"))
            expect(again).toBeLessThanOrEqual(3);
          if (what === "messages.claim" || what === "messages.webhooks_of") expect(again).toBe(0);
          const count = receiver.peer.requests.length;
          await telling.mend();
          await telling.pump();
          expect(receiver.peer.requests).toHaveLength(count);
        });
      }
    }
  }
});

describe("a receiver", () => {
  test.for<[Behaviour, "again" | "taken", number]>([
    ["error", "again", 0],
    ["throttled", "again", 0],
    ["redirect", "again", 0],
    ["silent", "again", 0],
    ["cut", "again", 1],
    ["slow", "again", 1],
    // A 2xx is a 2xx, whatever it says.
    ["garbage", "taken", 0],
    ["huge", "taken", 0],
  ])("D21 that is %s once: %s", async ([behaviour, then, twice], { telling }) => {
    const { endpoint, receiver } = await telling.connect(["credits.*"], { wired: false });
    const resource = randomUUID();
    receiver.peer.behave(behaviour, 1);
    await telling.tell(resource, versions);
    // Long enough that a busy machine's other answers are there by then.
    const run = await telling.pump(behaviour === "silent" || behaviour === "slow" ? { timeout_ms: 5_000 } : {});
    expect(run.failed).toBe(then === "again" ? 1 : 0);
    await telling.mend();
    expect(sent(await endpoint.sent())).toEqual(versions.map(() => "delivered"));
    expect(receiver.knows.get(resource)?.data.version).toBe(4);
    expect(receiver.events).toHaveLength(versions.length);
    expect([...receiver.times.values()].filter((times) => times > 1)).toHaveLength(twice);
    expect(await endpoint.row()).toMatchObject({ failures: 0, failing_since: null, error: null });
  });

  test("that redirects is not followed", async ({ telling }) => {
    const { endpoint, receiver } = await telling.connect();
    receiver.peer.behave("redirect");
    await telling.tell(randomUUID(), [1]);
    await telling.pump();
    expect(await endpoint.sent()).toMatchObject([{ state: "queued", error: "answered 302" }]);
    expect(receiver.peer.requests).toHaveLength(1);
  });

  test("that asks to wait is left alone for as long", async ({ telling, db }) => {
    const { endpoint, receiver } = await telling.connect();
    receiver.peer.behave("throttled", 1);
    await telling.tell(randomUUID(), [1]);
    await telling.pump();
    expect((await endpoint.sent())[0]?.seconds).toBeGreaterThan(25);
    await telling.tell(randomUUID(), [1]);
    await db.query("update ops.clock set clock_offset = clock_offset + interval '40 seconds'");
    await telling.pump();
    expect(sent(await endpoint.sent())).toEqual(["delivered", "delivered"]);
  });

  test("that answers 410 is never asked again, and what was claimed with it is given back and canceled", async ({
    telling,
  }) => {
    const { endpoint, receiver } = await telling.connect();
    receiver.answer = 410;
    await telling.tell(
      randomUUID(),
      Array.from({ length: 40 }, (_, i) => i + 1),
    );
    await telling.pump();
    // Two may be on their way to one endpoint when the first answer comes.
    expect(receiver.peer.requests.length).toBeLessThanOrEqual(2);
    const states = sent(await endpoint.sent());
    expect(states.filter((state) => state === "dead")).toHaveLength(receiver.peer.requests.length);
    expect(states.filter((state) => state === "canceled")).toHaveLength(40 - receiver.peer.requests.length);
    expect(await endpoint.row()).toMatchObject({ disabled_reason: "gone" });
    expect(await endpoint.alarms()).toEqual(["endpoint_disabled"]);
  });

  test.for<Behaviour>(["silent", "error", "cut"])(
    "that is %s for ever does not delay another",
    async (behaviour, { telling }) => {
      const [down, up] = [await telling.connect(), await telling.connect()];
      down.receiver.peer.behave(behaviour);
      const resource = randomUUID();
      const many = Array.from({ length: 40 }, (_, i) => i + 1);
      await telling.tell(resource, many);
      await telling.pump(behaviour === "silent" ? { timeout_ms: 3_000, budget_ms: 45_000 } : {});
      expect(sent(await up.endpoint.sent())).toEqual(many.map(() => "delivered"));
      expect(up.receiver.knows.get(resource)?.data.version).toBe(40);
      expect(sent(await down.endpoint.sent()).filter((state) => state === "delivered")).toEqual([]);
      // It is asked a few times, and then left alone.
      expect(down.receiver.peer.requests.length).toBeLessThan(8);
      expect((await down.endpoint.row()).failures).toBeGreaterThanOrEqual(5);
      down.receiver.peer.behave("ok");
      await telling.mend();
      expect(down.receiver.knows.get(resource)?.data.version).toBe(40);
      expect(sent(await down.endpoint.sent())).toEqual(many.map(() => "delivered"));
    },
  );
});
