import { expect } from "vitest";
import { alarms, differences, digest } from "../support/books.ts";
import { type Crossing, day, test } from "../support/crossing.ts";
import { CustomerLife, type Shelf, stock } from "../support/customer-life.ts";

/** Nobody here is told anything, and no sweep runs, while something goes on at Stripe. */
async function away({ stripe }: Crossing, work: () => Promise<void>): Promise<void> {
  await stripe.settled();
  stripe.deliveries = "dropped";
  await work();
  stripe.deliveries = "automatic";
}

async function subscribers(crossing: Crossing, shelf: Shelf, n: number): Promise<CustomerLife[]> {
  const lives: CustomerLife[] = [];
  for (let i = 0; i < n; i += 1) {
    const life = await CustomerLife.begin(crossing, shelf);
    await life.buyPlan();
    lives.push(life);
  }
  await crossing.stripe.settled();
  return lives;
}

function creditsOf({ api }: Crossing, lives: CustomerLife[]) {
  return Promise.all(lives.map(async ({ workspace }) => (await api.get(workspace.credits)).body["available"]));
}

test("A11 B2 an outage of 29 days is made good: purchases, a renewal, an upgrade, refunds, disputes and ends", async ({
  crossing,
}) => {
  const { stripe, travel, mend } = crossing;
  const shelf = await stock(crossing);
  const [renewed, upgraded, refunded, disputed, ended, failing] = await subscribers(crossing, shelf, 6);
  if (!renewed || !upgraded || !refunded || !disputed || !ended || !failing) throw new Error("too few");
  const buyer = await CustomerLife.begin(crossing, shelf);
  await travel(10 * day);
  await away(crossing, async () => {
    await buyer.buyPack();
    await buyer.buyPlan();
    await renewed.buyPack();
    await refunded.refund(950);
    await disputed.buyPack();
    const dispute = stripe.openDispute({ payment: disputed.lastPaid(), amount: 450 });
    stripe.setCard(failing.customer, "declines");
    await ended.cancelAtPeriodEnd(true);
    await travel(20 * day);
    stripe.closeDispute(dispute.id, "lost");
    await travel(3 * day);
    await upgraded.move("large");
    await travel(6 * day);
  });
  await mend();
  expect(await creditsOf(crossing, [buyer, renewed, refunded, disputed, ended])).toEqual([600, 600, 500, 550, 0]);
  const [more] = await creditsOf(crossing, [upgraded]);
  // What a change within a period gives is the difference for what is left of it, and no more.
  expect(more).toBeGreaterThan(500 + 250);
  expect(more).toBeLessThan(900);
});

test("A11 B2 an outage of three months: what is is as at Stripe, and what nobody can know any more is an alarm", async ({
  crossing,
}) => {
  const { stripe, travel, tick, pastWhatIsDue, db } = crossing;
  const shelf = await stock(crossing);
  const [renewed, upgraded, ended, failing] = await subscribers(crossing, shelf, 4);
  if (!renewed || !upgraded || !ended || !failing) throw new Error("too few");
  await tick();
  await away(crossing, async () => {
    await upgraded.move("large");
    await ended.cancelNow();
    stripe.setCard(failing.customer, "declines");
    await travel(95 * day);
    // Stripe keeps 30 days.
    const since = stripe.now().getTime() / 1000 - 30 * 86_400;
    for (const { id, created } of stripe.events()) if (created < since) stripe.state.events.delete(id);
  });
  for (let i = 0; i < 3; i += 1) {
    await travel(20);
    await tick();
  }
  await pastWhatIsDue();
  const wrong = Object.values(await differences(db, stripe)).flat();
  // Of what was paid before those 30 days nobody was told.
  expect(wrong.filter((line) => !/took .* here: nothing|renewed nothing/.test(line))).toEqual([]);
  expect(await alarms(db)).toEqual([expect.stringMatching(/^events_lost /)]);
  const before = await digest(db);
  await travel(5);
  await tick();
  expect(await digest(db)).toEqual(before);
});
