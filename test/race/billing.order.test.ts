import * as fc from "fast-check";
import { expect } from "vitest";
import { race } from "../support/barrier.ts";
import { dice } from "../support/dice.ts";
import type { Dice } from "../support/dice.ts";
import { assertInvariants } from "../support/invariants.ts";
import { advance, call, rows } from "../support/scenario.ts";
import type { Db } from "../support/scenario.ts";
import { Subject, Telling, agrees } from "../support/stripe-lives.ts";
import type { Script, Shelf } from "../support/stripe-lives.ts";
import { acts } from "../support/stripe-life.ts";
import type { LifePlan } from "../support/stripe-life.ts";
import { Till } from "../support/till.ts";
import type { TillEvent } from "../support/till.ts";
import { testRoutines as test } from "./arena.ts";

// Lives of subscriptions, as Stripe's own rules have them (test/support/stripe-life.ts), told to the inbox in any order, twice,
// under two ids and at once, while sweeps run and Stripe is asked and is slow to answer. The end is Stripe's object, and
// the credits are those of the invoices in their own order. The seed is printed; SEED=… repeats a run, RUNS=… lengthens it.

const seed = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);
const runs = (usual: number) => Number(process.env["RUNS"] ?? usual);

const act = fc.tuple(fc.constantFrom(...acts), fc.nat(7));
const days = fc.constantFrom(0, 0, 1, 3, 8, 17, 31, 40);
const scripts = (most: { together: number }) =>
  fc.record({
    plan: fc.nat(2),
    trial_days: fc.constantFrom(0, 0, 14),
    steps: fc.array(fc.record({ days, acts: fc.array(act, { minLength: 1, maxLength: most.together }) }), {
      minLength: 1,
      maxLength: 9,
    }),
  });

const now = async (db: Db) =>
  Math.floor((await rows<{ at: number }>(db, "select extract(epoch from ops.now())::float8 as at"))[0]?.at ?? 0);

const seats = 3;
const grace_days = 5;

/** Three plans, monthly and yearly, that roll over alike; the last is published when `publish` is called. */
async function shelf(till: Till, rollover_cap: number | null): Promise<Shelf & { publish: () => Promise<void> }> {
  const plans: (LifePlan & { keys: Record<string, string> })[] = [];
  for (const included of [20, 50, 110]) {
    const code = `plan_${crypto.randomUUID().replaceAll("-", "").slice(0, 12)}`;
    const { number } = await call<{ number: number }>(till.db, "billing.create_plan", {
      code,
      name: code,
      included_credits: included,
      rollover_cap,
      rollover_expires_in: null,
      seats,
      storage_bytes: null,
      trial_days: 14,
      grace_days,
      currencies: ["eur", "eur"],
      interval_units: ["month", "year"],
      interval_counts: [1, 1],
      amounts_minor: [included * 10, included * 100],
      caused_by: "test",
    });
    const keys = {
      [`price_${code}_m`]: `tollgate_${code}_${number}_eur_1month`,
      [`price_${code}_y`]: `tollgate_${code}_${number}_eur_1year`,
    };
    plans.push({ included, month: `price_${code}_m`, year: `price_${code}_y`, keys });
  }
  const publish = async (some: typeof plans) => {
    for (const { keys } of some) for (const [id, key] of Object.entries(keys)) await till.publish(key, id);
  };
  await publish(plans.slice(0, 2));
  const late = plans.slice(2).flatMap(({ month, year }) => [month, year]);
  return { plans, rollover_cap, seats, grace_days, late, publish: () => publish(plans.slice(2)) };
}

/** A workspace whose checkout is open, and the life that begins with it. */
async function begun(till: Till, { plans }: Shelf, script: Script): Promise<Subject> {
  const of = await till.customer();
  const price = plans[script.plan % 2]?.month;
  const [plan] = await rows<{ code: string; number: number; id: string }>(
    till.db,
    "select p.code, p.number, p.id from billing.plan p join billing.price r on r.plan_id = p.id where r.provider_id = $1",
    [price],
  );
  if (plan === undefined) throw new Error("the plan is not there");
  const subject = new Subject(of, plans, { ...script, plan: script.plan % 2 });
  subject.life.begin(await now(till.db), await till.checkout(of, { plan: { ...plan, price: price ?? "" } }));
  return subject;
}

/** Lets each life go one step on. */
async function step(till: Till, subjects: readonly Subject[], i: number): Promise<void> {
  const gaps = subjects.map(({ script }) => script.steps[i]?.days ?? 0);
  await advance(till.db, `${Math.max(0, ...gaps)} days`);
  const at = await now(till.db);
  for (const { life, script } of subjects)
    for (const [what, which] of script.steps[i]?.acts ?? []) life.happen(at, what, which);
}

const longest = (subjects: readonly Subject[]) => Math.max(0, ...subjects.map(({ script }) => script.steps.length));

function shuffled<Item>(items: readonly Item[], toss: Dice): Item[] {
  return items
    .map((item) => ({ item, at: toss(1_000_000) }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

/** The event once or twice, and at times the same fact under another id. */
function copies(till: Till, event: TillEvent, toss: Dice): TillEvent[] {
  const twin = toss(4) === 0 ? [till.event(event.type, event.fact, event.occurred_at)] : [];
  return [event, ...twin, ...(toss(3) === 0 ? [event] : [])];
}

test(
  "B2 in any order, twice, in parallel and with slow answers: the end is Stripe's object, and each invoice gave once",
  {
    timeout: 600_000,
  },
  async ({ db }) => {
    console.info(`seed ${seed}`);
    const till = new Till(db);
    const property = fc.asyncProperty(
      fc.array(scripts({ together: 3 }), { minLength: 2, maxLength: 4 }),
      fc.constantFrom(null, 30, 1000),
      fc.nat(),
      async (lives, rollover_cap, order) => {
        const toss = dice(order);
        const goods = await shelf(till, rollover_cap);
        const subjects: Subject[] = [];
        for (const script of lives) subjects.push(await begun(till, goods, script));
        const telling = new Telling(till, db, subjects, toss);
        let held: TillEvent[] = [];
        const tell = async (all: boolean) => {
          const found = subjects.flatMap((subject) => subject.news(till)).flatMap((event) => copies(till, event, toss));
          const mixed = shuffled([...held, ...found], toss);
          const cut = all ? mixed.length : toss(mixed.length + 1);
          held = mixed.slice(cut);
          const work = mixed.slice(0, cut).map((event) => () => telling.deliver(event));
          const beside = telling.others.filter(() => toss(2) === 0);
          const tasks = shuffled([...work, ...beside], toss);
          await race(tasks.length, async (i) => tasks[i]?.());
          for (const other of telling.others) if (toss(2) === 0) await other();
        };
        for (let i = 0; i < longest(subjects); i += 1) {
          await tell(false);
          await step(till, subjects, i);
          if (i === 4) await goods.publish();
        }
        await goods.publish();
        await tell(true);
        await telling.rest();
        for (const subject of subjects) await agrees(till, subject, goods);
      },
    );
    await fc.assert(property, { seed, numRuns: runs(9), endOnFailure: process.env["SHRINK"] === undefined });
    await assertInvariants(db);
  },
);

test(
  "B2 without ties nobody has to ask: the newest event is the end, and the credits are those of the order of periods",
  {
    timeout: 600_000,
  },
  async ({ db }) => {
    console.info(`seed ${seed}`);
    const till = new Till(db);
    const property = fc.asyncProperty(
      scripts({ together: 1 }),
      fc.constantFrom(null, 30, 1000),
      fc.nat(),
      async (script, rollover_cap, order) => {
        const toss = dice(order);
        const goods = await shelf(till, rollover_cap);
        await goods.publish();
        // The same life twice: one is told as it happens, the other anyhow.
        const subjects = [await begun(till, goods, script), await begun(till, goods, script)];
        const [orderly, other] = subjects;
        if (orderly === undefined || other === undefined) throw new Error("nobody lives");
        for (let i = 0; i < longest(subjects); i += 1) {
          await advance(db, "2 seconds");
          await step(till, subjects, i);
        }
        for (const event of orderly.news(till)) expect(await till.deliver(event)).toMatchObject({ state: "applied" });
        const events = shuffled(
          other.news(till).flatMap((event) => copies(till, event, toss)),
          toss,
        );
        await race(events.length, async (i) => till.deliver(events[i] ?? till.event("none", null), db));
        for (const subject of subjects) await agrees(till, subject, goods);
      },
    );
    await fc.assert(property, { seed, numRuns: runs(14), endOnFailure: process.env["SHRINK"] === undefined });
  },
);
