import { expect } from "vitest";
import { Endpoint, silence } from "../../support/endpoints.ts";
import { newContact, newWorkspace, saveText, sweepMessages } from "../../support/readers.ts";
import { call, outcome, rows } from "../../support/scenario.ts";
import type { Lab, Mutation } from "./lab.ts";

/** A reader who has left broadcasts; answers him, and what has him leave again. */
async function left(lab: Lab) {
  const workspace_id = await newWorkspace(lab.db);
  const contact_id = await newContact(lab.db, { workspace: workspace_id, opt_outs: ["reminder"] });
  const leave = () => call<{ changed: boolean }>(lab.db, "messages.unsubscribe", { contact_id, kind: "broadcast.x" });
  const change = (wish: object) =>
    call<{ left_at: string | null }>(lab.db, "messages.change_contact", {
      workspace_id,
      id: contact_id,
      language: null,
      opt_outs: null,
      silenced: null,
      caused_by: "test",
      ...wish,
    });
  const seen = async () =>
    (
      await rows<{ left_at: string | null; leavings: number; opt_outs: string[] }>(
        lab.db,
        "select left_at::text, leavings, opt_outs from messages.contact where id = $1",
        [contact_id],
      )
    )[0];
  await leave();
  return { contact_id, leave, change, seen };
}

/** To how many a broadcast to everybody would go, of one reader who has left. */
async function heard(lab: Lab): Promise<number> {
  await lab.db.query("delete from messages.contact");
  await left(lab);
  const [row] = await rows<{ total: number }>(
    lab.db,
    `select total from messages.count_recipients('email', 'broadcast.x', '{"all": true}')`,
  );
  return row?.total ?? 0;
}

const draft = { name: "x", channel: "email", segment: JSON.stringify({ all: true }), data: "{}", caused_by: "test" };
const own = JSON.stringify({ email: ["unsubscribe_url"] });

/** A kind whose text names the link that the house gives. */
async function linked(lab: Lab, channel = "email"): Promise<string> {
  const kind = `broadcast.linked_${channel}`;
  await saveText(lab.db, { kind, channel, variables: ["unsubscribe_url"] });
  return kind;
}

/** Who leaves broadcasts, and the words that the house has for him. */
export const leaving: Mutation[] = [
  {
    guard: "D13 who leaves broadcasts twice has left once",
    routine: "messages.unsubscribe",
    changes: [["and c.left_at is null", ""]],
    probe: async (lab) => {
      const { contact_id, leave, seen } = await left(lab);
      expect(await leave()).toMatchObject({ changed: false });
      expect(await seen()).toMatchObject({ leavings: 1, opt_outs: ["reminder"] });
      expect(await rows(lab.db, "select from ops.audit where actor = 'contact:' || $1", [contact_id])).toHaveLength(1);
    },
  },
  {
    guard: "D13 the page lets leave also whom his workspace has opted out",
    routine: "messages.reader",
    changes: [["c.left_at is not null", "not messages.wants(c.opt_outs, c.left_at, 'broadcast.*')"]],
    probe: async (lab) => {
      const { contact_id, change } = await left(lab);
      const reader = () => call<{ has_left: boolean }>(lab.db, "messages.reader", { contact_id });
      expect(await reader()).toMatchObject({ has_left: true });
      await change({ has_left: false, opt_outs: ["*"] });
      expect(await reader()).toMatchObject({ has_left: false });
    },
  },
  {
    guard: "D13 who has left hears of no broadcast, whatever his opt-outs say",
    routine: "messages.wants",
    changes: [["wants.left_at is null and ", ""]],
    probe: async (lab) => expect(await heard(lab)).toBe(0),
  },
  {
    guard: "D13 a broadcast's recipients have not left",
    routine: "messages.recipients",
    changes: [["c.left_at", "null"]],
    probe: async (lab) => expect(await heard(lab)).toBe(0),
  },
  {
    guard: "D13 who leaves while his message waits is not sent it",
    routine: "messages.contact_takes",
    changes: [["c.left_at", "null"]],
    probe: async (lab) => {
      await lab.db.query("delete from messages.contact");
      const contact_id = await newContact(lab.db);
      await saveText(lab.db, { kind: "broadcast.waits" });
      const made = { ...draft, kind: "broadcast.waits" };
      const { id } = await call<{ id: string }>(lab.db, "messages.create_broadcast", made);
      await call(lab.db, "messages.move_broadcast", { id, move: "start", caused_by: "test" });
      await sweepMessages(lab.db, "broadcasts", 25);
      await call(lab.db, "messages.unsubscribe", { contact_id, kind: "broadcast.waits" });
      const claimed = await call<{ ids: string[]; examined: number }>(lab.db, "messages.claim", {
        channel: "email",
        batch: 25,
        lease: "2 minutes",
      });
      expect(claimed).toMatchObject({ ids: [], examined: 1 });
    },
  },
  {
    guard: "D13 no change but that very one brings back who has left",
    routine: "messages.change_contact",
    changes: [["when change_contact.has_left is null then c.left_at end", "end"]],
    probe: async (lab) => {
      const { change } = await left(lab);
      expect((await change({ opt_outs: [], silenced: false, language: "de" })).left_at).not.toBeNull();
      expect((await change({ has_left: false })).left_at).toBeNull();
    },
  },
  {
    guard: "D13 whom the operator puts down as left has left once",
    routine: "messages.change_contact",
    changes: [["coalesce(c.left_at, ops.now())", "clock_timestamp()"]],
    probe: async (lab) => {
      const { change, seen } = await left(lab);
      const before = await seen();
      await change({ has_left: true });
      expect(await seen()).toEqual(before);
    },
  },
  {
    guard: "D13 that somebody has left is told, each time that he does",
    trigger: { table: "messages.contact", name: "contact_left_told" },
    probe: async (lab) => {
      await silence(lab.db);
      const endpoint = await Endpoint.listening(lab.db, ["contact.*"]);
      const { change, leave } = await left(lab);
      await change({ has_left: true, opt_outs: [] });
      await change({ has_left: false });
      await leave();
      await change({ has_left: false });
      await change({ has_left: true });
      expect(await endpoint.hears()).toEqual([1, 2, 3].map((times) => `contact.unsubscribed ${times}`));
    },
  },
  {
    guard: "D13 each leaving is an event of its own, also one that was told to the operator",
    routine: "messages.change_contact",
    changes: [[/leavings = c\.leavings \+ \([^)]*\)::integer/g, "leavings = c.leavings"]],
    probe: async (lab) => {
      const { change, seen } = await left(lab);
      await change({ has_left: false });
      await change({ has_left: true });
      expect(await seen()).toMatchObject({ leavings: 2 });
    },
  },
  ...[
    {
      guard: "what the house has is asked for nowhere",
      change: " and not v_own ? v.name",
      channel: "email",
      code: "done",
    },
    {
      guard: "it has it on its channel alone",
      change: "->demand_template.channel",
      channel: "telegram",
      code: "data_missing",
    },
  ].map(({ guard, change, channel, code }): Mutation => ({
    guard: `D13 of the words that a text names ${guard}`,
    routine: "messages.demand_template",
    changes: [[change, change.startsWith("->") ? "->'email'" : ""]],
    probe: async (lab) => {
      const made = { ...draft, channel, kind: await linked(lab, channel), own };
      expect(await outcome(call(lab.db, "messages.create_broadcast", made))).toBe(code);
    },
  })),
  {
    guard: "D13 a start asks what the house has then, not what it had",
    routine: "messages.move_broadcast",
    changes: [["move_broadcast.own);", `'${own}');`]],
    probe: async (lab) => {
      const made = { ...draft, kind: await linked(lab), own };
      const { id } = await call<{ id: string }>(lab.db, "messages.create_broadcast", made);
      const start = (has: object) =>
        outcome(call(lab.db, "messages.move_broadcast", { id, move: "start", caused_by: "test", ...has }));
      expect(await start({})).toBe("data_missing");
      expect(await start({ own })).toBe("done");
    },
  },
];
