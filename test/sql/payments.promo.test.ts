import { expect } from "vitest";
import { Counter } from "../support/counter.ts";
import type { Db } from "../support/scenario.ts";
import { test } from "../support/sql.ts";

/** A counter with a pack of 100 credits at 10 €, and a workspace. */
async function shop(db: Db) {
  const counter = new Counter(db);
  return { counter, pack: await counter.till.pack(100), workspace: await counter.workspace() };
}

test("a quote is the price times the quantity, less what the code takes off: a part rounded down, or an amount, at most all", async ({
  db,
}) => {
  const { counter, pack, workspace } = await shop(db);
  const [part, fixed, much] = [
    await counter.promo({ percent: 33 }),
    await counter.promo({ amounts_minor: [350, 400], currencies: ["usd", "eur"] }),
    await counter.promo({ amounts_minor: [9_007_199_254_740_991], currencies: ["eur"] }),
  ];
  const of = async (order: object) => {
    const { list_minor, discount_minor, amount_minor } = await counter.quote(workspace, { pack, ...order });
    return [list_minor, discount_minor, amount_minor];
  };
  expect(await of({ quantity: 3 })).toEqual([3000, 0, 3000]);
  expect(await of({ promo: ` ${part.code.toLowerCase()} ` })).toEqual([1000, 330, 670]);
  expect(await of({ pack: undefined, topup: 101, promo: part.code })).toEqual([101, 33, 68]);
  expect(await of({ promo: fixed.code, quantity: 2 })).toEqual([2000, 400, 1600]);
  expect(await of({ promo: much.code })).toEqual([1000, 1000, 0]);
  expect(await of({ pack: undefined, topup: 9_007_199_254_740_991, promo: part.code })).toEqual([
    9_007_199_254_740_991, 2_972_375_754_064_527, 6_034_823_500_676_464,
  ]);
  expect(await counter.quote(workspace, { pack })).toMatchObject({
    name: pack.code,
    kind: "credit_pack",
    trial_days: 0,
  });
});
