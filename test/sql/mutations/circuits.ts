import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { advance, call, rows } from "../../support/scenario.ts";
import type { Lab, Mutation } from "./lab.ts";

interface Claimed {
  ids: string[];
  tokens: string[];
  attempts: number[];
}

const claim = (lab: Lab, channel: string, batch = 25) =>
  call<Claimed>(lab.db, "messages.claim", { channel, batch, lease: "2 minutes" });
const settle = (lab: Lab, { ids, tokens }: Claimed) => call(lab.db, "messages.settle_many", { ids, tokens });
const fail = (lab: Lab, { ids, tokens }: Claimed, more: object = {}) =>
  call<{ open: boolean; state: string }>(lab.db, "messages.fail", {
    id: ids[0],
    token: tokens[0],
    error: "x",
    final: false,
    unavailable: true,
    ...more,
  });

async function channelOf(lab: Lab, n: number): Promise<string> {
  const channel = randomUUID();
  for (let i = 0; i < n; i += 1) {
    await lab.db.query("select messages.enqueue($1, 'told', null, $2, '{}')", [channel, String(i)]);
  }
  return channel;
}

/** A channel whose circuit has just opened. */
async function opened(lab: Lab): Promise<string> {
  const channel = await channelOf(lab, 12);
  for (let i = 0; i < 5; i += 1) await fail(lab, await claim(lab, channel, 1));
  return channel;
}

const alarmed = (lab: Lab, code: string, subject: string) =>
  rows(lab.db, "select from ops.alarm where code = $1 and subject = $2 and closed_at is null", [code, subject]);

async function endpointWith(lab: Lab, n: number): Promise<string> {
  const id = randomUUID();
  await lab.db.query(
    `insert into messages.endpoint (id, url, description, events, created_at)
     values ($1, 'https://hooks.example/', '', '{told}', ops.now())`,
    [id],
  );
  for (let i = 0; i < n; i += 1) {
    await lab.db.query("select messages.enqueue('webhook', 'told', null, $1, '{}', endpoint_id => $2)", [
      randomUUID(),
      id,
    ]);
  }
  return id;
}

const forget = (lab: Lab) => lab.db.query("delete from messages.outbox where channel = 'webhook'");

/** What keeps a channel that is down from being hammered, and from standing before others. */
export const circuits: Mutation[] = [
  {
    guard: "a channel whose circuit is open gets nothing",
    routine: "messages.claim",
    changes: [["if v_channel.open_until > v_now then", "if false then"]],
    probe: async (lab) => {
      expect((await claim(lab, await opened(lab))).ids).toEqual([]);
    },
  },
  {
    guard: "a channel that was down is tried with one message",
    routine: "messages.claim",
    changes: [["exit when v_channel.failures >= 5;", ""]],
    probe: async (lab) => {
      const channel = await opened(lab);
      await advance(lab.db, "2 minutes");
      expect((await claim(lab, channel)).ids).toHaveLength(1);
    },
  },
  {
    guard: "a circuit opens under an alarm",
    routine: "messages.channel_failed",
    changes: [["if v_row.failures >= 5 then", "if false then"]],
    probe: async (lab) => {
      expect(await alarmed(lab, "channel_down", await opened(lab))).toHaveLength(1);
    },
  },
  {
    guard: "a success closes the circuit and its alarm",
    routine: "messages.settle_many",
    changes: [["perform messages.recovered(v_row.channels, v_row.endpoints);", ""]],
    probe: async (lab) => {
      const channel = await opened(lab);
      await advance(lab.db, "2 minutes");
      await settle(lab, await claim(lab, channel));
      expect(await alarmed(lab, "channel_down", channel)).toEqual([]);
    },
  },
  {
    guard: "who asked to wait is waited for though others succeed",
    routine: "messages.recovered",
    changes: [[/case when c\.failures < 5 then c\.open_until end/g, "null"]],
    probe: async (lab) => {
      const channel = await channelOf(lab, 3);
      const [one, other] = [await claim(lab, channel, 1), await claim(lab, channel, 1)];
      await fail(lab, one, { retry_after: "10 minutes" });
      await settle(lab, other);
      expect((await claim(lab, channel)).ids).toEqual([]);
    },
  },
  {
    guard: "a message waits as long as its receiver asked",
    routine: "messages.fail",
    changes: [["case when v_wait is not null then fail.retry_after end", "null::interval"]],
    probe: async (lab) => {
      const channel = await channelOf(lab, 1);
      await fail(lab, await claim(lab, channel), { retry_after: "1 hour" });
      const [row] = await rows<{ late: boolean }>(
        lab.db,
        "select due_at > ops.now() + interval '59 minutes' as late from messages.outbox where channel = $1",
        [channel],
      );
      expect(row).toEqual({ late: true });
    },
  },
  {
    guard: "what is the message's own fault does not count against its channel",
    routine: "messages.fail",
    changes: [["elsif fail.unavailable then", "else"]],
    probe: async (lab) => {
      const channel = await channelOf(lab, 6);
      for (let i = 0; i < 5; i += 1) await fail(lab, await claim(lab, channel, 1), { unavailable: false });
      expect((await claim(lab, channel)).ids).toHaveLength(1);
    },
  },
  {
    guard: "what was not sent is given back by who claimed it, and nobody else",
    routine: "messages.give_back",
    changes: [["and o.lease_token = (give_back.tokens)[array_position(give_back.ids, o.id)]", ""]],
    probe: async (lab) => {
      const { ids } = await claim(lab, await channelOf(lab, 1));
      const lie = { ids, tokens: [randomUUID()] };
      expect(await call(lab.db, "messages.give_back", lie)).toMatchObject({ given: 0 });
    },
  },
  {
    guard: "what was given back was no try",
    routine: "messages.give_back",
    changes: [["attempts = o.attempts - 1", "attempts = o.attempts"]],
    probe: async (lab) => {
      const channel = await channelOf(lab, 1);
      const { ids, tokens } = await claim(lab, channel);
      await call(lab.db, "messages.give_back", { ids, tokens });
      expect((await claim(lab, channel)).attempts).toEqual([1]);
    },
  },
  {
    guard: "what has lost its reason is not sent",
    routine: "messages.claim",
    changes: [[/if not messages\.still_holds\([^)]*\) then/g, "if false then"]],
    probe: async (lab) => {
      const channel = randomUUID();
      // A key that there is not is not to be added.
      await lab.db.query("select messages.enqueue($1, 'add_key', null, 'x', $2)", [
        channel,
        JSON.stringify({ key_id: randomUUID() }),
      ]);
      expect((await claim(lab, channel)).ids).toEqual([]);
    },
  },
  {
    guard: "an endpoint that fails does not stand before others",
    routine: "messages.claim",
    changes: [["perform messages.hold_back(claim.channel);", ""]],
    probe: async (lab) => {
      const down = await endpointWith(lab, 60);
      await lab.db.query(
        "update messages.endpoint set failures = 5, open_until = ops.now() + interval '1 minute' where id = $1",
        [down],
      );
      await endpointWith(lab, 2);
      expect((await claim(lab, "webhook")).ids).toHaveLength(2);
      await forget(lab);
    },
  },
  {
    guard: "what was for an endpoint that is disabled is canceled, however much it is",
    routine: "messages.hold_back",
    changes: [["where e.disabled_at is not null or e.deleted_at is not null", "where false"]],
    probe: async (lab) => {
      const endpoint = await endpointWith(lab, 60);
      await lab.db.query("update messages.endpoint set disabled_at = ops.now() where id = $1", [endpoint]);
      await claim(lab, "webhook");
      expect(
        await rows(lab.db, "select state, count(*)::int as n from messages.outbox where endpoint_id = $1 group by 1", [
          endpoint,
        ]),
      ).toEqual([{ state: "canceled", n: 60 }]);
      await forget(lab);
    },
  },
  {
    guard: "an endpoint that asked to wait is waited for",
    routine: "messages.endpoint_free",
    changes: [["(e.open_until > ops.now() or e.failures >= 5 and (", "(e.failures >= 5 and ("]],
    probe: async (lab) => {
      const endpoint = await endpointWith(lab, 1);
      await lab.without(
        {
          guard: "",
          routine: "messages.hold_back",
          changes: [["e.failures >= 5 or e.open_until > v_now", "false"]],
          probe: async () => undefined,
        },
        async () => {
          await lab.db.query(
            "update messages.endpoint set failures = 1, open_until = ops.now() + interval '1 hour' where id = $1",
            [endpoint],
          );
          expect((await claim(lab, "webhook")).ids).toEqual([]);
        },
      );
      await forget(lab);
    },
  },
  {
    guard: "what its old address says does not disable an endpoint that has moved",
    routine: "messages.fail",
    changes: [["fail.gone and messages.is_at(v_message.endpoint_id, fail.asked)", "fail.gone"]],
    probe: async (lab) => {
      const endpoint = await endpointWith(lab, 1);
      const claimed = await claim(lab, "webhook");
      const told = await fail(lab, claimed, {
        final: true,
        unavailable: false,
        gone: true,
        asked: "https://old.example/",
      });
      expect(told).toMatchObject({ state: "queued" });
      expect(await rows(lab.db, "select disabled_at from messages.endpoint where id = $1", [endpoint])).toEqual([
        { disabled_at: null },
      ]);
      await forget(lab);
    },
  },
  {
    guard: "a person's retry of a channel closes a circuit that was asked for, too",
    routine: "messages.retry_dead",
    changes: [["where c.name = retry_dead.channel and c.open_until is not null;", "where false;"]],
    probe: async (lab) => {
      const channel = await channelOf(lab, 2);
      await fail(lab, await claim(lab, channel, 1), { retry_after: "1 day" });
      await call(lab.db, "messages.retry_dead", { channel, caused_by: "test" });
      expect((await claim(lab, channel)).ids).toHaveLength(1);
    },
  },
  {
    guard: "an endpoint that fails is tried by one at a time",
    routine: "messages.claim",
    changes: [
      ["messages.endpoint_free(v_message.endpoint_id, v_message.endpoint_id = any (claim.endpoint_ids))", "true"],
    ],
    probe: async (lab) => {
      const down = await endpointWith(lab, 2);
      await lab.db.query("update messages.endpoint set failures = 5 where id = $1", [down]);
      expect((await claim(lab, "webhook")).ids).toHaveLength(1);
      await advance(lab.db, "90 seconds");
      expect((await claim(lab, "webhook")).ids).toHaveLength(0);
      await forget(lab);
    },
  },
  {
    guard: "a broadcast that is stopped says nothing",
    routine: "messages.claim",
    changes: [["and messages.broadcast_goes(v_message.broadcast_id)", ""]],
    probe: async (lab) => {
      const [id, channel] = [randomUUID(), randomUUID()];
      await lab.db.query(
        `insert into messages.broadcast (id, name, channel, kind, segment, data, state, created_at)
         values ($1, 'x', 'email', 'broadcast.x', '{}', '{}', 'draft', ops.now())`,
        [id],
      );
      for (const state of ["running", "stopped"]) {
        await lab.db.query(
          "update messages.broadcast set state = $2, due_at = case $2 when 'running' then ops.now() end where id = $1",
          [id, state],
        );
      }
      await lab.db.query("select messages.enqueue($1, 'told', null, 'x', '{}', broadcast_id => $2)", [channel, id]);
      expect((await claim(lab, channel)).ids).toEqual([]);
    },
  },
  {
    guard: "one address that takes nothing is no alarm",
    routine: "messages.bury",
    changes: [["elsif not bury.silenced then", "else"]],
    probe: async (lab) => {
      const [contact, channel] = [randomUUID(), randomUUID()];
      await lab.db.query(
        `insert into messages.contact (id, workspace_id, channel, address, language, opt_outs, created_at)
         values ($1, $1, 'email', 'who@example.org', 'en', '{}', ops.now())`,
        [contact],
      );
      await lab.db.query("select messages.enqueue($1, 'purchase_paid', null, 'x', '{}', contact_id => $2)", [
        channel,
        contact,
      ]);
      await fail(lab, await claim(lab, channel), { final: true, unavailable: false, silence: "blocked" });
      expect(await alarmed(lab, "messages_dead", channel)).toEqual([]);
    },
  },
  {
    guard: "a letter that nobody can write is an alarm",
    routine: "messages.fail",
    changes: [["silenced => fail.silence is not null", "silenced => fail.final"]],
    probe: async (lab) => {
      const [contact, channel] = [randomUUID(), randomUUID()];
      await lab.db.query(
        `insert into messages.contact (id, workspace_id, channel, address, language, opt_outs, created_at)
         values ($1, $1, 'email', 'who@example.org', 'en', '{}', ops.now())`,
        [contact],
      );
      await lab.db.query("select messages.enqueue($1, 'purchase_paid', null, 'x', '{}', contact_id => $2)", [
        channel,
        contact,
      ]);
      await fail(lab, await claim(lab, channel), { final: true, unavailable: false });
      expect(await alarmed(lab, "messages_dead", channel)).toHaveLength(1);
    },
  },
];
