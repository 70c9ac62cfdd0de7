import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { besideOpen, blockedBackends } from "../../support/barrier.ts";
import { fanned, newContact, newWorkspace, notify, pumpAll, saveText, sweepMessages } from "../../support/readers.ts";
import { call, outcome, rows } from "../../support/scenario.ts";
import type { Lab, Mutation } from "./lab.ts";

/** A notice to a workspace of one contact; answers what became of it when it was handed out. */
async function told(lab: Lab, wish: { opt_outs?: string[]; kind?: string; body?: object; silenced?: boolean } = {}) {
  const workspace = await newWorkspace(lab.db);
  const contact = await newContact(lab.db, { workspace, opt_outs: wish.opt_outs ?? [] });
  if (wish.silenced === true) await call(lab.db, "messages.silence", { contact_id: contact, reason: "bounced" });
  const notice = await notify(lab.db, workspace, wish.kind, wish.body);
  const ran = await sweepMessages(lab.db, "notices", 100);
  return { workspace, contact, notice, ran, ...(await fanned(lab.db, notice)) };
}

/** A broadcast to everybody, with so many readers. */
async function drafted(lab: Lab, readers: number): Promise<string> {
  await lab.db.query("delete from messages.contact");
  const workspace = await newWorkspace(lab.db);
  for (let i = 0; i < readers; i += 1) await newContact(lab.db, { workspace });
  const kind = `broadcast.x${randomUUID().slice(0, 8)}`;
  await saveText(lab.db, { kind });
  const { id } = await call<{ id: string }>(lab.db, "messages.create_broadcast", {
    name: "x",
    channel: "email",
    kind,
    segment: JSON.stringify({ all: true }),
    data: "{}",
    caused_by: "test",
  });
  return id;
}

/** The same, started. */
async function started(lab: Lab, readers: number): Promise<string> {
  const id = await drafted(lab, readers);
  await move(lab, id, "start");
  return id;
}

const move = (lab: Lab, id: string, to: string) =>
  call<{ state: string }>(lab.db, "messages.move_broadcast", { id, move: to, caused_by: "test" });

const queued = async (lab: Lab, id: string) =>
  (await rows(lab.db, "select from messages.outbox where broadcast_id = $1", [id])).length;

export const people: Mutation[] = [
  {
    guard: "D8 a notice is told once to each contact",
    routine: "messages.fan_out",
    changes: [["s.id || ':' || c.id", "uuidv7()::text || ':' || c.id"]],
    probe: async (lab) => {
      const { notice, messages } = await told(lab);
      expect(messages).toHaveLength(1);
      await lab.db.query("update messages.outbox set state = 'canceled', due_at = null where id = $1", [
        messages[0]?.id,
      ]);
      expect((await fanned(lab.db, notice)).state).toBe("delivered");
    },
  },
  {
    guard: "D8 who opted out is not told",
    routine: "messages.fan_out",
    changes: [["and messages.wants(c.opt_outs, c.left_at, s.kind)", ""]],
    probe: async (lab) => {
      expect(await told(lab, { opt_outs: ["purchase_paid"] })).toMatchObject({ state: "canceled", messages: [] });
    },
  },
  {
    guard: "D8 an address that takes nothing is left in peace",
    routine: "messages.fan_out",
    changes: [["c.silenced_at is null and", ""]],
    probe: async (lab) => {
      expect(await told(lab, { silenced: true })).toMatchObject({ state: "canceled", messages: [] });
    },
  },
  {
    guard: "D8 what is not so any more is not handed out",
    routine: "messages.fan_out",
    changes: [["s.holds and", ""]],
    probe: async (lab) => {
      const body = { subscription_id: randomUUID() };
      expect(await told(lab, { kind: "reminder", body })).toMatchObject({ state: "canceled", messages: [] });
    },
  },
  {
    guard: "D8 who opts out of everything, or of all broadcasts, hears none",
    routine: "messages.wants",
    changes: [["'broadcast.*', ", ""]],
    probe: async (lab) => {
      const [row] = await rows<{ wants: boolean }>(
        lab.db,
        "select messages.wants('{broadcast.*}', null, 'broadcast.spring') as wants",
      );
      expect(row?.wants).toBe(false);
    },
  },
  {
    guard: "D8 who opted out after it was queued is not sent it",
    routine: "messages.contact_takes",
    changes: [["and messages.wants(c.opt_outs, c.left_at, contact_takes.kind)", ""]],
    probe: async (lab) => {
      const { contact, notice, workspace } = await told(lab);
      const wish = { workspace_id: workspace, id: contact, language: null, opt_outs: ["*"], silenced: null };
      await call(lab.db, "messages.change_contact", { ...wish, caused_by: "test" });
      await pumpAll(lab.db, "email");
      expect((await fanned(lab.db, notice)).messages).toMatchObject([{ state: "canceled" }]);
    },
  },
  {
    guard: "a notice that cannot be read is parked alone",
    routine: "messages.notices",
    changes: [["if ops.is_passing(sqlstate) then", "if true then"]],
    probe: async (lab) => {
      expect(await told(lab, { kind: "reminder", body: { subscription_id: "x" } })).toMatchObject({
        ran: { processed: 0, failed: 1 },
      });
    },
  },
  {
    guard: "a contact is there once for its address",
    constraint: { table: "messages.contact", name: "contact_once", becomes: "unique (id, address)" },
    probe: async (lab) => {
      const workspace = await newWorkspace(lab.db);
      await newContact(lab.db, { workspace, address: "ada@example.com" });
      expect(await outcome(newContact(lab.db, { workspace, address: "ada@example.com" }))).toBe("contact_exists");
    },
  },
  {
    guard: "a workspace has so many contacts",
    routine: "messages.create_contact",
    changes: [["c_most constant integer := 100;", "c_most constant integer := 101;"]],
    probe: async (lab) => {
      const workspace = await newWorkspace(lab.db);
      await lab.db.query(
        `insert into messages.contact (id, workspace_id, channel, address, language, opt_outs, created_at)
         select uuidv7(), $1, 'email', i || '@full.example', 'en', '{}', ops.now() from generate_series(1, 100) i`,
        [workspace],
      );
      expect(await outcome(newContact(lab.db, { workspace }))).toBe("contact_limit_reached");
    },
  },
  {
    guard: "a contact is changed by its workspace alone",
    routine: "messages.change_contact",
    changes: [["and c.workspace_id = change_contact.workspace_id", ""]],
    probe: async (lab) => {
      const id = await newContact(lab.db);
      const wish = { workspace_id: randomUUID(), id, language: "de", opt_outs: null, silenced: null, caused_by: "x" };
      expect(await outcome(call(lab.db, "messages.change_contact", wish))).toBe("not_found");
    },
  },
  {
    guard: "a contact is deleted by its workspace alone",
    routine: "messages.delete_contact",
    changes: [["and c.workspace_id = delete_contact.workspace_id", ""]],
    probe: async (lab) => {
      const wish = { workspace_id: randomUUID(), id: await newContact(lab.db), caused_by: "x" };
      expect(await outcome(call(lab.db, "messages.delete_contact", wish))).toBe("not_found");
    },
  },
  {
    guard: "D13 a broadcast's position moves with its messages",
    routine: "messages.broadcast_batch",
    changes: [["set position = coalesce(v_ids[cardinality(v_ids)], b.position), ", "set "]],
    probe: async (lab) => {
      const id = await started(lab, 30);
      await sweepMessages(lab.db, "broadcasts", 25);
      await sweepMessages(lab.db, "broadcasts", 25);
      expect(await queued(lab, id)).toBe(30);
    },
  },
  {
    guard: "D13 a broadcast is for who was there when it started",
    routine: "messages.broadcast_batch",
    changes: [["and c.created_at <= v_broadcast.started_at", ""]],
    probe: async (lab) => {
      const id = await started(lab, 2);
      await newContact(lab.db);
      await sweepMessages(lab.db, "broadcasts", 25);
      expect(await queued(lab, id)).toBe(2);
    },
  },
  ...["move_broadcast", "create_contact"].map((name): Mutation => ({
    guard: `D13 a start waits for whoever is being added: ${name}`,
    routine: `messages.${name}`,
    changes: [[/perform pg_advisory_xact_lock[^;]*;/g, ""]],
    probe: async (lab) => {
      const id = await drafted(lab, 1);
      await besideOpen(
        lab.db,
        async (adding) => {
          await newContact(adding);
          await newContact(lab.db);
        },
        async () => {
          await move(lab, id, "start");
          await sweepMessages(lab.db, "broadcasts", 25);
        },
      );
      expect(await queued(lab, id)).toBe(3);
    },
  })),
  {
    guard: "D13 who is added while a start waits comes after it",
    routine: "messages.create_contact",
    changes: [
      [
        "perform pg_advisory_xact_lock_shared(",
        "create_contact.created_at := ops.now(); perform pg_advisory_xact_lock_shared(",
      ],
      ["create_contact.id := uuidv7();\n  create_contact.created_at := ops.now();", "create_contact.id := uuidv7();"],
    ],
    probe: async (lab) => {
      const id = await drafted(lab, 0);
      const adding = await lab.db.connect();
      try {
        await adding.query("begin");
        await newContact(adding);
        await Promise.all([
          move(lab, id, "start"),
          blockedBackends(lab.db, 1).then(() => newContact(lab.db)),
          blockedBackends(lab.db, 2).then(() => adding.query("commit")),
        ]);
      } finally {
        adding.release(true);
      }
      await sweepMessages(lab.db, "broadcasts", 25);
      expect(await queued(lab, id)).toBe(1);
    },
  },
  {
    guard: "D13 a start waits for the text that is being saved",
    routine: "messages.put_template",
    changes: [[/perform pg_advisory_xact_lock_shared[^;]*;/g, ""]],
    probe: async (lab) => {
      const id = await drafted(lab, 0);
      const [row] = await rows<{ kind: string }>(lab.db, "select kind from messages.broadcast where id = $1", [id]);
      const start = await besideOpen(
        lab.db,
        (saving) => saveText(saving, { kind: row?.kind ?? "", body: "{{code}}", variables: ["code"] }),
        () => outcome(move(lab, id, "start")),
      );
      expect(start).toBe("data_missing");
    },
  },
  {
    guard: "D13 only so many messages of a broadcast are unsent",
    routine: "messages.broadcast_batch",
    changes: [["v_unsent + broadcast_batch.batch <= broadcast_batch.waiting", "true"]],
    probe: async (lab) => {
      const id = await started(lab, 12);
      for (let i = 0; i < 2; i += 1) {
        await lab.db.query("select messages.broadcast_batch($1, 6, 10)", [id]);
      }
      expect(await queued(lab, id)).toBe(6);
    },
  },
  {
    guard: "D13 a broadcast is done when nothing of it waits",
    routine: "messages.broadcast_batch",
    changes: [["and v_unsent + v_queued = 0", ""]],
    probe: async (lab) => {
      const id = await started(lab, 3);
      await sweepMessages(lab.db, "broadcasts", 25);
      expect(await rows(lab.db, "select state from messages.broadcast where id = $1", [id])).toEqual([
        { state: "running" },
      ]);
    },
  },
  {
    guard: "D13 a broadcast that is stopped sends nothing",
    routine: "messages.broadcast_goes",
    changes: [["b.state = 'stopped'", "false"]],
    probe: async (lab) => {
      const id = await started(lab, 3);
      await sweepMessages(lab.db, "broadcasts", 25);
      await move(lab, id, "stop");
      await lab.db.query("update messages.outbox set due_at = ops.now() where broadcast_id = $1", [id]);
      expect(await pumpAll(lab.db, "email")).toEqual([]);
    },
  },
  {
    guard: "D13 what is queued waits while a broadcast is stopped, and is due when it is resumed",
    routine: "messages.move_broadcast",
    changes: [["if move_broadcast.move <> 'start' then", "if false then"]],
    probe: async (lab) => {
      const id = await started(lab, 3);
      await sweepMessages(lab.db, "broadcasts", 25);
      await move(lab, id, "stop");
      const due = () =>
        rows(lab.db, "select from messages.outbox where broadcast_id = $1 and due_at <= ops.now()", [id]);
      expect(await due()).toHaveLength(0);
      await move(lab, id, "resume");
      expect(await due()).toHaveLength(3);
    },
  },
  {
    guard: "D13 a broadcast moves from where it is",
    routine: "messages.move_broadcast",
    changes: [["elsif v_row.state <> v_from then", "elsif false then"]],
    probe: async (lab) => {
      const id = await started(lab, 0);
      await move(lab, id, "stop");
      expect(await outcome(move(lab, id, "start"))).toBe("broadcast_moved_on");
    },
  },
  {
    guard: "a dry run looks at so many contacts",
    routine: "messages.count_recipients",
    changes: [["in 1..count_recipients.thousands loop", "in 1..1000 loop"]],
    probe: async (lab) => {
      await lab.db.query("delete from messages.contact");
      await lab.db.query(
        `insert into messages.contact (id, workspace_id, channel, address, language, opt_outs, created_at)
         select uuidv7(), uuidv7(), 'email', i || '@many.example', 'en', '{}', ops.now() from generate_series(1, 1001) i`,
      );
      const counted = await rows(
        lab.db,
        `select total, more from messages.count_recipients('email', 'broadcast.x', '{"all": true}', thousands => 1)`,
      );
      expect(counted).toEqual([{ total: 1000, more: true }]);
    },
  },
  {
    guard: "D13 a broadcast needs a text",
    routine: "messages.demand_template",
    changes: [["if v_row.texts = 0 then", "if false then"]],
    probe: async (lab) => {
      const wish = { channel: "email", kind: "broadcast.nobody", data: "{}" };
      expect(await outcome(call(lab.db, "messages.demand_template", wish))).toBe("template_unknown");
    },
  },
  {
    guard: "D13 a broadcast says what its text was when it started",
    routine: "messages.letters",
    changes: [["and (b.started_at is null or x.created_at <= b.started_at)", ""]],
    probe: async (lab) => {
      const id = await started(lab, 1);
      await sweepMessages(lab.db, "broadcasts", 25);
      const [row] = await rows<{ id: string; kind: string }>(
        lab.db,
        "select id, kind from messages.outbox where broadcast_id = $1",
        [id],
      );
      await saveText(lab.db, { kind: row?.kind ?? "", body: "another" });
      expect(await call(lab.db, "messages.letters", { ids: [row?.id] })).toMatchObject({ bodies: ["Hello"] });
    },
  },
];
