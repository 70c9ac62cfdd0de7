/**
 * At most so many pieces of work at once, in the order of their asking. An invocation opens six connections
 * (Cloudflare): whoever goes through one of these shares them, whatever else runs.
 */
export class Lanes {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(width: number) {
    this.#free = width;
  }

  /** Does the work when a lane is free. Work in a lane must not wait for another lane of the same. */
  async run<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      // The lane goes from hand to hand: who comes at this moment does not overtake who waits.
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}
