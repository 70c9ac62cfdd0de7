import { expect } from "vitest";
import type { TestDatabase } from "./database.ts";
import { dice } from "./dice.ts";
import { Acts } from "./money-model-acts.ts";
import { MoneyClient } from "./money-model-client.ts";
import { Money } from "./money-model.ts";
import { sweepNames } from "./money-model-operations.ts";
import type { Operation } from "./money-model-operations.ts";
import { differences, expected, named, seen, sums, toldAll } from "./money-model-sight.ts";

/** Months of all lengths lie ahead, and so does a 29th of February. */
const began = Date.UTC(2027, 0, 10, 12);

/** What a walk was made of, for the record. */
export interface Trail {
  operations: number;
  /** How many were done, and how many were refused. */
  done: number;
  refused: number;
  /** Statements that died, answers that were lost, requests that came twice at once. */
  died: number;
  lost: number;
  twice: number;
  days: number;
  /** How often each operation came to what. */
  outcomes: Record<string, number>;
  /** How often what was told. */
  told: Record<string, number>;
}

/** Walks so many operations, and throws at the first after which the database is not what the model is. */
export async function walk(database: TestDatabase, seed: number, operations: number): Promise<Trail> {
  const throws = dice(seed);
  const client = await MoneyClient.open(database, began, dice(seed + 1));
  const steps = new Walk(database, client, new Money(began));
  const acts = new Acts(throws, steps.money);
  try {
    for (let i = 0; i < operations; i += 1) await steps.step(acts.next(), acts.here);
    await steps.rest();
    return steps.trail();
  } finally {
    await client.close();
  }
}

class Differs extends Error {
  readonly whose: string;

  constructor(whose: string, what: string[]) {
    super(`${whose}: ${what.join("; ")}`);
    this.whose = whose;
  }
}

class Walk {
  readonly money: Money;
  readonly #db: TestDatabase["owner"];
  readonly #client: MoneyClient;
  /** What was done, each with what it came to. */
  readonly #done: { operation: Operation; outcome: string; at: number }[] = [];

  constructor({ owner }: TestDatabase, client: MoneyClient, money: Money) {
    this.#db = owner;
    this.#client = client;
    this.money = money;
  }

  async step(operation: Operation, here: readonly string[]): Promise<void> {
    const { outcome, ...made } = this.money.apply(operation);
    this.#done.push({ operation, outcome, at: this.money.now });
    const concerned = this.#concerned(operation, here);
    try {
      const heard = await this.#client.carry(operation);
      this.#bind(operation, made, heard.answer);
      expect(heard.outcome).toBe(outcome);
      await this.#compare(concerned);
    } catch (error) {
      const whose = error instanceof Differs ? [error.whose] : concerned;
      throw new Error(`${String(error)}\n${this.#story(whose)}`, { cause: error });
    }
  }

  /** All that is due is done; then everything is held against the model, also what was never looked at since. */
  async rest(): Promise<void> {
    const everybody = [...this.money.customers.keys()];
    await this.step({ kind: "sweep", names: [...sweepNames], to_rest: true }, everybody);
    const told = [...this.money.customers.values()].flatMap((of) =>
      [...of.told.keys()].map((fact) => `${of.name}: ${fact}`),
    );
    expect(await toldAll(this.#db, this.#name)).toEqual(told.toSorted());
    for (const { currency, there, due } of await sums(this.#db)) {
      const all = [...this.money.customers.values()].reduce((sum, { cents }) => sum + (cents[currency] ?? 0), 0);
      expect({ currency, there, due }).toEqual({ currency, there: all, due: all });
    }
  }

  trail(): Trail {
    const outcomes: Record<string, number> = {};
    for (const { operation, outcome } of this.#done) {
      const word = `${operation.kind} ${outcome}`;
      outcomes[word] = (outcomes[word] ?? 0) + 1;
    }
    const told: Record<string, number> = {};
    for (const of of this.money.customers.values()) {
      for (const fact of of.told.keys()) {
        const word = fact.split(":")[0] ?? "";
        told[word] = (told[word] ?? 0) + 1;
      }
    }
    const done = this.#done.filter(({ outcome }) => ["done", "paid", "does_not_fit"].includes(outcome)).length;
    const { hits: died, lost, twice } = this.#client;
    const days = Math.round((this.money.now - began) / 86_400_000);
    return {
      operations: this.#done.length,
      done,
      refused: this.#done.length - done,
      died,
      lost,
      twice,
      days,
      outcomes,
      told,
    };
  }

  /** Who may be another after this. */
  #concerned(operation: Operation, here: readonly string[]): string[] {
    if (operation.kind === "clock" || operation.kind === "sweep") return [...here];
    if (!("of" in operation)) return [];
    const above = this.money.referrerOf(operation.of);
    return above === undefined ? [operation.of] : [operation.of, above];
  }

  #bind(operation: Operation, made: { purchase?: string; payment?: string }, answer: Record<string, unknown>): void {
    const isPurchase = operation.kind === "topup" || operation.kind === "buy" || operation.kind === "start";
    if (operation.kind === "workspace") this.#client.bind(operation.of, answer["id"]);
    if (operation.kind === "campaign") this.#client.bind(operation.name, answer["id"]);
    if (isPurchase) this.#client.bind(made.purchase, answer["id"]);
    this.#client.bind(made.payment, answer["payment_id"]);
  }

  async #compare(concerned: readonly string[]): Promise<void> {
    if (concerned.length === 0) return;
    const ids = concerned.map((name) => this.#client.ids.get(name) ?? "");
    const found = await seen(this.#db, ids);
    for (const name of new Set(concerned)) {
      const raw = found.get(this.#client.ids.get(name) ?? "");
      if (raw === undefined) throw new Error(`${name} is not there`);
      const customer = this.money.customer(name);
      this.#client.bind(customer.subscription?.name, raw.subscription?.["name"]);
      const right = expected(this.money, customer);
      const sight = named(raw, this.#name);
      if (right.let_in === "yes" && sight.let_in !== null) sight.let_in = "yes";
      const other = differences(sight, right);
      if (other.length > 0) throw new Differs(name, other);
    }
  }

  readonly #name = (id: string): string => this.#client.names.get(id) ?? id;

  /** What was done to these, of late. */
  #story(concerned: readonly string[]): string {
    const of = concerned.length > 2 ? null : concerned;
    const told = this.#done.filter(({ operation }) => of === null || !("of" in operation) || of.includes(operation.of));
    const lines = told
      .slice(-60)
      .map(({ operation, outcome, at }) => `${new Date(at).toISOString()} ${JSON.stringify(operation)}: ${outcome}`);
    return `step ${this.#done.length}:\n${lines.join("\n")}`;
  }
}
