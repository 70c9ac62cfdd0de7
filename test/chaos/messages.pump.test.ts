import { afterEach, beforeEach, describe, expect, vi } from "vitest";
import { until } from "../support/barrier.ts";
import { Pumping } from "../support/pumping.ts";
import { test as inSql } from "../support/sql.ts";
import type { Behaviour } from "../world/peer.ts";

const test = inSql.extend("pumping", async ({ database }, { onCleanup }) => {
  const pumping = await Pumping.open(database);
  onCleanup(() => pumping.stop());
  return pumping;
});

const logged = vi.fn<(line: string) => void>();
beforeEach(() => {
  logged.mockReset();
  vi.spyOn(console, "error").mockImplementation(logged);
});
afterEach(() => {
  vi.restoreAllMocks();
});

const keys = ["a", "b", "c", "d"];

/** Lets leases and back-offs run out, and pumps until nothing is open. */
async function mend(pumping: Pumping, db: { query(sql: string): Promise<unknown> }): Promise<void> {
  pumping.wires.mend();
  pumping.peer.behave("ok");
  for (
    let rounds = 0;
    (await pumping.kept()).some(({ state }) => state === "queued" || state === "sending");
    rounds += 1
  ) {
    expect(rounds).toBeLessThan(20);
    await db.query("update ops.clock set clock_offset = clock_offset + interval '31 minutes'");
    await pumping.pump();
  }
}

describe("D24 a pump that is killed", () => {
  // What it asks for outside, in order: claim, four sends, and settles that gather.
  const steps = ["messages.claim", "POST /told", "messages.settle_many"];

  for (const what of steps) {
    for (const when of ["before", "after"] as const) {
      for (const nth of what === "POST /told" ? [1, 2, 3, 4] : [1]) {
        test(`${when} ${what} ${nth}: what it had claimed goes out by its lease, and only what was unknown twice`, async ({
          pumping,
          db,
        }) => {
          await pumping.enqueue(...keys);
          const trip = pumping.wires.trip({ nth, when, how: "dead", of: (step) => step.what === what });
          await pumping.pump().catch(() => undefined);
          expect(trip.done).toBe(true);
          const before = [...pumping.did];
          await mend(pumping, db);
          expect((await pumping.kept()).map(({ state }) => state)).toEqual(keys.map(() => "delivered"));
          expect([...new Set(pumping.did)].toSorted()).toEqual(keys);
          const again = pumping.did.slice(before.length);
          // Sent again is only what was sent and could not be settled: three are in flight.
          expect(again.filter((key) => before.includes(key)).length).toBeLessThanOrEqual(
            what === "messages.claim" ? 0 : 4,
          );
          const count = pumping.did.length;
          await mend(pumping, db);
          await pumping.pump();
          expect(pumping.did).toHaveLength(count);
        });
      }
    }
  }
});

/** Those are waited for until nobody waits any more: long enough that a busy machine's other answers are there by then. */
const neverAnswers = new Set<Behaviour>(["silent", "slow"]);

describe("a peer", () => {
  test.for<[Behaviour, number]>([
    ["error", 0],
    ["throttled", 0],
    ["redirect", 0],
    ["silent", 0],
    ["cut", 1],
    ["slow", 1],
    ["huge", 1],
  ])(
    "D21 that is %s once has the message again later, and each failure is counted and kept",
    async ([behaviour, does], { pumping, db }) => {
      await pumping.enqueue(...keys);
      pumping.peer.behave(behaviour, 1);
      const run = await pumping.pump(neverAnswers.has(behaviour) ? { timeout_ms: 5_000 } : {});
      expect(run.failed).toBe(1);
      expect(logged).toHaveBeenCalledOnce();
      const failed = (await pumping.kept()).filter(({ state }) => state === "queued");
      expect(failed.filter(({ error }) => error !== null)).toHaveLength(1);
      await mend(pumping, db);
      expect((await pumping.kept()).map(({ state }) => state)).toEqual(keys.map(() => "delivered"));
      expect(pumping.did).toHaveLength(keys.length + does);
      expect([...new Set(pumping.did)].toSorted()).toEqual(keys);
    },
  );

  test("that asks to wait is left alone for as long, and it is no fault of the messages'", async ({ pumping, db }) => {
    await pumping.enqueue(...keys);
    pumping.peer.behave("throttled", 1);
    await pumping.pump();
    expect(await pumping.circuit()).toMatchObject({ open_seconds: 30 });
    const asked = pumping.peer.requests.length;
    await pumping.pump();
    expect(pumping.peer.requests).toHaveLength(asked);
    await db.query("update ops.clock set clock_offset = clock_offset + interval '2 minutes'");
    await pumping.pump();
    expect((await pumping.kept()).map(({ state }) => state)).toEqual(keys.map(() => "delivered"));
    expect((await pumping.circuit())?.failures).toBe(0);
  });

  test("that fails five times in a row is left alone for a minute, then two, under one alarm, and tried with one message", async ({
    pumping,
    db,
  }) => {
    const alarm = async () =>
      (
        await db.query("select closed_at is null as open from ops.alarm where code = 'channel_down' and subject = $1", [
          pumping.channel,
        ])
      ).rows;
    await pumping.enqueue(...Array.from({ length: 40 }, (_, i) => `key ${i}`));
    pumping.peer.behave("error");
    await pumping.pump();
    const first = pumping.peer.requests.length;
    // Three are in flight when the fifth fails.
    expect(first).toBeGreaterThanOrEqual(5);
    expect(first).toBeLessThanOrEqual(7);
    const opened = (await pumping.circuit())?.open_seconds ?? 0;
    expect(opened).toBeGreaterThan(55);
    expect(await alarm()).toEqual([{ open: true }]);
    // What was not sent was no try.
    expect((await pumping.kept()).filter(({ attempts }) => attempts === 0).length).toBe(40 - first);
    await pumping.pump();
    expect(pumping.peer.requests).toHaveLength(first);
    await db.query("update ops.clock set clock_offset = clock_offset + make_interval(secs => $1)", [opened + 1]);
    await pumping.pump();
    expect(pumping.peer.requests).toHaveLength(first + 1);
    expect((await pumping.circuit())?.open_seconds).toBeGreaterThan(opened);
    pumping.peer.behave("ok");
    await mend(pumping, db);
    expect((await pumping.kept()).every(({ state }) => state === "delivered")).toBe(true);
    expect(await alarm()).toEqual([{ open: false }]);
  });

  test("D16 that is slow does not hold a run beyond its budget: what it has not sent is given back, and was no try", async ({
    pumping,
  }) => {
    await pumping.enqueue(...Array.from({ length: 25 }, (_, i) => `key ${i}`));
    pumping.peer.behave("silent");
    await pumping.pump({ budget_ms: 1, timeout_ms: 2_000 });
    const kept = await pumping.kept();
    expect(kept.filter(({ state }) => state === "sending")).toEqual([]);
    expect(kept.filter(({ attempts }) => attempts > 0).length).toBe(pumping.peer.requests.length);
  });
});

test("what a batch needs cannot be read: all of it is given back, and was no try", async ({ pumping }) => {
  await pumping.enqueue(...keys);
  pumping.unready = true;
  await expect(pumping.pump()).rejects.toThrow("not ready");
  expect((await pumping.kept()).map(({ state, attempts }) => [state, attempts])).toEqual(keys.map(() => ["queued", 0]));
  pumping.unready = false;
  await pumping.pump();
  expect(pumping.did.toSorted()).toEqual(keys);
});

test("D8 what has not begun when the budget is over is not begun: who waited for a lane gives it back, and somebody else may send it", async ({
  pumping,
}) => {
  await pumping.enqueue(...keys);
  const tick = pumping.tick();
  const lanes = Promise.withResolvers<void>();
  const others = Array.from({ length: 4 }, () => tick.outside.run(() => lanes.promise));
  const asked = vi.spyOn(tick.outside, "run");
  const running = pumping.pump({ tick, budget_ms: 60_000 });
  await until("three wait for a lane", async () => asked.mock.calls.length === 3);
  const now = Date.now();
  vi.spyOn(Date, "now").mockReturnValue(now + 61_000);
  lanes.resolve();
  await Promise.all(others);
  await running;
  expect(pumping.peer.requests).toEqual([]);
  expect((await pumping.kept()).map(({ state, attempts }) => [state, attempts])).toEqual(keys.map(() => ["queued", 0]));
});

test("D22 a channel that hangs takes three of the four lanes of a tick: another's messages go out beside it", async ({
  pumping,
  database,
}) => {
  const other = await Pumping.open(database);
  try {
    const many = Array.from({ length: 50 }, (_, i) => `key ${i}`);
    await pumping.enqueue(...many);
    await other.enqueue(...many);
    pumping.peer.behave("silent");
    const tick = pumping.tick();
    const hanging = pumping.pump({ tick, timeout_ms: 30_000 });
    await pumping.peer.came(3);
    await other.pump({ tick });
    expect(other.did).toHaveLength(50);
    expect(pumping.peer.requests).toHaveLength(3);
    pumping.wires.stop();
    await hanging.catch(() => undefined);
  } finally {
    await other.stop();
  }
});
