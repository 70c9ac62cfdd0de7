import { randomUUID } from "node:crypto";
import type { Pool } from "pg";
import { describe, expect } from "vitest";
import { race } from "../support/barrier.ts";
import { dice, newSeed } from "../support/dice.ts";
import type { Dice } from "../support/dice.ts";
import { Account, advance, call, outcome, refusal, rows } from "../support/scenario.ts";
import { test } from "../support/sql.ts";

interface Item {
  account: Account;
  amount: number | null;
  key: string | null;
}

interface Charged {
  charged: boolean[];
  transaction_ids: (string | null)[];
}

const item = (account: Account, amount: number | null, key: string | null = randomUUID()): Item => ({
  account,
  amount,
  key,
});

const chargeMany = (db: Pool, items: Item[]) =>
  call<Charged>(db, "ledger.charge_many", {
    owner_ids: items.map(({ account }) => account.owner),
    units: items.map(({ account }) => account.unit),
    amounts: items.map(({ amount }) => amount),
    idempotency_keys: items.map(({ key }) => key),
    side: "revenue",
    caused_by: "test",
    reason: "a period",
  });

const charge = (db: Pool, { account, amount, key }: Item) =>
  call(db, "ledger.charge", {
    owner_id: account.owner,
    unit: account.unit,
    amount,
    side: "revenue",
    reason: "a period",
    idempotency_key: key,
    caused_by: "test",
  });

/** All that an owner's ledger holds, without what differs between twins: ids and times; lots are named by their age. */
async function image(db: Pool, owner: string): Promise<unknown> {
  const [found] = await rows<{ image: unknown }>(
    db,
    `with lot as (select l.*, row_number() over (order by l.id) as age from ledger.lot l where l.owner_id = $1)
     select jsonb_build_object(
       'accounts', (select jsonb_agg(jsonb_build_array(a.unit, a.available, a.held, a.debt, a.next_expiry is null,
          (select min(l.age) from lot l where l.unit = a.unit and l.expires_at = a.next_expiry)) order by a.unit)
          from ledger.account a where a.owner_id = $1),
       'lots', (select jsonb_agg(jsonb_build_array(l.age, l.unit, l.pool, l.given, l.available, l.empty, l.expired,
          l.recovered, l.covered, l.closed_at is null) order by l.age) from lot l),
       'transactions', (select jsonb_agg(jsonb_build_array(t.unit, t.kind, t.amount, t.reason, t.caused_by, t.sides, t.amounts,
          (select jsonb_agg(l.age order by x.position)
             from unnest(t.lots) with ordinality x(id, position) left join lot l on l.id = x.id)) order by t.id)
          from ledger.transaction t where t.owner_id = $1)) as image`,
    [owner],
  );
  return found?.image;
}

/** A history by dice: nothing at all, lots that expire and lots that do not, some spent, held, owed, or over by now. */
async function history(account: Account, throws: Dice): Promise<void> {
  const payment = randomUUID();
  for (let lots = throws(6); lots > 0; lots -= 1) {
    const pool = ["subscription", "bulk", "promo"][throws(3)] ?? "bulk";
    const expiry = [{}, { expires_in: "1 minute" }, { expires_in: "1 day" }, { expires_in: "2 days" }][throws(4)];
    await account.grant(1 + throws(20), { pool, payment, ...expiry });
  }
  const [available] = await account.sums();
  if (available > 1 && throws(3) === 0) await account.spend(1 + throws(available - 1));
  const [left] = await account.sums();
  if (left > 1 && throws(4) === 0) await account.hold(1 + throws(left - 1), { expires_in: "1 year" });
  if (throws(6) === 0) await account.takeBack(payment, { refunded: throws(101) });
}

describe("many charges in one call", () => {
  test("A12 are exactly what as many single charges are, to the lot and the entry: 40 accounts by dice", async ({
    db,
  }) => {
    const seed = newSeed();
    for (let round = 0; round < 3; round += 1) {
      const twins = [new Array<Item>(), new Array<Item>()] as const;
      for (let i = 0; i < 40; i += 1) {
        for (const items of twins) {
          // The same dice for both, so that they live the same life.
          const throws = dice(seed + round * 1000 + i);
          const account = new Account(db, { unit: ["eur", "credit"][throws(2)] ?? "eur" });
          await history(account, throws);
          items.push(item(account, 1 + throws(30)));
        }
      }
      await advance(db, "1 hour");
      const [ours, theirs] = twins;
      const before = await Promise.all(ours.map(({ account }) => image(db, account.owner)));
      const { charged, transaction_ids } = await chargeMany(db, ours);
      const singly = await Promise.all(theirs.map(async (one) => (await outcome(charge(db, one))) === "done"));
      expect(charged).toEqual(singly);
      expect(new Set(charged)).toEqual(new Set([true, false]));
      for (const [i, { account, key }] of ours.entries()) {
        const twin = theirs[i]?.account.owner ?? "";
        expect(await image(db, account.owner), `account ${i} of round ${round}`).toEqual(await image(db, twin));
        if (charged[i] !== true) expect(await image(db, account.owner)).toEqual(before[i]);
        const [row] = await rows<{ id: string }>(
          db,
          "select id from ledger.transaction where owner_id = $1 and idempotency_key = $2",
          [account.owner, key],
        );
        expect(transaction_ids[i] ?? null).toBe(row?.id ?? null);
        const { oks } = await call<{ oks: boolean[] }>(db, "ledger.verify", { owner_id: account.owner });
        expect(oks).not.toContain(false);
      }
    }
  });

  test("A12 what has expired pays nothing, whether a sweep ran or not, and what a parked account has is free again", async ({
    db,
  }) => {
    const [over, enough] = [new Account(db), new Account(db)];
    for (const account of [over, enough]) await account.grant(10, { pool: "promo", expires_in: "1 minute" });
    await enough.grant(10);
    await advance(db, "2 minutes");
    await db.query("select ops.park('lots_expire', $1, 'XX000', 'x')", [`${enough.owner}:credit`]);
    await db.query("update ledger.account set parked_until = ops.now() where owner_id = $1", [enough.owner]);
    expect((await chargeMany(db, [item(over, 1), item(enough, 10)])).charged).toEqual([false, true]);
    expect([await over.sums(), await enough.sums()]).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ]);
    expect(await over.kinds()).toEqual({ grant: 1 });
    expect(await enough.kinds()).toEqual({ grant: 2, expire: 1, charge: 1 });
    expect(await rows(db, "select from ops.parked where subject like $1", [`${enough.owner}%`])).toEqual([]);
  });

  test("A12 an owner with accounts in two units is charged in each; one without an account is not, and gets none", async ({
    db,
    account,
  }) => {
    const [usd, nobody] = [account.in("usd"), new Account(db)];
    await account.grant(5);
    await usd.grant(7);
    const { charged } = await chargeMany(db, [item(usd, 7), item(nobody, 1), item(account, 6)]);
    expect(charged).toEqual([true, false, false]);
    expect([await usd.sums(), await account.sums()]).toEqual([
      [0, 0, 0],
      [5, 0, 0],
    ]);
    expect(await rows(db, "select from ledger.account where owner_id = $1", [nobody.owner])).toEqual([]);
    expect(await chargeMany(db, [])).toEqual({ charged: [], transaction_ids: [] });
    expect(await chargeMany(db, [item(nobody, 1)])).toEqual({ charged: [false], transaction_ids: [null] });
  });

  test("a key that was used refuses the whole call, and nobody is charged", async ({ db, account }) => {
    const other = new Account(db);
    for (const one of [account, other]) await one.grant(10);
    const { transaction_id } = await account.spend(1, { key: "used" });
    const again = () => refusal(chargeMany(db, [item(other, 1), item(account, 1, "used")]));
    expect(await again()).toEqual({ code: "idempotency_key_reused", transaction_id });
    await advance(db, "36 days");
    expect(await again()).toEqual({ code: "idempotency_key_expired", transaction_id });
    expect([await other.sums(), await other.kinds()]).toEqual([[10, 0, 0], { grant: 1 }]);
  });

  test("of one owner, two units cannot share a key", async ({ db, account }) => {
    const usd = account.in("usd");
    for (const one of [account, usd]) await one.grant(10);
    const shared = chargeMany(db, [item(account, 1, "one"), item(usd, 1, "one")]);
    expect(await refusal(shared)).toMatchObject({ code: "idempotency_key_reused" });
    expect([await account.sums(), await usd.sums()]).toEqual([
      [10, 0, 0],
      [10, 0, 0],
    ]);
  });

  test("a call that makes no sense is refused as a whole", async ({ db, account }) => {
    await account.grant(10);
    const other = new Account(db);
    await other.grant(10);
    for (const wrong of [
      [item(account, 1), item(account, 1)],
      [item(account, 0)],
      [item(account, -1)],
      [item(account, null)],
      [item(account, 1, null)],
    ]) {
      expect(await refusal(chargeMany(db, [item(other, 1), ...wrong]))).toMatchObject({ sqlstate: "TG011" });
    }
    const uneven = call(db, "ledger.charge_many", {
      owner_ids: [other.owner, account.owner],
      units: ["credit", "credit"],
      amounts: [1],
      idempotency_keys: ["a", "b"],
      side: "revenue",
      caused_by: "test",
    });
    expect(await refusal(uneven)).toMatchObject({ sqlstate: "TG011" });
    expect([await account.sums(), await other.sums()]).toEqual([
      [10, 0, 0],
      [10, 0, 0],
    ]);
  });
});

describe("many calls at once over the same owners, each in an order of its own", () => {
  test("B14 no deadlock, nobody is charged twice, and every sum is exact: 2 to 8 at once", async ({ db }) => {
    const seed = newSeed();
    for (let n = 2; n <= 8; n += 1) {
      const throws = dice(seed + n);
      const accounts = Array.from({ length: 12 }, () => new Account(db, { unit: "eur" }));
      const given = new Map<Account, number>();
      for (const account of accounts) {
        for (let lots = 1 + throws(4); lots > 0; lots -= 1) {
          const amount = 1 + throws(10);
          given.set(account, (given.get(account) ?? 0) + amount);
          await account.grant(amount, throws(2) === 0 ? {} : { pool: "promo", expires_in: `${1 + throws(9)} days` });
        }
      }
      const took = await race(n, async () => {
        const shuffled = accounts
          .map((account) => ({ account, place: throws(1_000_000) }))
          .toSorted((a, b) => a.place - b.place)
          .map(({ account }) => account)
          .slice(throws(4));
        const items = shuffled.map((account) => item(account, 1 + throws(6)));
        const { charged } = await chargeMany(db, items);
        return items.filter((_, i) => charged[i]);
      });
      for (const account of accounts) {
        const mine = took.flat().filter((one) => one.account === account);
        const taken = mine.reduce((sum, { amount }) => sum + (amount ?? 0), 0);
        expect(await account.sums(), `${n} at once`).toEqual([(given.get(account) ?? 0) - taken, 0, 0]);
        expect((await account.kinds())["charge"] ?? 0).toBe(mine.length);
        const { oks } = await call<{ oks: boolean[] }>(db, "ledger.verify", { owner_id: account.owner });
        expect(oks).not.toContain(false);
      }
    }
  });

  test("one period by one key, told by 8 at once: charged once, the rest are refused", async ({ db }) => {
    const accounts = Array.from({ length: 6 }, () => new Account(db, { unit: "eur" }));
    for (const account of accounts) await account.grant(100);
    const outcomes = await race(8, (i) => {
      const items = accounts.map((account) => item(account, 10, "period-1"));
      return outcome(chargeMany(db, i % 2 === 0 ? items : items.toReversed()));
    });
    expect(outcomes.toSorted()).toEqual(["done", ...Array.from({ length: 7 }, () => "idempotency_key_reused")]);
    for (const account of accounts) expect(await account.sums()).toEqual([90, 0, 0]);
  });

  test("B14 beside spends, grants and single charges of the same accounts: all that was there is accounted for", async ({
    db,
  }) => {
    const accounts = Array.from({ length: 8 }, () => new Account(db, { unit: "eur" }));
    for (const account of accounts) for (let i = 0; i < 3; i += 1) await account.grant(5, { pool: "promo" });
    const outcomes = await race(24, async (i) => {
      const order = i % 2 === 0 ? accounts : accounts.toReversed();
      const [one] = order;
      if (i % 3 === 0)
        return outcome(
          chargeMany(
            db,
            order.map((account) => item(account, 2)),
          ),
        );
      if (one === undefined) return "nobody";
      if (i % 3 === 1) return outcome(one.spend(3));
      return outcome(i % 2 === 0 ? one.grant(1) : charge(db, item(one, 4)));
    });
    const allowed = new Set(["done", "insufficient_credits", "insufficient_balance"]);
    expect(outcomes.filter((what) => !allowed.has(what))).toEqual([]);
  });
});
