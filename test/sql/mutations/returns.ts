import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { besideOpen } from "../../support/barrier.ts";
import { advance, outcome } from "../../support/scenario.ts";
import type { Account } from "../../support/scenario.ts";
import type { Lab, Mutation } from "./lab.ts";

/** An account that a payment of 100 gave 10, with `other` credits beside them. */
async function paid(lab: Lab, { other = 0, pool = "subscription" } = {}) {
  const account = lab.account();
  const payment = randomUUID();
  const { transaction_id: grant } = await account.grant(10, { payment, pool });
  if (other > 0) await account.grant(other);
  return { account, payment, grant };
}

/** The same, with a hold that has the payment's 10, which are then refunded. */
async function refundedWhileHeld(lab: Lab) {
  const { account, payment } = await paid(lab, { other: 10 });
  const { id } = await account.hold(10);
  await account.takeBack(payment, { refunded: 100 });
  return { account, payment, id };
}

/** An account that owes 10. */
async function indebted(lab: Lab): Promise<Account> {
  const { account, payment } = await paid(lab);
  await account.spend(10);
  await account.takeBack(payment, { refunded: 100 });
  expect(await account.sums()).toEqual([0, 0, 10]);
  return account;
}

export const returns: Mutation[] = [
  {
    guard: "A12 a grant pays debt first",
    routine: "ledger.add_lot",
    changes: [["least(add_lot.debt, add_lot.given)", "0"]],
    probe: async (lab) => expect(await (await indebted(lab)).grant(12)).toMatchObject({ available: 2, debt: 0 }),
  },
  {
    guard: "A12 a return pays debt first",
    routine: "ledger.put_back",
    changes: [["least(a.debt, v_own)", "0"]],
    probe: async (lab) => {
      const { account, payment } = await paid(lab);
      await account.spend(10);
      await account.grant(5);
      const { id } = await account.hold(5);
      await account.takeBack(payment, { refunded: 100 });
      expect(await account.release(id)).toMatchObject({ available: 0, debt: 5 });
    },
  },
  {
    guard: "A3 what returns to a lot that was reset is over",
    routine: "ledger.put_back",
    changes: [["l.closed_at is not null or", ""]],
    probe: async (lab) => {
      const account = lab.account();
      await account.reset(10);
      const { id } = await account.hold(10);
      await account.reset(5);
      expect(await account.release(id)).toMatchObject({ available: 5 });
    },
  },
  {
    guard: "what returns to a lot that has expired is over",
    routine: "ledger.put_back",
    changes: [["coalesce(l.expires_at <= ops.now(), false)", "false"]],
    probe: async (lab) => {
      const account = lab.account();
      await account.grant(10, { pool: "promo", expires_in: "1 minute" });
      const { id } = await account.hold(10);
      await advance(lab.db, "2 minutes");
      await account.release(id);
      expect(await account.kinds()).toEqual({ grant: 1, hold: 1, release: 1 });
      await account.grant(1);
      await account.spend(1);
      expect(await account.kinds()).toEqual({ grant: 2, hold: 1, release: 1, spend: 1 });
    },
  },
  {
    guard: "A3 a reset touches no other pool",
    routine: "ledger.reset",
    changes: [["and l.pool = reset.pool", ""]],
    probe: async (lab) => {
      const account = await lab.credited(50);
      expect(await account.reset(20)).toMatchObject({ available: 70 });
    },
  },
  {
    guard: "A3 a reset closes empty lots too, to which a hold returns later",
    routine: "ledger.reset",
    changes: [["and l.closed_at is null", "and not l.empty"]],
    probe: async (lab) => {
      const account = lab.account();
      await account.reset(10);
      const { id } = await account.hold(10);
      await account.reset(5);
      expect(await account.release(id)).toMatchObject({ available: 5 });
    },
  },
  {
    guard: "A12 what a refund took from elsewhere returns there",
    routine: "ledger.put_back",
    changes: [["least(put_back.amount, v_lot.lacking)", "put_back.amount"]],
    probe: async (lab) => {
      const { account, id } = await refundedWhileHeld(lab);
      await account.release(id);
      await lab.stands();
    },
  },
  {
    guard: "A12 what was compensated is covered no longer",
    routine: "ledger.put_back",
    changes: [["covered = l.covered - least(l.covered, put_back.amount - v_own)", "covered = l.covered"]],
    probe: async (lab) => {
      const { account, payment, id } = await refundedWhileHeld(lab);
      await account.release(id);
      await account.takeBack(payment);
      expect(await account.pools()).toEqual({ subscription: 10, returned: 10 });
    },
  },
  {
    guard: "A12 a dispute won compensates those who had paid, whatever became of the lot",
    routine: "ledger.give_again",
    changes: [["covered = l.covered - least(l.covered, give_again.amount)", "covered = l.covered"]],
    probe: async (lab) => {
      const { account, payment } = await paid(lab, { other: 10 });
      await account.spend(10);
      await account.takeBack(payment, { lost: 100 });
      await account.reset(0);
      await account.takeBack(payment);
      expect(await account.sums()).toEqual([10, 0, 0]);
    },
  },
  {
    guard: "A12 what others paid for a lot is written down",
    routine: "ledger.recover",
    changes: [[", covered = l.covered + v_lacking", ""]],
    probe: async (lab) => {
      await refundedWhileHeld(lab);
      await lab.stands();
    },
  },
  {
    guard: "A12 compensation pays debt first",
    routine: "ledger.compensate",
    changes: [["a.debt - least(a.debt, compensate.amount)", "a.debt"]],
    probe: async (lab) => {
      const { account, payment } = await paid(lab);
      const { id } = await account.hold(10);
      await account.takeBack(payment, { refunded: 100 });
      expect(await account.release(id)).toMatchObject({ available: 0, debt: 0 });
    },
  },
  {
    guard: "A12 what had expired never becomes debt",
    routine: "ledger.recover",
    changes: [
      [
        "least(recover.amount - v_from_lot, v_lot.given - v_lot.available - v_lot.expired - v_lot.recovered)",
        "recover.amount - v_from_lot",
      ],
    ],
    probe: async (lab) => {
      const { account, payment } = await paid(lab, { other: 10 });
      await account.reset(0);
      expect(await account.takeBack(payment, { refunded: 100 })).toBe(0);
    },
  },
  {
    guard: "A12 other lots pay before debt does",
    routine: "ledger.recover",
    changes: [["least(v_lacking, v_account.available - v_from_lot)", "0"]],
    probe: async (lab) => {
      const { account, payment } = await paid(lab, { other: 10 });
      await account.spend(10);
      await account.takeBack(payment, { refunded: 100 });
      expect(await account.sums()).toEqual([0, 0, 0]);
    },
  },
  {
    guard: "A12 shares are rounded down",
    routine: "ledger.take_back",
    changes: [["floor(", "round("]],
    probe: async (lab) => {
      const { account, payment } = await paid(lab);
      expect(await account.takeBack(payment, { refunded: 39 })).toBe(3);
    },
  },
  {
    guard: "A12 shares are reckoned in numeric",
    routine: "ledger.take_back",
    changes: [
      ["v_lot.given::numeric", "v_lot.given"],
      ["take_back.refunded::numeric", "take_back.refunded"],
    ],
    probe: async (lab) => {
      const account = lab.account();
      const payment = randomUUID();
      await account.grant(Number.MAX_SAFE_INTEGER, { payment });
      expect(await account.takeBack(payment, { refunded: 50_000, paid: 100_000 })).toBe(2 ** 52 - 1);
    },
  },
  {
    guard: "A12 a payment's lots are read after the lock",
    routine: "ledger.take_back",
    changes: [["perform ledger.lock_account(take_back.owner_id, v_unit);", ""]],
    probe: async (lab) => {
      const { account, payment } = await paid(lab);
      const refund = (one: Account) => one.takeBack(payment, { refunded: 50, key: randomUUID() });
      expect(
        await besideOpen(
          lab.db,
          (gate) => refund(account.on(gate)),
          () => refund(account),
        ),
      ).toBe(0);
      expect(await account.sums()).toEqual([5, 0, 0]);
    },
  },
  {
    guard: "A11 a transaction is reversed once",
    routine: "ledger.reverse",
    changes: [
      ["if exists (", "if false and exists ("],
      ["'tg:reverse:' || reverse.reversed, reverse.caused_by", "'tg:reverse:' || uuidv7(), reverse.caused_by"],
    ],
    probe: async (lab) => {
      const account = await lab.credited(10);
      const { transaction_id } = await account.spend(5);
      await account.reverse(transaction_id);
      expect(await outcome(account.reverse(transaction_id))).toBe("transaction_reversed");
    },
  },
  {
    guard: "A12 what was reversed is no longer its payment's",
    routine: "ledger.reverse",
    changes: [["update ledger.lot l set payment_id = null", "update ledger.lot l set payment_id = l.payment_id"]],
    probe: async (lab) => {
      const { account, payment, grant } = await paid(lab);
      await account.reverse(grant);
      await account.takeBack(payment, { refunded: 50 });
      expect(await account.sums()).toEqual([0, 0, 0]);
    },
  },
  {
    guard: "only what can be undone so is reversed",
    routine: "ledger.reverse",
    changes: [["not in ('grant', 'spend', 'settle', 'adjust')", "= 'reverse'"]],
    probe: async (lab) => {
      const { transaction_id } = await lab.account().reset(5);
      const account = lab.account();
      expect(await outcome(account.reverse(transaction_id))).toBe("not_found");
      const reset = await account.reset(5);
      expect(await outcome(account.reverse(reset.transaction_id))).toBe("transaction_not_reversible");
    },
  },
  {
    guard: "an adjustment takes no more than there is",
    routine: "ledger.adjust",
    changes: [["and a.available + adjust.amount >= 0", ""]],
    probe: async (lab) => expect(await outcome((await lab.credited(5)).adjust(-6))).toBe("insufficient_credits"),
  },
];
