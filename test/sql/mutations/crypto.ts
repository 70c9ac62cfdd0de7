import { expect } from "vitest";
import { race } from "../../support/barrier.ts";
import { Coins, type InvoiceFact } from "../../support/coins.ts";
import { advance, call } from "../../support/scenario.ts";
import type { Lab, Mutation } from "./lab.ts";

const routine = "payments.apply_btcpay_invoice";
const settled: Partial<InvoiceFact> = { status: "Settled", paid_minor: 1000 };

/** Tells of an invoice of 10 €, one word after the other, and answers how it stands then. */
async function told(lab: Lab, ...words: Partial<InvoiceFact>[]) {
  const coins = new Coins(lab.db);
  const bill = await coins.buying();
  for (const word of words) await coins.tells(coins.fact(bill, word));
  return coins.standing(bill);
}

export const crypto: Mutation[] = [
  {
    guard: "D12 what is known of an invoice is not new",
    routine,
    changes: [[" end - v_closed_minor;", " end;"]],
    probe: async (lab) => {
      expect(await told(lab, settled, settled)).toMatchObject({ balance: 1000, payments: ["1000 eur"] });
    },
  },
  {
    guard: "D12 one teller at a time",
    routine,
    changes: [
      ["  perform people.lock_workspace(v_purchase.workspace_id);\n", ""],
      ["   where p.id = v_purchase.id\n     for no key update;", "   where p.id = v_purchase.id;"],
    ],
    probe: async (lab) => {
      const coins = new Coins(lab.db);
      for (let round = 0; round < 10; round += 1) {
        const bill = await coins.buying();
        const fact = coins.fact(bill, { status: "Settled", paid_minor: 1250 });
        await race(16, (i) => (i % 2 === 0 ? coins.tells(fact) : coins.watched(bill, fact)));
        expect(await coins.standing(bill)).toMatchObject({ balance: 1250, payments: ["1000 eur", ":2 250 eur"] });
      }
    },
  },
  {
    guard: "D12 nothing counts that waits for confirmations",
    routine,
    changes: [["when not v_unconfirmed then v_paid", "when true then v_paid"]],
    probe: async (lab) => {
      const late = { status: "Expired", paid_minor: 1000, unconfirmed: true } as const;
      expect(await told(lab, late)).toMatchObject({ balance: 0, payments: [] });
    },
  },
  {
    guard: "D12 only a settled or a late invoice buys",
    routine,
    changes: [
      ["(v_status in ('Settled', 'Expired') and v_left", "(v_status in ('Settled', 'Expired', 'Invalid') and v_left"],
    ],
    probe: async (lab) => {
      expect(await told(lab, { status: "Invalid", paid_minor: 1000 })).toMatchObject({ state: "canceled", balance: 0 });
    },
  },
  {
    guard: "D12 what comes while it can still be paid does not count yet",
    routine,
    changes: [["when v_status not in ('Settled', 'Expired', 'Invalid') then 0", "when false then 0"]],
    probe: async (lab) => {
      expect(await told(lab, { paid_minor: 400 })).toMatchObject({ state: "pending", payments: [] });
    },
  },
  {
    guard: "D12 an invoice of another amount buys nothing",
    routine,
    changes: [
      [
        "v_purchase.payment_id is null and (v_asked, v_currency) = (v_purchase.amount_minor, v_purchase.currency)",
        "v_purchase.payment_id is null and v_currency = v_purchase.currency",
      ],
    ],
    probe: async (lab) => {
      expect(await told(lab, { status: "Settled", marked: true, amount_minor: 1, paid_minor: 1 })).toMatchObject({
        balance: 0,
      });
    },
  },
  {
    guard: "D12 an invoice of another amount is not written down as the purchase's",
    routine,
    changes: [
      [
        "and p.provider_id is null and (p.amount_minor, p.currency) = (v_asked, v_currency)",
        "and p.provider_id is null",
      ],
    ],
    probe: async (lab) => {
      const coins = new Coins(lab.db);
      const workspace = await coins.counter.workspace();
      const { id } = await coins.start(workspace, { topup: 1000 });
      const bill = {
        workspace,
        purchase: id,
        invoice: `cheap${id}`,
        amount_minor: 1,
        expires_at: await coins.seconds(),
      };
      await coins.tells(coins.fact(bill, { status: "Expired" }));
      expect(await coins.standing(bill)).toMatchObject({ state: "pending" });
    },
  },
  {
    guard: "D12 what was settled here is not settled at BTCPay again",
    routine,
    changes: [["or v_marked and not v_unconfirmed and v_closed = 0)", "or v_marked and not v_unconfirmed)"]],
    probe: async (lab) => {
      const coins = new Coins(lab.db);
      const bill = await coins.buying();
      await coins.tells(coins.fact(bill, { status: "Expired", paid_minor: 400 }));
      const { rows } = await lab.db.query<{ id: string }>("select id from payments.payment where purchase_id = $1", [
        bill.purchase,
      ]);
      await coins.counter.settle(bill.workspace, rows[0]?.id ?? "", "balance");
      await coins.tells(coins.fact(bill, { status: "Settled", marked: true, paid_minor: 400 }));
      expect(await coins.standing(bill)).toMatchObject({ balance: 400 });
    },
  },
  {
    guard: "D12 money that buys nothing is kept, whatever its amount",
    routine: "payments.finalize",
    changes: [[" and finalize.fact ->> 'worth' is distinct from 'none'", ""]],
    probe: async (lab) => {
      expect(await told(lab, { status: "Invalid", paid_minor: 1000 })).toMatchObject({
        balance: 0,
        payments: ["1000 eur kept"],
      });
    },
  },
  {
    guard: "D12 a second invoice of a purchase ends nothing",
    routine,
    changes: [["v_own := v_purchase.provider_id is not distinct from v_invoice;", "v_own := true;"]],
    probe: async (lab) => {
      const coins = new Coins(lab.db);
      const bill = await coins.buying();
      await coins.tells(coins.fact({ ...bill, invoice: `other${bill.invoice}` }, { status: "Invalid" }));
      expect(await coins.standing(bill)).toMatchObject({ state: "pending" });
    },
  },
  {
    guard: "D12 money that was kept no longer waits once the rest of it bought",
    routine: "payments.finalize",
    changes: [["    perform payments.mark_settled(v_payment);\n", ""]],
    probe: async (lab) => {
      const words = [400, 1000].map((paid_minor) => ({ status: "Expired", paid_minor }) as const);
      expect(await told(lab, ...words)).toMatchObject({ payments: ["1000 eur"], alarms: [] });
    },
  },
  {
    guard: "D12 an answer that is older than what is known alarms nobody",
    routine,
    changes: [["if v_doubt and apply_btcpay_invoice.asked_at > v_touched then", "if v_doubt then"]],
    probe: async (lab) => {
      expect(await told(lab, settled, { status: "Settled", paid_minor: 0 })).toMatchObject({ alarms: [] });
    },
  },
  {
    guard: "D12 what was refunded is not missed",
    routine,
    changes: [["- v_refunded_minor > v_paid", "> v_paid"]],
    probe: async (lab) => {
      const coins = new Coins(lab.db);
      const bill = await coins.buying();
      await coins.tells(coins.fact(bill, settled));
      const { rows } = await lab.db.query<{ id: string }>("select id from payments.payment where purchase_id = $1", [
        bill.purchase,
      ]);
      await coins.counter.refund(bill.workspace, rows[0]?.id ?? "");
      await coins.watched(bill, coins.fact(bill, { status: "Settled", paid_minor: 0 }));
      expect(await coins.standing(bill)).toMatchObject({ alarms: [] });
    },
  },
  {
    guard: "D12 what is gone is told of",
    routine,
    changes: [["and not v_marked or v_status = 'Invalid' and v_holds;", "and false;"]],
    probe: async (lab) => {
      const coins = new Coins(lab.db);
      const bill = await coins.buying();
      await coins.tells(coins.fact(bill, settled));
      await coins.watched(bill, coins.fact(bill, { status: "Settled", paid_minor: 0 }));
      expect(await coins.standing(bill)).toMatchObject({ alarms: ["crypto_payment_undone"] });
    },
  },
  {
    guard: "a surplus that the balance cannot hold is kept",
    routine: "payments.keep_surplus",
    changes: [["exception when check_violation or sqlstate 'TG001' then", "exception when no_data_found then"]],
    probe: async (lab) => {
      const coins = new Coins(lab.db);
      const bill = await coins.buying({ pack: await coins.counter.till.pack(1) });
      await coins.counter.topup(bill.workspace, 9_007_199_254_740_991);
      await coins.tells(coins.fact(bill, { status: "Settled", paid_minor: 1001 }));
      expect(await coins.standing(bill)).toMatchObject({ state: "paid" });
    },
  },
  {
    guard: "the watcher's purchases are claimed for one",
    routine: "payments.claim_checks",
    changes: [["set check_due_at = ops.now() + greatest(", "set check_due_at = ops.now() - greatest("]],
    probe: async (lab) => {
      const coins = new Coins(lab.db);
      const bill = await coins.buying();
      await advance(lab.db, "6 minutes");
      expect((await coins.claim()).ids).toContain(bill.purchase);
      expect((await coins.claim()).ids).not.toContain(bill.purchase);
    },
  },
  {
    guard: "Stripe is not asked for what is paid in crypto",
    routine: "payments.claim_checks",
    changes: [[" and p.provider = claim_checks.provider\n", "\n"]],
    probe: async (lab) => {
      const coins = new Coins(lab.db);
      const bill = await coins.buying();
      await advance(lab.db, "6 minutes");
      const stripes = await call<{ ids: string[] }>(lab.db, "payments.claim_checks", {
        batch: 1000,
        lease: "1 minute",
      });
      expect(stripes.ids).not.toContain(bill.purchase);
    },
  },
  {
    guard: "the right to make an invoice is one caller's",
    routine: "payments.claim_checkout",
    changes: [["    and (v_row.leased_until is null or v_row.leased_until <= ops.now()) then", "    then"]],
    probe: async (lab) => {
      const coins = new Coins(lab.db);
      const { id } = await coins.start(await coins.counter.workspace(), { topup: 700 });
      expect(await call(lab.db, "payments.claim_checkout", { id })).toMatchObject({ session_token: null });
    },
  },
  {
    guard: "whoever is not the first to make an invoice looks for it",
    routine: "payments.claim_checkout",
    changes: [
      ["claim_checkout.search_session := v_row.lease_token is not null;", "claim_checkout.search_session := false;"],
    ],
    probe: async (lab) => {
      const coins = new Coins(lab.db);
      const { id } = await coins.start(await coins.counter.workspace(), { topup: 700 });
      await advance(lab.db, "31 seconds");
      expect(await call(lab.db, "payments.claim_checkout", { id })).toMatchObject({ search_session: true });
    },
  },
];
