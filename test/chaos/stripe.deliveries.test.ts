import type Stripe from "stripe";
import { expect } from "vitest";
import { eventTypes } from "../../src/outside/stripe/fact.ts";
import { differences } from "../support/books.ts";
import { type Crossing, day, test } from "../support/crossing.ts";
import { CustomerLife, type Shelf, stock } from "../support/customer-life.ts";
import { customerOf, send, shuffled } from "../support/deliveries.ts";
import { dice, type Dice } from "../support/dice.ts";
import type { Trip } from "../support/wires.ts";

/** The events of a work that is done while Stripe keeps all of them back. */
async function heldBack({ stripe, db }: Crossing, work: () => Promise<void>): Promise<Stripe.Event[]> {
  await stripe.settled();
  const before = new Set(stripe.state.events.keys());
  stripe.deliveries = "held";
  await work();
  const told = stripe.events().filter(({ id, type }) => !before.has(id) && eventTypes.includes(type));
  // They are sent by the test; what is held would else be sent once more when the mode goes back.
  for (const delivery of stripe.state.deliveries.values()) if (delivery.state === "held") delivery.state = "dropped";
  stripe.deliveries = "automatic";
  // Nobody but the deliveries is to tell of it: the sweep that looks for what was missed begins now.
  await db.query("update ops.cursor set since = ops.now(), until = null, position = null");
  return told;
}

/** Every type of event that a customer can cause here. */
async function wholeLife(crossing: Crossing, shelf: Shelf): Promise<CustomerLife[]> {
  const { travel, stripe } = crossing;
  const life = await CustomerLife.begin(crossing, shelf);
  await life.buyPack();
  await life.refund(300);
  await life.buyPlan();
  await travel(3 * day);
  await life.move("large");
  await travel(30 * day);
  const won = stripe.openDispute({ payment: life.lastPaid() });
  stripe.closeDispute(won.id, "won");
  await life.cancelAtPeriodEnd(true);
  await life.cancelAtPeriodEnd(false);
  stripe.setCard(life.customer, "declines");
  await travel(32 * day);
  stripe.setCard(life.customer, "pays");
  await travel(6 * day);
  await life.buyPack();
  const lost = stripe.openDispute({ payment: life.lastPaid(), amount: 450 });
  stripe.closeDispute(lost.id, "lost");
  const gone = await CustomerLife.begin(crossing, shelf);
  await gone.buyPack();
  await gone.stripe.customers.del(gone.customer);
  const ended = await CustomerLife.begin(crossing, shelf);
  await ended.buyPlan();
  await ended.cancelNow();
  return [life, gone, ended];
}

const deaths: [string, Trip, number][] = [
  ["dies before the statement", { nth: 1, when: "before", how: "dead" }, 503],
  ["dies after the commit", { nth: 1, when: "after", how: "dead" }, 503],
  ["loses the answer after the commit", { nth: 1, when: "after", how: "cut" }, 200],
];

test.for(deaths)(
  "A10 A11 the deployment %s of every delivery: each event has its effect, once",
  async ([, trip, status], { crossing }) => {
    const { stripe, lanes, api, mend, db } = crossing;
    const [lane] = lanes;
    if (lane === undefined) throw new Error("no lane");
    const shelf = await stock(crossing);
    let lives: CustomerLife[] = [];
    const told = await heldBack(crossing, async () => {
      lives = await wholeLife(crossing, shelf);
    });
    for (const event of told) {
      lane.wires.trip(trip);
      expect([event.type, await send(stripe, lane.worker.url, event)]).toEqual([event.type, status]);
      lane.wires.mend();
      const { rows } = await db.query("select state from ops.event where id = $1", [event.id]);
      expect([event.type, rows.length]).toEqual([event.type, trip.when === "after" ? 1 : 0]);
      expect(await send(stripe, lane.worker.url, event)).toBe(200);
    }
    await mend();
    const left = await Promise.all(
      lives.map(async ({ workspace }) => (await api.get(workspace.credits)).body["available"]),
    );
    // 67 of a pack refunded by a third, 50 of one disputed by a half, and the large plan's period; a pack; nothing.
    expect(left).toEqual([67 + 50 + 900, 100, 0]);
  },
);

/** Has each do the same in the same second of Stripe's: what is prorated counts seconds. */
async function alike({ stripe }: Crossing, lives: CustomerLife[], act: (life: CustomerLife) => Promise<unknown>) {
  const at = Math.ceil(stripe.now().getTime() / 1000) * 1000;
  for (const life of lives) {
    stripe.state.offset_ms += at - stripe.now().getTime();
    await act(life);
  }
}

/** Does something at random, which a bank, a person or time may do. */
async function actOf(crossing: Crossing, lives: CustomerLife[], roll: Dice): Promise<void> {
  const { stripe, travel } = crossing;
  const act = roll(9);
  if (act >= 7) {
    await travel(act === 7 ? 5 * day : 31 * day);
    return;
  }
  await alike(crossing, lives, async (life) => {
    const isActive = stripe.state.subscriptions.get(life.subscription)?.status === "active";
    if (act === 0) await life.buyPack();
    else if (act === 1 && isActive && !life.movedUp()) await life.move("large");
    else if (act === 2 && isActive) await life.move("small");
    else if (act === 3 && isActive) await life.cancelAtPeriodEnd(true);
    else if (act === 4 && isActive) await life.cancelAtPeriodEnd(false);
    else if (act === 5 && life.lastPaid() !== "") await life.refund(200);
    else if (act === 6 && life.lastPaid() !== "") {
      stripe.closeDispute(stripe.openDispute({ payment: life.lastPaid() }).id, "lost");
    }
  });
}

const runs = Number(process.env["RUNS"] ?? 10);

test.for(Array.from({ length: runs }, (_, i) => i + 1))(
  "B2 a customer's events in any order, twice and at once, end as in their order: %i",
  async (seed, { crossing }) => {
    const { stripe, api, worker, mend, db } = crossing;
    const shelf = await stock(crossing);
    const roll = dice(seed);
    // Two who do the same at the same times: the first one's events come as they happened.
    const lives = [await CustomerLife.begin(crossing, shelf), await CustomerLife.begin(crossing, shelf)];
    const told = await heldBack(crossing, async () => {
      await alike(crossing, lives, (life) => life.buyPlan());
      for (let i = 0; i < 8; i += 1) await actOf(crossing, lives, roll);
    });
    const [straight, mixed] = lives.map(({ customer }) =>
      told.filter((event) => customerOf(stripe, event) === customer),
    );
    const others = told.filter((event) => !lives.some(({ customer }) => customer === customerOf(stripe, event)));
    for (const event of [...others, ...(straight ?? [])]) expect(await send(stripe, worker.url, event)).toBe(200);
    const twice = shuffled([...(mixed ?? []), ...(mixed ?? [])], roll);
    while (twice.length > 0) {
      const some = twice.splice(0, 1 + roll(6));
      const answers = await Promise.all(some.map((event) => send(stripe, worker.url, event)));
      expect(answers.filter((status) => status !== 200)).toEqual([]);
    }
    await mend();
    expect(await differences(db, stripe)).toEqual({});
    const [one, other] = await Promise.all(
      lives.map(async ({ workspace }) => {
        const { body } = await api.get(workspace.credits);
        return { available: body["available"], debt: body["debt"], pools: body["pools"] };
      }),
    );
    expect(other).toEqual(one);
  },
);
