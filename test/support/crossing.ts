import type { Pool } from "pg";
import { expect } from "vitest";
import { eventTypes } from "../../src/outside/stripe/fact.ts";
import type { RunningWorker } from "../world/worker.ts";
import type { StripeMiniature } from "../world/stripe.ts";
import { alarms, differences, digest } from "./books.ts";
import { type Market, openMarket } from "./market.ts";
import { Wires } from "./wires.ts";
import { test as inWorld, type World } from "./world.ts";

/** A Worker, and the wires by which it reaches what is outside. */
export interface Lane {
  worker: RunningWorker;
  wires: Wires;
}

/** A market whose every step outside can be broken. */
export interface Crossing extends Market {
  db: Pool;
  /** The wires of the market's own Worker: it runs the cron, and Stripe delivers to it. */
  wires: Wires;
  /** Other Workers of the same deployment: what is broken for one is not for the others. */
  lanes: readonly Lane[];
  /** Moves Stripe's clock and ours. */
  travel: (minutes: number) => Promise<void>;
  tick: () => Promise<void>;
  /** Goes on to where nothing comes due at Stripe in ten minutes: what must change nothing would meet somebody's renewal. */
  pastWhatIsDue: () => Promise<void>;
  /**
   * Lets all leases run out and the sweeps run, twice and once more, which must change nothing. Then both sides must agree, and
   * no alarm be open but these.
   */
  mend: (expected?: { alarms?: string[] }) => Promise<void>;
}

const minute = 1;
export const day = 24 * 60;

const laneCount = 4;

async function openCrossing(world: World): Promise<Crossing & { stop(): Promise<void> }> {
  const made: Wires[] = [];
  let bindings: Record<string, string> = {};
  const wired = async (given: Readonly<Record<string, string>>): Promise<Lane> => {
    bindings = { ...given };
    const wires = new Wires();
    made.push(wires);
    const worker = await world.another({
      ...given,
      DATABASE_FETCH_ENDPOINT: await wires.to("database", world.bridge.url),
      STRIPE_API_BASE: await wires.to("stripe", given["STRIPE_API_BASE"] ?? ""),
    });
    return { worker, wires };
  };
  const market = await openMarket({ ...world, another: async (given) => (await wired(given)).worker });
  // What has no effect is not sent: it would only take time.
  for (const endpoint of market.stripe.state.endpoints.values()) endpoint.enabled_events = [...eventTypes];
  const [wires] = made;
  if (wires === undefined) throw new Error("the market has no Worker");
  const lanes = await Promise.all(Array.from({ length: laneCount }, () => wired(bindings)));
  const db = world.database.owner;
  const tick = () => market.worker.tick();

  const travel = async (minutes: number): Promise<void> => {
    await db.query("update ops.clock set clock_offset = clock_offset + make_interval(mins => $1)", [minutes]);
    await market.stripe.advance(minutes * 60_000);
    await market.stripe.settled();
  };

  const pastWhatIsDue = async (): Promise<void> => {
    const soon = () => new Date(market.stripe.now().getTime() + 10 * 60_000);
    for (let i = 0; i < 50 && market.stripe.nextDue(soon()) !== undefined; i += 1) {
      await travel(20);
      await tick();
      await market.stripe.settled();
    }
  };

  return {
    ...market,
    db,
    wires,
    lanes,
    travel,
    tick,
    pastWhatIsDue,
    mend: async ({ alarms: expected = [] } = {}) => {
      for (const minutes of [20, 20]) {
        await travel(minutes);
        await tick();
        await market.stripe.settled();
      }
      await pastWhatIsDue();
      expect(await alarms(db)).toEqual(expected.toSorted());
      const before = await digest(db);
      await travel(minute);
      await tick();
      expect(await digest(db), "the sweeps run again").toEqual(before);
      expect(await differences(db, market.stripe)).toEqual({});
    },
    stop: async () => {
      for (const each of made) each.stop();
      await market.stripe.stop();
    },
  };
}

/** The session that can be paid for a purchase, or the last one that could. */
export function sessionOf(stripe: StripeMiniature, purchase: string) {
  const all = [...stripe.state.sessions.values()].filter(({ client_reference_id }) => client_reference_id === purchase);
  return all.find(({ status }) => status === "open") ?? all.at(-1) ?? null;
}

/** `test` with a crossing of the file's own. What a test left broken is mended before the next. */
export const test = inWorld
  .extend("made", { scope: "file" }, async ({ world }, { onCleanup }) => {
    const crossing = await openCrossing(world);
    onCleanup(() => crossing.stop());
    return crossing;
  })
  .extend("crossing", ({ made }, { onCleanup }): Crossing => {
    onCleanup(() => {
      for (const { wires } of [made, ...made.lanes]) wires.mend();
      made.stripe.faults.clear();
    });
    return made;
  });
