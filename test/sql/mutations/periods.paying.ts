import { expect } from "vitest";
import { advance, outcome, rows } from "../../support/scenario.ts";
import { Subscriber, soldPlan, sweepAll, timeOf, travelTo } from "../../support/subscriber.ts";
import { Told } from "./billing.shop.ts";
import type { Lab, Mutation } from "./lab.ts";
import { creditsOf, due, paid, parked, trying } from "./period.life.ts";

const day = 86_400_000;

/** How many days are left of what is paid for. */
async function daysLeft(lab: Lab, of: Subscriber): Promise<number> {
  const { current_period_end } = await of.standing();
  return Math.round((Date.parse(current_period_end) - Date.parse(await timeOf(lab.db))) / day);
}

/** May pay for a week of this plan: the state that stands in the way, or null. */
async function mayPay(lab: Lab, of: Subscriber, price: string, quantity = 1): Promise<string | null> {
  const [row] = await rows<{ may: string | null }>(lab.db, "select billing.may_pay_period($1, $2, $3) as may", [
    of.workspace,
    price,
    quantity,
  ]);
  return row?.may ?? null;
}

/** Periods that are paid for, and how subscriptions end. */
export const paying: Mutation[] = [
  {
    guard: "D18 what is over is not brought back, though no sweep has ended it",
    routine: "billing.change_ours",
    changes: [[" and s.expire_at > ops.now();", ";"]],
    probe: async (lab) => {
      const { of } = await paid(lab, 0, { grace_days: 7 });
      await of.change("cancel");
      await travelTo(lab.db, (await of.standing()).current_period_end);
      expect(await outcome(of.change("uncancel"))).toBe("no_subscription");
    },
  },
  {
    guard: "D18 what is over is not renewed after all, though no sweep has ended it",
    routine: "billing.set_renewal",
    changes: [[" and s.expire_at > ops.now();", ";"]],
    probe: async (lab) => {
      const { of } = await due(lab, 0, { grace_days: 7 }, false);
      expect(await outcome(of.renewal(true))).toBe("no_subscription");
    },
  },
  {
    guard: "two plans at once are not paid for",
    routine: "billing.may_pay_period",
    changes: [[/and \(v_row\.price_id, v_row\.quantity\) = \([^)]*\)/g, ""]],
    probe: async (lab) => {
      const { of, plan } = await paid(lab);
      expect(await mayPay(lab, of, (await soldPlan(lab.db)).price)).toBe("active");
      expect(await mayPay(lab, of, plan.price, 2)).toBe("active");
      expect(await mayPay(lab, of, plan.price)).toBeNull();
    },
  },
  {
    guard: "two periods' credits are not given at once",
    routine: "billing.may_pay_period",
    changes: [["and v_row.included_credits = 0 ", ""]],
    probe: async (lab) => {
      const { of, plan } = await paid(lab, 0, { included_credits: 5 });
      expect(await mayPay(lab, of, plan.price)).toBe("active");
    },
  },
  {
    guard: "nobody pays for more than ten years ahead",
    routine: "billing.may_pay_period",
    changes: [[" and v_row.current_period_end < ops.now() + interval '10 years'", ""]],
    probe: async (lab) => {
      const { of, plan } = await paid(lab, 0, { every: [36, "year"] });
      expect(await mayPay(lab, of, plan.price)).toBe("active");
    },
  },
  {
    guard: "a provider's subscription is paid at the provider",
    routine: "billing.may_pay_period",
    changes: [["v_row.collection = 'balance' and (v_row.state", "(v_row.state"]],
    probe: async (lab) => {
      const told = await Told.open(lab, { grace_days: 5 });
      await told.tell(60, { status: "past_due" });
      const of = (await Subscriber.make(lab.db)).of(told.of.workspace);
      expect(await mayPay(lab, of, (await soldPlan(lab.db)).price)).toBe("past_due");
    },
  },
  {
    guard: "what is over stands in nobody's way, though no sweep has said so",
    routine: "billing.may_pay_period",
    changes: [[" or v_row.current_period_end <= ops.now())", ")"]],
    probe: async (lab) => {
      const { of } = await due(lab, 0, {}, false);
      expect(await mayPay(lab, of, (await soldPlan(lab.db)).price)).toBeNull();
    },
  },
  {
    guard: "it is asked before a period is paid for",
    routine: "billing.pay_period",
    changes: [["if v_refusal is not null then", "if false then"]],
    probe: async (lab) => {
      const { of } = await paid(lab);
      expect(await outcome(of.pay(await soldPlan(lab.db)))).toBe("subscription_exists");
    },
  },
  {
    guard: "D7 nothing is paid for the past, by who owes",
    routine: "billing.pay_period",
    changes: [
      [" or billing.period_starts_at(v_row.anchor, v_price.every, v_number + 1 - v_row.anchor_number) <= v_now", ""],
    ],
    probe: async (lab) => {
      const { of, plan } = await due(lab, 0, { every: [1, "day"], grace_days: 9 });
      await sweepAll(lab.db, "auto_renew");
      await advance(lab.db, "4 days");
      await of.pay(plan);
      expect(await daysLeft(lab, of)).toBe(1);
    },
  },
  {
    guard: "D7 who comes back after the end pays from now on",
    routine: "billing.pay_period",
    changes: [[" or v_row.expire_at <= v_now;", ";"]],
    probe: async (lab) => {
      const { of, plan } = await due(lab, 0, { every: [10, "day"] }, false);
      await advance(lab.db, "4 days");
      await of.pay(plan);
      expect(await daysLeft(lab, of)).toBe(10);
    },
  },
  {
    guard: "who owes has paid what he owed",
    routine: "billing.pay_period",
    changes: [["elsif not v_ahead then", "elsif false then"]],
    probe: async (lab) => {
      const { of, plan } = await due(lab, 0, { grace_days: 5 });
      const end = (await of.standing()).current_period_end;
      await sweepAll(lab.db, "auto_renew");
      await of.pay(plan);
      expect((await of.standing()).current_period_start).toBe(end);
    },
  },
  {
    guard: "D20 an interval is known by its name: thirty days are no month",
    routine: "billing.pay_period",
    changes: [
      [
        "(v_row.interval_unit, v_row.interval_count) <> (v_price.interval_unit, v_price.interval_count)",
        "(v_row.interval_count || ' ' || v_row.interval_unit)::interval <> v_price.every",
      ],
    ],
    probe: async (lab) => {
      const { of, plan } = await paid(lab, 0, { grace_days: 5 });
      for (let month = 0; month < 13; month += 1) await of.pay(plan);
      await travelTo(lab.db, (await of.standing()).current_period_end);
      await sweepAll(lab.db, "auto_renew");
      await of.pay(await soldPlan(lab.db, { every: [30, "day"] }));
      expect(await daysLeft(lab, of)).toBe(30);
    },
  },
  {
    guard: "D8 a paid period ends the trial at once",
    routine: "billing.pay_period",
    changes: [[" or v_row.state = 'trialing' or", " or"]],
    probe: async (lab) => {
      const { of, plan } = await trying(lab);
      await of.pay(plan);
      const { current_period_start } = await of.standing();
      expect(Date.parse(await timeOf(lab.db)) - Date.parse(current_period_start)).toBeLessThan(day);
      expect(await daysLeft(lab, of)).toBeLessThan(32);
    },
  },
  {
    guard: "who has cancelled and pays on is not renewed",
    routine: "billing.pay_period",
    changes: [[/cancel_at = case when [^,]* end,/g, "cancel_at = null,"]],
    probe: async (lab) => {
      const { of, plan } = await paid(lab);
      await of.change("cancel");
      await of.pay(plan);
      expect((await of.standing()).renew_at).toBeNull();
    },
  },
  {
    guard: "what was arranged for later is not forgotten by who pays ahead",
    routine: "billing.pay_period",
    changes: [["v_ahead := not v_anew and", "v_ahead := false and"]],
    probe: async (lab) => {
      const { of, plan } = await paid(lab, 300);
      await of.change("downgrade", await soldPlan(lab.db, { amount: 300 }));
      await of.pay(plan);
      await travelTo(lab.db, (await of.standing()).current_period_end);
      await sweepAll(lab.db, "auto_renew");
      expect(await of.cents()).toBe(0);
    },
  },
  {
    guard: "what a trial's plan gave ends where the plan that is bought gives nothing",
    routine: "billing.give_paid_period",
    changes: [[" and not give_paid_period.after_trial", ""]],
    probe: async (lab) => {
      const { of } = await trying(lab, 0, { included_credits: 9 });
      await of.pay(await soldPlan(lab.db));
      expect(await creditsOf(of)).toEqual({});
    },
  },
  {
    guard: "D9 nothing ends before its time, whoever asks",
    routine: "billing.end_due",
    changes: [["(end_due.reason is not null or s.expire_at <= ops.now())", "true"]],
    probe: async (lab) => {
      const { of, id } = await paid(lab);
      await lab.db.query("select billing.end_due(array[$1]::uuid[], 'sweep:expire')", [id]);
      expect((await of.standing()).state).toBe("active");
    },
  },
  {
    guard: "what a plan gave ends with the subscription",
    routine: "billing.end_due",
    changes: [["if v_row.renewed_from is not null\n", "if false\n"]],
    probe: async (lab) => {
      const { of } = await due(lab, 0, { included_credits: 9 }, false);
      await sweepAll(lab.db, "expire");
      expect(await creditsOf(of)).toEqual({});
    },
  },
  {
    guard: "what a trial gave ends with the trial",
    routine: "billing.end_due",
    changes: [["or v_row.was = 'trialing' and", "or false and"]],
    probe: async (lab) => {
      const { of, trial_end } = await trying(lab, 0, { included_credits: 9 });
      await travelTo(lab.db, trial_end);
      await sweepAll(lab.db, "trial_expire");
      expect(await creditsOf(of)).toEqual({});
    },
  },
  {
    guard: "D18 what is over lets nobody in",
    routine: "billing.end_due",
    changes: [["perform billing.follow(v_row.workspace_id);", ""]],
    probe: async (lab) => {
      const { of } = await due(lab, 0, {}, false);
      await sweepAll(lab.db, "expire");
      expect((await of.access()).states).toEqual(["removing"]);
    },
  },
  {
    guard: "what ends at once is no longer parked",
    routine: "billing.end_due",
    changes: [["if v_row.parked_until is not null then", "if false then"]],
    probe: async (lab) => {
      const { of, id } = await paid(lab);
      await lab.db.query(
        "update billing.subscription set parked_until = ops.park('reminders', id::text, 'P0001', 'x') where id = $1",
        [id],
      );
      await of.change("cancel_now");
      expect(await parked(lab)).toEqual([]);
    },
  },
  {
    guard: "who owes and cancels owes no more",
    routine: "billing.change_ours",
    changes: [[" or change_ours.change = 'cancel' and v_row.state = 'past_due' then", " then"]],
    probe: async (lab) => {
      const { of } = await due(lab, 0, { grace_days: 5 });
      await sweepAll(lab.db, "auto_renew");
      await of.change("cancel");
      expect(await of.standing()).toMatchObject({ state: "canceled", ended_reason: "canceled" });
    },
  },
  {
    guard: "who owes and chooses what he can pay is asked at once",
    routine: "billing.set_renewal",
    changes: [["least(s.renew_at, ops.now())", "s.renew_at"]],
    probe: async (lab) => {
      const { of } = await due(lab, 300, { grace_days: 5 });
      await sweepAll(lab.db, "auto_renew");
      await of.renewal(true, { plan: await soldPlan(lab.db, { amount: 300 }) });
      await sweepAll(lab.db, "auto_renew");
      expect(await of.standing()).toMatchObject({ state: "active", period_number: 2 });
    },
  },
  {
    guard: "D8 a trial gives way to what is paid for at the provider",
    routine: "billing.choose_live",
    changes: [["if v_kept.trial and", "if false and"]],
    probe: async (lab) => {
      const told = await Told.open(lab);
      const of = (await Subscriber.make(lab.db)).of(told.of.workspace);
      await of.tryOut(await soldPlan(lab.db, { trial_days: 3 }));
      await told.tell(60);
      const [row] = await rows<{ superseded_by: string | null }>(
        lab.db,
        "select superseded_by from billing.subscription where collection = 'stripe' and workspace_id = $1",
        [of.workspace],
      );
      expect(row?.superseded_by).toBeNull();
    },
  },
  {
    guard: "who cannot pay, and has no grace, is not let in though no sweep ran",
    routine: "billing.paid_until",
    changes: [[/when \(select b\.available >= v_row\.amount[^)]*\) b\)/g, "when true"]],
    probe: async (lab) => {
      const { of } = await due(lab, 499);
      expect((await of.access()).until).toBeNull();
    },
  },
  {
    guard: "who can pay is let in though no sweep ran",
    routine: "billing.paid_until",
    changes: [["if v_until <= v_now and v_row.state in ('active', 'trialing')", "if false"]],
    probe: async (lab) => {
      const { of } = await due(lab, 500);
      expect((await of.access()).until).not.toBeNull();
    },
  },
];
