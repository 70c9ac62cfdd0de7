import { randomUUID } from "node:crypto";
import type { Pool } from "pg";
import { expect } from "vitest";
import type { Dice } from "./dice.ts";
import { advance, call, outcome, rows } from "./scenario.ts";
import { StripeLife } from "./stripe-life.ts";
import type { Act, LifePlan } from "./stripe-life.ts";
import type { Customer, Fact, Till, TillEvent } from "./till.ts";

/** A step of a life: how much later, and what happens then, all within one second. */
export interface Step {
  days: number;
  acts: [act: Act, which: number][];
}

/** How a life begins, and goes on. */
export interface Script {
  plan: number;
  trial_days: number;
  steps: Step[];
}

/** What all lives of a run have in common. */
export interface Shelf {
  plans: LifePlan[];
  /** The prices that are published only when somebody has been told of them. */
  late: string[];
  rollover_cap: number | null;
  seats: number;
  grace_days: number;
}

/** An answer of the provider's that is on its way: an object as it was when it was fetched. */
interface Answer {
  id: string;
  generation: number;
  asked_at: string;
  fact: Fact;
}

interface Claimed {
  ids: string[];
  provider_ids: string[];
  generations: number[];
  asked_at: string;
}

/** The object's state as the row must have it. */
const followed = ["state", "price", "quantity", "current_period_start", "current_period_end", "trial_end", "cancel_at"];

/** A subscription that lives at the provider, and a workspace here that is told of it. */
export class Subject {
  readonly of: Customer;
  readonly id = `sub_${randomUUID().slice(0, 13)}`;
  readonly life: StripeLife;
  readonly script: Script;
  #heard = 0;

  constructor(of: Customer, plans: readonly LifePlan[], script: Script) {
    this.of = of;
    this.script = script;
    this.life = new StripeLife(of, this.id, plans, script);
  }

  /** The events of what has happened since the last time. */
  news(till: Till): TillEvent[] {
    const told = this.life.told.slice(this.#heard);
    this.#heard = this.life.told.length;
    return told.map(({ type, fact, created }) => till.event(type, fact, created));
  }
}

/** The inbox, the sweeps and the sweep that asks Stripe, on many connections; what it asks may be long in coming. */
export class Telling {
  readonly till: Till;
  readonly db: Pool;
  readonly #lives: Map<string, StripeLife>;
  readonly #dice: Dice;
  #answers: Answer[] = [];
  #page: { asked_at: string; facts: Fact[] } | null = null;

  constructor(till: Till, db: Pool, subjects: readonly Subject[], dice: Dice) {
    this.till = till;
    this.db = db;
    this.#lives = new Map(subjects.map(({ id, life }) => [id, life]));
    this.#dice = dice;
  }

  /** One event, delivered. It is stored, whatever comes of it. */
  async deliver(event: TillEvent): Promise<void> {
    const { state, duplicate } = await this.till.deliver(event, this.db);
    if (state === "failed" && !duplicate) throw new Error(`${event.type}: ${await this.till.errorOf(event)}`);
  }

  /** Asks Stripe for all that is in doubt; some answers are kept back. */
  async ask(): Promise<void> {
    const { ids, provider_ids, generations, asked_at } = await this.#claim();
    const answers = ids.map((id, i) => ({
      id,
      generation: generations[i] ?? 0,
      asked_at,
      fact: this.#fetched(provider_ids[i]),
    }));
    this.#answers.push(...answers.filter(() => this.#dice(2) === 0));
    for (const answer of answers) if (!this.#answers.includes(answer)) await this.#answer(answer);
  }

  /** Answers that were kept back come in. */
  async late(): Promise<void> {
    for (const answer of this.#answers.splice(0)) await this.#answer(answer);
  }

  /** What goes on beside the deliveries. */
  get others(): (() => Promise<void>)[] {
    return [() => this.ask(), () => this.late(), () => this.sweep(), () => this.list(), () => this.compare()];
  }

  /** A page of Stripe's list is read. */
  async list(): Promise<void> {
    const [row] = await rows<{ asked_at: string }>(this.db, "select ops.now() as asked_at");
    this.#page = { asked_at: row?.asked_at ?? "", facts: [...this.#lives.values()].map(({ fact }) => fact) };
  }

  /** The page that was read last, which may be old by now, is held against what is known. */
  async compare(): Promise<void> {
    if (this.#page === null) return;
    const { facts, asked_at } = this.#page;
    await call(this.db, "billing.compare_subscriptions", { facts: JSON.stringify(facts), asked_at });
  }

  async sweep(): Promise<void> {
    for (const routine of ["ops.events_retry", "billing.duplicates_settle"]) {
      for (let more = true; more;) ({ more } = await call<{ more: boolean }>(this.db, routine, { batch: 100 }));
    }
  }

  /** Sweeps and asks until nothing is due any more. */
  async rest(): Promise<void> {
    for (let round = 0; round < 12; round += 1) {
      await this.late();
      await this.sweep();
      const { ids, provider_ids, generations, asked_at } = await this.#claim();
      for (const [i, id] of ids.entries()) {
        await this.#answer({ id, generation: generations[i] ?? 0, asked_at, fact: this.#fetched(provider_ids[i]) });
      }
      const [due] = await rows<{ n: number }>(
        this.db,
        `select (select count(*) from billing.subscription where sync_due_at is not null)
              + (select count(*) from ops.event where next_attempt_at is not null) as n`,
      );
      if (due?.n === 0) return;
      // Longer than any wait between two tries.
      await advance(this.db, "13 hours");
    }
    throw new Error("it does not come to rest");
  }

  #claim(): Promise<Claimed> {
    return call<Claimed>(this.db, "billing.claim_syncs", { batch: 100, lease: "1 minute" });
  }

  #fetched(provider_id: string | undefined): Fact {
    const life = this.#lives.get(provider_id ?? "");
    if (life === undefined) throw new Error(`Stripe knows no ${provider_id}`);
    return life.fact;
  }

  async #answer({ fact, ...answer }: Answer): Promise<void> {
    const done = await outcome(call(this.db, "billing.sync_subscription", { ...answer, fact: JSON.stringify(fact) }));
    // A price that is not published yet: it is asked for again.
    expect(["done", "TG010"]).toContain(done);
  }
}

/** The row, its workspace and its credits are what Stripe's object and its paid invoices say. */
export async function agrees(till: Till, { life, id, of, script }: Subject, shelf: Shelf): Promise<void> {
  const [row] = await rows<Record<string, unknown> & { state: string }>(
    till.db,
    `select s.state, p.provider_id as price, s.quantity, s.provider_id as id, s.superseded_by,
            ${["current_period_start", "current_period_end", "trial_end", "cancel_at"]
              .map((name) => `extract(epoch from s.${name})::int8 as ${name}`)
              .join(", ")},
            extract(epoch from w.read_only_from)::float8 as read_only_from, w.read_only_reason
       from billing.subscription s join billing.price p on p.id = s.price_id
       join people.workspace w on w.id = s.workspace_id
      where s.workspace_id = $1`,
    [of.workspace],
  );
  const { status, ...object } = life.fact;
  // The end is told once, and waits for no price: where its price was not published yet, the one before stays.
  const told_of =
    status === "canceled" && shelf.late.includes(String(object["price"]))
      ? followed.filter((name) => name !== "price")
      : followed;
  const wanted = Object.fromEntries(told_of.map((name) => [name, name === "state" ? status : object[name]]));
  const told = `${JSON.stringify(script)} told ${life.told.map(({ type, created }) => `${type}@${created}`).join(", ")}`;
  expect(row, told).toMatchObject({ ...wanted, id, superseded_by: null });
  expect(await till.credits(of.workspace), told).toEqual(life.credits(shelf.rollover_cap));

  const reason = ["past_due", "unpaid", "paused", "canceled"].find((word) => word === status) ?? null;
  expect(row?.["read_only_reason"], told).toBe(reason);
  if (status === "canceled") expect(row?.["read_only_from"], told).toBe(object["ended_at"]);
  else if (reason === "paused") expect(row?.["read_only_from"], told).not.toBeNull();
  else if (reason === null) expect(row?.["read_only_from"], told).toBeNull();
  else {
    const since = Number(row?.["read_only_from"]) - shelf.grace_days * 86_400;
    const { earliest, latest } = life.owesSince;
    expect(since, told).toBeGreaterThanOrEqual(earliest);
    if (latest !== null) expect(since, told).toBeLessThanOrEqual(latest);
  }
  const seats = status === "canceled" ? 0 : shelf.seats * Number(object["quantity"]);
  const [limit] = await rows<{ available: number }>(till.db, "select available from ledger.balance_of($1, 'seat')", [
    of.workspace,
  ]);
  expect(limit?.available ?? 0, told).toBe(seats);
  // Every money effect once: a transaction for each invoice at the most, and each event has come to rest.
  const [money] = await rows<{ invoices: number; payments: number }>(
    till.db,
    `select (select count(distinct invoice) from billing.renewal r join billing.subscription s on s.id = r.subscription_id
              where s.workspace_id = $1 and r.kind = 'period') as invoices,
            (select count(*) from payments.payment where workspace_id = $1) as payments`,
    [of.workspace],
  );
  const periods = life.paid.filter((invoice) => invoice.reason !== "subscription_update").length;
  expect(money, told).toEqual({ invoices: periods, payments: life.paid.length });
}
