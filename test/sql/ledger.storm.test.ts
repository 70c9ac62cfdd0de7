import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { race, tally } from "../support/barrier.ts";
import { dice, newSeed } from "../support/dice.ts";
import type { Dice } from "../support/dice.ts";
import { Account, advance, outcome, rows } from "../support/scenario.ts";
import { test } from "../support/sql.ts";

/** What the racers share: they work on the same accounts, holds, payments and keys. */
interface Arena {
  accounts: Account[];
  payments: string[];
  holds: { account: Account; id: string }[];
  movements: { account: Account; id: string }[];
}

/** One step of one racer, whatever the dice say; null where there is nothing yet to do it with. */
function step(throws: Dice, { accounts, payments, holds, movements }: Arena): Promise<unknown> | null {
  const pick = <Item>(items: readonly Item[]): Item | undefined => items[throws(items.length)];
  const account = pick(accounts);
  const payment = pick(payments);
  if (account === undefined || payment === undefined) return null;
  const moved = (made: Promise<{ transaction_id: string }>) =>
    made.then(({ transaction_id: id }) => movements.push({ account, id }));
  const [hold, movement] = [pick(holds), pick(movements)];
  switch (throws(14)) {
    case 0:
    case 1: {
      const expiry = throws(2) === 0 ? {} : { expires_in: `${1 + throws(4)} minutes` };
      return moved(
        account.grant(1 + throws(30), { pool: pick(["bulk", "promo", "subscription"]) ?? "bulk", payment, ...expiry }),
      );
    }
    case 2:
    case 3:
      return moved(account.spend(1 + throws(10)));
    case 4:
    case 5:
      return account
        .hold(1 + throws(10), { expires_in: `${1 + throws(5)} minutes` })
        .then(({ id }) => holds.push({ account, id }));
    case 6:
      return hold === undefined ? null : hold.account.settle(hold.id, throws(2) === 0 ? null : 1);
    case 7:
      return hold === undefined ? null : hold.account.release(hold.id);
    case 8:
      return account.takeBack(payment, { refunded: throws(101), lost: throws(2) * throws(100) });
    case 9:
      return movement === undefined ? null : movement.account.reverse(movement.id);
    case 10:
      return account.reset(throws(20), throws(2) === 0 ? {} : { payment });
    case 11:
      return throws(2) === 0 ? account.setLimit(throws(30)) : account.adjust(throws(2) === 0 ? 3 : -3);
    case 12: {
      const first = throws(200);
      const items = Array.from({ length: 8 }, (_, i) => ({ key: `key-${first + i}`, amount: 1 + ((first + i) % 3) }));
      return account.spendMany(throws(2) === 0 ? items : items.toReversed());
    }
    default:
      if (throws(4) === 0) return advance(account.db, "1 minute");
      return rows(account.db, throws(2) === 0 ? "select ledger.holds_expire(20)" : "select ledger.lots_expire(20)");
  }
}

/** Refusals that such a storm may bring. Anything else is a fault: a deadlock, a constraint, an error of ours. */
const refusals = new Set(["done", "insufficient_credits", "hold_ended", "transaction_reversed", "expires_in_past"]);

test("A15 every operation at once on the same accounts: refusals and nothing else, and all invariants hold", async ({
  db,
}) => {
  const seed = newSeed();
  const arena: Arena = {
    accounts: [new Account(db), new Account(db)].flatMap((account) => [account, account.in("seat")]),
    payments: Array.from({ length: 6 }, () => randomUUID()),
    holds: [],
    movements: [],
  };
  const outcomes = await race(12, async (i) => {
    const throws = dice(seed + i);
    const seen: string[] = [];
    while (seen.length < 60) seen.push(await outcome(step(throws, arena) ?? Promise.resolve()));
    return seen;
  });
  const counts = tally(outcomes.flat());
  expect(Object.keys(counts).filter((one) => !refusals.has(one))).toEqual([]);
  expect(counts["done"]).toBeGreaterThan(200);
});
