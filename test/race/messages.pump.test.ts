import { beforeEach, expect, vi } from "vitest";
import { Later, Unavailable } from "../../src/outside/peer.ts";
import { race, tally } from "../support/barrier.ts";
import { Pumping } from "../support/pumping.ts";
import { testRoutines, times } from "./arena.ts";

const test = testRoutines.extend("pumping", async ({ database }, { onCleanup }) => {
  const pumping = await Pumping.open(database);
  onCleanup(() => pumping.stop());
  return pumping;
});

beforeEach(() => {
  const told = vi.spyOn(console, "error").mockReturnValue(undefined);
  return () => told.mockRestore();
});

test.for([2, 4, 8])("D11 %i pumps at once deliver each message once, in few statements", async (n, { pumping }) => {
  for (const round of times(3)) {
    const keys = times(120).map((i) => `${round}-${i}`);
    pumping.did.length = 0;
    await pumping.enqueue(...keys);
    const runs = await race(n, () => pumping.pump());
    expect(runs.every(({ failed }) => failed === 0)).toBe(true);
    expect(pumping.did.toSorted()).toEqual(keys.toSorted());
  }
  expect(tally((await pumping.kept()).map(({ state, attempts }) => `${state} ${attempts}`))).toEqual({
    "delivered 1": 360,
  });
});

test("D22 a pump has three requests in flight, and never a lock while it asks", async ({ pumping, db }) => {
  await pumping.enqueue(...times(30).map(String));
  // While the first three wait, nothing is settled yet: settling locks what it settles, and may.
  const answer = pumping.peer.hold();
  pumping.peer.delay_ms = 20;
  const running = pumping.pump();
  await pumping.peer.came(3);
  // D17: whoever wants these rows has them.
  const { rows } = await db.query("select state from messages.outbox where channel = $1 for update nowait", [
    pumping.channel,
  ]);
  expect(rows.filter(({ state }) => state === "sending")).toHaveLength(25);
  answer();
  expect(await running).toMatchObject({ processed: 30, failed: 0 });
  expect(pumping.peer.mostOpen()).toBe(3);
});

test("what is to come later waits alone: its channel hears nothing of it", async ({ pumping, db }) => {
  pumping.refuses = (key) => (key === "free" ? null : new Later("enough for now", 600));
  await pumping.enqueue(...times(6).map(String), "free");
  expect(await pumping.pump()).toMatchObject({ processed: 1, failed: 6 });
  expect(pumping.did).toEqual(["free"]);
  expect(await pumping.circuit()).toMatchObject({ failures: 0, open_seconds: null });
  const early = await db.query(
    "select from messages.outbox where channel = $1 and state = 'queued' and due_at < ops.now() + interval '9 minutes'",
    [pumping.channel],
  );
  expect(early.rowCount).toBe(0);
});

test("a channel with a pace gets one at a time; what the budget has no turn for is given back, and was no try", async ({
  pumping,
}) => {
  pumping.peer.delay_ms = 5;
  pumping.pace_ms = 1;
  await pumping.enqueue(...times(30).map(String));
  expect(await pumping.pump()).toMatchObject({ processed: 30, failed: 0 });
  expect(pumping.peer.mostOpen()).toBe(1);
  pumping.pace_ms = 60_000;
  await pumping.enqueue(...times(30).map((i) => `next ${i}`));
  expect(await pumping.pump({ budget_ms: 10_000 })).toMatchObject({ processed: 1, failed: 0 });
  expect(tally((await pumping.kept()).map(({ state, attempts }) => `${state} ${attempts}`))).toEqual({
    "delivered 1": 31,
    "queued 0": 29,
  });
});

test("a short Retry-After is waited out within the run, without a lane; a long one ends it", async ({ pumping }) => {
  pumping.pace_ms = 1;
  let asked = 1;
  pumping.refuses = (key) => {
    if (key !== "0" || asked === 0) return null;
    asked = 0;
    return new Unavailable("answered 429", 1);
  };
  await pumping.enqueue(...times(30).map(String));
  expect(await pumping.pump()).toMatchObject({ processed: 29, failed: 1 });
  expect(pumping.did).toHaveLength(29);
  pumping.refuses = () => new Unavailable("answered 429", 6);
  await pumping.enqueue(...times(5).map((i) => `next ${i}`));
  expect(await pumping.pump()).toMatchObject({ processed: 0, failed: 1 });
});

test.for([2, 8])(
  "%i pumps meet a channel that fails and recovers: nothing is lost, nothing is sent twice",
  async (n, { pumping, db }) => {
    const keys = times(60).map(String);
    await pumping.enqueue(...keys);
    pumping.peer.behave("error", 40);
    for (let rounds = 0; (await pumping.kept()).some(({ state }) => state === "queued"); rounds += 1) {
      expect(rounds).toBeLessThan(200);
      await race(n, () => pumping.pump());
      await db.query("update ops.clock set clock_offset = clock_offset + interval '31 minutes'");
    }
    expect(pumping.did.toSorted()).toEqual(keys.toSorted());
    expect(await pumping.circuit()).toMatchObject({ failures: 0, open_seconds: null });
  },
);
