import { call, rows } from "../../support/scenario.ts";
import { Till, invoiceFact, subscriptionFact } from "../../support/till.ts";
import type { Customer, Fact, Offer } from "../../support/till.ts";
import type { Lab } from "./lab.ts";

/** The row of a subscription. */
interface Row {
  id: string;
  state: string;
  quantity: number;
  version: number;
  due: boolean;
  superseded: boolean;
  undone: boolean;
}

/** A subscription that is told of, of a new workspace or of one that has another. */
export class Told {
  readonly till: Till;
  readonly of: Customer;
  readonly plan: Offer;
  readonly id = `sub_${crypto.randomUUID()}`;

  constructor(till: Till, of: Customer, plan: Offer) {
    this.till = till;
    this.of = of;
    this.plan = plan;
  }

  static async open(lab: Lab, wish: Parameters<Till["plan"]>[0] = {}, of?: Customer): Promise<Told> {
    const till = new Till(lab.db);
    const plan = await till.plan(wish);
    return new Told(till, of ?? (await till.customer()), plan);
  }

  fact(more: Record<string, unknown> = {}): Fact {
    return subscriptionFact(this.of, this.id, this.plan.price, more);
  }

  /** An event of so many seconds ago. */
  async tell(ago: number, more: Record<string, unknown> = {}) {
    return this.till.send("x", this.fact(more), (await this.till.second()) - ago);
  }

  /** Its nth period of thirty days, paid. */
  period(n: number, more: Record<string, unknown> = {}) {
    const starts_at = 1_790_000_000 + n * 2_592_000;
    return invoiceFact(this.of, this.id, this.plan.price, { starts_at, ends_at: starts_at + 2_592_000, ...more });
  }

  /** A change to it, from another's price, in the middle of its nth period. */
  change(from_price: string | null, n = 0, more: Record<string, unknown> = {}) {
    const period = this.period(n);
    const starts_at = Number(period["starts_at"]) + 1_296_000;
    return { ...period, billing_reason: "subscription_update", from_price, starts_at, ...more };
  }

  pay(fact: Fact) {
    return this.till.send("invoice.paid", fact);
  }

  credits() {
    return this.till.credits(this.of.workspace);
  }

  async row(): Promise<Row> {
    const [row] = await rows<Row>(
      this.till.db,
      `select id, state, quantity, version, sync_due_at is not null as due, superseded_by is not null as superseded,
              undone_at is not null as undone
         from billing.subscription where provider_id = $1`,
      [this.id],
    );
    if (row === undefined) throw new Error("it is not there");
    return row;
  }

  async access(): Promise<{ from: number | null; reason: string | null }> {
    const [row] = await rows<{ from: number | null; reason: string | null }>(
      this.till.db,
      `select extract(epoch from read_only_from)::int8 as from, read_only_reason as reason from people.workspace where id = $1`,
      [this.of.workspace],
    );
    return row ?? { from: null, reason: null };
  }

  /** Asks the provider for all that is in doubt; answers what hands its answer in. */
  async ask(): Promise<(fact: Fact | null) => Promise<string>> {
    const { ids, generations, asked_at } = await call<{ ids: string[]; generations: number[]; asked_at: string }>(
      this.till.db,
      "billing.claim_syncs",
      { batch: 100, lease: "1 minute" },
    );
    const { id } = await this.row();
    const generation = generations[ids.indexOf(id)] ?? -1;
    return async (fact) => {
      const args = { id, generation, asked_at, fact: fact === null ? null : JSON.stringify(fact) };
      return (await call<{ outcome: string }>(this.till.db, "billing.sync_subscription", args)).outcome;
    };
  }
}

/** Two of one workspace, both told of and asked for. */
export async function both(lab: Lab) {
  const first = await Told.open(lab);
  await first.tell(90, { event: "created" });
  const other = await Told.open(lab, {}, first.of);
  await other.tell(80, { event: "created" });
  return { first, other };
}
