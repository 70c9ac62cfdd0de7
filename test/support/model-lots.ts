/**
 * The lots of a modelled account: where its credits came from, and where they go when they come back. Whole numbers in
 * memory. Time is a number of hours that only the test moves; what ends "in n hours" ends half an hour after that, so that
 * the minutes in which a test runs decide nothing.
 */

export type Pool = "subscription" | "bulk" | "promo" | "adjustment" | "limit" | "returned";

export interface Lot {
  pool: Pool;
  given: number;
  available: number;
  expired: number;
  recovered: number;
  /** Of `recovered`: what other lots or debt paid, because this one lacked it. */
  covered: number;
  ends: number | null;
  closed: boolean;
  payment: string | null;
}

/** An amount out of one lot. */
export interface Part {
  lot: Lot;
  amount: number;
}

export class Lots {
  hour = 0;
  debt = 0;
  readonly #all: Lot[] = [];

  /** Those of a payment, the oldest first. */
  of(payment: string): Lot[] {
    return this.#all.filter((each) => each.payment === payment);
  }

  /** A pool's lots end; what is left in them is gone, and so is what returns to them later. */
  end(pool: Pool): void {
    for (const lot of this.#all) if (lot.pool === pool && !lot.closed) this.#close(lot);
  }

  /** The limit becomes an amount, whatever of it is in use. */
  limit(amount: number): void {
    const lot = this.#all.find(({ pool }) => pool === "limit") ?? this.add("limit", 0, null, null);
    const change = amount - lot.given;
    lot.given = amount;
    if (change > 0) {
      lot.available += change - this.#payDebt(change);
      return;
    }
    const own = Math.min(-change, lot.available);
    lot.available -= own;
    const others = Math.min(-change - own, this.available());
    this.take(others);
    this.debt += -change - own - others;
  }

  /** Takes up to an amount of what a lot gave: from it, else (what it lacks) from others, else as debt. */
  recover(lot: Lot, amount: number): number {
    this.#expire();
    const own = Math.min(amount, lot.available);
    const lacking = Math.min(amount - own, lackingOf(lot));
    lot.available -= own;
    lot.recovered += own + lacking;
    lot.covered += lacking;
    const others = Math.min(lacking, this.available());
    this.take(others);
    this.debt += lacking - others;
    return own + lacking;
  }

  /** Others first get what they had paid; then the lot what it had. */
  giveAgain(lot: Lot, amount: number): number {
    const covered = Math.min(amount, lot.covered);
    lot.recovered -= amount;
    lot.covered -= covered;
    this.#compensate(covered);
    this.putBack(lot, amount - covered);
    return amount;
  }

  /** To the lot what it lacks, or to its end; to the others what a refund has taken of them meanwhile. */
  putBack(lot: Lot, amount: number): void {
    const own = Math.min(amount, lackingOf(lot));
    this.#compensate(amount - own);
    lot.covered -= Math.min(lot.covered, amount - own);
    if (lot.closed || (lot.ends !== null && this.over(lot.ends))) lot.expired += own;
    else lot.available += own - this.#payDebt(own);
  }

  #compensate(amount: number): void {
    const left = amount - this.#payDebt(amount);
    if (left > 0) this.add("returned", left, null, null);
  }

  /** A lot; debt is paid from it first. */
  add(pool: Pool, given: number, ends: number | null, payment: string | null): Lot {
    const available = given - this.#payDebt(given);
    const lot = { pool, given, available, expired: 0, recovered: 0, covered: 0, ends, closed: false, payment };
    this.#all.push(lot);
    return lot;
  }

  #payDebt(amount: number): number {
    const paying = Math.min(this.debt, amount);
    this.debt -= paying;
    return paying;
  }

  /** Takes from the lots in drain order: subscription credits, then what ends soonest, then the oldest. */
  take(amount: number): Part[] {
    const parts: Part[] = [];
    let rest = amount;
    for (const lot of this.open()) {
      const part = Math.min(rest, lot.available);
      if (part === 0) break;
      lot.available -= part;
      rest -= part;
      parts.push({ lot, amount: part });
    }
    if (rest > 0) throw new Error("the model took more than there is");
    return parts;
  }

  open(): Lot[] {
    this.#expire();
    const order = ({ pool, ends }: Lot): number => (pool === "subscription" ? 0 : 1e6) + (ends ?? 1e5);
    return this.#all.filter(({ available }) => available > 0).toSorted((one, other) => order(one) - order(other));
  }

  available(): number {
    return this.open().reduce((sum, { available }) => sum + available, 0);
  }

  #expire(): void {
    for (const lot of this.#all) if (lot.ends !== null && this.over(lot.ends) && lot.available > 0) this.#close(lot);
  }

  #close(lot: Lot): void {
    lot.expired += lot.available;
    lot.available = 0;
    lot.closed = true;
  }

  over(ends: number): boolean {
    return ends < this.hour;
  }
}

const lackingOf = ({ given, available, expired, recovered }: Lot): number => given - available - expired - recovered;
