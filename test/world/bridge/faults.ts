import { z } from "zod";

const rolledBack = new Set(["40001", "40P01", "55P03", "57014", "53300"]);

/**
 * A fault to be done to the next matching request.
 *
 * - `drop`: the socket is cut. `before` the statement ran, or `after` it committed.
 * - `delay`: the answer is `ms` milliseconds late; `before` holds the statement back, `after` its answer.
 * - `empty_code`: 400 with `code: ""`, as Neon answers when its connection to Postgres was lost.
 * - `08P01`: 400, the proxy cancelled the query.
 * - `57P01`: 400, the server was told to shut down.
 * - `500`, `502`: the proxy, or something before it, failed.
 * - `507`: the response is too large.
 * - `truncated`: a 200 whose body ends in the middle.
 * - `stall`: a 200 whose body stops in the middle and never ends.
 * - `hang`: no answer at all, until the client goes away.
 * - `40001`, `40P01`, `55P03`, `57014`, `53300`: Postgres rolled it back, or took no connection. These never run the statement.
 *
 * `when` says whether the statement has run and committed by then. To the client both look the same.
 */
export const fault = z
  .strictObject({
    kind: z.enum([
      "drop",
      "delay",
      "hang",
      "stall",
      "truncated",
      "empty_code",
      "08P01",
      "57P01",
      "500",
      "502",
      "507",
      "40001",
      "40P01",
      "55P03",
      "57014",
      "53300",
    ]),
    when: z.enum(["before", "after"]).optional(),
    ms: z.int().min(0).optional(),
    /** Only requests with a statement that contains this text, or that this expression finds. Without it: any. */
    match: z.union([z.string(), z.instanceof(RegExp)]).optional(),
    /** To how many matching requests; 1 unless told. */
    times: z.int().min(1).optional(),
  })
  .refine(({ kind, ms }) => (kind === "delay") === (ms !== undefined), "A delay, and only a delay, has `ms`.")
  .refine(
    ({ kind, when }) => !(when === "after" && rolledBack.has(kind)),
    "This error means that Postgres rolled the statement back, so it cannot come after a commit.",
  );
export type Fault = z.infer<typeof fault>;

/** A fault that waits for its requests. */
export interface PendingFault {
  fault: Fault;
  /** How many requests it has been done to. */
  done: number;
  /** Resolves when it has been done as often as it should. */
  exhausted: Promise<void>;
  /** Takes it out again. */
  cancel(): void;
}

interface Entry extends PendingFault {
  left: number;
  finish: () => void;
}

/** The faults that wait, in the order in which they were asked for. */
export class Faults {
  readonly #entries: Entry[] = [];

  /** Asks for a fault; the oldest one that matches is done to a request, and only that one. */
  next(wish: Fault): PendingFault {
    const checked = fault.parse(wish);
    const { promise, resolve } = Promise.withResolvers<void>();
    const entry: Entry = {
      fault: checked,
      done: 0,
      exhausted: promise,
      left: checked.times ?? 1,
      finish: resolve,
      cancel: () => this.#remove(entry),
    };
    this.#entries.push(entry);
    return entry;
  }

  /** How many requests faults still wait for. */
  get pending(): number {
    return this.#entries.reduce((sum, entry) => sum + entry.left, 0);
  }

  /** What waits, in words that JSON has. */
  list(): { fault: Fault; done: number; left: number }[] {
    return this.#entries.map(({ fault: wish, done, left }) => ({
      fault: { ...wish, ...(wish.match === undefined ? {} : { match: String(wish.match) }) },
      done,
      left,
    }));
  }

  clear(): void {
    this.#entries.length = 0;
  }

  /** The fault for a request with these statements, counted as done. */
  take(queries: string[]): Fault | undefined {
    const entry = this.#entries.find(({ fault: { match } }) =>
      match === undefined
        ? true
        : queries.some((query) => (typeof match === "string" ? query.includes(match) : query.search(match) !== -1)),
    );
    if (entry === undefined) {
      return undefined;
    }
    entry.done += 1;
    entry.left -= 1;
    if (entry.left === 0) {
      this.#remove(entry);
      entry.finish();
    }
    return entry.fault;
  }

  #remove(entry: Entry): void {
    const place = this.#entries.indexOf(entry);
    if (place !== -1) {
      this.#entries.splice(place, 1);
    }
  }
}

/** Faults that mean the statement was done unless told otherwise: Neon sees them only once it has run. */
const afterByNature = new Set(["507", "truncated", "stall"]);

/** Whether a fault comes after the statement has run and committed. */
export function isAfter(wish: Fault): boolean {
  return (wish.when ?? (afterByNature.has(wish.kind) ? "after" : "before")) === "after";
}
