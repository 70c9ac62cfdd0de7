import { randomUUID } from "node:crypto";
import type { Pool } from "pg";
import { describe, expect } from "vitest";
import { race, raceBehind, tally } from "../support/barrier.ts";
import { Guest } from "../support/guest.ts";
import { Keeper } from "../support/keeper.ts";
import { advance, call, outcome, rows } from "../support/scenario.ts";
import { test as inSql } from "../support/sql.ts";

const nothing = { strays: 0, added: 0, forgotten: 0, removing: 0 };

/** A provisioner that has what all tests before have left behind, so that each sees only what it did itself. */
const test = inSql.extend("keeper", async ({ db }) => {
  const keeper = new Keeper(db);
  while ((await keeper.pump()).length > 0);
  for (const { key } of await rows<{ key: string }>(db, "select key from access.key where state = 'active'")) {
    keeper.keys.add(key);
  }
  await keeper.pass();
  await keeper.anotherDay();
  return keeper;
});

/** A guest whose key is there. */
async function added(db: Pool, keeper: Keeper): Promise<{ guest: Guest; id: string; key: string }> {
  const guest = await Guest.withKey(db);
  await keeper.pump();
  const { id, key } = await guest.key();
  return { guest, id, key };
}

const strays = (db: Pool) =>
  rows<{ key: string; times: number }>(db, "select key, times from access.stray order by key");
const fail = (db: Pool, { id, token }: { id: string; token: string }, final = false) =>
  call<{ state: string }>(db, "messages.fail", { id, token, error: "no answer", final });

describe("what the provisioner has taken", () => {
  test("D11 moves its key in the statement that settles it, once", async ({ db, keeper }) => {
    const guest = await Guest.withKey(db);
    const told = await keeper.claim();
    expect(await keeper.settle(told)).toMatchObject({ settled: told.map(({ id }) => id), lost: 0, moved: 1 });
    const own = await guest.key();
    expect(own).toMatchObject({ state: "active", activated_at: expect.any(String) });
    await advance(db, "1 minute");
    expect(await keeper.settle(told)).toMatchObject({ settled: [], lost: 1, moved: 0 });
    expect(await guest.key()).toEqual(own);
    await guest.end();
    const removal = await keeper.claim();
    expect(await keeper.settle(removal)).toMatchObject({ moved: 1 });
    expect(await guest.key()).toMatchObject({ state: "removed", removed_at: expect.any(String) });
    expect(await guest.told()).toEqual(["add_key delivered", "remove_key delivered"]);
  });

  test("D11 moves nothing for whoever does not hold its claim", async ({ db, keeper }) => {
    const guest = await Guest.withKey(db);
    const late = await keeper.claim("1 minute");
    await advance(db, "2 minutes");
    const told = await keeper.claim();
    expect(told).toHaveLength(1);
    expect(await keeper.settle(late)).toMatchObject({ settled: [], lost: 1, moved: 0 });
    expect(await guest.key()).toMatchObject({ state: "pending" });
    expect(await keeper.settle(told)).toMatchObject({ moved: 1 });
  });

  test("D18 of a key that was revoked while it was added says nothing more", async ({ db, keeper }) => {
    const guest = await Guest.withKey(db);
    const told = await keeper.claim();
    await guest.end();
    expect(await keeper.settle(told)).toMatchObject({ settled: [], lost: 1, moved: 0 });
    expect(await guest.key()).toMatchObject({ state: "removing", activated_at: null });
    expect(await keeper.claim()).toEqual([]);
    await advance(db, "5 minutes");
    expect(await keeper.pump()).toEqual(["remove_key"]);
    expect(await guest.key()).toMatchObject({ state: "removed" });
  });

  test("D23 activation twice at once, and while it is revoked: it ends right, without a deadlock", async ({
    db,
    keeper,
  }) => {
    for (let round = 0; round < 8; round += 1) {
      const guests = await race(6, () => Guest.withKey(db));
      const told = await keeper.claim();
      expect(told).toHaveLength(6);
      const ids = (await Promise.all(guests.map((guest) => guest.key()))).map(({ id }) => id);
      const lock = { text: "select from access.key where id = any ($1) for update", values: [ids] };
      const outcomes = await raceBehind(db, lock, 8, (i) =>
        outcome(
          i < 6 ? keeper.settle(i % 2 === 0 ? told : told.toReversed()) : (guests[i - 6]?.end() ?? Promise.resolve()),
        ),
      );
      expect(tally(outcomes)).toEqual({ done: 8 });
      for (const [i, guest] of guests.entries()) {
        expect((await guest.key()).state).toBe(i < 2 ? "removing" : "active");
      }
      await advance(db, "5 minutes");
      expect(await keeper.pump()).toEqual(["remove_key", "remove_key"]);
    }
  });
});

describe("what is still to be done", () => {
  const wanted = async (db: Pool, kind: string, body: object) => {
    const [row] = await rows<{ is: boolean }>(db, "select access.still_wanted($1, $2) as is", [kind, body]);
    return row?.is;
  };

  test("D18 a key is added while it lives, removed while it is to go, and a stray while no row stands for it", async ({
    db,
    keeper,
  }) => {
    const guest = await Guest.withKey(db);
    const { id, key } = await guest.key();
    const now = async () => [
      (await guest.key()).state,
      await wanted(db, "add_key", { key_id: id, key }),
      await wanted(db, "remove_key", { key_id: id, key }),
      await wanted(db, "remove_stray", { key }),
    ];
    expect(await now()).toEqual(["pending", true, false, false]);
    await keeper.pump();
    expect(await now()).toEqual(["active", true, false, false]);
    await guest.end();
    expect(await now()).toEqual(["removing", false, true, false]);
    await keeper.pump();
    expect(await now()).toEqual(["removed", false, false, true]);
    expect(await wanted(db, "remove_stray", { key: randomUUID() })).toBe(true);
    expect(await wanted(db, "dance", { key })).toBe(false);
  });
});

describe("what the provisioner has lost", () => {
  test("D10 is added again, once for each loss", async ({ db, keeper }) => {
    const { guest, key } = await added(db, keeper);
    for (let loss = 1; loss <= 3; loss += 1) {
      keeper.keys.delete(key);
      expect(await keeper.pass()).toMatchObject({ ...nothing, added: 1 });
      // It is on its way.
      expect(await keeper.pass()).toMatchObject(nothing);
      expect(await keeper.pump()).toEqual(["add_key"]);
      expect(keeper.keys).toContain(key);
      expect(await keeper.pass()).toMatchObject(nothing);
      expect(await guest.told()).toEqual(Array.from({ length: loss + 1 }, () => "add_key delivered"));
    }
    expect(await guest.key()).toMatchObject({ state: "active", key });
  });

  test("D10 is added again where it is there and lets nobody in", async ({ db, keeper }) => {
    const { key } = await added(db, keeper);
    keeper.keys.delete(key);
    keeper.shut.add(key);
    expect(await keeper.pass()).toMatchObject({ ...nothing, added: 1 });
    await keeper.pump();
    expect(await keeper.pass()).toMatchObject(nothing);
  });

  test("D23 is not what is being added, nor what was added after the list was asked for", async ({ db, keeper }) => {
    const guest = await Guest.withKey(db);
    expect(await keeper.pass()).toMatchObject(nothing);
    const told = await keeper.claim();
    expect(await keeper.pass()).toMatchObject(nothing);
    // The list is asked for, and answers late.
    const before = await keeper.begin();
    await keeper.settle(told);
    expect(await keeper.part(before)).toMatchObject({ strays: 0, added: 0 });
    await keeper.end(before);
    await db.query("select ops.move_cursor('provisioner_reconcile', null, true, $1)", [before]);
    // Nobody ever took it there.
    expect(await keeper.pass()).toMatchObject({ ...nothing, added: 1 });
    const again = await keeper.claim();
    const meanwhile = await keeper.begin();
    keeper.take(again);
    const old = new Keeper(db);
    for (const key of keeper.keys) if (key !== again[0]?.body.key) old.keys.add(key);
    await keeper.settle(again);
    expect(await old.part(meanwhile)).toMatchObject({ strays: 0, added: 0 });
    await db.query("select ops.move_cursor('provisioner_reconcile', null, true, $1)", [meanwhile]);
    expect(await guest.told()).toEqual(["add_key delivered", "add_key delivered"]);
  });

  test("D10 is not added again for as long as that is dead: a person retries it", async ({ db, keeper }) => {
    const { guest, key } = await added(db, keeper);
    keeper.keys.delete(key);
    await keeper.pass();
    const [told] = await keeper.claim();
    if (told === undefined) throw new Error("nothing was told");
    await fail(db, told, true);
    expect(await keeper.pass()).toMatchObject(nothing);
    await call(db, "messages.retry", { id: told.id, caused_by: "test" });
    expect(await keeper.pump()).toEqual(["add_key"]);
    expect(await guest.told()).toEqual(["add_key delivered", "add_key delivered"]);
  });

  test("D18 is not added after its removal, when it is revoked while it is added again", async ({ db, keeper }) => {
    for (const state of ["queued", "sending", "dead"]) {
      const { guest, key } = await added(db, keeper);
      keeper.keys.delete(key);
      await keeper.pass();
      if (state !== "queued") {
        const told = await keeper.claim();
        if (state === "dead") for (const each of told) await fail(db, each, true);
      }
      await guest.end();
      expect(await guest.told()).toEqual(["add_key delivered", "add_key canceled", "remove_key queued"]);
      if (state === "sending") {
        expect(await keeper.claim()).toEqual([]);
        await advance(db, "5 minutes");
      }
      expect(await keeper.pump()).toEqual(["remove_key"]);
      expect(await guest.key()).toMatchObject({ state: "removed" });
    }
  });

  test("D10 is all of it, in batches, where the whole list is gone; and nothing beyond the part that was read", async ({
    db,
    keeper,
  }) => {
    const all: string[] = [];
    for (let i = 0; i < 7; i += 1) all.push((await added(db, keeper)).key);
    all.sort();
    const kept = [...keeper.keys].filter((key) => !all.includes(key));
    for (const key of all) keeper.keys.delete(key);
    const [, second = "", , fourth = ""] = all;
    const listed_at = await keeper.begin();
    const part = await keeper.part(listed_at, { after: second, until: fourth });
    expect(part).toEqual({ strays: 0, added: 2, reached: fourth, more: false });
    await db.query("select ops.move_cursor('provisioner_reconcile', null, true, $1)", [listed_at]);
    const cut = await keeper.part(listed_at, { batch: 2 });
    expect(cut).toMatchObject({ added: 2, more: true, reached: second });
    expect(await keeper.pass({ batch: 2 })).toMatchObject({ ...nothing, added: 3 });
    expect(await keeper.pump()).toHaveLength(7);
    expect([...keeper.keys].toSorted()).toEqual([...all, ...kept].toSorted());
  });

  test("D10 is added once, however many compare at once", async ({ db, keeper }) => {
    for (let round = 0; round < 6; round += 1) {
      const lost = await added(db, keeper);
      keeper.keys.delete(lost.key);
      const listed_at = await keeper.begin();
      const outcomes = await race(8, () => keeper.part(listed_at));
      expect(outcomes.reduce((sum, { added: again }) => sum + again, 0)).toBe(1);
      await db.query("select ops.move_cursor('provisioner_reconcile', null, true, $1)", [listed_at]);
      expect(await keeper.pump()).toEqual(["add_key"]);
      expect(await lost.guest.told()).toEqual(["add_key delivered", "add_key delivered"]);
    }
  });
});

describe("what nobody here knows", () => {
  test("D10 is removed there when two passes have seen it, and forgotten when it is gone", async ({ db, keeper }) => {
    const foreign = randomUUID();
    keeper.keys.add(foreign);
    expect(await keeper.pass()).toMatchObject({ ...nothing, strays: 1 });
    expect(await keeper.claim()).toEqual([]);
    expect(await strays(db)).toEqual([{ key: foreign, times: 1 }]);
    expect(await keeper.pass()).toMatchObject({ ...nothing, strays: 1, removing: 1 });
    expect(await keeper.pump()).toEqual(["remove_stray"]);
    expect(keeper.keys).not.toContain(foreign);
    expect(await keeper.pass()).toMatchObject({ ...nothing, forgotten: 1 });
    expect(await strays(db)).toEqual([]);
    // It comes back, as another.
    keeper.keys.add(foreign);
    await keeper.pass();
    expect(await keeper.pass()).toMatchObject({ removing: 1 });
    expect(await keeper.pump()).toEqual(["remove_stray"]);
    await keeper.pass();
  });

  test("D10 is counted once in a pass, however often that is run", async ({ db, keeper }) => {
    const foreign = randomUUID();
    keeper.keys.add(foreign);
    const listed_at = await keeper.begin();
    await race(8, async (i) => {
      await keeper.part(listed_at);
      if (i % 2 === 0) await keeper.end(listed_at);
    });
    expect(await strays(db)).toEqual([{ key: foreign, times: 1 }]);
    expect(await keeper.claim()).toEqual([]);
    await db.query("select ops.move_cursor('provisioner_reconcile', null, true, $1)", [listed_at]);
    const second = await keeper.begin();
    await keeper.part(second);
    const ended = await race(8, () => keeper.end(second));
    expect(ended.reduce((sum, { removing }) => sum + removing, 0)).toBe(1);
    await db.query("select ops.move_cursor('provisioner_reconcile', null, true, $1)", [second]);
    expect(await keeper.pump()).toEqual(["remove_stray"]);
    expect(await keeper.pass()).toMatchObject({ forgotten: 1 });
  });

  test("D10 that stays there is told of again after two more passes, never while that is under way", async ({
    db,
    keeper,
  }) => {
    const foreign = randomUUID();
    keeper.keys.add(foreign);
    await keeper.pass();
    expect(await keeper.pass()).toMatchObject({ removing: 1 });
    const waiting = await keeper.claim();
    for (let i = 0; i < 3; i += 1) expect(await keeper.pass()).toMatchObject({ removing: 0 });
    await keeper.settle(waiting);
    expect(await keeper.pass()).toMatchObject({ removing: 1 });
    expect(await keeper.pass()).toMatchObject({ removing: 0 });
    await keeper.pump();
    expect(await keeper.pass()).toMatchObject({ forgotten: 1 });
    const sent = await rows(db, "select from messages.outbox where kind = 'remove_stray' and body ->> 'key' = $1", [
      foreign,
    ]);
    expect(sent).toHaveLength(2);
  });

  test("D10 is none of ours that lives, is to go, or went after the list was asked for", async ({ db, keeper }) => {
    const pending = await Guest.withKey(db);
    keeper.keys.add((await pending.key()).key);
    const { guest, key } = await added(db, keeper);
    const listed_at = await keeper.begin();
    await guest.end();
    expect(await keeper.part(listed_at)).toMatchObject({ strays: 0, added: 0 });
    await keeper.pump();
    keeper.keys.add(key);
    expect(await keeper.part(listed_at)).toMatchObject({ strays: 0, added: 0 });
    await db.query("select ops.move_cursor('provisioner_reconcile', null, true, $1)", [listed_at]);
    // It was removed, and came back: an addition that was late.
    expect(await keeper.pass()).toMatchObject({ strays: 1 });
    expect(await keeper.pass()).toMatchObject({ removing: 1 });
    await keeper.pump();
    expect(keeper.keys).not.toContain(key);
    await keeper.pass();
  });
});

test("D18 customers come and go while pumps and passes run: who pays is there in the end, and nobody else", async ({
  db,
  keeper,
}) => {
  for (let round = 0; round < 3; round += 1) {
    await keeper.anotherDay();
    const guests = await race(12, () => Guest.withKey(db));
    const foreign = Array.from({ length: 4 }, () => randomUUID());
    for (const key of foreign) keeper.keys.add(key);
    const outcomes = await race(28, async (i) => {
      if (i < 12) return outcome(i % 3 === round ? (guests[i]?.end() ?? Promise.resolve()) : Promise.resolve());
      if (i < 20) return outcome(keeper.pump());
      return outcome(keeper.pass());
    });
    expect(tally(outcomes)).toEqual({ done: 28 });
    // What is lost, too.
    for (const guest of guests.slice(0, 6)) keeper.keys.delete((await guest.key()).key);
    for (let i = 0; i < 3; i += 1) {
      await advance(db, "10 minutes");
      await keeper.pass();
      await keeper.pump();
    }
    const there = await rows<{ key: string }>(db, "select key from access.key where state = 'active' order by key");
    expect([...keeper.keys].toSorted()).toEqual(there.map((row) => row.key));
    const states = await Promise.all(guests.map((guest) => guest.key()));
    expect(states.map(({ state }) => state)).toEqual(guests.map((_, i) => (i % 3 === round ? "removed" : "active")));
  }
});
