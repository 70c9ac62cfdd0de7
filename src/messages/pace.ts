/** Longest rest that a run waits out. */
const longestRest_seconds = 5;

/** So many rests in a row are no longer a matter of being a little too quick. */
const restsInARow = 4;

/** How quickly one run sends: so long between two beginnings at least, and the rests that its channel asked for. */
export class Pace {
  readonly #between_ms: number;
  #free_ms = 0;
  #rests = 0;

  constructor(between_ms: number) {
    this.#between_ms = between_ms;
  }

  /** Resolves when the next may begin; false, and at once, where that is not before the run's budget is over. */
  async turn(rest_ms: () => number): Promise<boolean> {
    for (;;) {
      const wait_ms = this.#free_ms - Date.now();
      if (wait_ms <= 0) break;
      if (wait_ms >= rest_ms()) return false;
      await new Promise((resolve) => setTimeout(resolve, wait_ms));
    }
    this.#free_ms = Date.now() + this.#between_ms;
    return true;
  }

  /** The channel asks for a rest: is it one that this run waits out? */
  rests(seconds: number | null): boolean {
    if (seconds === null || seconds > longestRest_seconds || this.#rests >= restsInARow) return false;
    this.#rests += 1;
    this.#free_ms = Math.max(this.#free_ms, Date.now() + seconds * 1000);
    return true;
  }

  /** It took one. */
  took(): void {
    this.#rests = 0;
  }
}
