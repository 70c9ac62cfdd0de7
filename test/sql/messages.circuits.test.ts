import { randomUUID } from "node:crypto";
import type { Pool } from "pg";
import { describe, expect } from "vitest";
import { race, raceBehind } from "../support/barrier.ts";
import { advance, call, rows } from "../support/scenario.ts";
import { test } from "../support/sql.ts";

interface Claimed {
  ids: string[];
  tokens: string[];
  endpoint_ids: (string | null)[];
  attempts: number[];
  examined: number;
  careful: boolean;
}

interface Failed {
  state: string;
  open: boolean;
}

const claim = (db: Pool, channel: string, batch = 25) =>
  call<Claimed>(db, "messages.claim", { channel, batch, lease: "2 minutes" });
const settle = (db: Pool, ids: string[], tokens: string[]) =>
  call<{ settled: string[]; lost: number }>(db, "messages.settle_many", { ids, tokens });
const giveBack = (db: Pool, ids: string[], tokens: string[]) =>
  call<{ given: number; lost: number }>(db, "messages.give_back", { ids, tokens });
const fail = (db: Pool, id = "", token = "", more: object = {}) =>
  call<Failed>(db, "messages.fail", { id, token, error: "no answer", final: false, unavailable: true, ...more });

async function messagesOf(db: Pool, channel: string, n: number, to: string | null = null): Promise<void> {
  for (let i = 0; i < n; i += 1) {
    await db.query("select messages.enqueue($1, 'told', null, $2, '{}', endpoint_id => $3)", [
      channel,
      `${to} ${i} ${randomUUID()}`,
      to,
    ]);
  }
}

async function endpoint(db: Pool): Promise<string> {
  const id = randomUUID();
  await db.query(
    `insert into messages.endpoint (id, url, description, events, created_at)
     values ($1, 'https://hooks.example/', '', '{told}', ops.now())`,
    [id],
  );
  return id;
}

const alarms = (db: Pool, code: string, subject: string) =>
  rows(db, "select from ops.alarm where code = $1 and subject = $2 and closed_at is null", [code, subject]);

/** A channel to people of which n messages ran out of tries. */
async function deadToPeople(db: Pool, n: number): Promise<{ channel: string; ids: string[] }> {
  const channel = `people ${randomUUID()}`;
  const contact = randomUUID();
  await db.query(
    `insert into messages.contact (id, workspace_id, channel, address, language, opt_outs, created_at)
     values ($1, $1, 'email', 'who@example.org', 'en', '{}', ops.now())`,
    [contact],
  );
  for (let i = 0; i < n; i += 1) {
    await db.query("select messages.enqueue($1, 'purchase_paid', null, $2, '{}', contact_id => $3)", [
      channel,
      randomUUID(),
      contact,
    ]);
  }
  const { ids, tokens } = await claim(db, channel);
  await db.query("update messages.outbox set attempts = 14 where channel = $1", [channel]);
  for (const [i, id] of ids.entries()) await fail(db, id, tokens[i], { unavailable: false });
  return { channel, ids };
}

/** The n first messages of a channel fail, one claim each: the channel's fault. */
async function failing(db: Pool, channel: string, n: number): Promise<Failed | undefined> {
  let last: Failed | undefined;
  for (let i = 0; i < n; i += 1) {
    const { ids, tokens } = await claim(db, channel, 1);
    last = await fail(db, ids[0], tokens[0]);
  }
  return last;
}

describe("a channel", () => {
  test("that nobody asked for messages is not late; one that was asked is, by its oldest message", async ({ db }) => {
    const [asked, never] = [randomUUID(), randomUUID()];
    await claim(db, asked);
    const lag = async () => (await rows<{ lag: number }>(db, "select messages.lag_seconds() as lag"))[0]?.lag ?? 0;
    await messagesOf(db, never, 1);
    await advance(db, "1 hour");
    expect(await lag()).toBeLessThan(3600);
    await messagesOf(db, asked, 1);
    await advance(db, "2 hours");
    expect(await lag()).toBeGreaterThanOrEqual(7200);
    await db.query("delete from messages.outbox where channel = $1", [asked]);
  });

  test("that fails five times in a row is left alone for a minute, then two, and a success makes it new", async ({
    db,
  }) => {
    const channel = randomUUID();
    await messagesOf(db, channel, 40);
    expect(await failing(db, channel, 4)).toMatchObject({ open: false });
    expect((await claim(db, channel, 1)).careful).toBe(true);
    expect(await alarms(db, "channel_down", channel)).toEqual([]);
    expect(await failing(db, channel, 1)).toMatchObject({ open: true });
    expect(await alarms(db, "channel_down", channel)).toHaveLength(1);
    expect(await claim(db, channel)).toMatchObject({ ids: [], examined: 0 });
    await advance(db, "61 seconds");
    // By way of trial.
    const trial = await claim(db, channel);
    expect(trial.ids).toHaveLength(1);
    await fail(db, trial.ids[0], trial.tokens[0]);
    await advance(db, "61 seconds");
    expect((await claim(db, channel)).ids).toEqual([]);
    await advance(db, "60 seconds");
    const next = await claim(db, channel);
    await settle(db, next.ids, next.tokens);
    expect(await alarms(db, "channel_down", channel)).toEqual([]);
    expect((await claim(db, channel)).ids).toHaveLength(25);
  });

  test("whose messages fail for their own reasons stays open to the others", async ({ db }) => {
    const channel = randomUUID();
    await messagesOf(db, channel, 10);
    for (let i = 0; i < 8; i += 1) {
      const { ids, tokens } = await claim(db, channel, 1);
      expect(await fail(db, ids[0], tokens[0], { unavailable: false })).toMatchObject({ open: false });
    }
    expect((await claim(db, channel)).ids).toHaveLength(2);
  });

  test("that asks to wait is waited for, once, whatever else succeeds", async ({ db }) => {
    const channel = randomUUID();
    await messagesOf(db, channel, 3);
    const { ids, tokens } = await claim(db, channel, 2);
    expect(await fail(db, ids[0], tokens[0], { retry_after: "10 minutes" })).toMatchObject({
      open: true,
      state: "queued",
    });
    await settle(db, ids.slice(1), tokens.slice(1));
    expect((await claim(db, channel)).ids).toEqual([]);
    await advance(db, "9 minutes");
    expect((await claim(db, channel)).ids).toEqual([]);
    await advance(db, "1 minute");
    expect((await claim(db, channel)).ids).toHaveLength(2);
  });
});

describe("what was claimed and not sent", () => {
  test("is given back, due at once, and was no try; only by who has the claim", async ({ db }) => {
    const channel = randomUUID();
    await messagesOf(db, channel, 3);
    const mine = await claim(db, channel, 2);
    expect(mine.attempts).toEqual([1, 1]);
    expect(await giveBack(db, mine.ids, mine.tokens.toReversed())).toEqual({ given: 0, lost: 2 });
    expect(await giveBack(db, mine.ids, mine.tokens)).toEqual({ given: 2, lost: 0 });
    expect(await giveBack(db, mine.ids, mine.tokens)).toEqual({ given: 0, lost: 2 });
    const next = await claim(db, channel);
    expect(next.attempts).toEqual([1, 1, 1]);
    expect(await settle(db, mine.ids, mine.tokens)).toEqual({ settled: [], lost: 2 });
  });

  test("many settle at once, in opposing orders, and nothing is settled twice", async ({ db }) => {
    const channel = randomUUID();
    await messagesOf(db, channel, 20);
    const { ids, tokens } = await claim(db, channel);
    const done = await race(8, (i) =>
      i % 2 === 0 ? settle(db, ids, tokens) : settle(db, ids.toReversed(), tokens.toReversed()),
    );
    expect(done.flatMap(({ settled }) => settled).toSorted()).toEqual(ids.toSorted());
  });
});

describe("an endpoint", () => {
  test("is tried ten times, as Standard Webhooks says, and then its alarm is one, not the messages'", async ({
    db,
  }) => {
    const id = await endpoint(db);
    await messagesOf(db, "webhook", 1, id);
    const waits: number[] = [];
    for (;;) {
      const { ids, tokens } = await claim(db, "webhook");
      const { state } = await fail(db, ids[0], tokens[0], { unavailable: false });
      if (state === "dead") break;
      const [row] = await rows<{ seconds: number }>(
        db,
        "select extract(epoch from due_at - ops.now())::float8 as seconds from messages.outbox where endpoint_id = $1",
        [id],
      );
      waits.push(row?.seconds ?? 0);
      await advance(db, `${Math.ceil(row?.seconds ?? 0) + 1} seconds`);
    }
    const schedule = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];
    expect(waits).toHaveLength(9);
    for (const [i, seconds] of schedule.entries()) {
      expect(waits[i], `after try ${i + 1}`).toBeGreaterThan(seconds * 0.8 - 1);
      expect(waits[i], `after try ${i + 1}`).toBeLessThan(seconds * 1.2 + 1);
    }
    expect(await alarms(db, "endpoint_failing", id)).toHaveLength(1);
    expect(await rows(db, "select from ops.alarm where code = 'message_dead'")).toEqual([]);
  });

  test("that fails does not stand before the others, and is tried with one message at a time", async ({ db }) => {
    const [down, up] = [await endpoint(db), await endpoint(db)];
    await messagesOf(db, "webhook", 60, down);
    const first = await claim(db, "webhook", 5);
    for (const [i, id] of first.ids.entries()) await fail(db, id, first.tokens[i]);
    await messagesOf(db, "webhook", 3, up);
    // It is left alone: what is due to it is put off, so that the batch is the other's.
    const next = await claim(db, "webhook");
    expect(next.endpoint_ids).toEqual([up, up, up]);
    await settle(db, next.ids, next.tokens);
    await advance(db, "6 minutes");
    await messagesOf(db, "webhook", 1, up);
    const trial = await claim(db, "webhook");
    expect(new Set(trial.endpoint_ids)).toEqual(new Set([down, up]));
    expect(trial.ids).toHaveLength(2);
    expect((await claim(db, "webhook")).ids).toEqual([]);
    await settle(db, trial.ids, trial.tokens);
    await advance(db, "5 minutes");
    expect((await claim(db, "webhook")).ids).toHaveLength(25);
    await db.query("delete from messages.outbox where channel = 'webhook'");
  });

  test("that is disabled or deleted gets nothing more: what was for it is canceled", async ({ db }) => {
    const [disabled, deleted] = [await endpoint(db), await endpoint(db)];
    await messagesOf(db, "webhook", 1, disabled);
    await messagesOf(db, "webhook", 1, deleted);
    await db.query("update messages.endpoint set disabled_at = ops.now(), disabled_reason = 'x' where id = $1", [
      disabled,
    ]);
    await db.query("update messages.endpoint set deleted_at = ops.now() where id = $1", [deleted]);
    expect(await claim(db, "webhook")).toMatchObject({ ids: [], examined: 0 });
    expect(
      await rows(db, "select state from messages.outbox where endpoint_id = any($1)", [[disabled, deleted]]),
    ).toEqual([{ state: "canceled" }, { state: "canceled" }]);
  });
});

describe("dead messages", () => {
  test("of a channel are sent again together, their alarms close, its circuit too, and the audit knows who", async ({
    db,
  }) => {
    const channel = randomUUID();
    await messagesOf(db, channel, 8);
    const { ids, tokens } = await claim(db, channel);
    for (const [i, id] of ids.entries()) await fail(db, id, tokens[i], { final: true });
    expect(await alarms(db, "channel_down", channel)).toHaveLength(1);
    const retry = () =>
      call<{ retried: number; more: boolean }>(db, "messages.retry_dead", { channel, caused_by: "key:someone" });
    expect(await retry()).toMatchObject({ retried: 8, more: false });
    expect(await alarms(db, "channel_down", channel)).toEqual([]);
    for (const id of ids) expect(await alarms(db, "message_dead", id)).toEqual([]);
    expect((await claim(db, channel)).attempts).toEqual(ids.map(() => 1));
    expect(await retry()).toMatchObject({ retried: 0 });
    expect(await rows(db, "select actor, detail from ops.audit where subject = $1", [`channel:${channel}`])).toEqual([
      { actor: "key:someone", detail: { retried: 8 } },
    ]);
  });

  test("to people raise one alarm of their channel, and one that an address refused raises none", async ({ db }) => {
    const channel = `people ${randomUUID()}`;
    const contact = randomUUID();
    await db.query(
      `insert into messages.contact (id, workspace_id, channel, address, language, opt_outs, created_at)
       values ($1, $1, 'email', 'who@example.org', 'en', '{}', ops.now())`,
      [contact],
    );
    for (const key of ["a", "b", "c"]) {
      await db.query("select messages.enqueue($1, 'purchase_paid', null, $2, '{}', contact_id => $3)", [
        channel,
        key,
        contact,
      ]);
    }
    const { ids, tokens } = await claim(db, channel);
    await fail(db, ids[0], tokens[0], { final: true, unavailable: false, silence: "blocked" });
    expect(await alarms(db, "messages_dead", channel)).toEqual([]);
    await db.query("update messages.outbox set attempts = 14 where id = any($1)", [ids.slice(1)]);
    for (const i of [1, 2]) await fail(db, ids[i], tokens[i], { unavailable: false });
    expect(await alarms(db, "messages_dead", channel)).toHaveLength(1);
    expect(await rows(db, "select from ops.alarm where subject = any($1)", [ids])).toEqual([]);
    // What is wrong with it is wrong with the next of its kind.
    const another = `people ${randomUUID()}`;
    await db.query("update messages.contact set silenced_at = null, silenced_reason = null where id = $1", [contact]);
    await db.query("select messages.enqueue($1, 'purchase_paid', null, 'd', '{}', contact_id => $2)", [
      another,
      contact,
    ]);
    const unwritable = await claim(db, another);
    await fail(db, unwritable.ids[0], unwritable.tokens[0], { final: true, unavailable: false });
    expect(await alarms(db, "messages_dead", another)).toHaveLength(1);
    // Sent again one by one: with the last one it closes.
    const again = (id: string | undefined) => call(db, "messages.retry", { id, caused_by: "test" });
    await again(ids[0]);
    await again(ids[1]);
    expect(await alarms(db, "messages_dead", channel)).toHaveLength(1);
    await again(ids[2]);
    expect(await alarms(db, "messages_dead", channel)).toEqual([]);
  });

  test.for([1, 2])(
    "the last %i of people's, sent again at once, close the alarm of their channel",
    async (n, { db }) => {
      const { channel, ids } = await deadToPeople(db, n);
      expect(await alarms(db, "messages_dead", channel)).toHaveLength(1);
      await raceBehind(
        db,
        { text: "select from ops.alarm where code = 'messages_dead' and subject = $1 for update", values: [channel] },
        n,
        (i) => call(db, "messages.retry", { id: ids[i], caused_by: "test" }),
      );
      expect(await alarms(db, "messages_dead", channel)).toEqual([]);
    },
  );

  test("whose alarm outlived them: a retry of the channel closes it, and not while one is dead", async ({ db }) => {
    const { channel, ids } = await deadToPeople(db, 2);
    const retry = () => call(db, "messages.retry_dead", { channel, caused_by: "test" });
    const holder = await db.connect();
    await holder.query("begin");
    await holder.query("select from messages.outbox where id = $1 for update", [ids[1]]);
    expect(await retry()).toMatchObject({ retried: 1 });
    expect(await alarms(db, "messages_dead", channel)).toHaveLength(1);
    await holder.query("rollback");
    holder.release();
    await db.query("delete from messages.outbox where id = $1", [ids[1]]);
    expect(await retry()).toMatchObject({ retried: 0 });
    expect(await alarms(db, "messages_dead", channel)).toEqual([]);
  });
});
