import { expect } from "vitest";
import type { Pool } from "pg";
import { besideOpen, race, tally } from "../support/barrier.ts";
import { dice, newSeed } from "../support/dice.ts";
import type { Dice } from "../support/dice.ts";
import { assertStanding } from "../support/invariants.ts";
import { advance, call, outcome, rows } from "../support/scenario.ts";
import type { Db } from "../support/scenario.ts";
import { Subscriber, soldPlan, sweepAll, travelTo } from "../support/subscriber.ts";
import type { SoldPlan } from "../support/subscriber.ts";
import { testRoutines as test, times } from "./arena.ts";

// Sweeps of subscriptions that are paid from the balance, many of each kind at once, against each other and against what their
// customers do meanwhile. That Postgres ended no deadlock is asserted for the whole file (arena.ts).

const sweeps = ["auto_renew", "expire", "trial_expire", "trial_notice", "reminders"];

/** What a routine may say here; everything else, above all 40P01 and 55P03, is a failure. */
const refusals = new Set([
  "done",
  "insufficient_balance",
  "subscription_exists",
  "no_subscription",
  "change_invalid",
  "trial_used",
  "workspace_read_only",
  "amount_exceeds_payment",
]);

interface Offer {
  plan: SoldPlan;
  every: [number, string];
}

/** What was sold to whom, and where the money is. */
class Town {
  readonly db: Pool;
  readonly offers: Offer[];
  readonly people: Subscriber[];
  readonly throwDice: Dice;
  toppedUp = 0;
  refunded = 0;

  constructor(db: Pool, offers: Offer[], people: Subscriber[], throwDice: Dice) {
    this.db = db;
    this.offers = offers;
    this.people = people;
    this.throwDice = throwDice;
  }

  static async open(db: Pool, inhabitants: number, throwDice: Dice): Promise<Town> {
    const offers: Offer[] = [
      { plan: await soldPlan(db, { every: [1, "day"], grace_days: 2, amount: 100 }), every: [1, "day"] },
      {
        plan: await soldPlan(db, { every: [1, "week"], included_credits: 20, amount: 300 }),
        every: [1, "week"],
      },
      { plan: await soldPlan(db, { trial_days: 3, grace_days: 5, included_credits: 10 }), every: [1, "month"] },
      { plan: await soldPlan(db, { every: [30, "day"], amount: 0, grants_access: false }), every: [30, "day"] },
    ];
    const people = await race(inhabitants, () => Subscriber.make(db));
    return new Town(db, offers, people, throwDice);
  }

  #one<Thing>(of: readonly Thing[]): Thing {
    const found = of[this.throwDice(of.length)];
    if (found === undefined) throw new Error("there is none");
    return found;
  }

  /** Something that a customer does, decided now and done when it is called. */
  act(): () => Promise<string> {
    const [who, offer, n] = [this.#one(this.people), this.#one(this.offers), this.throwDice(100)];
    const [on, quantity, cents] = [this.throwDice(4) > 0, 1 + this.throwDice(2), 50 + this.throwDice(700)];
    if (n < 20) return () => this.#topUp(who, cents);
    if (n < 45) return () => outcome(who.buy(offer.plan, { auto_renew: on, quantity, every: offer.every }));
    if (n < 52) return () => outcome(who.change("cancel"));
    if (n < 58) return () => outcome(who.change("uncancel"));
    if (n < 61) return () => outcome(who.change("cancel_now"));
    if (n < 75) return () => outcome(who.renewal(on, on ? { ...offer, quantity } : {}));
    if (n < 80) return () => outcome(who.change("keep"));
    if (n < 90) return () => outcome(who.tryOut(this.offers[2]?.plan ?? offer.plan, { auto_renew: on }));
    return () => this.#refund(who);
  }

  async #topUp(who: Subscriber, cents: number): Promise<string> {
    const said = await outcome(who.topup(cents));
    if (said === "done") this.toppedUp += cents;
    return said;
  }

  /** What its newest period cost. */
  async #refund({ workspace }: Subscriber): Promise<string> {
    const [payment] = await rows<{ id: string; amount: number }>(
      this.db,
      `select id, amount_minor::bigint as amount from payments.payment
        where workspace_id = $1 and provider = 'balance' and amount_minor > 0 order by id desc limit 1`,
      [workspace],
    );
    if (payment === undefined) return "done";
    const given = call<object>(this.db, "payments.refund_payment", {
      workspace_id: workspace,
      payment_id: payment.id,
      amount_minor: null,
      reason: "he asked",
      caused_by: "test",
    });
    const said = await outcome(given);
    if (said === "done") this.refunded += payment.amount;
    return said;
  }

  /** What came in is what is left, and what periods cost that nobody took back. */
  async expectConserved(): Promise<void> {
    const [found] = await rows<{ left: number; paid: number }>(
      this.db,
      `select (select coalesce(sum(available + held - debt), 0)::int8 from ledger.account where unit = 'eur' and owner_id = any ($1))
                as left,
              (select coalesce(sum(amount_minor), 0)::int8 from payments.payment
                where provider = 'balance' and workspace_id = any ($1)) as paid`,
      [this.people.map(({ workspace }) => workspace)],
    );
    expect(Number(found?.left) + Number(found?.paid) - this.refunded).toBe(this.toppedUp);
  }
}

test("D4 D22 two to eight sweeps of each kind at once, and customers: no deadlock, no cent lost, each period once", async ({
  db,
}) => {
  const throwDice = dice(newSeed());
  const town = await Town.open(db, 14, throwDice);
  const said: string[] = [];
  for (const round of times(14)) {
    await advance(db, `${throwDice(30)} hours`);
    if (throwDice(4) === 0) await advance(db, `${1 + throwDice(9)} days`);
    const works = [
      ...sweeps.flatMap((name) =>
        times(2 + throwDice(7)).map(() => () => outcome(sweepAll(db, name, 1 + throwDice(4)))),
      ),
      ...times(24).map(() => town.act()),
    ].toSorted(() => throwDice(3) - 1);
    const heard = await race(works.length, (i) => works[i]?.() ?? Promise.resolve("done"));
    expect(
      heard.filter((what) => !refusals.has(what)),
      `round ${round}`,
    ).toEqual([]);
    said.push(...heard);
    await assertStanding(db);
    await town.expectConserved();
  }
  console.log(JSON.stringify(tally(said)));
  expect(await rows(db, "select from ops.parked")).toEqual([]);
});

/** As if its plan of a day had been bought so long before. */
const age = (db: Db, id: string, by: string) =>
  db.query(
    `update billing.subscription set anchor = anchor - $2::interval, current_period_start = current_period_start - $2::interval,
            current_period_end = current_period_end - $2::interval, renew_at = renew_at - $2::interval,
            expire_at = expire_at - $2::interval, notice_at = notice_at - $2::interval
      where id = $1`,
    [id, by],
  );

test("D15 what comes due while sweeps page is neither left out nor done twice", async ({ db }) => {
  const plan = await soldPlan(db, { every: [1, "day"], grace_days: 9 });
  const longer = await soldPlan(db, { every: [10, "day"] });
  /** One whose renewal is due, and one who is to hear that his period ends. */
  const make = async () => {
    const [renews, hears] = [await Subscriber.make(db, 700), await Subscriber.make(db)];
    await age(db, await renews.pay(plan), "26 hours");
    await age(db, await hears.pay(longer), "3 days 1 minute");
    return { renews, hears };
  };
  const before = await race(20, make);
  const meanwhile: typeof before = [];
  const ran = await race(12, async (i) => {
    if (i < 4) {
      for (const _ of times(6)) meanwhile.push(await make());
      return 0;
    }
    let done = 0;
    for (const _ of times(6)) done += (await sweepAll(db, i % 2 === 0 ? "auto_renew" : "reminders", 3)).processed;
    return done;
  });
  const last = [await sweepAll(db, "auto_renew", 3), await sweepAll(db, "reminders", 3)];
  const all = [...before, ...meanwhile];
  expect(all).toHaveLength(44);
  expect([...ran, ...last.map(({ processed }) => processed)].reduce((sum, n) => sum + n, 0)).toBe(88);
  expect(tally(await race(44, async (i) => String(await all[i]?.renews.cents())))).toEqual({ 200: 44 });
  expect(
    tally(await race(44, async (i) => (await all[i]?.hears.notices())?.map(({ kind }) => kind).join() ?? "")),
  ).toEqual({
    reminder: 44,
  });
});

test("D16 a batch is as many as were asked for, and says that there are more", async ({ db }) => {
  const plan = await soldPlan(db, { every: [1, "day"] });
  await race(25, async () => {
    const of = await Subscriber.make(db, 500);
    await age(db, await of.pay(plan), "25 hours");
  });
  const once = () => call<{ processed: number; more: boolean }>(db, "billing.auto_renew", { batch: 10 });
  expect([await once(), await once(), await once()]).toEqual([
    { processed: 10, failed: 0, more: true },
    { processed: 10, failed: 0, more: true },
    { processed: 5, failed: 0, more: false },
  ]);
});

test("D9 a renewal while its customer pays for the period: whoever is first, one is paid", async ({ db }) => {
  const plan = await soldPlan(db, { every: [1, "day"], grace_days: 1 });
  for (const first of ["customer", "sweep"]) {
    const of = await Subscriber.make(db, 500);
    await age(db, await of.pay(plan), "25 hours");
    const { keys } = await of.access();
    const pays = (on: Db) => outcome(of.on(on).buy(plan, { every: [1, "day"] }));
    const beside =
      first === "customer"
        ? await besideOpen(db, pays, () => sweepAll(db, "auto_renew"))
        : await besideOpen(
            db,
            (on) => sweepAll(on, "auto_renew"),
            () => pays(db),
          );
    expect(beside).toEqual(first === "customer" ? { processed: 0, failed: 0 } : "insufficient_balance");
    await sweepAll(db, "auto_renew");
    expect(await of.standing()).toMatchObject({ state: "active", period_number: 2 });
    expect(await of.access()).toMatchObject({ keys, states: ["pending"] });
    expect(await of.cents()).toBe(0);
  }
});

test("D9 an end while its customer pays: who was first keeps the subscription and its key, who was late has another", async ({
  db,
}) => {
  const plan = await soldPlan(db, { every: [1, "day"] });
  for (const first of ["customer", "sweep"]) {
    const of = await Subscriber.make(db, 500);
    await age(db, await of.pay(plan, { auto_renew: false }), "25 hours");
    const pays = (on: Db) => outcome(of.on(on).buy(plan, { every: [1, "day"] }));
    if (first === "customer") {
      expect(await besideOpen(db, pays, () => sweepAll(db, "expire"))).toEqual({ processed: 0, failed: 0 });
    } else {
      const sweeping = (on: Db) => sweepAll(on, "expire");
      expect(await besideOpen(db, sweeping, () => pays(db))).toBe("done");
    }
    await sweepAll(db, "expire");
    expect(await of.standing()).toMatchObject({ state: "active", period_number: first === "customer" ? 2 : 1 });
    expect((await of.access()).states).toEqual(first === "customer" ? ["pending"] : ["removing", "pending"]);
    expect(await of.cents()).toBe(0);
  }
});

test("D23 a purchase during a trial's expiry: in both orders it is paid for, and has one key", async ({ db }) => {
  const plan = await soldPlan(db, { trial_days: 1 });
  for (const first of ["customer", "sweep"]) {
    const of = await Subscriber.make(db, 500);
    const { trial_end } = await of.tryOut(plan);
    await travelTo(db, trial_end);
    const pays = (on: Db) => outcome(of.on(on).buy(plan));
    if (first === "customer") await besideOpen(db, pays, () => sweepAll(db, "trial_expire"));
    else
      await besideOpen(
        db,
        (on) => sweepAll(on, "trial_expire"),
        () => pays(db),
      );
    await sweepAll(db, "trial_expire");
    expect(await of.standing()).toMatchObject({ state: "active", period_number: 1 });
    const { states, until } = await of.access();
    expect([states.filter((state) => state === "pending"), until !== null, await of.cents()]).toEqual([
      ["pending"],
      true,
      0,
    ]);
  }
});

test("D17 a sweep waits for no customer: whose workspace or subscription is in hand is passed by, and done next time", async ({
  db,
}) => {
  const plan = await soldPlan(db, { every: [1, "day"] });
  const all = await race(6, async () => {
    const of = await Subscriber.make(db, 500);
    await age(db, await of.pay(plan), "25 hours");
    return of;
  });
  const [one, two] = all;
  const [other, sweeper] = [await db.connect(), await db.connect()];
  try {
    await other.query("begin");
    await other.query("select from people.workspace where id = $1 for no key update", [one?.workspace]);
    await other.query("select from billing.subscription where workspace_id = $1 for no key update", [two?.workspace]);
    await sweeper.query("set lock_timeout = '1s'");
    expect(await sweepAll(sweeper, "auto_renew", 2)).toMatchObject({ failed: 0 });
    expect(await sweepAll(sweeper, "auto_renew")).toMatchObject({ failed: 0 });
    expect(await race(6, async (i) => all[i]?.cents())).toEqual([500, 500, 0, 0, 0, 0]);
    await other.query("rollback");
    expect(await sweepAll(sweeper, "auto_renew")).toEqual({ processed: 2, failed: 0 });
  } finally {
    other.release(true);
    sweeper.release(true);
  }
});
