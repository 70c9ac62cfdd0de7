import type { PoolClient } from "pg";
import { expect } from "vitest";
import { besideOpen } from "../../support/barrier.ts";
import { Keeper } from "../../support/keeper.ts";
import { advance, refusal, rows } from "../../support/scenario.ts";
import { Strayed } from "../../support/strays.ts";
import type { Lab, Mutation } from "./lab.ts";

/** A deployment without keys, at whose provisioner two passes have seen so many of somebody else's. */
async function waiting(lab: Lab, count: number): Promise<Strayed> {
  const keeper = new Strayed(lab.db);
  await keeper.empty();
  keeper.foreign(count);
  await keeper.pass();
  await keeper.pass();
  return keeper;
}

/** So many are removed by themselves. */
async function removed(lab: Lab, { strays, active = 0, removing = 0 }: Record<string, number>): Promise<number> {
  const keeper = new Strayed(lab.db);
  await keeper.empty();
  await keeper.live(active);
  await keeper.live(removing, "removing");
  keeper.foreign(strays ?? 0);
  await keeper.pass();
  const pass = await keeper.pass();
  await keeper.empty();
  return pass.removing;
}

/** A deployment without keys, of whose limit for the day four are used up. */
async function used(lab: Lab): Promise<Strayed> {
  const keeper = new Strayed(lab.db);
  await keeper.empty();
  await keeper.removed(4);
  return keeper;
}

/** Whether so many strays that come now go by themselves. */
async function goes(keeper: Strayed, count: number): Promise<boolean> {
  keeper.foreign(count);
  await keeper.pass();
  return (await keeper.pass()).removing === count;
}

/** Guards of the removal of strays: how many go by themselves, and what a person's word holds for. */
export const strays: Mutation[] = [
  {
    guard: "D10 of more strays than go by themselves, none is removed",
    routine: "access.remove_strays",
    changes: [["if cardinality(v_today) + cardinality(v_keys) > v_most and", "if false and"]],
    probe: async (lab) => expect(await removed(lab, { strays: 11 })).toBe(0),
  },
  {
    guard: "D10 the limit is of a day, and not of a pass",
    routine: "access.remove_strays",
    changes: [["if cardinality(v_today) + cardinality(v_keys) > v_most", "if cardinality(v_keys) > v_most"]],
    probe: async (lab) => expect(await goes(await used(lab), 7)).toBe(false),
  },
  {
    guard: "D10 what went by itself is counted",
    routine: "access.remove_strays",
    changes: [["if v_again.unsaid > 0 then", "if false then"]],
    probe: async (lab) => expect(await goes(await used(lab), 7)).toBe(false),
  },
  {
    guard: "D10 with what went before it",
    routine: "access.remove_strays",
    changes: [["set removed_at = v_today ||", "set removed_at ="]],
    probe: async (lab) => {
      const keeper = await used(lab);
      await keeper.removed(1);
      expect(await goes(keeper, 6)).toBe(false);
    },
  },
  {
    guard: "D10 each of them",
    routine: "access.remove_strays",
    changes: [["array_fill(v_now, array[v_again.unsaid])", "v_now"]],
    probe: async (lab) => expect(await goes(await used(lab), 7)).toBe(false),
  },
  {
    guard: "D10 a day, and no longer",
    routine: "access.remove_strays",
    changes: [["where r.at > v_now - interval '1 day'", ""]],
    probe: async (lab) => {
      const keeper = await used(lab);
      await advance(lab.db, "1 day");
      expect(await goes(keeper, 7)).toBe(true);
    },
  },
  {
    guard: "D10 what a person said does not count against it",
    routine: "access.remove_strays",
    changes: [["count(*) filter (where t.unsaid)", "count(*)"]],
    probe: async (lab) => {
      const keeper = await waiting(lab, 12);
      await keeper.approve(12);
      await keeper.pass();
      expect(await keeper.counted()).toBe(0);
    },
  },
  {
    guard: "D10 what his word was over for does",
    routine: "access.remove_strays",
    changes: [
      [
        "s.approved_at is null or s.approved_at <= v_now - interval '1 day' as unsaid",
        "s.approved_at is null as unsaid",
      ],
    ],
    probe: async (lab) => {
      const keeper = await used(lab);
      expect(await goes(keeper, 7)).toBe(false);
      await keeper.approve(7);
      await advance(lab.db, "1 day");
      await keeper.pass();
      expect(await keeper.counted()).toBe(7);
    },
  },
  {
    guard: "D23 passes that end at once count each other's",
    routine: "access.remove_strays",
    changes: [["from access.stray_day d for no key update", "from access.stray_day d"]],
    probe: async (lab) => {
      const keeper = new Strayed(lab.db);
      await keeper.empty();
      const [early, late] = await keeper.twoPasses(5, 5);
      await besideOpen(
        lab.db,
        (connection: PoolClient) => new Keeper(connection).end(early),
        () => keeper.end(late),
      );
      expect(await keeper.counted()).toBe(10);
    },
  },
  {
    guard: "D23 a pass waits for a person's word that is being said",
    routine: "access.approve_strays",
    changes: [["perform from access.stray_day d for no key update;", ""]],
    probe: async (lab) => {
      const keeper = new Strayed(lab.db);
      await keeper.empty();
      keeper.foreign(12);
      await keeper.pass();
      const listed_at = await keeper.begin();
      await keeper.part(listed_at);
      const ended = await besideOpen(
        lab.db,
        (connection: PoolClient) => new Strayed(connection).approve(12),
        () => keeper.end(listed_at),
      );
      expect(ended.removing).toBe(12);
    },
  },
  {
    guard: "D10 a fifth of the keys",
    routine: "access.most_strays",
    changes: [["v_live / 5", "v_live"]],
    probe: async (lab) => expect(await removed(lab, { strays: 15, active: 70 })).toBe(0),
  },
  {
    guard: "D10 of the keys that are to be there",
    routine: "access.most_strays",
    changes: [["where k.state in ('pending', 'active') order", "order"]],
    probe: async (lab) => expect(await removed(lab, { strays: 11, removing: 100 })).toBe(0),
  },
  {
    guard: "D10 never more than a hundred",
    routine: "access.most_strays",
    changes: [
      ["least(100, greatest(10, v_live / 5))", "greatest(10, v_live / 5)"],
      ["limit 500", "limit 5000"],
    ],
    probe: async (lab) => expect(await removed(lab, { strays: 101, active: 505 })).toBe(0),
  },
  {
    guard: "D10 always ten",
    routine: "access.most_strays",
    changes: [["greatest(10, v_live / 5)", "v_live / 5"]],
    probe: async (lab) => expect(await removed(lab, { strays: 10 })).toBe(10),
  },
  {
    guard: "D23 a stray is removed once at a time",
    routine: "access.waiting_strays",
    changes: [["(s.removals = 0 or access.removal_name(s.key, s.first_seen_at, s.removals) <> all (v_names))", "true"]],
    probe: async (lab) => {
      const keeper = await waiting(lab, 1);
      for (let i = 0; i < 4; i += 1) await keeper.pass();
      expect(await keeper.claim()).toHaveLength(1);
    },
  },
  {
    guard: "D23 a word for some is none for those that came later",
    routine: "access.remove_strays",
    changes: [["s.approved_at is null or", ""]],
    probe: async (lab) => {
      const keeper = await waiting(lab, 12);
      keeper.foreign(1);
      await keeper.pass();
      await keeper.approve(12);
      expect(await keeper.pass()).toMatchObject({ removing: 0 });
    },
  },
  {
    guard: "D10 a word holds for a day",
    routine: "access.remove_strays",
    changes: [["or s.approved_at <= v_now - interval '1 day'))", "))"]],
    probe: async (lab) => {
      const keeper = await waiting(lab, 12);
      await keeper.approve(12);
      await advance(lab.db, "1 day");
      expect(await keeper.pass()).toMatchObject({ removing: 0 });
    },
  },
  {
    guard: "D10 a word is used up",
    routine: "access.remove_strays",
    changes: [[", approved_at = null", ""]],
    probe: async (lab) => {
      const keeper = await waiting(lab, 12);
      await keeper.approve(12);
      await keeper.pass();
      await keeper.settle(await keeper.claim());
      for (let i = 0; i < 3; i += 1) expect(await keeper.pass()).toMatchObject({ removing: 0 });
    },
  },
  {
    guard: "D23 of passes that end at once, one removes a stray",
    routine: "access.remove_strays",
    changes: [
      ["and s.times > 0 and s.seen_at = remove_strays.listed_at", "and s.seen_at = remove_strays.listed_at"],
      ["for no key update skip locked", "for no key update"],
      ["from access.stray_day d for no key update", "from access.stray_day d"],
    ],
    probe: async (lab) => {
      const keeper = await waiting(lab, 12);
      await keeper.approve(12);
      const listed_at = await keeper.begin();
      await keeper.part(listed_at);
      const first = (connection: PoolClient) => new Keeper(connection).end(listed_at);
      await besideOpen(lab.db, first, () => keeper.end(listed_at));
      expect(await rows(lab.db, "select from messages.outbox")).toHaveLength(12);
    },
  },
  {
    guard: "D10 what is more than a statement's goes with the next",
    routine: "access.remove_strays",
    changes: [["remove_strays.more := remove_strays.removing = c_batch;", ""]],
    probe: async (lab) => {
      const keeper = await waiting(lab, 1001);
      await keeper.approve(1001);
      expect(await keeper.pass()).toMatchObject({ removing: 1001 });
    },
  },
  {
    guard: "D10 nobody says yes to more than he has seen",
    routine: "access.approve_strays",
    changes: [["if approve_strays.strays > approve_strays.most then", "if false then"]],
    probe: async (lab) => {
      const keeper = await waiting(lab, 12);
      expect(await refusal(keeper.approve(11))).toEqual({ code: "strays_more", strays: 12 });
    },
  },
  {
    guard: "D10 nor to what does not wait yet",
    routine: "access.approve_strays",
    changes: [["where s.key = any (v_keys) and s.times >= 2 and (", "where ("]],
    probe: async (lab) => {
      const keeper = await waiting(lab, 12);
      keeper.foreign(1);
      await keeper.pass();
      await keeper.approve(12);
      expect(await keeper.pass()).toMatchObject({ removing: 0 });
    },
  },
  {
    guard: "D10 saying it again does not make the day longer",
    routine: "access.approve_strays",
    changes: [["and (s.approved_at is null or s.approved_at <= v_now - interval '1 day')", ""]],
    probe: async (lab) => {
      const keeper = await waiting(lab, 12);
      const first = await keeper.approve(12);
      await advance(lab.db, "1 minute");
      expect(await keeper.approve(12)).toEqual(first);
    },
  },
  {
    guard: "B9 the audit knows who said so",
    routine: "access.approve_strays",
    changes: [["action => 'strays.approve'", "action => 'nothing'"]],
    probe: async (lab) => {
      const keeper = await waiting(lab, 12);
      const before = await keeper.audited();
      await keeper.approve(12);
      expect(await keeper.audited()).toHaveLength(before.length + 1);
    },
  },
];
