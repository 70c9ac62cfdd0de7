import { expect } from "vitest";
import { Account, rows } from "../../support/scenario.ts";
import { checkoutFact } from "../../support/till.ts";
import { Told } from "./billing.shop.ts";
import type { Lab, Mutation } from "./lab.ts";

/** A subscription of 20 credits that was upgraded to 50 in the middle of its first period. */
async function upgraded(lab: Lab) {
  const low = await Told.open(lab);
  const plan = await low.till.plan({ included_credits: 50 });
  const high = Object.assign(new Told(low.till, low.of, plan), { id: low.id });
  return { low, high };
}

/** A subscription whose first two periods come in the wrong order. */
async function lateFirst(lab: Lab): Promise<void> {
  const told = await Told.open(lab, { rollover_cap: 15 });
  for (const n of [1, 0]) await told.pay(told.period(n));
  expect(await told.credits()).toEqual({ subscription: 20, rollover: 15 });
}

/** Two of one workspace; the second is told of while the first lives, and has paid. */
async function second(lab: Lab): Promise<{ first: Told; other: Told }> {
  const first = await Told.open(lab);
  await first.tell(90, { event: "created" });
  await first.pay(first.period(0));
  const other = await Told.open(lab, { included_credits: 50 }, first.of);
  await other.tell(80, { event: "created" });
  await other.pay(other.period(0));
  return { first, other };
}

export const money: Mutation[] = [
  {
    guard: "A3 an invoice gives once, whoever tells of it",
    routine: "billing.renew",
    changes: [["r.subscription_id = v_id and r.invoice = renew.invoice;\n  if found", "false;\n  if found"]],
    probe: async (lab) => {
      const told = await Told.open(lab);
      const invoice = told.period(0);
      await told.pay(invoice);
      const account = new Account(lab.db, { owner: told.of.workspace });
      await account.spend(5);
      await told.pay(invoice);
      expect(await told.credits()).toEqual({ subscription: 15 });
    },
  },
  {
    guard: "A3 an invoice gives once, by constraint",
    constraint: { table: "billing.renewal", name: "renewal_pk" },
    probe: async (lab) => {
      const told = await Told.open(lab);
      await told.pay(told.period(0));
      const again = lab.db.query("insert into billing.renewal select * from billing.renewal");
      await expect(again).rejects.toMatchObject({ constraint: "renewal_pk" });
    },
  },
  {
    guard: "B2 a checkout's guess of the period does not take the invoice's place",
    routine: "billing.renew",
    changes: [["renew.exact and not v_known.exact", "true"]],
    probe: async (lab) => {
      const told = await Told.open(lab);
      const checkout = await told.till.checkout(told.of, { plan: told.plan });
      const invoice = told.period(0);
      await told.pay(invoice);
      const session = { mode: "subscription", subscription: told.id, invoice: invoice.invoice, created: 1_789_990_000 };
      await told.till.send("x", checkoutFact(told.of, checkout, session));
      const starts = await rows(
        lab.db,
        "select extract(epoch from starts_at)::int8 as at from billing.renewal where invoice = $1",
        [invoice.invoice],
      );
      expect(starts).toEqual([{ at: 1_790_000_000 }]);
    },
  },
  {
    guard: "an upgrade that knew its period only from the checkout is given when that is known",
    routine: "billing.renew",
    changes: [["perform billing.give_waiting(v_id, renew.caused_by);\n    end if;", "end if;"]],
    probe: async (lab) => {
      const { low, high } = await upgraded(lab);
      const checkout = await low.till.checkout(low.of, { plan: low.plan });
      const invoice = low.period(0);
      const session = { mode: "subscription", subscription: low.id, invoice: invoice.invoice, created: 1_789_990_000 };
      await low.till.send("x", checkoutFact(low.of, checkout, session));
      await high.pay(high.change(low.plan.price));
      await low.pay(invoice);
      expect(await low.credits()).toEqual({ subscription: 35 });
    },
  },
  {
    guard: "a price that is not known yet is waited for",
    routine: "billing.renew",
    changes: [["perform ops.wait_for('price:'", "return 'nothing'; perform ops.wait_for('price:'"]],
    probe: async (lab) => {
      const told = await Told.open(lab);
      const event = told.till.event("x", told.period(0, { price: "price_soon" }));
      expect(await told.till.deliver(event)).toMatchObject({ state: "parked" });
    },
  },
  {
    guard: "a change whose other side nobody knows gives nothing",
    routine: "billing.renew",
    changes: [["v_from is null or", "false or"]],
    probe: async (lab) => {
      const { low, high } = await upgraded(lab);
      await low.pay(low.period(0));
      await high.pay(high.change("price_of_another_product"));
      expect(await low.credits()).toEqual({ subscription: 20 });
    },
  },
  {
    guard: "B2 an older period does not take a newer one's place",
    routine: "billing.give_waiting",
    changes: [["v_renewal.starts_at < v_row.renewed_from then 'late' else 'given'", "false then 'late' else 'given'"]],
    probe: async (lab) => {
      const told = await Told.open(lab);
      await told.pay(told.period(1));
      await new Account(lab.db, { owner: told.of.workspace }).spend(5);
      await told.pay(told.period(0));
      expect(await told.credits()).toEqual({ subscription: 15 });
    },
  },
  {
    guard: "B2 what comes late gives what would have rolled over",
    routine: "billing.give_difference",
    changes: [["v_room > 0", "false"]],
    probe: lateFirst,
  },
  {
    guard: "what comes late stays under the cap",
    routine: "billing.in_order",
    changes: [
      [/least\(in_order.rollover \+ in_order.pool, v_period.rollover_cap\)/g, "in_order.rollover + in_order.pool"],
    ],
    probe: async (lab) => {
      const told = await Told.open(lab, { rollover_cap: 30 });
      for (const n of [2, 1]) await told.pay(told.period(n));
      await new Account(lab.db, { owner: told.of.workspace }).spend(40);
      await told.pay(told.period(0));
      expect(await told.credits()).toEqual({ rollover: 10 });
    },
  },
  {
    guard: "an upgrade waits for its period",
    routine: "billing.give_waiting",
    changes: [
      ["or v_part is null then 'waiting'", "then 'waiting'"],
      ["when v_renewal.starts_at < v_row.renewed_until then 'given'", "when true then 'given'"],
    ],
    probe: async (lab) => {
      const { low, high } = await upgraded(lab);
      await low.pay(low.period(0));
      await high.pay(high.change(low.plan.price, 1));
      await low.pay(low.period(1));
      expect(await low.credits()).toEqual({ subscription: 35 });
    },
  },
  {
    guard: "an upgrade gives its part of the period",
    routine: "billing.part_of_period",
    changes: [
      [
        "extract(epoch from part_of_period.ends_at - part_of_period.starts_at)",
        "extract(epoch from part_of_period.ends_at - v_began_at)",
      ],
    ],
    probe: async (lab) => {
      const { low, high } = await upgraded(lab);
      await low.pay(low.period(0));
      await high.pay(high.change(low.plan.price));
      expect(await low.credits()).toEqual({ subscription: 35 });
    },
  },
  {
    guard: "each step up counts once in a period",
    routine: "billing.upgraded",
    changes: [["select max(c.part) from", "select sum(c.part) from"]],
    probe: async (lab) => {
      const { low, high } = await upgraded(lab);
      await low.pay(low.period(0));
      for (const later of [0, 0]) await high.pay(high.change(low.plan.price, later));
      expect(await low.credits()).toEqual({ subscription: 35 });
    },
  },
  {
    guard: "what the period began with is not given again",
    routine: "billing.upgraded",
    changes: [["where l.lower >= p.began_with", ""]],
    probe: async (lab) => {
      const { low, high } = await upgraded(lab);
      await high.pay(high.period(0));
      await high.pay(high.change(low.plan.price));
      expect(await low.credits()).toEqual({ subscription: 50 });
    },
  },
  {
    guard: "of one that is superseded nothing is given",
    routine: "billing.give_waiting",
    changes: [["when v_row.superseded_by is not null then 'waiting'", ""]],
    probe: async (lab) => {
      const { first } = await second(lab);
      expect(await first.credits()).toEqual({ subscription: 20 });
    },
  },
  {
    guard: "the second gives what it waited with, when it takes the place of the first",
    routine: "billing.choose_live",
    changes: [["perform billing.give_waiting(v_other.id, choose_live.caused_by);", ""]],
    probe: async (lab) => {
      const { first } = await second(lab);
      await first.tell(0, { event: "deleted", status: "canceled", ended_at: 1_790_000_000 });
      expect(await first.credits()).toEqual({ subscription: 50 });
    },
  },
  {
    guard: "of one that is over nothing is given",
    routine: "billing.give_waiting",
    changes: [
      ["when v_row.ended_at is not null then 'late'", ""],
      [/v_row.ended_at is null and v_state/g, "v_state"],
    ],
    probe: async (lab) => {
      const told = await Told.open(lab);
      await told.tell(0, { event: "deleted", status: "canceled", ended_at: 1_790_000_000 });
      await told.pay(told.period(0));
      expect(await told.credits()).toEqual({});
    },
  },
  {
    guard: "what was refunded before it gave is taken back",
    routine: "billing.give_waiting",
    changes: [["perform payments.reckon(v_renewal.payment_id, give_waiting.caused_by);", ""]],
    probe: async (lab) => {
      const { first, other } = await second(lab);
      const refund = { kind: "refund", refund: `re_${other.id}`, payment_intent: `pi_${other.id}`, charge: "ch" };
      await other.pay(
        other.period(0, { invoice: `in_${other.id}`, payment_intents: [`pi_${other.id}`], starts_at: 1_790_000_001 }),
      );
      await other.till.send("x", { ...refund, amount: 2000, status: "succeeded", created: 1 });
      await first.tell(0, { event: "deleted", status: "canceled", ended_at: 1_790_000_000 });
      expect(await first.credits()).toEqual({});
    },
  },
  {
    guard: "when it ends, the pools of its plan end, and no other",
    routine: "billing.write_state",
    changes: [["if v_over and v_row.superseded_by is null", "if false and v_row.superseded_by is null"]],
    probe: async (lab) => {
      const told = await Told.open(lab, { rollover_cap: 30 });
      for (const n of [0, 1]) await told.pay(told.period(n));
      await told.tell(0, { event: "deleted", status: "canceled", ended_at: 1_790_000_000 });
      expect(await told.credits()).toEqual({});
    },
  },
  {
    guard: "one that is superseded takes nothing with it",
    routine: "billing.write_state",
    changes: [["if v_over and v_row.superseded_by is null and v_row.renewed_from is not null then", "if v_over then"]],
    probe: async (lab) => {
      const { first, other } = await second(lab);
      await other.tell(0, { event: "deleted", status: "canceled", ended_at: 1_790_000_000 });
      expect(await first.credits()).toEqual({ subscription: 20 });
    },
  },
];
