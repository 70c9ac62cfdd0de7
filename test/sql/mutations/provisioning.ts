import { randomUUID } from "node:crypto";
import type { PoolClient } from "pg";
import { expect } from "vitest";
import { besideOpen } from "../../support/barrier.ts";
import { Guest } from "../../support/guest.ts";
import { Keeper } from "../../support/keeper.ts";
import { call, rows } from "../../support/scenario.ts";
import type { Lab, Mutation } from "./lab.ts";

/** A guest whose key is there. */
async function admitted(lab: Lab) {
  const keeper = new Keeper(lab.db);
  await keeper.beginAnew();
  const guest = await Guest.withKey(lab.db);
  await keeper.pump();
  return { keeper, guest, ...(await guest.key()) };
}

/** A guest whose key was lost, and is being added again. */
async function addedAgain(lab: Lab) {
  const all = await admitted(lab);
  all.keeper.keys.delete(all.key);
  await all.keeper.beginAnew();
  await all.keeper.pass();
  return all;
}

/** A key of somebody else's. */
async function withForeign(lab: Lab) {
  const keeper = new Keeper(lab.db);
  await keeper.beginAnew();
  const foreign = randomUUID();
  keeper.keys.add(foreign);
  return { keeper, foreign };
}

const nothing = { strays: 0, added: 0, forgotten: 0, removing: 0 };

/** Guards of what is told to the provisioner, and of what its list is taken for. */
export const provisioning: Mutation[] = [
  {
    guard: "D11 only a claim's holder moves a key",
    routine: "access.provisioned",
    changes: [["m.id = any (provisioned.settled) and ", ""]],
    probe: async (lab) => {
      const guest = await Guest.withKey(lab.db);
      const keeper = new Keeper(lab.db);
      const told = await keeper.claim();
      const { id } = await guest.key();
      // Its message is settled by somebody else between the look at it and the settling: here, while the key is waited for.
      const { moved } = await besideOpen(
        lab.db,
        async (connection) => {
          await connection.query("select from access.key where id = $1 for update", [id]);
          await connection.query("update messages.outbox set state = 'canceled', due_at = null where id = $1", [
            told[0]?.id,
          ]);
        },
        () => keeper.settle(told),
      );
      expect(moved).toBe(0);
    },
  },
  {
    guard: "D11 a key moves with its message",
    routine: "access.provisioned",
    changes: [["when 'add_key' then 'pending' when", "when"]],
    probe: async (lab) => expect((await admitted(lab)).state).toBe("active"),
  },
  {
    guard: "D18 a removal moves its key",
    routine: "access.provisioned",
    changes: [["when 'remove_key' then 'removing' end", "end"]],
    probe: async (lab) => {
      const { guest, keeper } = await admitted(lab);
      await guest.end();
      await keeper.pump();
      expect(await guest.key()).toMatchObject({ state: "removed" });
    },
  },
  {
    guard: "D18 a key that was revoked is not added",
    routine: "access.still_wanted",
    changes: [["k.state in ('pending', 'active')", "true"]],
    probe: async (lab) => {
      const { guest, id, key } = await admitted(lab);
      await guest.end();
      const [row] = await rows<{ is: boolean }>(lab.db, "select access.still_wanted('add_key', $1) as is", [
        { key_id: id, key },
      ]);
      expect(row?.is).toBe(false);
    },
  },
  {
    guard: "D18 a key that lives is not removed",
    routine: "access.still_wanted",
    changes: [["k.state = 'removing')", "true)"]],
    probe: async (lab) => {
      const { id, key } = await admitted(lab);
      const [row] = await rows<{ is: boolean }>(lab.db, "select access.still_wanted('remove_key', $1) as is", [
        { key_id: id, key },
      ]);
      expect(row?.is).toBe(false);
    },
  },
  {
    guard: "D10 a stray is removed only while no row stands for it",
    routine: "access.still_wanted",
    changes: [["k.state <> 'removed')", "false)"]],
    probe: async (lab) => {
      const { key } = await admitted(lab);
      const [row] = await rows<{ is: boolean }>(lab.db, "select access.still_wanted('remove_stray', $1) as is", [
        { key },
      ]);
      expect(row?.is).toBe(false);
    },
  },
  {
    guard: "D18 what adds a key again is not sent after its removal, either",
    routine: "access.follow",
    changes: [["access.add_name(v_key.id, v_key.adds)", "access.add_name(v_key.id, 0)"]],
    probe: async (lab) => {
      const { guest, keeper } = await addedAgain(lab);
      expect(await keeper.claim()).toHaveLength(1);
      await guest.end();
      // It is being sent: its removal waits.
      expect(await keeper.claim()).toEqual([]);
    },
  },
  {
    guard: "D10 what the provisioner has is not missing",
    routine: "access.compare",
    changes: [["and not exists (select from unnest(compare.keys) l(key) where l.key = k.key)", ""]],
    probe: async (lab) => {
      const { keeper } = await admitted(lab);
      await keeper.beginAnew();
      expect(await keeper.pass()).toMatchObject(nothing);
    },
  },
  {
    guard: "D23 what became active after the list was asked for is not missing",
    routine: "access.compare",
    changes: [["and k.activated_at < compare.listed_at", ""]],
    probe: async (lab) => {
      const keeper = new Keeper(lab.db);
      const guest = await Guest.withKey(lab.db);
      const listed_at = await keeper.beginAnew();
      const { id } = await guest.key();
      await guest.confirm(id, "active");
      expect(await keeper.part(listed_at)).toMatchObject({ added: 0 });
    },
  },
  {
    guard: "D10 what lies beyond the part that was read is not missing",
    routine: "access.compare",
    changes: [["and k.key <= coalesce(compare.until, 'ffffffff-ffff-ffff-ffff-ffffffffffff')", ""]],
    probe: async (lab) => {
      const { keeper, key } = await admitted(lab);
      keeper.keys.delete(key);
      const listed_at = await keeper.beginAnew();
      expect(await keeper.part(listed_at, { until: "00000000-0000-4000-8000-000000000000" })).toMatchObject({
        added: 0,
      });
    },
  },
  {
    guard: "D10 what lies before it is not, either",
    routine: "access.compare",
    changes: [["and k.key > coalesce(compare.after, '00000000-0000-0000-0000-000000000000')", ""]],
    probe: async (lab) => {
      const { keeper, key } = await admitted(lab);
      keeper.keys.delete(key);
      const listed_at = await keeper.beginAnew();
      expect(await keeper.part(listed_at, { after: "ffffffff-ffff-4fff-bfff-ffffffffffff" })).toMatchObject({
        added: 0,
      });
    },
  },
  {
    guard: "D10 a key of ours that lives or is to go is no stray",
    routine: "access.compare",
    changes: [["k.state <> 'removed' or ", ""]],
    probe: async (lab) => {
      const { keeper } = await admitted(lab);
      await keeper.beginAnew();
      expect(await keeper.pass()).toMatchObject(nothing);
    },
  },
  {
    guard: "D23 one that went after the list was asked for is none",
    routine: "access.compare",
    changes: [[" or k.removed_at >= compare.listed_at", ""]],
    probe: async (lab) => {
      const { keeper, guest, key } = await admitted(lab);
      const listed_at = await keeper.beginAnew();
      await guest.end();
      await keeper.pump();
      keeper.keys.add(key);
      expect(await keeper.part(listed_at)).toMatchObject({ strays: 0 });
    },
  },
  {
    guard: "D23 a dry run does not show what is on its way",
    routine: "access.compare",
    changes: [["filter (where l.name <> all (c.names))", ""]],
    probe: async (lab) => {
      const { keeper } = await addedAgain(lab);
      const listed_at = await keeper.beginAnew();
      const args = { after: null, until: null, keys: [], shut: [], listed_at, batch: 10 };
      expect(await call(lab.db, "access.compare", args)).toMatchObject({ missing: [] });
    },
  },
  {
    guard: "D10 of passes at once, one adds what is missing",
    routine: "access.reconcile",
    changes: [
      ["and access.add_name(k.id, k.adds) <> all (v_names)", ""],
      ["for no key update skip locked", "for no key update"],
    ],
    probe: async (lab) => {
      const { keeper, guest, key } = await admitted(lab);
      keeper.keys.delete(key);
      const listed_at = await keeper.beginAnew();
      const first = (connection: PoolClient) => new Keeper(connection).part(listed_at);
      await besideOpen(lab.db, first, () => keeper.part(listed_at));
      expect(await guest.told()).toEqual(["add_key delivered", "add_key queued"]);
    },
  },
  {
    guard: "D10 a stray is counted once in a pass",
    routine: "access.reconcile",
    changes: [["where s.seen_at < excluded.seen_at", ""]],
    probe: async (lab) => {
      const { keeper } = await withForeign(lab);
      const listed_at = await keeper.beginAnew();
      for (let i = 0; i < 3; i += 1) await keeper.part(listed_at);
      expect(await rows(lab.db, "select times from access.stray")).toEqual([{ times: 1 }]);
    },
  },
  {
    guard: "D10 a stray is removed when two passes have seen it, and not before",
    routine: "access.waiting_strays",
    changes: [["s.times >= 2 and (s.removals", "(s.removals"]],
    probe: async (lab) => {
      const { keeper } = await withForeign(lab);
      expect(await keeper.pass()).toMatchObject({ strays: 1, removing: 0 });
    },
  },
  {
    guard: "D10 what the last pass did not see is forgotten, and begins anew",
    routine: "access.remove_strays",
    changes: [
      [
        "delete from access.stray s using gone where s.key = gone.key",
        "delete from access.stray s using gone where false",
      ],
    ],
    probe: async (lab) => {
      const { keeper, foreign } = await withForeign(lab);
      await keeper.pass();
      keeper.keys.delete(foreign);
      await keeper.pass();
      keeper.keys.add(foreign);
      expect(await keeper.pass()).toMatchObject({ removing: 0 });
    },
  },
  {
    guard: "D25 what could not be added is not added anew behind its alarm",
    routine: "messages.unsettled",
    changes: [["'queued', 'sending', 'dead'", "'queued', 'sending'"]],
    probe: async (lab) => {
      const { keeper, guest } = await addedAgain(lab);
      for (const { id, token } of await keeper.claim()) {
        await call(lab.db, "messages.fail", { id, token, error: "no", final: true });
      }
      await keeper.pass();
      expect(await guest.told()).toEqual(["add_key delivered", "add_key dead"]);
    },
  },
  {
    guard: "D23 what was added again after the list was asked for is not missing",
    routine: "messages.unsettled",
    changes: [[" or o.state = 'delivered' and o.settled_at >= unsettled.since", ""]],
    probe: async (lab) => {
      const { keeper } = await addedAgain(lab);
      const listed_at = await keeper.beginAnew();
      const before = new Keeper(lab.db);
      await keeper.pump();
      expect(await before.part(listed_at)).toMatchObject({ added: 0 });
    },
  },
];
