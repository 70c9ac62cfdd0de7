import type { Account } from "./account.ts";
import { pendingDue } from "./billing/changes.ts";
import { checkoutDue } from "./billing/checkout.ts";
import { schedulesDue } from "./billing/phases.ts";
import { renewalsDue } from "./billing/renewals.ts";
import type { Deliveries } from "./delivery.ts";
import { firstDue } from "./due.ts";
import type { Due } from "./due.ts";

/** Does what time brings, in the order of time. */
export class Clock {
  readonly #account: Account;
  readonly #deliveries: Deliveries;
  /** The end of the advances that were asked for: two at once would do one thing twice. */
  #advances: Promise<void> = Promise.resolve();
  #advancing = false;

  constructor(account: Account, deliveries: Deliveries) {
    this.#account = account;
    this.#deliveries = deliveries;
  }

  /**
   * Moves the clock to an instant, in milliseconds. On the way it stops at all that comes due, and its events are delivered
   * before the next. The clock never goes back: an instant that has passed does nothing.
   */
  async advance(to: number): Promise<void> {
    const turn = this.#advances.then(() => this.#advance(to));
    this.#advances = turn.catch(() => undefined);
    await turn;
  }

  /** When, in milliseconds, the next thing comes due until an instant; undefined when nothing does. */
  nextDue(until: number): number | undefined {
    const due = this.#next(until / 1000);
    return due === undefined ? undefined : due.at * 1000;
  }

  /** Does what came due while the clock ran by itself. */
  catchUp(): void {
    if (this.#advancing) {
      return;
    }
    try {
      for (
        let due = this.#next(this.#account.seconds());
        due !== undefined;
        due = this.#next(this.#account.seconds())
      ) {
        const until = this.#account.now();
        this.#account.hold(Math.min(due.at * 1000, until));
        due.run();
        this.#account.hold(null);
      }
    } finally {
      this.#account.hold(null);
    }
  }

  async #advance(to: number): Promise<void> {
    this.#advancing = true;
    const account = this.#account;
    try {
      await this.#deliveries.settled();
      for (let due = this.#next(to / 1000); due !== undefined; due = this.#next(to / 1000)) {
        account.hold(Math.max(due.at * 1000, account.now()));
        due.run();
        await this.#deliveries.settled();
      }
      if (to > account.now()) {
        account.hold(null);
        account.setNow(to);
      }
    } finally {
      account.hold(null);
      this.#advancing = false;
    }
  }

  #next(until: number): Due | undefined {
    return firstDue(this.#all(), until);
  }

  *#all(): Generator<Due> {
    yield* checkoutDue(this.#account);
    yield* schedulesDue(this.#account);
    yield* pendingDue(this.#account);
    yield* renewalsDue(this.#account);
    yield* this.#deliveries.due();
  }
}
