import { expect } from "vitest";
import { besideOpen } from "../../support/barrier.ts";
import { Account, call, outcome, rows } from "../../support/scenario.ts";
import { Told, both } from "./billing.shop.ts";
import type { Lab, Mutation } from "./lab.ts";

const owes = (lab: Lab) => Told.open(lab, { grace_days: 5 });

const settle = (lab: Lab) => call<{ processed: number }>(lab.db, "billing.duplicates_settle", { batch: 100 });
const plan = {
  name: "Pro",
  included_credits: 20,
  rollover_cap: null,
  rollover_expires_in: null,
  seats: null,
  storage_bytes: null,
  trial_days: 0,
  grace_days: 0,
  currencies: ["eur"],
  interval_units: ["month"],
  interval_counts: [1],
  amounts_minor: [1],
  caused_by: "test",
};

/** What follows for a workspace from its subscription's state, and what is sold. */
export const standing: Mutation[] = [
  {
    guard: "B2 the grace begins with the first moment that it owed since it owed nothing",
    routine: "billing.note_owing",
    changes: [["where (x.at > v_row.healthy_at) is not false", ""]],
    probe: async (lab) => {
      const told = await owes(lab);
      const at = 1_790_000_000;
      for (const [later, status] of [
        [0, "past_due"],
        [300, "past_due"],
        [100, "active"],
      ] as const) {
        await told.till.send("x", told.fact({ status }), at + later);
      }
      expect(await told.access()).toEqual({ from: at + 300 + 5 * 86_400, reason: "past_due" });
    },
  },
  {
    guard: "B2 what is told later does not begin the grace anew",
    routine: "billing.owes_since",
    changes: [["(owes_since.known > owes_since.healthy_at) is not false", "false"]],
    probe: async (lab) => {
      const told = await owes(lab);
      const at = 1_790_000_000;
      for (const status of ["active", "past_due"]) await told.till.send("x", told.fact({ status }), at);
      // Looked at in that very second.
      const { id, version } = await told.row();
      const asked_at = new Date(at * 1000 + 400).toISOString();
      const fact = JSON.stringify(told.fact({ status: "past_due" }));
      await call(lab.db, "billing.sync_subscription", { id, generation: version, asked_at, fact });
      await told.till.send("x", told.fact({ status: "unpaid" }), at + 300);
      expect(await told.access()).toEqual({ from: at + 5 * 86_400, reason: "unpaid" });
    },
  },
  {
    guard: "B2 what was known before it owed nothing does not count for the grace",
    routine: "billing.owes_since",
    changes: [["(owes_since.known > owes_since.healthy_at) is not false", "true"]],
    probe: async (lab) => {
      const told = await owes(lab);
      const at = 1_790_000_000;
      for (const [later, status] of [
        [0, "past_due"],
        [300, "past_due"],
        [100, "active"],
      ] as const) {
        await told.till.send("x", told.fact({ status }), at + later);
      }
      expect(await told.access()).toEqual({ from: at + 300 + 5 * 86_400, reason: "past_due" });
    },
  },
  {
    guard: "B2 nobody owes since before a second in which he owed nothing",
    routine: "billing.owes_since",
    changes: [[", owes_since.healthy_at));", "));"]],
    probe: async (lab) => {
      const told = await owes(lab);
      const at = 1_790_000_000;
      for (const [later, status] of [
        [0, "past_due"],
        [300, "past_due"],
        [300, "active"],
      ] as const) {
        await told.till.send("x", told.fact({ status }), at + later);
      }
      expect(await told.access()).toEqual({ from: at + 300 + 5 * 86_400, reason: "past_due" });
    },
  },
  {
    guard: "B2 an answer that agrees says since when it owes, where a second told of both",
    routine: "billing.sync_subscription",
    changes: [["s.past_due_since, sync_subscription.asked_at) end", "s.past_due_since, null) end"]],
    probe: async (lab) => {
      const told = await owes(lab);
      const at = 1_790_000_000;
      for (const status of ["past_due", "active"]) await told.till.send("x", told.fact({ status }), at);
      const { id, version } = await told.row();
      const asked_at = new Date((at + 60) * 1000).toISOString();
      const fact = JSON.stringify(told.fact({ status: "past_due" }));
      await call(lab.db, "billing.sync_subscription", { id, generation: version, asked_at, fact });
      expect(await told.access()).toEqual({ from: at + 60 + 5 * 86_400, reason: "past_due" });
    },
  },
  {
    guard: "B2 a moment that comes late counts for the grace",
    routine: "billing.apply_subscription",
    changes: [[/perform billing\.note_owing[^;]*;/g, ""]],
    probe: async (lab) => {
      const told = await owes(lab);
      const at = 1_790_000_000;
      for (const later of [300, 100]) await told.till.send("x", told.fact({ status: "past_due" }), at + later);
      expect(await told.access()).toEqual({ from: at + 100 + 5 * 86_400, reason: "past_due" });
    },
  },
  {
    guard: "who has paid writes again",
    routine: "billing.follow",
    changes: [["perform people.set_read_only(follow.workspace_id, null, null);", "null;"]],
    probe: async (lab) => {
      const told = await owes(lab);
      await told.tell(60, { status: "past_due" });
      await told.tell(50);
      expect(await told.access()).toEqual({ from: null, reason: null });
    },
  },
  {
    guard: "seats are the plan's times the quantity",
    routine: "billing.follow",
    changes: [["v_row.seats * v_row.quantity", "v_row.seats"]],
    probe: async (lab) => {
      const told = await Told.open(lab, { seats: 3 });
      await told.tell(60, { quantity: 4 });
      expect(await new Account(lab.db, { owner: told.of.workspace, unit: "seat" }).sums()).toEqual([12, 0, 0]);
    },
  },
  {
    guard: "limits of one that takes its place back are set again",
    routine: "billing.choose_live",
    changes: [[", seats_given = null, bytes_given = null", ""]],
    probe: async (lab) => {
      const first = await Told.open(lab, { seats: 3 });
      await first.tell(90, { event: "created" });
      const other = await Told.open(lab, { seats: 5 }, first.of);
      await first.tell(80, { status: "incomplete" });
      await other.tell(70);
      await first.tell(60);
      await other.tell(50, { event: "deleted", status: "canceled", ended_at: 1_790_000_000 });
      expect(await new Account(lab.db, { owner: first.of.workspace, unit: "seat" }).sums()).toEqual([3, 0, 0]);
    },
  },
  {
    guard: "B2 one whose invoice gave is not unpaid, only not told of yet",
    routine: "billing.choose_live",
    changes: [[" and s.renewed_from is null", ""]],
    probe: async (lab) => {
      const first = await Told.open(lab);
      const other = await Told.open(lab, {}, first.of);
      await other.pay(other.period(0));
      await first.tell(90, { event: "created" });
      await first.pay(first.period(0));
      await first.tell(80, { event: "deleted", status: "canceled", ended_at: 1_790_000_000 });
      expect(await other.credits()).toEqual({ subscription: 20 });
    },
  },
  {
    guard: "nobody is undone before the provider has said of both that they live",
    routine: "billing.settle_duplicate",
    changes: [
      [
        "elsif v_row.synced_at is null\n    or not v_row.kept_is_ours and (v_row.kept_synced_at is null or v_row.kept_synced_at < v_row.created_at) then",
        "elsif false then",
      ],
    ],
    probe: async (lab) => {
      const { other } = await both(lab);
      await settle(lab);
      expect((await other.row()).undone).toBe(false);
    },
  },
  {
    guard: "one that was never paid is not undone",
    routine: "billing.settle_duplicate",
    changes: [["elsif v_row.state = 'incomplete' or v_row.kept_state = 'incomplete' then", "elsif false then"]],
    probe: async (lab) => {
      const { first, other } = await both(lab);
      await settle(lab);
      const answers = await Promise.all([first, other].map(async (told) => ({ told, id: (await told.row()).id })));
      const asked_at = (await rows<{ at: string }>(lab.db, "select ops.now() as at"))[0]?.at;
      for (const { told, id } of answers) {
        const { version } = await told.row();
        const fact = JSON.stringify(told.fact(told === other ? { status: "incomplete" } : {}));
        await call(lab.db, "billing.sync_subscription", { id, generation: version, asked_at, fact });
      }
      const processed = await call(lab.db, "billing.settle_duplicate", {
        workspace_id: other.of.workspace,
        id: (await other.row()).id,
      });
      expect([processed, (await other.row()).undone]).toEqual([{ settle_duplicate: false }, false]);
    },
  },
  {
    guard: "the second takes the place of the first when that is over",
    routine: "billing.write_state",
    changes: [["perform billing.choose_live(v_row.workspace_id, write_state.caused_by);", ""]],
    probe: async (lab) => {
      const { first, other } = await both(lab);
      await first.tell(0, { event: "deleted", status: "canceled", ended_at: 1_790_000_000 });
      expect((await other.row()).superseded).toBe(false);
    },
  },
  {
    guard: "A14 of two who load one plan at once, one makes the version",
    routine: "billing.create_plan",
    changes: [[/perform pg_advisory_xact_lock\([^;]*;/g, ""]],
    probe: async (lab) => {
      const code = `plan_${crypto.randomUUID().slice(0, 8)}`;
      const make = (db = lab.db as Parameters<typeof call>[0]) =>
        call<{ created: boolean }>(db, "billing.create_plan", { code, ...plan });
      const beside = await besideOpen(
        lab.db,
        (gate) => make(gate),
        () => make(),
      );
      expect(beside.created).toBe(false);
    },
  },
  {
    guard: "what waits for a price is due when it is published",
    routine: "billing.publish_price",
    changes: [["perform ops.wake_events('price:' || publish_price.provider_id);", ""]],
    probe: async (lab) => {
      const told = await Told.open(lab);
      const code = `plan_${crypto.randomUUID().slice(0, 8)}`;
      await call(lab.db, "billing.create_plan", { code, ...plan });
      const event = told.till.event("x", told.period(0, { price: `price_${code}` }));
      await told.till.deliver(event);
      await told.till.publish(`tollgate_${code}_1_eur_1month`, `price_${code}`);
      await call(lab.db, "ops.events_retry", { batch: 10 });
      expect(await told.till.deliver(event)).toMatchObject({ state: "applied" });
    },
  },
  {
    guard: "a price that is not published is not sold",
    routine: "billing.offer",
    changes: [["elsif offer.published and offer.price_provider_id is null then", "elsif false then"]],
    probe: async (lab) => {
      const code = `plan_${crypto.randomUUID().slice(0, 8)}`;
      await call(lab.db, "billing.create_plan", { code, ...plan });
      const ask = {
        plan_code: code,
        plan_number: null,
        pack_code: null,
        currency: "eur",
        interval_unit: "month",
        interval_count: 1,
      };
      expect(await outcome(call(lab.db, "billing.offer", ask))).toBe("price_not_published");
    },
  },
];
