import { describe, expect } from "vitest";
import { race } from "../support/barrier.ts";
import { advance, refusal, rows } from "../support/scenario.ts";
import { unwatched } from "../support/sql.ts";
import { Strayed } from "../support/strays.ts";

const test = unwatched.extend("keeper", async ({ db }) => {
  const keeper = new Strayed(db);
  await keeper.empty();
  return keeper;
});

/** Two passes have seen so many, of a deployment that has no key. */
async function waiting(keeper: Strayed, count: number): Promise<string[]> {
  const strays = keeper.foreign(count);
  await keeper.pass();
  expect(await keeper.pass()).toMatchObject({ removing: 0 });
  expect(await keeper.alarm()).toEqual({ strays: count, removed_today: 0, most: 10 });
  return strays;
}

describe("by itself", () => {
  test.for([
    [0, 10],
    [54, 10],
    [55, 11],
    [499, 99],
    [700, 100],
  ] as const)("D10 of %i keys, %i strays are removed, and of one more none", async ([live, most], { keeper }) => {
    await keeper.live(live);
    const [first = ""] = keeper.foreign(most + 1);
    await keeper.pass();
    expect(await keeper.pass()).toMatchObject({ strays: most + 1, removing: 0 });
    expect(await keeper.pass()).toMatchObject({ removing: 0 });
    expect(await keeper.claim()).toEqual([]);
    expect(await keeper.alarm()).toEqual({ strays: most + 1, removed_today: 0, most });
    // A person has seen to one.
    keeper.keys.delete(first);
    expect(await keeper.pass()).toMatchObject({ forgotten: 1, removing: most });
    expect(await keeper.alarm()).toBeNull();
    expect(await keeper.pump()).toHaveLength(most);
    expect(keeper.keys.size).toBe(live);
  });

  test("D10 only keys that are to be there count: pending ones do, removed ones do not", async ({ keeper }) => {
    await keeper.live(100, "removing");
    await keeper.live(54, "pending");
    keeper.foreign(11);
    await keeper.pass();
    expect(await keeper.pass()).toMatchObject({ removing: 0 });
    await keeper.live(1, "pending");
    expect(await keeper.pass()).toMatchObject({ removing: 11 });
  });

  test("D23 what is being removed does not wait any more; what was, and is there all the same, does", async ({
    db,
    keeper,
  }) => {
    keeper.foreign(10);
    await keeper.pass();
    expect(await keeper.pass()).toMatchObject({ removing: 10 });
    const told = await keeper.claim("10 days");
    await advance(db, "1 day");
    keeper.foreign(10);
    await keeper.pass();
    expect(await keeper.pass()).toMatchObject({ strays: 20, removing: 10 });
    await keeper.claim("10 days");
    await advance(db, "1 day");
    keeper.foreign(1);
    expect(await keeper.pass()).toMatchObject({ removing: 0 });
    // Whoever provisions says that it is done, and it is not.
    await keeper.settle(told);
    expect(await keeper.pass()).toMatchObject({ removing: 0 });
    expect(await keeper.alarm()).toEqual({ strays: 11, removed_today: 0, most: 10 });
    const late = await rows(db, "select from messages.outbox where kind = 'remove_stray'");
    expect(late).toHaveLength(20);
  });

  test("D10 a list that is made up anew each time has nothing removed", async ({ keeper }) => {
    for (let i = 0; i < 4; i += 1) {
      keeper.keys.clear();
      keeper.foreign(5);
      expect(await keeper.pass()).toMatchObject({ strays: 5, removing: 0 });
    }
    expect(await keeper.claim()).toEqual([]);
  });
});

describe("when a person has said so", () => {
  test("D10 B9 the next pass removes them all, once; who comes back needs another word", async ({ keeper }) => {
    const before = await keeper.audited();
    const strays = await waiting(keeper, 12);
    expect(await keeper.approve(12)).toEqual({ strays: 12, approved_until: expect.any(String) });
    const said = { actor: "key:somebody", detail: { strays: 12, most: 12 } };
    expect(await keeper.audited()).toEqual([...before, said]);
    expect(await keeper.pass()).toMatchObject({ removing: 12 });
    expect(await keeper.alarm()).toBeNull();
    expect(await keeper.pump()).toHaveLength(12);
    expect(keeper.keys.size).toBe(0);
    for (const key of strays) keeper.keys.add(key);
    for (let i = 0; i < 4; i += 1) expect(await keeper.pass()).toMatchObject({ removing: 0 });
    expect(await keeper.alarm()).toEqual({ strays: 12, removed_today: 0, most: 10 });
  });

  test("D10 who has seen fewer is refused, with their number, and nothing is removed", async ({ keeper }) => {
    const before = await keeper.audited();
    await waiting(keeper, 12);
    expect(await refusal(keeper.approve(11))).toEqual({ code: "strays_more", strays: 12 });
    expect(await keeper.audited()).toEqual(before);
    expect(await keeper.pass()).toMatchObject({ removing: 0 });
  });

  test("D10 saying it again changes nothing, and does not make the day longer", async ({ db, keeper }) => {
    const before = await keeper.audited();
    await waiting(keeper, 12);
    const first = await keeper.approve(12);
    await advance(db, "1 hour");
    expect(await keeper.approve(50)).toEqual(first);
    expect(await keeper.audited()).toHaveLength(before.length + 1);
  });

  test("D10 while none waits, it says nothing of those that come", async ({ keeper }) => {
    const before = await keeper.audited();
    keeper.foreign(12);
    await keeper.pass();
    expect(await keeper.approve(1000)).toEqual({ strays: 0, approved_until: null });
    expect(await keeper.audited()).toEqual(before);
    expect(await keeper.pass()).toMatchObject({ removing: 0 });
    expect(await keeper.alarm()).toEqual({ strays: 12, removed_today: 0, most: 10 });
  });

  test("D23 and more have come to wait before the pass, none is removed, and the alarm says how many", async ({
    keeper,
  }) => {
    const [first = ""] = await waiting(keeper, 12);
    keeper.foreign(1);
    await keeper.pass();
    await keeper.approve(12);
    expect(await keeper.pass()).toMatchObject({ removing: 0 });
    expect(await keeper.alarm()).toEqual({ strays: 13, removed_today: 0, most: 10 });
    // As many as he has seen, and yet others.
    keeper.keys.delete(first);
    expect(await keeper.pass()).toMatchObject({ forgotten: 1, removing: 0 });
    expect(await keeper.alarm()).toEqual({ strays: 12, removed_today: 0, most: 10 });
    await keeper.approve(12);
    expect(await keeper.pass()).toMatchObject({ removing: 12 });
  });

  test("D10 it holds for a day", async ({ db, keeper }) => {
    const before = await keeper.audited();
    await waiting(keeper, 12);
    await keeper.approve(12);
    await advance(db, "1 day");
    expect(await keeper.pass()).toMatchObject({ removing: 0 });
    expect(await keeper.alarm()).toEqual({ strays: 12, removed_today: 0, most: 10 });
    await keeper.approve(12);
    expect(await keeper.audited()).toHaveLength(before.length + 2);
    await advance(db, "23 hours 59 minutes");
    expect(await keeper.pass()).toMatchObject({ removing: 12 });
  });

  test("D23 and eight end the pass at once, each is removed once", async ({ db, keeper }) => {
    for (let round = 0; round < 4; round += 1) {
      await keeper.empty();
      await waiting(keeper, 40);
      await keeper.approve(40);
      const listed_at = await keeper.begin();
      await keeper.part(listed_at);
      const ended = await race(8, () => keeper.end(listed_at));
      expect(ended.reduce((sum, { removing }) => sum + removing, 0)).toBe(40);
      expect(await rows(db, "select from messages.outbox")).toHaveLength(40);
      expect(await rows(db, "select from access.stray where approved_at is not null or times > 0")).toEqual([]);
    }
  });

  test("D23 and it is said while passes end: all are removed or none, and once", async ({ db, keeper }) => {
    for (let round = 0; round < 20; round += 1) {
      await keeper.empty();
      await waiting(keeper, 40);
      const listed_at = await keeper.begin();
      await keeper.part(listed_at);
      const removing = await race(8, async (i) => {
        if (i % 2 === 0) return (await keeper.end(listed_at)).removing;
        await keeper.approve(40);
        return 0;
      });
      const sent = await rows(db, "select from messages.outbox");
      expect([0, 40]).toContain(sent.length);
      expect(removing.reduce((sum, each) => sum + each, 0)).toBe(sent.length);
      const { removing: rest } = await keeper.end(listed_at);
      expect(rest + sent.length).toBe(40);
    }
  });

  test("D10 and they are more than a statement's, all go in one pass, each once", async ({ db, keeper }) => {
    await waiting(keeper, 2500);
    await keeper.approve(2500);
    const listed_at = await keeper.begin();
    for (let i = 0; i < 3; i += 1) await keeper.part(listed_at);
    expect(await keeper.end(listed_at)).toMatchObject({ removing: 1000, more: true });
    expect(await keeper.pass()).toMatchObject({ removing: 1500 });
    expect(await rows(db, "select from messages.outbox")).toHaveLength(2500);
  });
});
