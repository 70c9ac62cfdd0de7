import { randomUUID } from "node:crypto";
import type { Pool } from "pg";
import { describe, expect } from "vitest";
import { race } from "../support/barrier.ts";
import { advance, call, outcome, rows } from "../support/scenario.ts";
import { test } from "../support/sql.ts";

const enqueue = (db: Pool, channel: string, dedupe_key: string, body: unknown = { subscription: "sub" }) =>
  db.query("select messages.enqueue($1, 'undo_subscription', null, $2, $3)", [
    channel,
    dedupe_key,
    JSON.stringify(body),
  ]);

interface Claimed {
  ids: string[];
  kinds: string[];
  bodies: unknown[];
  tokens: string[];
}

const claim = (db: Pool, channel: string, batch = 100) =>
  call<Claimed>(db, "messages.claim", { channel, batch, lease: "5 minutes" });
const settle = (db: Pool, id = "", token = "") => call<{ state: string }>(db, "messages.settle", { id, token });
const fail = (db: Pool, id = "", token = "", final = false) =>
  call<{ state: string }>(db, "messages.fail", { id, token, error: "no answer", final });

async function rowOf(db: Pool, channel: string) {
  const [row] = await rows<{
    id: string;
    state: string;
    attempts: number;
    error: string | null;
    seconds: number | null;
  }>(
    db,
    `select id, state, attempts, error, round(extract(epoch from due_at - ops.now()))::int as seconds
       from messages.outbox where channel = $1`,
    [channel],
  );
  return row;
}

const alarms = (db: Pool, subject = "") =>
  rows(db, "select detail from ops.alarm where code = 'message_dead' and subject = $1 and closed_at is null", [
    subject,
  ]);

/** A channel of the test's own, with one message in it. */
async function channelWithOne(db: Pool): Promise<string> {
  const channel = `channel ${randomUUID()}`;
  await enqueue(db, channel, "one");
  return channel;
}

describe("a message", () => {
  test("is there once for its key, and once for each channel", async ({ db }) => {
    const [one, other] = [await channelWithOne(db), await channelWithOne(db)];
    await race(10, () => enqueue(db, one, "one"));
    expect((await claim(db, one)).ids).toHaveLength(1);
    expect((await claim(db, other)).ids).toHaveLength(1);
    await expect(enqueue(db, one, "one")).resolves.toBeDefined();
  });

  test("is claimed by one of many at once, with what it says and a token, and settled by it once", async ({ db }) => {
    const channel = `channel ${randomUUID()}`;
    for (let i = 0; i < 12; i += 1) await enqueue(db, channel, `key ${i}`, { i });
    const claims = await race(8, () => claim(db, channel, 3));
    const all = claims.flatMap(({ ids, kinds, bodies, tokens }) =>
      ids.map((id, i) => ({ id, kind: kinds[i], body: bodies[i], token: tokens[i] })),
    );
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
    const rest = await claim(db, channel);
    expect(all.length + rest.ids.length).toBe(12);
    expect(all[0]).toMatchObject({ kind: "undo_subscription", body: { i: expect.any(Number) } });
    for (const { id, token } of all) {
      expect(await settle(db, id, randomUUID())).toMatchObject({ state: "sending" });
      const settled = await race(3, () => settle(db, id, token));
      expect(settled.map(({ state }) => state)).toEqual(["delivered", "delivered", "delivered"]);
    }
    expect((await claim(db, channel)).ids).toEqual([]);
    expect(await outcome(settle(db, randomUUID(), randomUUID()))).toBe("not_found");
    expect(await outcome(fail(db, randomUUID(), randomUUID()))).toBe("not_found");
  });

  test("of a Worker that died is claimed again when its lease has passed; the dead one settles nothing", async ({
    db,
  }) => {
    const channel = await channelWithOne(db);
    const dead = await claim(db, channel);
    await advance(db, "4 minutes");
    expect((await claim(db, channel)).ids).toEqual([]);
    await advance(db, "1 minute");
    const next = await claim(db, channel);
    expect(next.ids).toEqual(dead.ids);
    expect(await settle(db, dead.ids[0], dead.tokens[0])).toMatchObject({ state: "sending" });
    expect(await fail(db, dead.ids[0], dead.tokens[0], true)).toMatchObject({ state: "sending" });
    expect(await settle(db, next.ids[0], next.tokens[0])).toMatchObject({ state: "delivered" });
    expect(await fail(db, next.ids[0], next.tokens[0], true)).toMatchObject({ state: "delivered" });
  });

  test("that fails is due after 1, 2, 4 … minutes, 12 hours at most, and dead after 14 tries, under an alarm", async ({
    db,
  }) => {
    const channel = await channelWithOne(db);
    const waits: number[] = [];
    for (;;) {
      const { ids, tokens } = await claim(db, channel);
      const { state } = await fail(db, ids[0], tokens[0]);
      if (state !== "queued") break;
      waits.push((await rowOf(db, channel))?.seconds ?? 0);
      expect((await claim(db, channel)).ids).toEqual([]);
      await advance(db, `${(waits.at(-1) ?? 0) + 1} seconds`);
    }
    // A fifth more or less, so that what failed together does not come again together.
    const schedule = [...Array.from({ length: 10 }, (_, i) => 60 * 2 ** i), 43_200, 43_200, 43_200];
    expect(waits).toHaveLength(schedule.length);
    for (const [i, seconds] of schedule.entries()) {
      expect(waits[i], `after try ${i + 1}`).toBeGreaterThanOrEqual(Math.floor(seconds * 0.8));
      expect(waits[i], `after try ${i + 1}`).toBeLessThanOrEqual(Math.ceil(seconds * 1.2));
    }
    const row = await rowOf(db, channel);
    expect(row).toMatchObject({ state: "dead", attempts: 14, error: "no answer", seconds: null });
    expect(await alarms(db, row?.id)).toEqual([{ detail: { kind: "undo_subscription", error: "no answer" } }]);
    await advance(db, "30 days");
    expect((await claim(db, channel)).ids).toEqual([]);
  });

  test("that can never be delivered is dead at once", async ({ db }) => {
    const channel = await channelWithOne(db);
    const { ids, tokens } = await claim(db, channel);
    expect(await fail(db, ids[0], tokens[0], true)).toMatchObject({ state: "dead" });
    expect(await alarms(db, ids[0])).toHaveLength(1);
    expect(await settle(db, ids[0], tokens[0])).toMatchObject({ state: "dead" });
  });

  test("that 14 Workers died of is dead, under an alarm", async ({ db }) => {
    const channel = await channelWithOne(db);
    for (let i = 0; i < 14; i += 1) {
      expect((await claim(db, channel)).ids).toHaveLength(1);
      await advance(db, "5 minutes");
    }
    expect((await claim(db, channel)).ids).toEqual([]);
    const row = await rowOf(db, channel);
    expect(row).toMatchObject({ state: "dead", attempts: 14, error: "whoever sent it never came back" });
    expect(await alarms(db, row?.id)).toHaveLength(1);
  });

  test("C9 moves only as the lifecycle says", async ({ db }) => {
    const channel = await channelWithOne(db);
    const moved = db.query("update messages.outbox set state = 'dead', due_at = null where channel = $1", [channel]);
    expect(await outcome(moved)).toBe("TG003");
  });
});

test("outbox_expire drops what was delivered after 35 days; dead and open ones stay, for a person", async ({ db }) => {
  const [delivered, dead, open, young] = [
    await channelWithOne(db),
    await channelWithOne(db),
    await channelWithOne(db),
    await channelWithOne(db),
  ];
  const sent = await claim(db, delivered);
  await settle(db, sent.ids[0], sent.tokens[0]);
  const lost = await claim(db, dead);
  await fail(db, lost.ids[0], lost.tokens[0], true);
  await advance(db, "34 days 23 hours");
  const late = await claim(db, young);
  await settle(db, late.ids[0], late.tokens[0]);
  const expire = () => call<{ processed: number }>(db, "messages.outbox_expire", { batch: 1000 });
  await expire();
  expect(await rowOf(db, delivered)).toMatchObject({ state: "delivered" });
  await advance(db, "2 hours");
  await expire();
  const states = await Promise.all([delivered, dead, open, young].map((channel) => rowOf(db, channel)));
  expect(states.map((row) => row?.state)).toEqual([undefined, "dead", "queued", "delivered"]);
});

test("B9 a dead message is sent again at a person's wish, its alarm closes, and the audit knows who; another one stays", async ({
  db,
}) => {
  const channel = await channelWithOne(db);
  const retry = (id: string | undefined) =>
    call<{ state: string }>(db, "messages.retry", { id, caused_by: "key:someone" });
  const claimed = await claim(db, channel);
  const [id] = claimed.ids;
  expect((await retry(id)).state).toBe("sending");
  await fail(db, id, claimed.tokens[0], true);
  expect(await alarms(db, id)).toHaveLength(1);
  expect((await retry(id)).state).toBe("queued");
  expect(await alarms(db, id)).toHaveLength(0);
  expect(await rows(db, "select actor from ops.audit where subject = $1", [`message:${id}`])).toEqual([
    { actor: "key:someone" },
  ]);
  const again = await claim(db, channel);
  await settle(db, again.ids[0], again.tokens[0]);
  expect(await rowOf(db, channel)).toMatchObject({ state: "delivered", attempts: 1 });
});
