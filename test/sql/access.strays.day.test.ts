import type { PoolClient } from "pg";
import { describe, expect } from "vitest";
import { besideOpen, race } from "../support/barrier.ts";
import { Keeper } from "../support/keeper.ts";
import { advance, rows } from "../support/scenario.ts";
import { unwatched } from "../support/sql.ts";
import { Strayed } from "../support/strays.ts";

const test = unwatched.extend("keeper", async ({ db }) => {
  const keeper = new Strayed(db);
  await keeper.empty();
  return keeper;
});

describe("within a day", () => {
  test("D10 a few that come with each pass go up to the limit, and then none", async ({ keeper }) => {
    let removed = 0;
    for (let i = 0; i < 30; i += 1) {
      keeper.foreign(5);
      removed += (await keeper.pass()).removing;
      await keeper.pump();
    }
    expect(removed).toBe(10);
    expect(await keeper.alarm()).toEqual({ strays: 29 * 5 - 10, removed_today: 10, most: 10 });
    expect(keeper.keys.size).toBe(30 * 5 - 10);
  });

  test("D10 one that is always added again by somebody is removed up to the limit", async ({ keeper }) => {
    const theirs = keeper.foreign(5);
    let removed = 0;
    for (let i = 0; i < 12; i += 1) {
      removed += (await keeper.pass()).removing;
      await keeper.pump();
      for (const key of theirs) keeper.keys.add(key);
    }
    expect(removed).toBe(10);
    expect(await keeper.alarm()).toEqual({ strays: 5, removed_today: 10, most: 10 });
  });

  test("D10 what is forgotten since, and whose message was dropped, counts", async ({ db, keeper }) => {
    await keeper.removed(7);
    expect(await rows(db, "select from access.stray")).toEqual([]);
    await db.query("delete from messages.outbox");
    keeper.foreign(4);
    for (let i = 0; i < 3; i += 1) expect(await keeper.pass()).toMatchObject({ removing: 0 });
    expect(await keeper.alarm()).toEqual({ strays: 4, removed_today: 7, most: 10 });
  });

  test("D10 as many as are left of it go", async ({ keeper }) => {
    await keeper.removed(7);
    keeper.foreign(3);
    await keeper.pass();
    expect(await keeper.pass()).toMatchObject({ removing: 3 });
    expect(await keeper.alarm()).toBeNull();
    expect(await keeper.counted()).toBe(10);
  });

  test("D10 the alarm closes when the strays are gone", async ({ keeper }) => {
    await keeper.removed(10);
    const theirs = keeper.foreign(1);
    for (let i = 0; i < 2; i += 1) expect(await keeper.pass()).toMatchObject({ removing: 0 });
    expect(await keeper.alarm()).toEqual({ strays: 1, removed_today: 10, most: 10 });
    for (const key of theirs) keeper.keys.delete(key);
    expect(await keeper.pass()).toMatchObject({ forgotten: 1, removing: 0 });
    expect(await keeper.alarm()).toBeNull();
    // Another one is no more welcome.
    keeper.foreign(1);
    for (let i = 0; i < 2; i += 1) expect(await keeper.pass()).toMatchObject({ removing: 0 });
    expect(await keeper.alarm()).toEqual({ strays: 1, removed_today: 10, most: 10 });
  });

  test("D10 the alarm closes when the day is over, and they go; each counts for a day of its own", async ({
    db,
    keeper,
  }) => {
    await keeper.removed(6);
    await advance(db, "12 hours");
    await keeper.removed(4);
    keeper.foreign(6);
    for (let i = 0; i < 2; i += 1) expect(await keeper.pass()).toMatchObject({ removing: 0 });
    await advance(db, "11 hours 50 minutes");
    expect(await keeper.pass()).toMatchObject({ removing: 0 });
    expect(await keeper.alarm()).toEqual({ strays: 6, removed_today: 10, most: 10 });
    await advance(db, "20 minutes");
    expect(await keeper.pass()).toMatchObject({ removing: 6 });
    expect(await keeper.alarm()).toBeNull();
    // What is past is counted no more, nor kept.
    expect(await keeper.counted()).toBe(10);
  });

  test("D10 the limit grows and shrinks with the keys; below what was removed, nothing goes", async ({
    db,
    keeper,
  }) => {
    await keeper.live(100);
    await keeper.removed(15);
    await db.query("delete from access.key");
    keeper.keys.clear();
    expect(await keeper.pass()).toMatchObject({ removing: 0 });
    expect(await keeper.alarm()).toBeNull();
    keeper.foreign(1);
    for (let i = 0; i < 2; i += 1) expect(await keeper.pass()).toMatchObject({ removing: 0 });
    expect(await keeper.alarm()).toEqual({ strays: 1, removed_today: 15, most: 10 });
    await keeper.live(100);
    expect(await keeper.pass()).toMatchObject({ removing: 1 });
  });
});

describe("what a person has said of", () => {
  test("D10 goes though the day is full, and counts for nothing", async ({ keeper }) => {
    await keeper.removed(4);
    keeper.foreign(12);
    for (let i = 0; i < 2; i += 1) expect(await keeper.pass()).toMatchObject({ removing: 0 });
    expect(await keeper.alarm()).toEqual({ strays: 12, removed_today: 4, most: 10 });
    await keeper.approve(12);
    expect(await keeper.pass()).toMatchObject({ removing: 12 });
    expect(await keeper.alarm()).toBeNull();
    expect(await keeper.counted()).toBe(4);
    await keeper.pump();
    await keeper.pass();
    await keeper.removed(6);
    expect(await keeper.counted()).toBe(10);
  });

  test("D10 beside others, all go within the limit, and the others count", async ({ keeper }) => {
    await keeper.removed(3);
    keeper.foreign(8);
    for (let i = 0; i < 2; i += 1) expect(await keeper.pass()).toMatchObject({ removing: 0 });
    await keeper.approve(8);
    // A person has seen to four of them, and three others have come.
    for (const key of [...keeper.keys].slice(0, 4)) keeper.keys.delete(key);
    keeper.foreign(3);
    const listed_at = await keeper.begin();
    await keeper.part(listed_at);
    const again = await keeper.beginAnew();
    await keeper.part(again);
    expect(await keeper.end(again)).toMatchObject({ forgotten: 4, removing: 7 });
    expect(await keeper.counted()).toBe(6);
  });

  test("D10 beside others, none goes above the limit", async ({ keeper }) => {
    await keeper.removed(8);
    keeper.foreign(3);
    for (let i = 0; i < 2; i += 1) expect(await keeper.pass()).toMatchObject({ removing: 0 });
    await keeper.approve(3);
    keeper.foreign(1);
    const listed_at = await keeper.begin();
    await keeper.part(listed_at);
    const again = await keeper.beginAnew();
    await keeper.part(again);
    expect(await keeper.end(again)).toMatchObject({ removing: 0 });
    expect(await keeper.alarm()).toEqual({ strays: 4, removed_today: 8, most: 10 });
    expect(await keeper.counted()).toBe(8);
  });

  test("D10 counts again for the day when its word is over", async ({ db, keeper }) => {
    await keeper.removed(10);
    keeper.foreign(2);
    for (let i = 0; i < 2; i += 1) await keeper.pass();
    await keeper.approve(2);
    await advance(db, "1 day");
    expect(await keeper.pass()).toMatchObject({ removing: 2 });
    expect(await keeper.counted()).toBe(2);
  });
});

describe("passes at once", () => {
  test("D23 that have strays of their own count each other's: of two, the second waits for the first", async ({
    db,
    keeper,
  }) => {
    const [early, late] = await keeper.twoPasses(5, 5);
    const first = (connection: PoolClient) => new Keeper(connection).end(early);
    expect(await besideOpen(db, first, () => keeper.end(late))).toMatchObject({ removing: 5 });
    expect(await keeper.counted()).toBe(10);
    await keeper.pump();
    keeper.foreign(1);
    for (let i = 0; i < 2; i += 1) expect(await keeper.pass()).toMatchObject({ removing: 0 });
    expect(await keeper.alarm()).toEqual({ strays: 1, removed_today: 10, most: 10 });
  });

  test.for([
    [5, 5],
    [5, 6],
    [10, 1],
    [9, 9],
  ] as const)(
    "D23 eight that end two passes, with %i and %i strays of their own: never more than ten, each counted",
    async ([first, second], { db, keeper }) => {
      for (let round = 0; round < 4; round += 1) {
        await keeper.empty();
        const passes = await keeper.twoPasses(first, second);
        const ended = await race(8, (i) => keeper.end(passes[i % 2] ?? ""));
        const removed = ended.reduce((sum, { removing }) => sum + removing, 0);
        expect(removed).toBeLessThanOrEqual(10);
        expect(await keeper.counted()).toBe(removed);
        expect(await rows(db, "select from messages.outbox where kind = 'remove_stray'")).toHaveLength(removed);
      }
    },
  );

  test("D23 eight that end one pass at the limit's edge remove each once, without an alarm", async ({ db, keeper }) => {
    for (let round = 0; round < 6; round += 1) {
      await keeper.empty();
      await keeper.removed(4);
      keeper.foreign(6);
      await keeper.pass();
      const listed_at = await keeper.begin();
      await keeper.part(listed_at);
      const ended = await race(8, () => keeper.end(listed_at));
      expect(ended.reduce((sum, { removing }) => sum + removing, 0)).toBe(6);
      expect(await keeper.counted()).toBe(10);
      expect(await rows(db, "select from ops.alarm where code = 'strays_many'")).toEqual([]);
    }
  });
});
