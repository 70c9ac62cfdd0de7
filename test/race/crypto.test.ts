import { expect } from "vitest";
import { race } from "../support/barrier.ts";
import { Coins } from "../support/coins.ts";
import { dice, newSeed } from "../support/dice.ts";
import { rows } from "../support/scenario.ts";
import { test as plain } from "../support/sql.ts";

const test = plain.extend("coins", ({ db }) => new Coins(db));

test("D12 50 tellers at once, webhooks and watchers, of one invoice: one effect", async ({ coins, db }) => {
  const { counter } = coins;
  const promo = await counter.promo({ max_redemptions: 5, percent: 50 });
  for (const order of [
    { topup: 2000, promo: promo.code },
    { pack: await counter.till.pack(100) },
    { plan: await counter.till.plan() },
  ]) {
    const bill = await coins.buying(order);
    const fact = coins.fact(bill, { status: "Settled", paid_minor: bill.amount_minor + 300 });
    const outcomes = await race(50, (i) => (i % 2 === 0 ? coins.tells(fact) : coins.watched(bill, fact)));
    expect(outcomes.filter((outcome) => outcome === "paid").length).toBeGreaterThan(0);
    const standing = await coins.standing(bill);
    expect(standing).toMatchObject({ state: "paid", payments: [`${bill.amount_minor} eur`, ":2 300 eur"], alarms: [] });
    expect(standing.balance).toBe("topup" in order ? 2300 : 300);
    expect(
      await rows(db, "select count(*)::int as told from messages.outbox where dedupe_key = $1", [
        `purchase_paid:${bill.purchase}`,
      ]),
    ).toEqual([{ told: 1 }]);
  }
});

test("D12 whatever is told, in any order and any number, by any number of tellers: it ends where the last word puts it", async ({
  coins,
}) => {
  const throws = dice(newSeed());
  for (let round = 0; round < 12; round += 1) {
    const bill = await coins.buying();
    const parts = [1 + throws(1400), 1 + throws(700)];
    const [first = 0, second = 0] = parts;
    const both = first + second;
    const inTime = throws(2) === 0;
    const words = [
      coins.fact(bill),
      coins.fact(bill, { status: first >= 1000 ? "Processing" : "New", paid_minor: first, unconfirmed: true }),
      ...(first >= 1000 || inTime
        ? [
            coins.fact(bill, { status: both >= 1000 ? "Processing" : "New", paid_minor: both, unconfirmed: true }),
            coins.fact(bill, { status: both >= 1000 ? "Settled" : "Expired", paid_minor: both }),
          ]
        : [
            coins.fact(bill, { status: "Expired", paid_minor: first }),
            coins.fact(bill, { status: "Expired", paid_minor: both, unconfirmed: true }),
            coins.fact(bill, { status: "Expired", paid_minor: both }),
          ]),
    ];
    const told = Array.from({ length: 24 }, () => words[throws(words.length)]).filter((word) => word !== undefined);
    const all = [...told, ...words];
    await race(all.length, (i) => {
      const word = all[i];
      if (word === undefined) throw new Error("nothing is told");
      return i % 3 === 0 ? coins.watched(bill, word) : coins.tells(word);
    });
    const last = words.at(-1);
    if (last !== undefined) await coins.watched(bill, last);
    const { state, balance, payments, alarms } = await coins.standing(bill);
    const sum = payments.reduce((total, payment) => total + Number(/(\d+) eur/.exec(payment)?.[1]), 0);
    expect({ round, parts, inTime, state, balance, sum, alarms }).toEqual({
      round,
      parts,
      inTime,
      state: both >= 1000 ? "paid" : "expired",
      balance: both >= 1000 ? both : 0,
      sum: both,
      alarms: both >= 1000 ? [] : ["payment_does_not_fit"],
    });
  }
});

test("D12 two invoices of one purchase, paid at the same moment and told by many: one buys it, the other is kept", async ({
  coins,
}) => {
  for (let round = 0; round < 5; round += 1) {
    const bill = await coins.buying();
    const bills = [bill, { ...bill, invoice: `other${bill.invoice}` }];
    await race(16, (i) => {
      const fact = coins.fact(bills[i % 2] ?? bill, { status: "Settled", paid_minor: 1000 });
      return i % 4 < 2 ? coins.tells(fact) : coins.watched(bill, fact);
    });
    const standing = await coins.standing(bill);
    expect(standing.payments.toSorted()).toEqual(["1000 eur", "1000 eur kept"]);
    expect(standing).toMatchObject({ state: "paid", balance: 1000, alarms: ["payment_does_not_fit"] });
  }
});
