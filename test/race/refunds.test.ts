import * as fc from "fast-check";
import type { Pool } from "pg";
import { expect } from "vitest";
import { race } from "../support/barrier.ts";
import { dice } from "../support/dice.ts";
import { eventsOf, finalFacts, moneyBack, share, totals } from "../support/money-back.ts";
import type { MoneyBack } from "../support/money-back.ts";
import { Account, call, outcome, rows } from "../support/scenario.ts";
import { Till, checkoutFact, invoiceFact } from "../support/till.ts";
import type { Offer, TillEvent } from "../support/till.ts";
import { testRoutines as test } from "./arena.ts";

// Whatever the order, the repetitions and the company in which refunds and disputes come to be known, what a payment gave is
// in the end a function of the final objects. The seed is printed; SEED=… repeats a run, RUNS=… makes it longer.

const seed = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);
const numRuns = Number(process.env["RUNS"] ?? 12);

const pack = { given: 97, paid: 1000 };
const period = { given: 53, paid: 1900 };

interface Story {
  pack: MoneyBack;
  period: MoneyBack;
  /** How events are ordered, repeated and lost, and what the workspace does meanwhile. */
  throws: number;
  /** How many are delivered at once. */
  at_once: number;
  /** The invoice names its payment intent; if not, only the provider tells whose it is. */
  named: boolean;
}

const story: fc.Arbitrary<Story> = fc.record({
  pack: moneyBack(pack.paid),
  period: moneyBack(period.paid),
  throws: fc.nat(),
  at_once: fc.constantFrom(1, 1, 3, 8),
  named: fc.boolean(),
});

/** One workspace that bought a pack and has a plan's period, and what came of it. */
class Scene {
  readonly till: Till;
  readonly account: Account;
  readonly intents: { pack: string; period: string };
  readonly references: { pack: string; period: string };
  readonly purchase: string;
  readonly events: TillEvent[];
  used = 0;

  private constructor(fields: Omit<Scene, "used" | "deliver" | "live" | "sync" | "end">) {
    this.till = fields.till;
    this.account = fields.account;
    this.intents = fields.intents;
    this.references = fields.references;
    this.purchase = fields.purchase;
    this.events = fields.events;
  }

  static async open(db: Pool, offers: { pack: Offer; plan: Offer }, { pack: ofPack, period: ofPeriod, named }: Story) {
    const till = new Till(db);
    const customer = await till.customer();
    const checkout = await till.checkout(customer, { pack: offers.pack });
    const intents = { pack: `pi_pack_${checkout.session}`, period: `pi_period_${checkout.session}` };
    const invoice = invoiceFact(customer, `sub_${checkout.session}`, offers.plan.price, {
      amount_paid: period.paid,
      payment_intents: named ? [intents.period] : [],
    });
    const session = checkoutFact(customer, checkout, { payment_intent: intents.pack, amount_total: pack.paid });
    const of = (paid: number) => ({ paid, customer: customer.customer });
    return new Scene({
      till,
      account: new Account(db, { owner: customer.workspace }),
      intents,
      references: { pack: checkout.session, period: invoice.invoice },
      purchase: checkout.purchase,
      events: [
        till.event("checkout.session.completed", session),
        till.event("invoice.paid", invoice),
        ...eventsOf(till, ofPack, intents.pack, of(pack.paid)),
        ...eventsOf(till, ofPeriod, intents.period, of(period.paid)),
      ],
    });
  }

  /** Delivers events in the dice's order, some twice, so many at once, while the workspace goes on. */
  async deliver(events: TillEvent[], { throws, at_once }: Story): Promise<void> {
    const roll = dice(throws);
    const deck = events
      .flatMap((event) => (roll(4) === 0 ? [event, event] : [event]))
      .map((event) => ({ event, place: roll(1_000_000) }))
      .toSorted((a, b) => a.place - b.place);
    for (let i = 0; i < deck.length; i += at_once) {
      const hand = deck.slice(i, i + at_once);
      const work = hand.map(({ event }) => async () => {
        const { state } = await this.till.deliver(event);
        if (state !== "applied") throw new Error(`${event.type} ${state}: ${await this.till.errorOf(event)}`);
      });
      const acts = [...work, () => this.live(roll(4), 1 + roll(40))];
      await race(acts.length, (n) => acts[n]?.() ?? Promise.resolve());
    }
  }

  /** One act of the workspace's own; what it has used or holds is counted. */
  async live(what: number, amount: number): Promise<void> {
    if (what === 0) {
      if ((await outcome(this.account.spend(amount))) === "done") this.used += amount;
    } else if (what === 1) {
      if ((await outcome(this.account.hold(amount))) === "done") this.used += amount;
    } else if (what === 2) {
      const held = await this.account.hold(amount).catch(() => null);
      if (held !== null) await this.account.release(held.id);
    }
  }

  /** Asks the provider for all that it has, as the sweep does. */
  async sync(of: "pack" | "period", back: MoneyBack): Promise<void> {
    const { refunds, disputes } = finalFacts(back, this.intents[of]);
    await call(this.till.db, "payments.sync_intent", {
      provider: "stripe",
      id: this.intents[of],
      reference: this.references[of],
      refunds: JSON.stringify(refunds),
      disputes: JSON.stringify(disputes),
    });
  }

  /** What is written of both payments, of their lots and of the purchase; and what the workspace has, less what it owes. */
  async end() {
    const [found] = await rows<Record<string, unknown>>(
      this.till.db,
      `select json_object_agg(case p.reference when $2 then 'pack' else 'period' end, json_build_object(
                'refunded', p.refunded, 'disputed', p.disputed, 'recovered', l.recovered, 'forgiven', l.forgiven)) as payments,
              (select b.state from payments.purchase b where b.id = $3) as purchase,
              (select a.available - a.debt from ledger.account a where a.owner_id = $1 and a.unit = 'credit')::int as net
         from payments.payment p
         join (select x.payment_id, sum(x.recovered)::int as recovered, sum(x.forgiven)::int as forgiven
                 from ledger.lot x where x.owner_id = $1 group by 1) l on l.payment_id = p.id
        where p.workspace_id = $1`,
      [this.account.owner, this.references.pack, this.purchase],
    );
    return found;
  }
}

/** What must be in the end. */
function expected(told: Story, used: number) {
  const [ofPack, ofPeriod] = [totals(told.pack, pack.paid), totals(told.period, period.paid)];
  const taken = { pack: share(pack.given, pack.paid, ofPack), period: share(period.given, period.paid, ofPeriod) };
  return {
    payments: {
      pack: { ...ofPack, recovered: taken.pack, forgiven: 0 },
      period: { ...ofPeriod, recovered: taken.period, forgiven: 0 },
    },
    purchase: ofPack.refunded === 0 ? "paid" : ofPack.refunded === pack.paid ? "refunded" : "partly_refunded",
    net: pack.given + period.given - used - taken.pack - taken.period,
  };
}

/** Tells random stories, each in a workspace of its own. */
async function tell(db: Pool, shortfall: string, work: (scene: Scene, told: Story) => Promise<void>): Promise<void> {
  const till = new Till(db);
  const offers = { pack: await till.pack(pack.given), plan: await till.plan({ included_credits: period.given }) };
  await call(db, "billing.set_policy", { after_end: "read_only", shortfall, caused_by: "test" });
  console.info(`seed ${seed}`);
  await fc.assert(
    fc.asyncProperty(story, async (told) => work(await Scene.open(db, offers, told), told)),
    { seed, numRuns },
  );
}

/** Those of whom only the provider knows whose intent it is are asked for. */
async function link(scene: Scene, told: Story): Promise<void> {
  if (!told.named) await scene.sync("period", told.period);
}

test("A12 refunds and disputes in any order, repeated and at once, end as their final objects say", async ({ db }) => {
  await tell(db, "debt", async (scene, told) => {
    await scene.deliver(scene.events, told);
    await link(scene, told);
    expect(await scene.end()).toEqual(expected(told, scene.used));
  });
});

test("A12 whatever event was lost, asking for all refunds and disputes mends it, and again changes nothing", async ({
  db,
}) => {
  await tell(db, "debt", async (scene, told) => {
    const roll = dice(told.throws + 1);
    await scene.deliver(
      scene.events.filter((_, i) => i < 2 || roll(3) > 0),
      told,
    );
    for (const again of [false, true]) {
      await scene.sync("pack", told.pack);
      await scene.sync("period", told.period);
      expect(await scene.end(), again ? "asked again" : "asked").toEqual(expected(told, scene.used));
    }
    // What was lost is delivered after all.
    await scene.deliver(scene.events, told);
    expect(await scene.end()).toEqual(expected(told, scene.used));
  });
});

test("A12 policy freeze: the same end, and whoever owes is frozen under an alarm", async ({ db }) => {
  await tell(db, "freeze", async (scene, told) => {
    await scene.deliver(scene.events, told);
    await link(scene, told);
    expect(await scene.end()).toEqual(expected(told, scene.used));
    const [, , debt] = await scene.account.sums();
    const [found] = await rows<{ frozen: boolean; alarmed: boolean }>(
      db,
      `select w.frozen_at is not null as frozen,
              exists (select from ops.alarm a where a.code = 'workspace_frozen' and a.subject = 'workspace:' || w.id) as alarmed
         from people.workspace w where w.id = $1`,
      [scene.account.owner],
    );
    expect(found?.frozen).toBe(found?.alarmed);
    if (debt > 0) expect(found).toEqual({ frozen: true, alarmed: true });
  });
});

test("A12 policy clamp: the same totals, nobody owes, and what is not there is forgiven", async ({ db }) => {
  await tell(db, "clamp", async (scene, told) => {
    await scene.deliver(scene.events, told);
    await link(scene, told);
    const { payments } = expected(told, scene.used);
    const end = await scene.end();
    expect(end).toMatchObject({
      payments: {
        pack: { refunded: payments.pack.refunded, disputed: payments.pack.disputed },
        period: { refunded: payments.period.refunded, disputed: payments.period.disputed },
      },
      purchase: expected(told, scene.used).purchase,
    });
    expect((await scene.account.sums())[2]).toBe(0);
    const found = await rows<{ recovered: number; forgiven: number; reference: string }>(
      db,
      `select l.recovered::int, l.forgiven::int, p.reference from ledger.lot l join payments.payment p on p.id = l.payment_id
        where l.owner_id = $1`,
      [scene.account.owner],
    );
    for (const { recovered, forgiven, reference } of found) {
      const target = payments[reference === scene.references.pack ? "pack" : "period"].recovered;
      expect(recovered).toBe(Math.max(0, target - forgiven));
    }
  });
});
