import { expect } from "vitest";
import { besideOpen } from "../../support/barrier.ts";
import { Account, call, outcome, rows } from "../../support/scenario.ts";
import type { Db } from "../../support/scenario.ts";
import { Scheme } from "../../support/scheme.ts";
import type { Lab, Mutation } from "./lab.ts";

const set = (db: Db, workspace_id: string, referrer_id: string) =>
  outcome(call(db, "payments.set_referrer", { workspace_id, referrer_id, caused_by: "test" }));

async function two(lab: Lab): Promise<[string, string]> {
  const make = () => call<{ id: string }>(lab.db, "people.create_workspace", { name: "Acme", caused_by: "test" });
  return [(await make()).id, (await make()).id];
}

/** A scheme whose payer has paid 10 €, and the payment. */
async function paid(lab: Lab, percent = 10) {
  const scheme = await Scheme.open(lab.db, { percent, recurring: true });
  const invoice = scheme.invoice({ amount: 1000 });
  await scheme.tell(invoice);
  return { scheme, invoice, payment: await scheme.payment(invoice) };
}

export const referrals: Mutation[] = [
  {
    guard: "referrers are set one after another",
    routine: "payments.set_referrer",
    changes: [["perform pg_advisory_xact_lock(hashtextextended('payments.referral', 0));", ""]],
    probe: async (lab) => {
      const [a, b] = await two(lab);
      expect(
        await besideOpen(
          lab.db,
          (db) => set(db, a, b),
          () => set(lab.db, b, a),
        ),
      ).toBe("referral_cycle");
    },
  },
  {
    guard: "nobody is above itself",
    routine: "payments.set_referrer",
    changes: [["if v_up.cycle then", "if false then"]],
    probe: async (lab) => {
      const [a, b] = await two(lab);
      await set(lab.db, a, b);
      expect(await set(lab.db, b, a)).toBe("referral_cycle");
    },
  },
  {
    guard: "nobody is its own referrer, by the table too",
    constraint: { table: "payments.referral", name: "referral_not_of_itself" },
    probe: async (lab) => {
      const [a] = await two(lab);
      const inserted = lab.db.query("insert into payments.referral values ($1, $1, ops.now())", [a]);
      expect(await outcome(inserted)).toBe("23514");
    },
  },
  {
    guard: "a referrer is said once for ever",
    routine: "payments.set_referrer",
    changes: [["perform ops.refuse('referrer_fixed'", "return; perform ops.refuse('referrer_fixed'"]],
    probe: async (lab) => {
      const [[a, b], [c]] = [await two(lab), await two(lab)];
      await set(lab.db, a, b);
      expect(await set(lab.db, a, c)).toBe("referrer_fixed");
    },
  },
  {
    guard: "who has paid already is brought by nobody",
    routine: "payments.set_referrer",
    changes: [["p.amount_minor > 0", "false"]],
    probe: async (lab) => {
      const scheme = await Scheme.open(lab.db, { percent: 0 });
      const other = await scheme.till.customer();
      await scheme.pay({ amount: 1, of: other });
      expect(await set(lab.db, other.workspace, scheme.referrer)).toBe("referral_late");
    },
  },
  {
    guard: "a referrer is there",
    routine: "payments.set_referrer",
    changes: [["not people.has_workspace(set_referrer.referrer_id)", "false"]],
    probe: async (lab) => {
      const [a] = await two(lab);
      expect(await set(lab.db, a, crypto.randomUUID())).toBe("referrer_unknown");
    },
  },
  {
    guard: "D1 of the first payment alone, unless each counts",
    routine: "payments.reward_referrer",
    changes: [["not v_reward.recurring and exists", "false and exists"]],
    probe: async (lab) => {
      const scheme = await Scheme.open(lab.db, { percent: 10 });
      for (const amount of [1000, 2000]) await scheme.pay({ amount });
      expect(await scheme.rewards()).toEqual([100]);
    },
  },
  {
    guard: "D3 a payment is rewarded once",
    routine: "payments.reward_referrer",
    changes: [["if found then", "if true then"]],
    probe: async (lab) => {
      const { scheme, payment } = await paid(lab);
      expect(await outcome(scheme.reward(payment))).toBe("done");
    },
  },
  {
    guard: "money that does not fit is not rewarded before somebody has settled it, nor what a balance paid",
    routine: "payments.reward_referrer",
    changes: [["and p.provider <> 'balance' and p.unsettled_at is null", ""]],
    probe: async (lab) => {
      const { scheme, payment } = await paid(lab, 0);
      await scheme.policy({ percent: 10 });
      for (const change of ["unsettled_at = ops.now()", "unsettled_at = null, provider = 'balance'"]) {
        await lab.db.query(`update payments.payment set ${change} where id = $1`, [payment]);
        await scheme.reward(payment);
      }
      expect(await scheme.rewards()).toEqual([]);
    },
  },
  {
    guard: "a payment does not wait for a referrer's account that is full",
    routine: "payments.reward_referrer",
    changes: [["> 9007199254740991 then", "is null then"]],
    probe: async (lab) => {
      const scheme = await Scheme.open(lab.db, { percent: 10 });
      await new Account(lab.db, { owner: scheme.referrer, unit: "eur" }).grant(Number.MAX_SAFE_INTEGER);
      await scheme.pay({ amount: 1000 });
    },
  },
  {
    guard: "what was refunded before the reward is taken from it at once",
    routine: "payments.reward_referrer",
    changes: [["perform payments.reckon_reward(reward_referrer.payment_id, reward_referrer.caused_by);", ""]],
    probe: async (lab) => {
      const { scheme, invoice, payment } = await paid(lab, 0);
      await scheme.refund(invoice, 400);
      await scheme.policy({ percent: 10 });
      await scheme.reward(payment);
      expect(await scheme.balance()).toBe(60);
    },
  },
  {
    guard: "a reward goes with the refund of its payment",
    routine: "payments.reckon",
    changes: [["perform payments.reckon_reward(reckon.id, reckon.caused_by);", ""]],
    probe: async (lab) => {
      const { scheme, invoice } = await paid(lab);
      await scheme.refund(invoice, 400);
      expect(await scheme.balance()).toBe(60);
    },
  },
  {
    guard: "a referrer that has spent its reward is forgiven where the policy says so",
    routine: "payments.reckon_reward",
    changes: [["billing.shortfall() = 'clamp'", "false"]],
    probe: async (lab) => {
      await call(lab.db, "billing.set_policy", { after_end: "open", shortfall: "clamp", caused_by: "test" });
      const { scheme, invoice } = await paid(lab);
      await scheme.spend(100);
      await scheme.refund(invoice, 1000);
      expect(await scheme.balance()).toBe(0);
    },
  },
  {
    guard: "an invoice that is told again is not measured by a policy that came later",
    routine: "payments.apply_invoice",
    changes: [["if not v_known then", "if true then"]],
    probe: async (lab) => {
      const { scheme, invoice } = await paid(lab, 0);
      await scheme.policy({ percent: 10 });
      await scheme.tell(invoice);
      expect(await scheme.rewards()).toEqual([]);
    },
  },
  {
    guard: "B9 who says a referrer is in the audit",
    routine: "payments.set_referrer",
    changes: [[/perform ops\.record_change\([^;]*;/g, ""]],
    probe: async (lab) => {
      const [a, b] = await two(lab);
      await set(lab.db, a, b);
      expect(
        await rows(lab.db, "select from ops.audit where action = 'referrer.set' and workspace_id = $1", [a]),
      ).not.toEqual([]);
    },
  },
];
