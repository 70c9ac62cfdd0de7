import { expect } from "vitest";
import { call, outcome } from "../../support/scenario.ts";
import { Subscriber, soldPlan, sweepAll, travelTo } from "../../support/subscriber.ts";
import type { Lab, Mutation } from "./lab.ts";
import { due, noticesOf, paid, trying } from "./period.life.ts";

const renewals = (lab: Lab) => sweepAll(lab.db, "auto_renew");

/** Who is told, who is woken, and who may try a plan out. */
export const told: Mutation[] = [
  {
    guard: "each is told once of each day",
    routine: "billing.notice_due",
    changes: [
      [
        "set notice_at = billing.next_notice(s.state, s.current_period_start, s.current_period_end, v_now)",
        "set notice_at = s.notice_at",
      ],
    ],
    probe: async (lab) => {
      const { of } = await paid(lab);
      await travelTo(lab.db, (await of.standing()).notice_at ?? "");
      expect(await sweepAll(lab.db, "reminders")).toEqual({ processed: 1, failed: 0 });
      expect(await sweepAll(lab.db, "reminders")).toEqual({ processed: 0, failed: 0 });
    },
  },
  {
    guard: "D14 nobody is told before his time, whoever asks",
    routine: "billing.notice_due",
    changes: [["and s.notice_at <= v_now", ""]],
    probe: async (lab) => {
      const { of, id } = await paid(lab);
      await lab.db.query("select billing.notice_due(array[$1]::uuid[])", [id]);
      expect(await noticesOf(of, "reminder")).toEqual([]);
    },
  },
  {
    guard: "nobody is told of an end that is past",
    routine: "billing.notice_due",
    changes: [["where t.current_period_end > v_now", ""]],
    probe: async (lab) => {
      const { of } = await due(lab);
      await sweepAll(lab.db, "reminders");
      expect(await noticesOf(of, "reminder")).toEqual([]);
    },
  },
  {
    guard: "each day that is told of is a message of its own",
    routine: "billing.notice_due",
    changes: [[" || ':' || d.days", ""]],
    probe: async (lab) => {
      const { of } = await paid(lab);
      for (let days = 0; days < 3; days += 1) {
        await travelTo(lab.db, (await of.standing()).notice_at ?? "");
        await sweepAll(lab.db, "reminders");
      }
      expect(await noticesOf(of, "reminder")).toHaveLength(3);
    },
  },
  {
    guard: "D4 who is paid for is not charged because his balance grew",
    routine: "billing.wake_renewal",
    changes: [["and s.state = 'past_due' ", ""]],
    probe: async (lab) => {
      const { of } = await paid(lab);
      await of.topup(500);
      await renewals(lab);
      expect(await of.cents()).toBe(500);
    },
  },
  {
    guard: "who is not to be renewed is not woken",
    routine: "billing.wake_renewal",
    changes: [["and s.auto_renew\n", "\n"]],
    probe: async (lab) => {
      const { of } = await due(lab, 0, { grace_days: 3 });
      await renewals(lab);
      await of.renewal(false);
      await of.topup(500);
      await renewals(lab);
      expect(await of.cents()).toBe(500);
    },
  },
  {
    guard: "a balance that grows is asked at once",
    routine: "billing.wake_renewal",
    changes: [["set renew_at = ops.now()", "set renew_at = s.renew_at"]],
    probe: async (lab) => {
      const { of } = await due(lab, 0, { grace_days: 3 });
      await renewals(lab);
      await of.topup(500);
      await renewals(lab);
      expect((await of.standing()).state).toBe("active");
    },
  },
  {
    guard: "D8 who had a trial is known by his name elsewhere",
    routine: "billing.start_trial",
    changes: [
      [
        /if not found then\s+perform ops\.refuse\('trial_used', jsonb_build_object\('by', split_part[^;]*;\s+end if;/g,
        "",
      ],
    ],
    probe: async (lab) => {
      const { plan } = await trying(lab);
      const identity = "c".repeat(64);
      const [one, two] = [await Subscriber.make(lab.db), await Subscriber.make(lab.db)];
      await one.tryOut(plan, { identity });
      expect(await outcome(two.tryOut(plan, { identity }))).toBe("trial_used");
    },
  },
  {
    guard: "D8 who has paid once has no trial",
    routine: "billing.start_trial",
    changes: [["elsif v_standing.had_one then", "elsif false then"]],
    probe: async (lab) => {
      const { of } = await paid(lab);
      await of.change("cancel_now");
      expect(await outcome(of.tryOut(await soldPlan(lab.db, { trial_days: 3 })))).toBe("trial_used");
    },
  },
  {
    guard: "a frozen workspace has no trial",
    routine: "billing.start_trial",
    changes: [["if v_access.refusal = 'workspace_frozen' then", "if false then"]],
    probe: async (lab) => {
      const of = await Subscriber.make(lab.db);
      await call(lab.db, "people.freeze_workspace", { workspace_id: of.workspace, reason: "x", caused_by: "test" });
      expect(await outcome(of.tryOut(await soldPlan(lab.db, { trial_days: 3 })))).toBe("workspace_frozen");
    },
  },
];
