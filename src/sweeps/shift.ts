import type * as z from "zod";
import { call } from "../db/call.ts";
import type { Routine } from "../db/routine.ts";
import type { Settings } from "../env.ts";
import type { Trace } from "../http/context.ts";
import { describe } from "../http/request.ts";
import { Lanes } from "./lanes.ts";

/** What one batch of a sweep did. */
export interface Done {
  processed: number;
  failed: number;
  /** There is more to do. */
  more: boolean;
}

/** Cloudflare opens six connections an invocation; one stays free. */
const inFlight = 5;

/** All connections but one: while Stripe hangs, the sweeps that ask nobody still reach the database. */
const outsideInFlight = 4;

/** The lanes that all sweeps of one tick share. */
export class Tick {
  readonly settings: Settings;
  readonly lanes: Lanes = new Lanes(inFlight);
  readonly outside: Lanes = new Lanes(outsideInFlight);

  constructor(settings: Settings) {
    this.settings = settings;
  }
}

/** One run of one sweep: what it may use, and until when. */
export class Shift {
  readonly name: string;
  readonly settings: Settings;
  readonly trace: Pick<Trace, "db_ms" | "round_trips"> = { db_ms: 0, round_trips: 0 };
  readonly #tick: Tick;
  readonly #ends: number;

  constructor(tick: Tick, name: string, budget_ms: number) {
    this.name = name;
    this.settings = tick.settings;
    this.#tick = tick;
    this.#ends = Date.now() + budget_ms;
  }

  /** The budget is over: nothing new may begin. */
  over(): boolean {
    return this.rest_ms() <= 0;
  }

  /** What is left of the budget. */
  rest_ms(): number {
    return this.#ends - Date.now();
  }

  /** Calls a routine that is harmless to repeat. Throws `Problem`. */
  call<Args extends z.ZodObject, Result extends z.ZodObject>(
    routine: Routine<Args, Result>,
    args: z.infer<Args>,
  ): Promise<z.infer<Result>> {
    return this.#tick.lanes.run(() => call(this.settings.database, routine, args, this.trace));
  }

  /** Asks the outside; one question after the other, for it has one connection. It must not `call`. */
  ask<Answer>(questions: () => Promise<Answer>): Promise<Answer> {
    return this.#tick.outside.run(() => this.#tick.lanes.run(questions));
  }

  /**
   * Does something for each item, some at once, until the budget is over. One that fails is logged and counted, and the
   * others go on: its lease or back-off brings it again.
   */
  async each<Item>(items: readonly Item[], nameOf: (item: Item) => string, work: (item: Item) => Promise<void>) {
    const done = { processed: 0, failed: 0 };
    const rest = items.values();
    const worker = async (): Promise<void> => {
      for (const item of rest) {
        if (this.over()) return;
        try {
          await work(item);
          done.processed += 1;
        } catch (error) {
          done.failed += 1;
          console.error(JSON.stringify({ sweep: this.name, item: nameOf(item), error: describe(error) }));
        }
      }
    };
    await Promise.all(Array.from({ length: inFlight }, worker));
    return done;
  }
}
