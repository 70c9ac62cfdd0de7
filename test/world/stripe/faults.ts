/** A fault to be done to the next calls that match. */
export interface Fault {
  /**
   * - `500`: Stripe fails. `before`: nothing was done, and a retry does it. `after`: it was done, and the 500 is kept under
   *   the idempotency key and replayed.
   * - `drop`: the connection is cut, `before` the call is done or `after`. stripe-node tries once more by itself, even
   *   with retries switched off: give `times: 2` where the caller is to see it.
   * - `429`: too many requests; nothing was done.
   * - `delay`: the answer is `ms` milliseconds late; `before` holds the call back, `after` its answer.
   * - `hang`: no answer at all, until the client goes away.
   */
  kind: "500" | "429" | "drop" | "delay" | "hang";
  /** `before` unless told. */
  when?: "before" | "after";
  ms?: number;
  /** Only calls that begin so: `POST /v1/customers`. Without it: any. */
  match?: string | RegExp;
  /** To how many calls; 1 unless told. */
  times?: number;
}

interface Entry {
  fault: Fault;
  left: number;
}

/** The faults that wait, in the order in which they were asked for. */
export class Faults {
  #entries: Entry[] = [];

  next(fault: Fault): void {
    this.#entries.push({ fault, left: fault.times ?? 1 });
  }

  clear(): void {
    this.#entries = [];
  }

  /** How many calls faults still wait for. */
  get pending(): number {
    return this.#entries.reduce((sum, { left }) => sum + left, 0);
  }

  /** The fault for a call, counted as done. */
  take(method: string, path: string): Fault | undefined {
    const call = `${method} ${path}`;
    const entry = this.#entries.find(({ fault: { match } }) =>
      match === undefined ? true : typeof match === "string" ? call.startsWith(match) : match.test(call),
    );
    if (entry !== undefined) {
      entry.left -= 1;
      this.#entries = this.#entries.filter(({ left }) => left > 0);
    }
    return entry?.fault;
  }
}
