import { afterEach, beforeEach, expect, test, vi } from "vitest";
import * as z from "zod";
import { routine } from "../../src/db/routine.ts";
import type { Settings, StripeAccount } from "../../src/env.ts";
import { Lanes } from "../../src/sweeps/lanes.ts";
import { type Done, Shift, Tick } from "../../src/sweeps/shift.ts";
import { stripeSweep } from "../../src/sweeps/sweep.ts";

const stripe: StripeAccount = { secret_key: "sk_test_1", live: false, webhook_secrets: [], api_base: null };
const settings: Settings = {
  database: { url: "postgres://u:p@h/d", fetch_endpoint: null },
  stripe,
  btcpay: null,
  webhook_key: null,
  local: true,
  checkout_origins: [],
  public_url: null,
  provisioner: null,
  mail: null,
  telegram: null,
  assets: null,
};

beforeEach(() => {
  vi.spyOn(console, "error").mockReturnValue(undefined);
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** Counts who is in at once, and lets each stay for a turn of the event loop. */
function counter() {
  const seen = { now: 0, most: 0, total: 0 };
  const work = async (): Promise<void> => {
    seen.now += 1;
    seen.total += 1;
    seen.most = Math.max(seen.most, seen.now);
    await new Promise(setImmediate);
    seen.now -= 1;
  };
  return { seen, work };
}

test("D22 lanes hold so many at once and no more, in the order of their asking", async () => {
  const lanes = new Lanes(5);
  const { seen, work } = counter();
  const order: number[] = [];
  await Promise.all(
    Array.from({ length: 40 }, (_, i) =>
      lanes.run(() => {
        order.push(i);
        return work();
      }),
    ),
  );
  expect(seen).toEqual({ now: 0, most: 5, total: 40 });
  expect(order).toEqual(order.toSorted((a, b) => a - b));
});

test("a lane is free again after work that fails", async () => {
  const lanes = new Lanes(1);
  await expect(lanes.run(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(await lanes.run(async () => "yes")).toBe("yes");
});

test("D22 sweeps of one tick ask the outside in lanes that they share, and leave one to the database", async () => {
  const tick = new Tick(settings);
  const { seen, work } = counter();
  const shifts = Array.from({ length: 6 }, (_, i) => new Shift(tick, `stripe_${i}`, 15_000));
  const items = Array.from({ length: 10 }, (_, i) => i);
  const done = await Promise.all(shifts.map((shift) => shift.each(items, String, () => shift.ask(work))));
  expect(done).toEqual(shifts.map(() => ({ processed: 10, failed: 0 })));
  expect(seen).toEqual({ now: 0, most: 4, total: 60 });
});

/** The database answers over HTTP, when `work` is done. */
function answering(work: () => Promise<void>): void {
  const field = { name: "answer", dataTypeID: 114, tableID: 0, columnID: 0, dataTypeSize: -1, dataTypeModifier: -1 };
  const answer = { fields: [field], rows: [["{}"]], rowAsArray: true, command: "SELECT", rowCount: 1 };
  vi.stubGlobal("fetch", async () => {
    await work();
    return Response.json(answer);
  });
}

const anyCall = routine({ name: "ops.anything", context: {}, args: z.strictObject({}), result: z.object({}) });

test("D22 questions and statements of one tick are five at once between them", async () => {
  const tick = new Tick(settings);
  const { seen, work } = counter();
  answering(work);
  const items = Array.from({ length: 10 }, (_, i) => i);
  await Promise.all(
    Array.from({ length: 6 }, async (_, i) => {
      const shift = new Shift(tick, `stripe_${i}`, 15_000);
      await shift.each(items, String, async () => {
        await shift.ask(work);
        await shift.call(anyCall, {});
      });
    }),
  );
  expect(seen).toEqual({ now: 0, most: 5, total: 120 });
});

test("D22 while Stripe hangs, statements are still sent", async () => {
  const shift = new Shift(new Tick(settings), "stripe_syncs", 15_000);
  answering(async () => undefined);
  const hanging = Promise.withResolvers<void>();
  const asked = Array.from({ length: 10 }, () => shift.ask(() => hanging.promise));
  expect(await shift.call(anyCall, {})).toEqual({});
  hanging.resolve();
  await Promise.all(asked);
});

test("D21 an item that fails is logged and counted, and the others are done", async () => {
  const shift = new Shift(new Tick(settings), "stripe_syncs", 15_000);
  const seen: number[] = [];
  const done = await shift.each([1, 2, 3, 4], String, async (item) => {
    if (item === 2) throw new Error("sk_test_secret was refused");
    seen.push(item);
  });
  expect([done, seen]).toEqual([{ processed: 3, failed: 1 }, [1, 3, 4]]);
  expect(vi.mocked(console.error)).toHaveBeenCalledTimes(1);
  const line = String(vi.mocked(console.error).mock.lastCall?.[0]);
  expect(JSON.parse(line)).toMatchObject({
    sweep: "stripe_syncs",
    item: "2",
    error: expect.stringContaining("refused"),
  });
  expect(line).not.toContain("secret");
});

test("D16 nothing begins when the budget is over", async () => {
  let now = 0;
  vi.spyOn(Date, "now").mockImplementation(() => now);
  const shift = new Shift(new Tick(settings), "stripe_syncs", 15_000);
  const seen: number[] = [];
  const done = await shift.each([1, 2, 3, 4, 5, 6, 7, 8, 9], String, async (item) => {
    seen.push(item);
    now += 5_000;
  });
  expect(done).toEqual({ processed: 3, failed: 0 });
  expect(seen).toEqual([1, 2, 3]);
});

test("without Stripe a sweep that asks it has nothing to do", async () => {
  const work = vi.fn<() => Promise<Done>>();
  const sweep = stripeSweep("stripe_syncs", 60, [], work);
  const nothing = { processed: 0, failed: 0, more: false };
  expect(await sweep.work(new Shift(new Tick({ ...settings, stripe: null }), "stripe_syncs", 1))).toEqual(nothing);
  expect(work).not.toHaveBeenCalled();
});
