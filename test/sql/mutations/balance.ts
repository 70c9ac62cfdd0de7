import { expect } from "vitest";
import { race } from "../../support/barrier.ts";
import { call, outcome, rows } from "../../support/scenario.ts";
import { Till, checkoutFact } from "../../support/till.ts";
import type { Lab, Mutation } from "./lab.ts";

/** A workspace with so many cents, and a pack of 100 credits at 10 €. */
async function shop(lab: Lab, cents: number) {
  const till = new Till(lab.db);
  const [customer, pack] = [await till.customer(), await till.pack(100)];
  const of = { workspace_id: customer.workspace, caused_by: "test" };
  const topup = (amount_minor: number, reference: string) =>
    call<{ payment_id: string }>(lab.db, "payments.record_topup", { ...of, amount_minor, currency: "eur", reference });
  const buy = () =>
    call<{ id: string; payment_id: string }>(lab.db, "payments.buy_from_balance", {
      ...of,
      pack_code: pack.code,
      currency: "eur",
      quantity: 1,
    });
  const refund = (payment_id: string, amount_minor: number) =>
    call(lab.db, "payments.refund_payment", { ...of, payment_id, amount_minor, reason: "x" });
  const balance = async () => {
    const [row] = await rows<{ available: number }>(lab.db, "select available from ledger.balance_of($1, 'eur')", [
      customer.workspace,
    ]);
    return row?.available;
  };
  if (cents > 0) await topup(cents, crypto.randomUUID());
  return { till, customer, of, topup, buy, refund, balance, credits: () => till.credits(customer.workspace) };
}

export const balance: Mutation[] = [
  {
    guard: "D7 a balance pays no more than it has",
    routine: "ledger.charge",
    changes: [[" and a.available >= charge.amount", ""]],
    probe: async (lab) => {
      const { buy } = await shop(lab, 999);
      expect(await outcome(buy())).toBe("insufficient_balance");
    },
  },
  {
    guard: "D7 what is bought from a balance is paid",
    routine: "payments.buy_from_balance",
    changes: [["if buy_from_balance.amount_minor > 0 then", "if false then"]],
    probe: async (lab) => {
      const { buy, balance: left } = await shop(lab, 1500);
      await buy();
      expect(await left()).toBe(500);
    },
  },
  {
    guard: "a frozen workspace buys nothing from its balance",
    routine: "payments.admit_buyer",
    changes: [["if v_access.refusal is not null", "if false"]],
    probe: async (lab) => {
      const { buy, of } = await shop(lab, 1500);
      await call(lab.db, "people.freeze_workspace", { ...of, reason: "x" });
      expect(await outcome(buy())).toBe("workspace_frozen");
    },
  },
  {
    guard: "D3 a reference is one top-up, of one workspace and one amount",
    routine: "payments.record_topup",
    changes: [
      [
        "is distinct from (record_topup.workspace_id, record_topup.amount_minor, record_topup.currency)",
        "is distinct from (v_known.workspace_id, v_known.amount_minor, v_known.currency)",
      ],
    ],
    probe: async (lab) => {
      const { topup } = await shop(lab, 0);
      const reference = crypto.randomUUID();
      await topup(100, reference);
      expect(await outcome(topup(200, reference))).toBe("reference_used");
    },
  },
  {
    guard: "D1 a balance is what was paid, to the cent",
    routine: "payments.finalize",
    changes: [["v_amount = v_purchase.amount_minor", "true"]],
    probe: async (lab) => {
      const { till, customer, of, balance: left } = await shop(lab, 0);
      const { id } = await call<{ id: string }>(lab.db, "payments.start_checkout", {
        ...of,
        plan_code: null,
        plan_number: null,
        pack_code: null,
        currency: "eur",
        interval_unit: null,
        interval_count: null,
        quantity: 1,
        success_url: "https://app.example/ok",
        cancel_url: "https://app.example/no",
        topup_minor: 2500,
      });
      const fact = checkoutFact(customer, { purchase: id, session: `cs_${id}` }, { amount_total: 1 });
      expect(await till.send("checkout.session.completed", fact)).toMatchObject({ outcome: "does_not_fit" });
      expect(await left()).toBe(0);
    },
  },
  {
    guard: "never more is refunded than was paid",
    routine: "payments.refund_payment",
    changes: [["refund_payment.amount_minor > v_left or", ""]],
    probe: async (lab) => {
      const { buy, refund } = await shop(lab, 1000);
      const { payment_id } = await buy();
      expect(await outcome(refund(payment_id, 1001))).toBe("amount_exceeds_payment");
    },
  },
  {
    guard: "what was paid from a balance goes back to it, once however many refund",
    routine: "payments.refund_payment",
    changes: [["if v_payment.provider = 'balance' then", "if false then"]],
    probe: async (lab) => {
      const { buy, refund, balance: left, credits } = await shop(lab, 1000);
      const { payment_id } = await buy();
      await race(4, () => outcome(refund(payment_id, 600)));
      expect([await left(), await credits()]).toEqual([600, { bulk: 40 }]);
    },
  },
  {
    guard: "what Stripe was paid is refunded at Stripe",
    routine: "payments.refund_payment",
    changes: [["v_payment.provider not in ('manual', 'balance', 'btcpay')", "false"]],
    probe: async (lab) => {
      const { till, customer, refund } = await shop(lab, 0);
      const pack = await till.pack(10);
      const checkout = await till.checkout(customer, { pack });
      await till.send("x", checkoutFact(customer, checkout));
      const [paid] = await rows<{ id: string }>(lab.db, "select id from payments.payment where reference = $1", [
        checkout.session,
      ]);
      expect(await outcome(refund(paid?.id ?? "", 1))).toBe("refund_at_provider");
    },
  },
];
