import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { call, outcome, rows } from "../../support/scenario.ts";
import type { Lab, Mutation } from "./lab.ts";

interface Claimed {
  ids: string[];
  tokens: string[];
}

const claim = (lab: Lab, channel: string) =>
  call<Claimed>(lab.db, "messages.claim", { channel, batch: 10, lease: "5 minutes" });

/** A channel of its own with one message that somebody has claimed. */
async function claimed(lab: Lab) {
  const channel = randomUUID();
  await lab.db.query("select messages.enqueue($1, 'undo_subscription', null, 'one', '{}')", [channel]);
  const { ids } = await claim(lab, channel);
  return { channel, id: ids[0] ?? "" };
}

export const outbox: Mutation[] = [
  {
    guard: "a message is claimed by one Worker at a time",
    routine: "messages.claim",
    changes: [["and o.due_at <= v_now", ""]],
    probe: async (lab) => {
      const { channel } = await claimed(lab);
      expect((await claim(lab, channel)).ids).toEqual([]);
    },
  },
  {
    guard: "a message is settled by whoever has the claim",
    routine: "messages.settle_many",
    changes: [["and o.lease_token = (settle_many.tokens)[array_position(settle_many.ids, o.id)]", ""]],
    probe: async (lab) => {
      const { id } = await claimed(lab);
      expect(await call(lab.db, "messages.settle", { id, token: randomUUID() })).toMatchObject({ state: "sending" });
    },
  },
  {
    guard: "a message is failed by whoever has the claim",
    routine: "messages.fail",
    changes: [["and o.lease_token = fail.token", ""]],
    probe: async (lab) => {
      const { id } = await claimed(lab);
      const lie = { id, token: randomUUID(), error: "x", final: true };
      expect(await call(lab.db, "messages.fail", lie)).toMatchObject({ state: "sending" });
    },
  },
  {
    guard: "a message that nobody could send is dead",
    routine: "messages.claim",
    changes: [["elsif v_message.state = 'sending' and", "elsif false and"]],
    probe: async (lab) => {
      const { channel, id } = await claimed(lab);
      await lab.db.query("update messages.outbox set attempts = 14, due_at = ops.now() where id = $1", [id]);
      expect((await claim(lab, channel)).ids).toEqual([]);
      expect(
        await rows(lab.db, "select from ops.alarm where code = 'message_dead' and subject = $1", [id]),
      ).toHaveLength(1);
    },
  },
  {
    guard: "C9 a message moves only as ops.transition allows",
    trigger: { table: "messages.outbox", name: "outbox_lifecycle" },
    probe: async (lab) => {
      const { id } = await claimed(lab);
      const back = lab.db.query("update messages.outbox set state = 'dead', due_at = null where id = $1", [id]);
      expect(await outcome(back)).toBe("done");
      const deliver = lab.db.query("update messages.outbox set state = 'delivered' where id = $1", [id]);
      expect(await outcome(deliver)).toBe("TG003");
    },
  },
];
