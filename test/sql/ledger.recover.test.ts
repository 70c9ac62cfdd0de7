import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { dice, newSeed } from "../support/dice.ts";
import { advance, rows } from "../support/scenario.ts";
import type { Account } from "../support/scenario.ts";
import { test } from "../support/sql.ts";

// What a lot lacks at a refund comes from other lots, or becomes debt, while a hold or a spend has its own. These are the
// orders of events in which that then comes back: each once lost credits, took them twice, or could never be finished.

/** 10 from a payment, which a hold has, and 10 from elsewhere. */
async function heldPayment(account: Account, from: { pool?: string; expires_in?: string } = {}) {
  const payment = randomUUID();
  const { transaction_id } = await account.grant(10, { pool: "subscription", payment, ...from });
  await account.grant(10);
  const { id } = await account.hold(10);
  return { payment, hold: id, grant: transaction_id };
}

test("A12 a refund in two parts, with a hold released between them, takes each part once", async ({ account }) => {
  const { payment, hold } = await heldPayment(account);
  expect(await account.takeBack(payment, { refunded: 50 })).toBe(5);
  await account.release(hold);
  expect(await account.sums()).toEqual([15, 0, 0]);
  expect(await account.takeBack(payment, { refunded: 100 })).toBe(5);
  expect(await account.sums()).toEqual([10, 0, 0]);
});

test("A11 a dispute that is won after its hold was released gives everything again", async ({ account }) => {
  const { payment, hold } = await heldPayment(account);
  expect(await account.takeBack(payment, { lost: 100 })).toBe(10);
  await account.release(hold);
  expect(await account.takeBack(payment)).toBe(-10);
  expect(await account.sums()).toEqual([20, 0, 0]);
});

test("A12 reversing a grant that was refunded takes nothing a second time", async ({ account }) => {
  const { payment, hold, grant } = await heldPayment(account);
  await account.takeBack(payment, { refunded: 100 });
  await account.release(hold);
  await account.reverse(grant);
  expect(await account.sums()).toEqual([10, 0, 0]);
});

test("B8 seats that are given back under a lowered limit return, whatever made good for them meanwhile", async ({
  account,
}) => {
  const seats = account.in("seat");
  await seats.setLimit(10);
  const { id } = await seats.hold(10);
  await seats.adjust(5);
  expect(await seats.setLimit(4)).toMatchObject({ available: 0, held: 10, debt: 1 });
  expect(await seats.release(id)).toMatchObject({ available: 9, held: 0, debt: 0 });
});

describe("a return and a refund end the same, whichever comes first", () => {
  test("A12 where the lot has expired meanwhile: what expired unused is not taken from elsewhere", async ({
    db,
    account,
  }) => {
    const other = account.in("credit_b");
    const [one, two] = [
      await heldPayment(account, { pool: "promo", expires_in: "1 day" }),
      await heldPayment(other, { pool: "promo", expires_in: "1 day" }),
    ];
    expect(await account.takeBack(one.payment, { refunded: 100 })).toBe(10);
    expect(await account.sums()).toEqual([0, 10, 0]);
    await advance(db, "2 days");
    await account.release(one.hold);

    await other.release(two.hold);
    expect(await other.takeBack(two.payment, { refunded: 100 })).toBe(0);
    expect([await account.sums(), await other.sums()]).toEqual([
      [10, 0, 0],
      [10, 0, 0],
    ]);
  });

  test("A12 debt that a refund made of what was held is paid by its return, also to an expired lot", async ({
    db,
    account,
  }) => {
    const payment = randomUUID();
    await account.grant(10, { pool: "promo", expires_in: "1 day", payment });
    const { id } = await account.hold(10);
    await account.takeBack(payment, { refunded: 100 });
    expect(await account.sums()).toEqual([0, 10, 10]);
    await advance(db, "2 days");
    expect(await account.release(id)).toMatchObject({ available: 0, held: 0, debt: 0 });
  });

  test("A12 debt that a later grant paid: what it paid returns as available", async ({ account }) => {
    const payment = randomUUID();
    await account.grant(10, { payment });
    const { id } = await account.hold(10);
    await account.takeBack(payment, { refunded: 100 });
    await account.grant(4);
    expect(await account.sums()).toEqual([0, 10, 6]);
    expect(await account.release(id)).toMatchObject({ available: 4, held: 0, debt: 0 });
    expect(await account.pools()).toEqual({ returned: 4 });
    expect(await account.takeBack(payment)).toBe(-10);
    expect(await account.pools()).toEqual({ bulk: 10, returned: 4 });
  });
});

test("A3 a dispute that is won after its lot was reset gives back the bulk credits that had paid for it", async ({
  account,
}) => {
  const payment = randomUUID();
  await account.reset(20, { payment });
  await account.grant(50);
  await account.spend(15);
  expect(await account.takeBack(payment, { lost: 100 })).toBe(20);
  expect(await account.pools()).toEqual({ bulk: 35 });
  await account.reset(20);
  expect(await account.takeBack(payment)).toBe(-20);
  expect(await account.pools()).toEqual({ subscription: 20, bulk: 35, returned: 15 });
  await account.reset(20);
  expect(await account.pools()).toEqual({ subscription: 20, bulk: 35, returned: 15 });
});

test("A12 reversing a spend whose lot was refunded meanwhile gives back what others had paid for it", async ({
  account,
}) => {
  const payment = randomUUID();
  await account.grant(10, { pool: "subscription", payment });
  await account.grant(30);
  const { transaction_id } = await account.spend(8);
  expect(await account.takeBack(payment, { refunded: 100 })).toBe(10);
  expect(await account.pools()).toEqual({ bulk: 22 });
  await account.reverse(transaction_id);
  expect(await account.pools()).toEqual({ bulk: 22, returned: 8 });
  expect(await account.takeBack(payment, { refunded: 100 })).toBe(0);
  expect(await account.takeBack(payment)).toBe(-10);
  expect(await account.pools()).toEqual({ subscription: 10, bulk: 22, returned: 8 });
});

test("A12 a refund, a reversal and a dispute of one grant take it back once, in any order", async ({ account }) => {
  const takings: ((account: Account, payment: string, grant: string) => Promise<unknown>)[] = [
    (one, payment) => one.takeBack(payment, { refunded: 50 }),
    (one, payment) => one.takeBack(payment, { refunded: 50, lost: 50 }),
    (one, _, grant) => one.reverse(grant),
    (one, payment) => one.takeBack(payment, { refunded: 50, lost: 0 }),
  ];
  for (const [i, order] of permutations([0, 1, 2, 3]).entries()) {
    const one = account.in(`unit_${i}`);
    const payment = randomUUID();
    const { transaction_id } = await one.grant(10, { payment });
    await one.grant(10);
    await one.spend(7);
    for (const step of order) await takings[step]?.(one, payment, transaction_id);
    expect([order, await one.sums()]).toEqual([order, [3, 0, 0]]);
  }
});

test("A12 no lot is ever given more than it lacks: random orders of holds, refunds, expiry and returns", async ({
  db,
  account,
}) => {
  const random = dice(newSeed());
  for (let round = 0; round < 12; round += 1) {
    const one = account.in(`round_${round}`);
    const payments: string[] = [];
    const holds: string[] = [];
    const spends: string[] = [];
    for (let step = 0; step < 25; step += 1) {
      const { available } = await one.balance();
      const part = 1 + random(Math.max(1, available));
      const pick = <Item>(items: Item[]) => items[random(items.length)];
      switch (random(9)) {
        case 0:
        case 1: {
          const payment = randomUUID();
          payments.push(payment);
          await one.grant(1 + random(20), {
            payment,
            pool: pick(["bulk", "promo", "subscription"]) ?? "bulk",
            ...(random(2) === 0 ? { expires_in: `${1 + random(3)} minutes` } : {}),
          });
          break;
        }
        case 2:
          if (available >= part) holds.push((await one.hold(part, { expires_in: "1 year" })).id);
          break;
        case 3:
          if (available >= part) spends.push((await one.spend(part)).transaction_id);
          break;
        case 4: {
          const [id] = holds.splice(random(holds.length), 1);
          if (id !== undefined) await (random(3) === 0 ? one.settle(id) : one.release(id));
          break;
        }
        case 5:
        case 6: {
          const payment = pick(payments);
          if (payment !== undefined) await one.takeBack(payment, { refunded: random(101), lost: random(2) * 30 });
          break;
        }
        case 7: {
          const [id] = spends.splice(random(spends.length), 1);
          if (id !== undefined) await one.reverse(id);
          break;
        }
        default:
          await (random(2) === 0 ? advance(db, "1 minute") : one.reset(random(15)));
      }
    }
  }
  const broken = await rows(db, "select id from ledger.lot where available + expired + recovered > given");
  expect(broken).toEqual([]);
});

function permutations(items: number[]): number[][] {
  if (items.length <= 1) return [items];
  return items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map((rest) => [item].concat(rest)));
}
