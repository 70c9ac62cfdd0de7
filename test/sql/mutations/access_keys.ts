import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { race, tally } from "../../support/barrier.ts";
import { Guest } from "../../support/guest.ts";
import { advance, call, outcome, refusal, rows } from "../../support/scenario.ts";
import type { Lab, Mutation } from "./lab.ts";

/** A guest whose key is being added by somebody who has claimed the message. */
async function beingAdded(lab: Lab) {
  const guest = await Guest.withKey(lab.db);
  const [message] = await guest.claimed();
  if (message === undefined) throw new Error("nobody is told to add it");
  const { id, token } = message;
  const fail = (final: boolean) => call(lab.db, "messages.fail", { id, token, error: "no answer", final });
  return { guest, id, fail };
}

const kinds = async (guest: Guest) => (await guest.claimed()).map(({ kind }) => kind);
const alarmed = (lab: Lab, id: string) =>
  rows(lab.db, "select from ops.alarm where subject = $1 and closed_at is null", [id]);

/** Who is let in: access keys, and what the provisioner is told of them. */
export const accessKeys: Mutation[] = [
  {
    guard: "D19 who finds a key does not fail at it",
    routine: "access.follow",
    changes: [
      ["on conflict (subscription_id) where state in ('pending', 'active') do nothing", "on conflict (key) do nothing"],
    ],
    probe: async (lab) => {
      const guest = await Guest.withKey(lab.db);
      await guest.forgetKey();
      expect(tally(await race(20, () => outcome(guest.follow())))).toEqual({ done: 20 });
    },
  },
  {
    guard: "D19 a subscription has one key, whoever writes",
    ddl: {
      apply: "drop index access.key_live_once",
      undo: "create unique index key_live_once on access.key (subscription_id) where state in ('pending', 'active')",
    },
    probe: async (lab) => {
      const guest = await Guest.of(lab.db);
      const subscription = randomUUID();
      const add = () =>
        lab.db.query(
          `insert into access.key (id, key, workspace_id, subscription_id, state, created_at)
           values (uuidv7(), $1, $2, $3, 'pending', ops.now())`,
          [randomUUID(), guest.workspace, subscription],
        );
      await add();
      expect(await outcome(add())).toBe("23505");
      await guest.forgetKey();
    },
  },
  {
    guard: "D18 no removal twice",
    routine: "access.follow",
    changes: [["and k.state in ('pending', 'active')\n", "\n"]],
    probe: async (lab) => {
      const guest = await Guest.withKey(lab.db);
      await guest.end();
      const { revoked_at } = await guest.key();
      await advance(lab.db, "1 minute");
      await guest.follow(false);
      expect(await guest.key()).toMatchObject({ revoked_at });
    },
  },
  {
    guard: "D18 no row's change without a removal attempt",
    routine: "access.follow",
    changes: [
      [/perform messages\.enqueue\('provisioner', 'remove_key'/g, "perform messages.enqueue('nobody', 'remove_key'"],
    ],
    probe: async (lab) => {
      const guest = await Guest.withKey(lab.db);
      await guest.end();
      expect(await kinds(guest)).toEqual(["remove_key"]);
    },
  },
  {
    guard: "D18 a key that was revoked is not added afterwards",
    routine: "access.follow",
    changes: [["messages.cancel('provisioner', access.add_name(v_key.id, v_key.adds))", "null"]],
    probe: async (lab) => {
      const guest = await Guest.withKey(lab.db);
      await guest.end();
      expect(
        await rows(lab.db, "select kind, state from messages.outbox where workspace_id = $1 and kind = 'add_key'", [
          guest.workspace,
        ]),
      ).toEqual([{ kind: "add_key", state: "canceled" }]);
    },
  },
  {
    guard: "D18 a key that was revoked while it was added is not added again",
    routine: "messages.cancel",
    changes: [["'queued', 'sending', 'dead'", "'queued', 'dead'"]],
    probe: async (lab) => {
      const { guest, fail } = await beingAdded(lab);
      await guest.end();
      expect(await fail(false)).toMatchObject({ state: "canceled" });
    },
  },
  {
    guard: "D18 a key is not removed while it is added",
    routine: "messages.cancel",
    changes: [["cancel.leased_until := v_message.leased_until;", ""]],
    probe: async (lab) => {
      const { guest } = await beingAdded(lab);
      await guest.end();
      expect(await kinds(guest)).toEqual([]);
    },
  },
  {
    guard: "D18 a key that was revoked is not added by a person's retry",
    routine: "messages.cancel",
    changes: [["'queued', 'sending', 'dead'", "'queued', 'sending'"]],
    probe: async (lab) => {
      const { guest, id, fail } = await beingAdded(lab);
      await fail(true);
      await guest.end();
      expect(await call(lab.db, "messages.retry", { id, caused_by: "test" })).toMatchObject({ state: "canceled" });
    },
  },
  {
    guard: "the alarm of a message that is canceled closes",
    routine: "messages.cancel",
    changes: [["if v_message.state = 'dead' then", "if false then"]],
    probe: async (lab) => {
      const { guest, id, fail } = await beingAdded(lab);
      await fail(true);
      await guest.end();
      expect(await alarmed(lab, id)).toEqual([]);
    },
  },
  {
    guard: "C1 a confirmation that comes again changes nothing",
    routine: "access.confirm",
    changes: [[/and k\.state = case confirm\.state[^\n]*end/g, ""]],
    probe: async (lab) => {
      const guest = await Guest.withKey(lab.db);
      const { id } = await guest.key();
      const first = await guest.confirm(id, "active");
      await advance(lab.db, "1 minute");
      expect(await guest.confirm(id, "active")).toEqual(first);
    },
  },
  {
    guard: "a confirmation of what is no longer so is refused",
    routine: "access.confirm",
    changes: [["elsif v_row.state <> confirm.state then", "elsif false then"]],
    probe: async (lab) => {
      const guest = await Guest.withKey(lab.db);
      await guest.end();
      const late = guest.confirm((await guest.key()).id, "active");
      expect(await refusal(late)).toEqual({ code: "key_moved_on", state: "removing" });
    },
  },
  {
    guard: "what was confirmed need not be sent",
    routine: "access.confirm",
    changes: [[/perform messages\.answer\([^\n]*\);/g, ""]],
    probe: async (lab) => {
      const guest = await Guest.withKey(lab.db);
      await guest.confirm((await guest.key()).id, "active");
      expect(await kinds(guest)).toEqual([]);
    },
  },
  {
    guard: "B9 the audit knows who confirmed",
    routine: "access.confirm",
    changes: [["subject => 'access_key:'", "subject => 'nothing:'"]],
    probe: async (lab) => {
      const guest = await Guest.withKey(lab.db);
      const { id } = await guest.key();
      await guest.confirm(id, "active");
      expect(await rows(lab.db, "select from ops.audit where subject = $1", [`access_key:${id}`])).toHaveLength(1);
    },
  },
  {
    guard: "what its receiver has done while it was sent was delivered",
    routine: "messages.answer",
    changes: [["'queued', 'sending', 'dead'", "'queued', 'dead'"]],
    probe: async (lab) => {
      const { guest, fail } = await beingAdded(lab);
      await guest.confirm((await guest.key()).id, "active");
      expect(await fail(false)).toMatchObject({ state: "delivered" });
    },
  },
  {
    guard: "the alarm of a message that was answered closes",
    routine: "messages.answer",
    changes: [["v_message.state = 'dead'", "false"]],
    probe: async (lab) => {
      const { guest, id, fail } = await beingAdded(lab);
      await fail(true);
      await guest.confirm((await guest.key()).id, "active");
      expect(await alarmed(lab, id)).toEqual([]);
    },
  },
  {
    guard: "C9 a key moves only as ops.transition allows",
    trigger: { table: "access.key", name: "key_lifecycle" },
    probe: async (lab) => {
      const guest = await Guest.withKey(lab.db);
      await guest.end();
      const back = lab.db.query("update access.key set state = 'pending', revoked_at = null where id = $1", [
        (await guest.key()).id,
      ]);
      expect(await outcome(back)).toBe("TG003");
    },
  },
  ...(["key_activated_when_active", "key_revoked_when_not_live", "key_removed_when_removed"] as const).map(
    (name, i): Mutation => ({
      guard: `a key has the moments of its state (${name})`,
      constraint: { table: "access.key", name },
      probe: async (lab) => {
        const guest = await Guest.withKey(lab.db);
        const change = ["state = 'active'", "state = 'removing'", "removed_at = ops.now()"][i];
        const changing = lab.db.query(`update access.key set ${change} where id = $1`, [(await guest.key()).id]);
        expect(await outcome(changing)).toBe("23514");
      },
    }),
  ),
  {
    guard: "D18 who pays has a key",
    routine: "billing.follow",
    changes: [[/perform access\.follow\(.*?end\);/gs, ""]],
    probe: async (lab) => {
      const guest = await Guest.withKey(lab.db);
      expect(await guest.keys()).toHaveLength(1);
    },
  },
  {
    guard: "D18 expired means no key",
    routine: "billing.follow",
    changes: [["v_row.grants_access and v_row.state in ('trialing', 'active', 'past_due')", "v_row.grants_access"]],
    probe: async (lab) => {
      const guest = await Guest.withKey(lab.db);
      await guest.end();
      expect(await guest.key()).toMatchObject({ state: "removing" });
    },
  },
  {
    guard: "D18 what is over lets nobody in, before a sweep has seen it",
    routine: "billing.paid_until",
    changes: [["case when v_until > v_now then v_until end", "v_until"]],
    probe: async (lab) => {
      const guest = await Guest.withKey(lab.db);
      await guest.toEnd();
      expect(await guest.isLetIn()).toBe(false);
    },
  },
  {
    guard: "D18 a renewal that is due leaves the door open, where the money is there",
    routine: "billing.paid_until",
    changes: [["b.available >= v_row.amount", "false"]],
    probe: async (lab) => {
      const guest = await Guest.of(lab.db, { balance: 500 });
      await guest.pay({ auto_renew: true });
      await guest.toEnd();
      expect(await guest.isLetIn()).toBe(true);
    },
  },
  {
    guard: "D18 a renewal that cannot be paid leaves it open for the grace, as the sweep will",
    routine: "billing.paid_until",
    changes: [["when v_row.state = 'active' then", "when false then"]],
    probe: async (lab) => {
      const guest = await Guest.of(lab.db, { grace_days: 3 });
      await guest.pay({ auto_renew: true });
      await guest.toEnd();
      expect(await guest.isLetIn()).toBe(true);
    },
  },
];
