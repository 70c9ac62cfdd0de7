import { Lots } from "./model-lots.ts";
import type { Part, Pool } from "./model-lots.ts";

/** What a client may ask for. Holds and transactions are named by the key of the call that made them. */
export type Operation =
  | { kind: "grant"; pool: Pool; amount: number; ends: number | null; payment: string | null }
  | { kind: "reset"; amount: number; ends: number | null }
  | { kind: "spend"; amount: number }
  | { kind: "batch"; items: { key: string; amount: number }[] }
  | { kind: "hold"; amount: number; hours: number }
  | { kind: "settle"; hold: string; amount: number | null }
  | { kind: "release"; hold: string }
  | { kind: "adjust"; amount: number }
  | { kind: "reverse"; transaction: string }
  | { kind: "take_back"; payment: string; refunded: number; lost: number }
  | { kind: "limit"; amount: number };

/** What a call answers: a refusal's code with its members, or what was done with the balance after it. */
export type Outcome = { code: string; [member: string]: unknown } | { code?: undefined; [member: string]: unknown };

export interface Balance {
  available: number;
  held: number;
  debt: number;
  pools: Record<string, number>;
}

interface Hold {
  state: "held" | "settled" | "released" | "expired";
  amount: number;
  parts: Part[];
  ends: number;
}

/** A movement that has a key: what it drew for a spend's repetition, and what it takes to undo it. */
interface Movement {
  kind: string;
  amount: number;
  /** Above zero: what went out of a lot for good; below: what came into it. */
  parts: Part[];
  reversed: boolean;
}

const reversible = new Set(["grant", "spend", "settle", "adjust"]);

/** What a payment of the tests' cost; refunds are parts of it. */
export const paid = 100;

/**
 * A small model of one account, written from the design and not from the routines: whole numbers in memory, one thing
 * after another, no database.
 */
export class Model {
  #held = 0;
  readonly #lots = new Lots();
  readonly #holds = new Map<string, Hold>();
  readonly #movements = new Map<string, Movement>();
  readonly #answers = new Map<string, { operation: string; outcome: Outcome }>();

  /** Does what the call asks for, as a first call or as a repetition. */
  apply(key: string, operation: Operation): { outcome: Outcome; replayed: boolean } {
    const text = JSON.stringify(operation);
    const known = this.#answers.get(key);
    if (known !== undefined) {
      const outcome = known.operation === text ? known.outcome : { code: "idempotency_key_reused" };
      return { outcome, replayed: known.operation === text };
    }
    const outcome = this.#perform(key, operation);
    // A refusal leaves nothing, not even its key.
    if (outcome.code === undefined) this.#answers.set(key, { operation: text, outcome });
    return { outcome, replayed: false };
  }

  get hour(): number {
    return this.#lots.hour;
  }

  advance(hours: number): void {
    this.#lots.hour += hours;
  }

  balance(): Balance {
    const pools: Record<string, number> = {};
    for (const { pool, available } of this.#lots.open()) pools[pool] = (pools[pool] ?? 0) + available;
    return { available: this.#lots.available(), held: this.#held, debt: this.#lots.debt, pools };
  }

  /** State by the key that made it. */
  holds(): Record<string, string> {
    return Object.fromEntries([...this.#holds].map(([key, { state }]) => [key, state]));
  }

  holdKeys(): string[] {
    return [...this.#holds.keys()];
  }

  movementKeys(): string[] {
    return [...this.#movements.keys()];
  }

  /** What the sweep of holds does: the oldest first. */
  sweep(): void {
    for (const hold of this.#holds.values()) {
      if (hold.state === "held" && this.#lots.over(hold.ends)) this.#end(hold, "expired", 0);
    }
  }

  #perform(key: string, operation: Operation): Outcome {
    switch (operation.kind) {
      case "grant":
        return this.#give(key, "grant", operation.pool, operation);
      case "reset":
        return this.#give(key, "reset", "subscription", { ...operation, payment: null });
      case "spend":
        return this.#spend(key, operation.amount);
      case "batch":
        return this.#batch(operation.items);
      case "hold":
        return this.#hold(key, operation.amount, operation.hours);
      case "settle":
        return this.#endBy(key, operation.hold, "settled", operation.amount);
      case "release":
        return this.#endBy(key, operation.hold, "released", 0);
      case "adjust":
        return this.#adjust(key, operation.amount);
      case "reverse":
        return this.#reverse(operation.transaction);
      case "take_back":
        return { taken: this.#takeBack(operation) };
      case "limit":
        return this.#limit(key, operation.amount);
    }
  }

  #give(
    key: string,
    kind: "grant" | "reset",
    pool: Pool,
    { amount, ends, payment }: { amount: number; ends: number | null; payment: string | null },
  ): Outcome {
    if (ends !== null && this.#lots.over(ends) && amount > 0) return { code: "expires_in_past" };
    if (this.#movements.has(key)) return { code: "idempotency_key_reused" };
    if (kind === "reset") this.#lots.end(pool);
    const lot = amount > 0 ? this.#lots.add(pool, amount, ends, payment) : null;
    this.#move(key, kind, amount, lot === null ? [] : [{ lot, amount: -amount }]);
    return { ...this.balance() };
  }

  #spend(key: string, amount: number): Outcome {
    const before = this.#movements.get(key);
    if (before !== undefined) {
      if (before.kind !== "spend" || before.amount !== amount) return { code: "idempotency_key_reused" };
      return { amount, drawn: byPool(before.parts), ...this.balance() };
    }
    if (amount > this.#lots.available()) return { code: "insufficient_credits", available: this.#lots.available() };
    const parts = this.#lots.take(amount);
    this.#move(key, "spend", amount, parts);
    return { amount, drawn: byPool(parts), ...this.balance() };
  }

  #batch(items: { key: string; amount: number }[]): Outcome {
    const results = items.map(({ key, amount }) => {
      const replayed = this.#movements.has(key);
      const { code } = this.#spend(key, amount);
      const outcome = code !== undefined ? "refused" : replayed ? "replayed" : "spent";
      return { key, amount, outcome, ...(code === undefined ? {} : { code }) };
    });
    return { results, ...this.balance() };
  }

  #hold(key: string, amount: number, hours: number): Outcome {
    if (amount > this.#lots.available()) return { code: "insufficient_credits", available: this.#lots.available() };
    if (this.#movements.has(key)) return { code: "idempotency_key_reused" };
    const parts = this.#lots.take(amount);
    this.#held += amount;
    this.#holds.set(key, { state: "held", amount, parts, ends: this.#lots.hour + hours });
    this.#move(key, "hold", amount, []);
    return { amount, state: "held", ...this.balance() };
  }

  #endBy(key: string, name: string, state: "settled" | "released", amount: number | null): Outcome {
    const hold = this.#holds.get(name);
    if (hold === undefined) return { code: "not_found" };
    const used = this.#movements.has(key);
    if (hold.state !== "held")
      return used ? { code: "idempotency_key_reused" } : { code: "hold_ended", state: hold.state };
    const settled = amount ?? hold.amount;
    if (settled > hold.amount) return { code: "amount_exceeds_hold", amount: hold.amount };
    if (used) return { code: "idempotency_key_reused" };
    const parts = this.#end(hold, state, settled);
    this.#move(key, state === "settled" ? "settle" : "release", settled, parts);
    return { state, settled, released: hold.amount - settled, ...this.balance() };
  }

  /** Ends a hold and answers what was spent of it: the front of its lots. */
  #end(hold: Hold, state: Hold["state"], settled: number): Part[] {
    hold.state = state;
    this.#held -= hold.amount;
    const spent: Part[] = [];
    let rest = settled;
    for (const { lot, amount } of hold.parts) {
      const part = Math.min(rest, amount);
      rest -= part;
      if (part > 0) spent.push({ lot, amount: part });
      if (part < amount) this.#lots.putBack(lot, amount - part);
    }
    return spent;
  }

  #adjust(key: string, amount: number): Outcome {
    if (-amount > this.#lots.available()) return { code: "insufficient_credits", available: this.#lots.available() };
    if (this.#movements.has(key)) return { code: "idempotency_key_reused" };
    const parts =
      amount > 0
        ? [{ lot: this.#lots.add("adjustment", amount, null, null), amount: -amount }]
        : this.#lots.take(-amount);
    this.#move(key, "adjust", Math.abs(amount), parts);
    return { amount, ...this.balance() };
  }

  #reverse(name: string): Outcome {
    const movement = this.#movements.get(name);
    if (movement === undefined) return { code: "not_found" };
    if (!reversible.has(movement.kind)) return { code: "transaction_not_reversible", kind: movement.kind };
    if (movement.reversed) return { code: "transaction_reversed" };
    movement.reversed = true;
    for (const { lot, amount } of movement.parts) {
      if (amount > 0) {
        this.#lots.putBack(lot, amount);
      } else {
        // What was reversed is no longer the payment's.
        lot.payment = null;
        this.#lots.recover(lot, -amount);
      }
    }
    return { ...this.balance() };
  }

  #takeBack({ payment, refunded, lost }: { payment: string; refunded: number; lost: number }): number {
    let taken = 0;
    for (const lot of this.#lots.of(payment)) {
      const target = Math.floor((lot.given * Math.min(refunded + lost, paid)) / paid);
      if (target > lot.recovered) taken += this.#lots.recover(lot, target - lot.recovered);
      else if (target < lot.recovered) taken -= this.#lots.giveAgain(lot, lot.recovered - target);
    }
    return taken;
  }

  #limit(key: string, amount: number): Outcome {
    if (this.#movements.has(key)) return { code: "idempotency_key_reused" };
    this.#lots.limit(amount);
    this.#move(key, "limit", amount, []);
    return { ...this.balance() };
  }

  #move(key: string, kind: string, amount: number, parts: Part[]): void {
    this.#movements.set(key, { kind, amount, parts, reversed: false });
  }
}

function byPool(parts: Part[]): { pool: string; amount: number }[] {
  const sums = new Map<string, number>();
  for (const { lot, amount } of parts) sums.set(lot.pool, (sums.get(lot.pool) ?? 0) + amount);
  return [...sums].map(([pool, amount]) => ({ pool, amount }));
}
