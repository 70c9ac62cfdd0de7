import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { race } from "../../support/barrier.ts";
import { Endpoint, eventsOf } from "../../support/endpoints.ts";
import { Guest } from "../../support/guest.ts";
import type { Account } from "../../support/scenario.ts";
import { advance, call, outcome, refusal, rows } from "../../support/scenario.ts";
import { soldPlan, Subscriber } from "../../support/subscriber.ts";
import type { Lab, Mutation } from "./lab.ts";

/** Tells of a resource, and answers the event's id; nothing where nobody listens. */
async function tell({ db }: Lab, type = "credits.low", resource: string = randomUUID()): Promise<string | undefined> {
  await db.query("select messages.tell($1, null, $2, 1, '{}')", [type, resource]);
  return (await eventsOf(db, resource))[0]?.id;
}

interface Claimed {
  ids: string[];
  tokens: string[];
}

const claim = ({ db }: Lab) =>
  call<Claimed>(db, "messages.claim", { channel: "webhook", batch: 25, lease: "2 minutes" });

/** Claims all that is due, and fails it. */
async function fail(lab: Lab, how: { gone?: boolean; final?: boolean } = {}): Promise<void> {
  const { ids, tokens } = await claim(lab);
  expect(ids.length).toBeGreaterThan(0);
  for (const [i, id] of ids.entries()) {
    const { gone = false, final = gone } = how;
    await call(lab.db, "messages.fail", {
      id,
      token: tokens[i],
      error: "no",
      final,
      retry_after: null,
      unavailable: !final,
      gone,
    });
  }
}

/** Only one listens. */
async function listening(lab: Lab, events: string[] = ["*"]): Promise<Endpoint> {
  await lab.db.query("update messages.endpoint set deleted_at = ops.now() where deleted_at is null");
  return await Endpoint.listening(lab.db, events);
}

/** An account of 20 that is low below 10, and somebody who listens to that. */
async function marked(lab: Lab): Promise<Account> {
  await listening(lab, ["credits.low"]);
  const account = await lab.credited(20);
  await call(lab.db, "ledger.set_low_mark", { owner_id: account.owner, unit: "credit", below: 10, caused_by: "test" });
  return account;
}

const lows = async (lab: Lab, { owner }: Account) => (await eventsOf(lab.db, owner)).length;

/** What is told, to whom, and what becomes of who does not take it. */
export const webhooks: Mutation[] = [
  {
    guard: "an event is one for its type, resource and version",
    constraint: {
      table: "messages.webhook_event",
      name: "webhook_event_of_version_once",
      becomes: "unique (id, type)",
    },
    probe: async (lab) => {
      await listening(lab);
      const resource = randomUUID();
      for (let i = 0; i < 2; i += 1) await tell(lab, "credits.low", resource);
      expect(await eventsOf(lab.db, resource)).toHaveLength(1);
    },
  },
  {
    guard: "an endpoint is told what it listens to",
    routine: "messages.tell_many",
    changes: [
      ["join heard h on h.events && array['*', t.type, split_part(t.type, '.', 1) || '.*']", "cross join heard h"],
    ],
    probe: async (lab) => {
      const all = await listening(lab);
      const deaf = await Endpoint.listening(lab.db, ["hold.*", "credits.lower"]);
      await tell(lab);
      expect([await all.hears(), await deaf.hears()]).toEqual([["credits.low 1"], []]);
    },
  },
  {
    guard: "what nobody listens to is not kept",
    routine: "messages.tell_many",
    changes: [["where exists (select from heard h where", "where true or exists (select from heard h where"]],
    probe: async (lab) => {
      await listening(lab, ["hold.*"]);
      expect(await tell(lab)).toBeUndefined();
    },
  },
  ...(["disabled_at", "deleted_at"] as const).map((column): Mutation => ({
    guard: `who is no longer told anything is told nothing: ${column}`,
    routine: "messages.tell_many",
    changes: [[`e.${column} is null`, "true"]],
    probe: async (lab) => {
      const endpoint = await listening(lab);
      await (column === "deleted_at" ? endpoint.delete() : endpoint.change({ enabled: false }));
      expect(await tell(lab)).toBeUndefined();
    },
  })),
  {
    guard: "what waits for an endpoint that was disabled is not sent",
    routine: "messages.endpoint_takes",
    changes: [["and e.disabled_at is null", ""]],
    probe: async (lab) => {
      const endpoint = await listening(lab);
      await tell(lab);
      await endpoint.change({ enabled: false });
      // The batch is made before: one that is disabled between the two looks.
      await lab.without(
        {
          guard: "",
          routine: "messages.hold_back",
          changes: [["where e.disabled_at is not null or e.deleted_at is not null", "where false"]],
          probe: async () => undefined,
        },
        async () => expect((await claim(lab)).ids).toEqual([]),
      );
    },
  },
  {
    guard: "an endpoint that says that it is gone is disabled",
    routine: "messages.fail",
    changes: [["if v_gone then", "if false then"]],
    probe: async (lab) => {
      const endpoint = await listening(lab, ["credits.*"]);
      await tell(lab);
      await fail(lab, { gone: true });
      expect(await endpoint.row()).toMatchObject({ disabled_reason: "gone" });
      expect(await endpoint.alarms()).toEqual(["endpoint_disabled"]);
    },
  },
  {
    guard: "an endpoint that took nothing for five days is disabled",
    routine: "messages.endpoint_failed",
    changes: [["interval '5 days'", "interval '50 days'"]],
    probe: async (lab) => {
      const endpoint = await listening(lab, ["credits.*"]);
      await tell(lab);
      await fail(lab);
      await advance(lab.db, "5 days");
      await fail(lab);
      expect(await endpoint.row()).toMatchObject({ disabled_reason: "failing" });
    },
  },
  {
    guard: "and not one that failed twice in a month",
    routine: "messages.recovered",
    changes: [["failing_since = null", "failing_since = e.failing_since"]],
    probe: async (lab) => {
      const endpoint = await listening(lab, ["credits.*"]);
      await tell(lab);
      await fail(lab);
      await advance(lab.db, "1 hour");
      const { ids, tokens } = await claim(lab);
      await call(lab.db, "messages.settle_many", { ids, tokens });
      await advance(lab.db, "20 days");
      await tell(lab);
      await fail(lab);
      expect(await endpoint.row()).toMatchObject({ disabled_at: null });
    },
  },
  {
    guard: "an endpoint that is enabled again begins anew",
    routine: "messages.change_endpoint",
    changes: [["change_endpoint.enabled and e.disabled_at is not null or", "false or"]],
    probe: async (lab) => {
      const endpoint = await listening(lab, ["credits.*"]);
      await tell(lab);
      await fail(lab);
      await endpoint.change({ enabled: false });
      await endpoint.change({ enabled: true });
      expect(await endpoint.row()).toMatchObject({ failures: 0, failing_since: null });
    },
  },
  ...(["change_endpoint", "rotate_endpoint", "test_endpoint", "replay_event", "replay_endpoint"] as const).map(
    (routine): Mutation => ({
      guard: `one that was deleted is not there: ${routine}`,
      routine: `messages.${routine}`,
      changes: [["and e.deleted_at is null", ""]],
      probe: async (lab) => {
        const endpoint = await listening(lab, ["credits.*"]);
        const event = (await tell(lab)) ?? "";
        await endpoint.delete();
        const acts = {
          change_endpoint: () => endpoint.change({ enabled: true }),
          rotate_endpoint: () =>
            call(lab.db, "messages.rotate_endpoint", { id: endpoint.id, keep: "0", caused_by: "test" }),
          test_endpoint: () => endpoint.test(),
          replay_event: () => endpoint.replayEvent(event),
          replay_endpoint: () => endpoint.replay("2026-01-01"),
        };
        expect(await refusal(acts[routine]())).toEqual({ code: "not_found" });
      },
    }),
  ),
  {
    guard: "what is being sent is left to its sender by a replay",
    routine: "messages.send_again",
    changes: [["elsif v_message.state = 'sending' then", "elsif false then"]],
    probe: async (lab) => {
      const endpoint = await listening(lab, ["credits.*"]);
      const event = await tell(lab);
      await claim(lab);
      await endpoint.replayEvent(event ?? "");
      expect(await endpoint.sent()).toHaveLength(1);
    },
  },
  {
    guard: "replays at once to who never had it are one message",
    routine: "messages.send_again",
    changes: [["case when v_message.id is null then v_name else v_name || ':' || v_id end", "v_name || ':' || v_id"]],
    probe: async (lab) => {
      await listening(lab, ["credits.*"]);
      const event = (await tell(lab)) ?? "";
      const late = await Endpoint.listening(lab.db, ["hold.*"]);
      await race(4, () => late.replayEvent(event));
      expect(await late.sent()).toHaveLength(1);
    },
  },
  {
    guard: "a replay of what was given up takes no more than was asked for",
    routine: "messages.replay_endpoint",
    changes: [["and o.created_at >= replay_endpoint.since", ""]],
    probe: async (lab) => {
      const endpoint = await listening(lab, ["credits.*"]);
      await tell(lab);
      await fail(lab, { final: true });
      const [{ at } = { at: "" }] = await rows<{ at: string }>(
        lab.db,
        "select (ops.now() + interval '1 minute')::text as at",
      );
      expect(await endpoint.replay(at)).toMatchObject({ replayed: 0 });
    },
  },
  {
    guard: "an old secret counts for as long as it was given, and no longer",
    routine: "messages.webhooks_of",
    changes: [["e.secret_old_until > v_now", "e.secret_old_until is not null"]],
    probe: async (lab) => {
      const { id } = await listening(lab, ["credits.*"]);
      await call(lab.db, "messages.rotate_endpoint", { id, keep: "1 hour", caused_by: "test" });
      await advance(lab.db, "61 minutes");
      await tell(lab);
      const { ids } = await claim(lab);
      expect(await call(lab.db, "messages.webhooks_of", { ids })).toMatchObject({ old_counts: [false] });
    },
  },
  {
    guard: "credits that fall below the mark are told",
    trigger: { table: "ledger.account", name: "account_low_told" },
    probe: async (lab) => {
      const account = await marked(lab);
      await account.spend(11);
      expect(await lows(lab, account)).toBe(1);
    },
  },
  {
    guard: "a spend looks at the mark",
    routine: "ledger.spend",
    changes: [["if spend.available < v_low", "if false and spend.available < v_low"]],
    probe: async (lab) => {
      const account = await marked(lab);
      await account.spend(11);
      expect(await lows(lab, account)).toBe(1);
    },
  },
  ...(
    [
      ["hold", "if hold.available < v_low", "if false and hold.available < v_low", (a) => a.hold(11)],
      ["spend_many", "perform ledger.note_fall(", "perform num_nulls(", (a) => a.spendMany([{ key: "a", amount: 11 }])],
      ["adjust", "perform ledger.note_fall(", "perform num_nulls(", (a) => a.adjust(-11)],
      [
        "reset",
        "perform ledger.note_fall(",
        "perform num_nulls(",
        (a) => a.spend(1).then(() => a.reset(0, { pool: "bulk" })),
      ],
    ] as [string, string, string, (account: Account) => Promise<unknown>][]
  ).map(([routine, from, to, act]): Mutation => ({
    guard: `whoever takes credits looks at the mark: ${routine}`,
    routine: `ledger.${routine}`,
    changes: [[from, to]],
    probe: async (lab) => {
      const account = await marked(lab);
      await act(account);
      expect(await lows(lab, account)).toBe(1);
    },
  })),
  {
    guard: "a fall is from the mark or above",
    routine: "ledger.note_fall",
    changes: [["and a.low_at <= note_fall.available", ""]],
    probe: async (lab) => {
      const account = await marked(lab);
      await account.spend(11);
      await account.adjust(-1);
      expect(await lows(lab, account)).toBe(1);
    },
  },
  {
    guard: "what is above the mark when the transaction ends is not low",
    routine: "ledger.tell_low",
    changes: [["and a.available < a.low_at", ""]],
    probe: async (lab) => {
      const account = await marked(lab);
      const client = await lab.db.connect();
      await client.query("begin");
      await account.on(client).spend(15);
      await account.on(client).grant(15);
      await client.query("commit");
      client.release();
      expect(await lows(lab, account)).toBe(0);
    },
  },
  {
    guard: "several falls in one transaction are one",
    routine: "ledger.tell_low",
    changes: [["and a.lows = new.lows", ""]],
    probe: async (lab) => {
      const account = await marked(lab);
      const client = await lab.db.connect();
      await client.query("begin");
      await account.on(client).spend(15);
      await account.on(client).grant(15);
      await account.on(client).spend(15);
      await client.query("commit");
      client.release();
      expect(await lows(lab, account)).toBe(1);
    },
  },
  {
    guard: "new subscriptions are told",
    trigger: { table: "billing.subscription", name: "subscription_made_told" },
    probe: async (lab) => expect(await toldOf(lab)).toContain("subscription.created"),
  },
  {
    guard: "what becomes of subscriptions is told",
    trigger: { table: "billing.subscription", name: "subscription_told" },
    probe: async (lab) => expect(await toldOf(lab)).toContain("subscription.renewed"),
  },
  {
    guard: "what no customer could notice of a subscription is not told",
    routine: "billing.tell_subscriptions",
    changes: [["where (o.state,", "where true or (o.state,"]],
    probe: async (lab) => {
      await toldOf(lab);
      const before = await rows(lab.db, "select from messages.webhook_event");
      await lab.db.query("update billing.subscription set notice_at = notice_at");
      expect(await rows(lab.db, "select from messages.webhook_event")).toHaveLength(before.length);
    },
  },
  {
    guard: "what no customer could notice is not told beside what he could",
    routine: "billing.tell_subscriptions",
    changes: [["v_types is null or v_types ? n.id::text", "true"]],
    probe: async (lab) => {
      await toldOf(lab);
      await toldOf(lab);
      const before = await rows(lab.db, "select from messages.webhook_event");
      // There and back, of one among all.
      await lab.db.query(
        "update billing.subscription set auto_renew = id <> (select s.id from billing.subscription s limit 1)",
      );
      await lab.db.query("update billing.subscription set auto_renew = true");
      expect(await rows(lab.db, "select from messages.webhook_event")).toHaveLength(before.length + 2);
    },
  },
  {
    guard: "purchases are told",
    trigger: { table: "payments.purchase", name: "purchase_told" },
    probe: async (lab) => expect(await toldOf(lab)).toContain("purchase.paid"),
  },
  {
    guard: "access keys are told",
    trigger: { table: "access.key", name: "key_told" },
    probe: async (lab) => {
      await listening(lab, ["access.*"]);
      const guest = await Guest.withKey(lab.db);
      const { id } = await guest.key();
      await guest.confirm(id, "active");
      expect((await eventsOf(lab.db, id)).map(({ type }) => type)).toEqual(["access.created", "access.activated"]);
    },
  },
  {
    guard: "a hold that ended by itself is told",
    trigger: { table: "ledger.hold", name: "hold_told" },
    probe: async (lab) => {
      await listening(lab, ["hold.*"]);
      const { id } = await (await lab.credited(20)).hold(5);
      await advance(lab.db, "2 hours");
      await call(lab.db, "ledger.holds_expire", { batch: 100 });
      expect(await eventsOf(lab.db, id)).toHaveLength(1);
    },
  },
  ...(["alarm_opened_told", "alarm_closed_told"] as const).map((name): Mutation => ({
    guard: `alarms are told: ${name}`,
    trigger: { table: "ops.alarm", name },
    probe: async (lab) => {
      const endpoint = await listening(lab, ["alarm.*"]);
      await lab.db.query("select ops.raise_alarm('odd', $1, '{}')", [endpoint.id]);
      await lab.db.query("select ops.close_alarm('odd', $1)", [endpoint.id]);
      expect(await endpoint.hears()).toEqual(["alarm.opened 1", "alarm.closed 2"]);
    },
  })),
  {
    guard: "events are kept for 35 days",
    routine: "messages.webhook_events_expire",
    changes: [["interval '35 days'", "interval '0 days'"]],
    probe: async (lab) => {
      await listening(lab);
      const event = await tell(lab);
      await call(lab.db, "messages.webhook_events_expire", { batch: 100 });
      expect(await rows(lab.db, "select from messages.webhook_event where id = $1", [event])).toHaveLength(1);
    },
  },
  {
    guard: "an endpoint's filter is not empty",
    constraint: { table: "messages.endpoint", name: "endpoint_events_some" },
    probe: async (lab) => expect(await outcome(Endpoint.listening(lab.db, []))).toBe("23514"),
  },
];

/** The types of what was told of a subscription that was bought, and renewed a month later. */
async function toldOf(lab: Lab): Promise<string[]> {
  await listening(lab);
  const plan = await soldPlan(lab.db);
  const subscriber = await Subscriber.make(lab.db, 1000);
  await subscriber.buy(plan);
  await advance(lab.db, "32 days");
  await call(lab.db, "billing.auto_renew", { batch: 100 });
  const told = await rows<{ type: string }>(lab.db, "select type from messages.webhook_event where workspace_id = $1", [
    subscriber.workspace,
  ]);
  return told.map(({ type }) => type);
}
