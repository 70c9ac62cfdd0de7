import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { besideOpen, blockedBackends } from "../../support/barrier.ts";
import { paymentOf } from "../../support/buying.ts";
import { call, outcome, rows } from "../../support/scenario.ts";
import { Till, checkoutFact, invoiceFact } from "../../support/till.ts";
import type { Fact } from "../../support/till.ts";
import type { Lab, Mutation } from "./lab.ts";

const refund = (intent: string, amount: number, status = "succeeded", id = "re"): Fact => ({
  kind: "refund",
  refund: `${id}_${intent}`,
  payment_intent: intent,
  charge: "ch",
  amount,
  status,
  created: 1,
});

const charge = (intent: string, amount_refunded: number): Fact => ({
  kind: "charge",
  charge: "ch",
  payment_intent: intent,
  customer: null,
  amount: 1000,
  amount_refunded,
});

const dispute = (intent: string, status: string): Fact => ({
  kind: "dispute",
  dispute: `dp_${intent}`,
  payment_intent: intent,
  charge: "ch",
  amount: 1000,
  status,
  created: 1,
});

/** A pack of 100 for 10.00 whose payment is told by `pay`; `pay` is not sent yet. */
async function paying(lab: Lab) {
  const till = new Till(lab.db);
  const [pack, customer] = [await till.pack(100), await till.customer()];
  const it = await till.checkout(customer, { pack });
  const intent = `pi_${it.session}`;
  const pay = till.event("checkout.session.completed", checkoutFact(customer, it, { payment_intent: intent }));
  const left = async () => (await till.credits(customer.workspace))["bulk"] ?? 0;
  return { till, intent, pay, left, session: it.session, workspace: customer.workspace };
}

/** The same, paid, and these facts told one after the other. */
async function paid(lab: Lab, facts: (intent: string) => [fact: Fact, at?: number][]) {
  const it = await paying(lab);
  await it.till.deliver(it.pay);
  for (const [fact, at] of facts(it.intent)) await it.till.send("x", fact, at);
  return it;
}

const claim = async (lab: Lab, intent: string) =>
  (await call<{ ids: string[] }>(lab.db, "payments.claim_links", { batch: 100, lease: "5 minutes" })).ids.includes(
    intent,
  );

const sync = (lab: Lab, id: string, refunds: Fact[], disputes: Fact[]) =>
  call(lab.db, "payments.sync_intent", {
    provider: "stripe",
    id,
    reference: null,
    refunds: JSON.stringify(refunds),
    disputes: JSON.stringify(disputes),
  });

const shortfall = (lab: Lab, policy: string) =>
  call(lab.db, "billing.set_policy", { after_end: "read_only", shortfall: policy, caused_by: "test" });

const now = () => Math.floor(Date.now() / 1000);

export const refunds: Mutation[] = [
  {
    guard: "a refund and the payment that it is of meet",
    routine: "payments.lock_intent",
    changes: [["\n     for no key update", ""]],
    probe: async (lab) => {
      const { till, intent, pay, left } = await paying(lab);
      await till.send("x", refund(intent, 100, "succeeded", "re0"));
      await besideOpen(
        lab.db,
        (gate) => till.deliver(till.event("x", refund(intent, 300)), gate),
        () => till.deliver(pay),
      );
      expect(await left()).toBe(60);
    },
  },
  {
    guard: "B14 an invoice's intents are locked in one order",
    routine: "payments.apply_invoice",
    changes: [[" order by x.id\n  loop", " order by x.id desc\n  loop"]],
    probe: async (lab) => {
      const till = new Till(lab.db);
      const [plan, customer] = [await till.plan(), await till.customer()];
      const [first, second] = [`pi_a_${customer.workspace}`, `pi_b_${customer.workspace}`];
      for (const intent of [first, second]) await till.send("x", charge(intent, 1));
      const fact = { payment_intents: [second, first] };
      const invoice = till.event("x", invoiceFact(customer, `sub_${customer.workspace}`, plan.price, fact));
      const lock = (id: string, how: string) => ({
        text: `select from payments.intent where id = $1 for update ${how}`,
        values: [id],
      });
      const gate = await lab.db.connect();
      try {
        await gate.query("begin");
        await gate.query(lock(first, ""));
        const waiting = till.deliver(invoice);
        await blockedBackends(lab.db, 1);
        const free = await outcome(lab.db.query(lock(second, "nowait")));
        await gate.query("rollback");
        await waiting;
        expect(free).toBe("done");
      } finally {
        gate.release(true);
      }
    },
  },
  {
    guard: "a refund that failed stays so, whatever comes late",
    routine: "payments.store_refund",
    changes: [
      [
        "r.state not in ('failed', 'canceled') and (r.state <> 'succeeded' or excluded.state in ('failed', 'canceled'))",
        "true",
      ],
    ],
    probe: async (lab) => {
      const { left } = await paid(lab, (pi) => [[refund(pi, 500, "failed")], [refund(pi, 500, "pending")]]);
      expect(await left()).toBe(100);
    },
  },
  {
    guard: "of what the charge told, what failed is no refund",
    routine: "payments.reckon",
    changes: [["i.refunded_seen - coalesce(r.failed, 0)", "i.refunded_seen"]],
    probe: async (lab) => {
      const { left } = await paid(lab, (pi) => [[charge(pi, 500)], [refund(pi, 500, "failed")]]);
      expect(await left()).toBe(100);
    },
  },
  {
    guard: "no more is refunded than was paid",
    routine: "payments.reckon",
    changes: [["v_refunded := least(v_refunded, v_payment.amount_minor);", ""]],
    probe: async (lab) => {
      const { session } = await paid(lab, (pi) => [[refund(pi, 800)], [refund(pi, 800, "succeeded", "re2")]]);
      expect(await paymentOf(lab.db, session)).toMatchObject({ refunded: 1000 });
    },
  },
  {
    guard: "policy freeze: whoever owes is frozen",
    routine: "payments.reckon",
    changes: [["v_policy = 'freeze' then", "false then"]],
    probe: async (lab) => {
      await shortfall(lab, "freeze");
      const { till, intent, pay, workspace } = await paying(lab);
      await till.deliver(pay);
      await lab.db.query("select ledger.spend($1, 'credit', 100, null, $2, 'test')", [workspace, randomUUID()]);
      await till.send("x", refund(intent, 1000));
      await shortfall(lab, "debt");
      const frozen = await rows(lab.db, "select from people.workspace where id = $1 and frozen_at is not null", [
        workspace,
      ]);
      expect(frozen).toHaveLength(1);
    },
  },
  {
    guard: "what is older of a dispute is left",
    routine: "payments.store_dispute",
    changes: [["where d.seen_at < excluded.seen_at", "where true"]],
    probe: async (lab) => {
      const { left } = await paid(lab, (pi) => [
        [dispute(pi, "won"), now() - 10],
        [dispute(pi, "needs_response"), now() - 20],
      ]);
      expect(await left()).toBe(100);
    },
  },
  {
    guard: "two ends of a dispute within one second are in doubt",
    routine: "payments.store_dispute",
    changes: [["or v_state in ('won', 'lost'))", ")"]],
    probe: async (lab) => {
      const { intent } = await paid(lab, (pi) => [
        [dispute(pi, "won"), now() - 10],
        [dispute(pi, "lost"), now() - 10],
        [dispute(pi, "won"), now() - 10],
      ]);
      expect(await claim(lab, intent)).toBe(true);
    },
  },
  {
    guard: "an answer is as old as its question",
    routine: "payments.sync_intent",
    changes: [["coalesce(i.asked_at, ops.now())", "ops.now()"]],
    probe: async (lab) => {
      const { till, intent, left } = await paid(lab, (pi) => [
        [charge(pi, 1)],
        [dispute(pi, "needs_response"), now() - 10],
      ]);
      await claim(lab, intent);
      await till.send("x", dispute(intent, "won"), now() + 1);
      await lab.db.query("update ops.clock set clock_offset = clock_offset + interval '5 seconds'");
      await sync(lab, intent, [], [dispute(intent, "needs_response")]);
      expect(await left()).toBeGreaterThanOrEqual(99);
    },
  },
  {
    guard: "what was told while it was asked for is not forgotten",
    routine: "payments.sync_intent",
    changes: [["coalesce(i.link_due_at <= ops.now(), false)", "false"]],
    probe: async (lab) => {
      const { till, intent, left } = await paid(lab, (pi) => [[charge(pi, 300)]]);
      await claim(lab, intent);
      await till.send("x", charge(intent, 700));
      await sync(lab, intent, [refund(intent, 300)], []);
      expect(await left()).toBe(30);
    },
  },
  {
    guard: "what is in doubt of an intent is asked for, though it is linked",
    routine: "payments.link_intent",
    changes: [["then i.link_due_at end", "then null::timestamptz end"]],
    probe: async (lab) => {
      const { till, intent, pay } = await paying(lab);
      await till.send("x", charge(intent, 300));
      await till.deliver(pay);
      expect(await claim(lab, intent)).toBe(true);
    },
  },
];
