import { expect } from "vitest";
import { advance, outcome, rows } from "../../support/scenario.ts";
import { soldPlan, sweepAll, timeOf, travelTo } from "../../support/subscriber.ts";
import type { Lab, Mutation } from "./lab.ts";
import { besideHeld, creditsOf, due, impatient, paid, parked, poisoned, trying } from "./period.life.ts";

const renewals = (lab: Lab) => sweepAll(lab.db, "auto_renew");

/** Periods that are renewed: who is claimed, what is charged, what follows, and what failed. */
export const periods: Mutation[] = [
  {
    guard: "D4 whoever's workspace somebody has in hand is left to him",
    routine: "billing.claim_due",
    changes: [["v_workspaces := people.claim_workspaces(v_due.workspaces);", "v_workspaces := v_due.workspaces;"]],
    probe: async (lab) => {
      const { of } = await due(lab, 500);
      const lock = "select from people.workspace where id = $1 for no key update";
      await besideHeld(lab, lock, [of.workspace], async () => {
        await renewals(lab);
        expect(await of.cents()).toBe(500);
      });
    },
  },
  {
    guard: "D17 a sweep waits for no subscription",
    routine: "billing.claim_due",
    changes: [[/for no key update skip locked/g, "for no key update"]],
    probe: async (lab) => {
      const { id } = await due(lab, 500);
      const lock = "select from billing.subscription where id = $1 for no key update";
      await besideHeld(lab, lock, [id], () =>
        impatient(lab, async (on) => expect(await outcome(sweepAll(on, "auto_renew"))).toBe("done")),
      );
    },
  },
  {
    guard: "what a sweep failed at is left alone for a while",
    routine: "billing.claim_due",
    changes: [[/and \(s\.parked_until is null or s\.parked_until <= \(select ops\.now\(\)\)\)/g, ""]],
    probe: async (lab) => {
      const { of } = await due(lab, 500);
      await poisoned(lab, of, async () => {
        expect(await renewals(lab)).toEqual({ processed: 0, failed: 1 });
        expect(await renewals(lab)).toEqual({ processed: 0, failed: 0 });
      });
    },
  },
  {
    guard: "whose end has come is not to be renewed",
    routine: "billing.claim_due",
    changes: [["and s.expire_at > (select ops.now())", ""]],
    probe: async (lab) => {
      await due(lab, 500);
      await advance(lab.db, "1 year");
      expect(await renewals(lab)).toEqual({ processed: 0, failed: 0 });
    },
  },
  {
    guard: "nobody is renewed whose end has come, whoever asks",
    routine: "billing.renew_due",
    changes: [["and s.renew_at <= v_now and s.expire_at > v_now)", "and s.renew_at <= v_now)"]],
    probe: async (lab) => {
      const { of, id } = await due(lab, 500);
      await advance(lab.db, "1 year");
      await lab.db.query("select billing.renew_due(array[$1]::uuid[])", [id]);
      expect(await of.cents()).toBe(500);
    },
  },
  {
    guard: "D4 nobody is renewed before his time, whoever asks",
    routine: "billing.renew_due",
    changes: [["and s.renew_at <= v_now and", "and"]],
    probe: async (lab) => {
      const { of, id } = await paid(lab, 500);
      await lab.db.query("select billing.renew_due(array[$1]::uuid[])", [id]);
      expect(await of.cents()).toBe(500);
    },
  },
  {
    guard: "D4 a period's charge is named by its number",
    routine: "billing.renew_due",
    changes: [["'tg:renewal:' || d.id || ':' || d.number", "'tg:renewal:' || d.id || ':' || d.number || ':' || v_now"]],
    probe: async (lab) => {
      const { of, id } = await due(lab, 500);
      await renewals(lab);
      const key = `tg:renewal:${id}:2`;
      const found = await rows(
        lab.db,
        "select kind::text from ledger.transaction where owner_id = $1 and idempotency_key = $2",
        [of.workspace, key],
      );
      expect(found).toEqual([{ kind: "charge" }]);
    },
  },
  {
    guard: "D4 the numbers of periods grow",
    routine: "billing.renew_due",
    changes: [["period_number = d.number, ", ""]],
    probe: async (lab) => {
      const { of } = await due(lab, 500);
      await renewals(lab);
      expect((await of.standing()).period_number).toBe(2);
    },
  },
  {
    guard: "D4 a period is reckoned from the anchor, and not from the one before",
    routine: "billing.renew_due",
    changes: [
      [
        "billing.period_starts_at(n.anchor, n.every, n.number + 1 - n.anchor_number)",
        "billing.period_starts_at(n.starts_at, n.every, 1)",
      ],
    ],
    probe: async (lab) => {
      const year = new Date(await timeOf(lab.db)).getUTCFullYear() + 1;
      await travelTo(lab.db, `${year}-01-31T12:00:00Z`);
      const { of } = await due(lab, 500);
      await renewals(lab);
      expect(new Date((await of.standing()).current_period_end).toISOString()).toContain("-03-31T12:");
    },
  },
  {
    guard: "another interval is reckoned from its own beginning",
    routine: "billing.renew_due",
    changes: [["case when m.moves then s.current_period_end else s.anchor end", "s.anchor"]],
    probe: async (lab) => {
      const { of } = await paid(lab, 500);
      await of.renewal(true, { plan: await soldPlan(lab.db, { every: [1, "week"] }), every: [1, "week"] });
      const end = (await of.standing()).current_period_end;
      await travelTo(lab.db, end);
      // Late: what would be over already begins when it is paid.
      await advance(lab.db, "1 hour");
      await renewals(lab);
      const days = (Date.parse((await of.standing()).current_period_end) - Date.parse(end)) / 86_400_000;
      expect(days).toBe(7);
    },
  },
  {
    guard: "D7 who was not charged is not renewed",
    routine: "billing.renew_due",
    changes: [["select coalesce(c.charged, true)", "select true"]],
    probe: async (lab) => {
      const { of } = await due(lab, 499);
      await renewals(lab);
      expect((await of.standing()).state).toBe("past_due");
    },
  },
  {
    guard: "who cannot pay has the plan's grace",
    routine: "billing.renew_due",
    changes: [["case when b.state = 'trialing' then 0 else p.grace_days end", "0"]],
    probe: async (lab) => {
      const { of } = await due(lab, 0, { grace_days: 3 });
      await renewals(lab);
      const { expire_at, current_period_end } = await of.standing();
      expect(Date.parse(expire_at ?? "") - Date.parse(current_period_end)).toBe(3 * 86_400_000);
    },
  },
  {
    guard: "nobody is asked again after his end",
    routine: "billing.renew_due",
    changes: [["and x.again < x.until", ""]],
    probe: async (lab) => {
      const { of } = await due(lab, 0);
      await renewals(lab);
      expect((await of.standing()).renew_at).toBeNull();
    },
  },
  {
    guard: "D8 a trial that cannot be paid ends, and owes nothing",
    routine: "billing.renew_due",
    changes: [["case when s.state = 'trialing' then 'trialing' else 'past_due' end", "'past_due'"]],
    probe: async (lab) => {
      const { of, trial_end } = await trying(lab, 0, {}, true);
      await travelTo(lab.db, trial_end);
      await renewals(lab);
      await sweepAll(lab.db, "trial_expire");
      expect((await of.standing()).ended_reason).toBe("trial_ended");
    },
  },
  {
    guard: "whoever sweeps late has a week before what can be paid ends",
    routine: "billing.schedule_of",
    changes: [["least(interval '7 days', schedule_of.ends_at - schedule_of.starts_at)", "interval '0'"]],
    probe: async (lab) => {
      const { of } = await due(lab, 500);
      await advance(lab.db, "6 days");
      await sweepAll(lab.db, "expire");
      await renewals(lab);
      expect(await of.standing()).toMatchObject({ state: "active", period_number: 2 });
    },
  },
  {
    guard: "who has cancelled is not renewed",
    routine: "billing.schedule_of",
    changes: [["and schedule_of.cancel_at is null", ""]],
    probe: async (lab) => {
      const { of } = await paid(lab, 500);
      await of.change("cancel");
      await travelTo(lab.db, (await of.standing()).current_period_end);
      await renewals(lab);
      expect(await of.cents()).toBe(500);
    },
  },
  {
    guard: "what a trial's plan gave ends where the plan that is renewed gives nothing",
    routine: "billing.renew_due",
    changes: [["s.state = 'trialing' and q.included_credits > 0 as after", "false as after"]],
    probe: async (lab) => {
      const { of, trial_end } = await trying(lab, 500, { included_credits: 9 }, true);
      await of.renewal(true, { plan: await soldPlan(lab.db) });
      await travelTo(lab.db, trial_end);
      await renewals(lab);
      expect(await creditsOf(of)).toEqual({});
    },
  },
  {
    guard: "one bad row does not keep the others from what is due",
    routine: "billing.sweep_due",
    changes: [
      [
        /exception when others then\s+if ops\.is_passing\(sqlstate\) then\s+raise;\s+end if;\s+end;\s+foreach/g,
        "end; foreach",
      ],
    ],
    probe: async (lab) => {
      const [bad, good] = [await paid(lab, 500), await paid(lab, 500)];
      await travelTo(lab.db, (await good.of.standing()).current_period_end);
      await poisoned(lab, bad.of, async () => {
        expect(await outcome(renewals(lab))).toBe("done");
        expect([await bad.of.cents(), await good.of.cents()]).toEqual([500, 0]);
      });
    },
  },
  {
    guard: "an error of the moment parks nobody",
    routine: "billing.sweep_due",
    changes: [["if ops.is_passing(sqlstate) then", "if false then"]],
    probe: async (lab) => {
      const { of } = await due(lab, 500);
      const lock = "select from ledger.account where owner_id = $1 for no key update";
      await besideHeld(lab, lock, [of.workspace], () =>
        impatient(lab, async (on) => expect(await outcome(sweepAll(on, "auto_renew"))).toBe("55P03")),
      );
      expect(await parked(lab)).toEqual([]);
    },
  },
  {
    guard: "what goes through is no longer parked",
    routine: "billing.do_due",
    changes: [["if cardinality(v_parked) > 0 then", "if false then"]],
    probe: async (lab) => {
      const { of } = await due(lab, 500);
      await poisoned(lab, of, async () => void (await renewals(lab)));
      await advance(lab.db, "2 minutes");
      expect(await renewals(lab)).toEqual({ processed: 1, failed: 0 });
      expect(await parked(lab)).toEqual([]);
    },
  },
  {
    guard: "what its customer changes is no longer parked",
    routine: "billing.reschedule",
    changes: [["if v_row.parked then", "if false then"]],
    probe: async (lab) => {
      const { of } = await due(lab, 500);
      await poisoned(lab, of, async () => void (await renewals(lab)));
      await of.change("cancel");
      expect(await parked(lab)).toEqual([]);
    },
  },
];
