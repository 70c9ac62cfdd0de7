import type Stripe from "stripe";
import type { Account } from "./account.ts";
import { pay, settleLater } from "./billing/checkout.ts";
import type { PayOutcome } from "./billing/checkout.ts";
import type { Clock } from "./clock.ts";
import type { Deliveries, DeliveryAnswer } from "./delivery.ts";
import { closeDispute, openDispute } from "./resources/disputes.ts";
import type { DisputeWish } from "./resources/disputes.ts";
import { failRefund, settleRefund } from "./resources/refunds.ts";
import type { Card } from "./state.ts";

/** How often and where an event is to be brought. */
export interface DeliverOptions {
  /** That many at once; 1 unless told. */
  times?: number;
  /** Only to this endpoint, by its id. */
  endpoint?: string;
}

/** What people and banks do: nobody who has only the API can. */
export class Control {
  readonly #account: Account;
  readonly #deliveries: Deliveries;
  readonly #clock: Clock;
  readonly #changed: () => void;
  readonly #travel: ((to: Date) => Promise<void>) | undefined;

  constructor(
    account: Account,
    deliveries: Deliveries,
    clock: Clock,
    changed: () => void,
    travel?: (to: Date) => Promise<void>,
  ) {
    this.#account = account;
    this.#deliveries = deliveries;
    this.#clock = clock;
    this.#changed = changed;
    this.#travel = travel;
  }

  /** Moves the clock to an instant, or by so many milliseconds, and does all that comes due on the way. */
  async advance(to: Date | number): Promise<void> {
    await this.#clock.advance(typeof to === "number" ? this.#account.now() + to : to.getTime());
    this.#changed();
  }

  /** As `advance`, but asked for by a person: where other clocks are to go along, whoever runs the account moves them all. */
  async travel(to: Date): Promise<void> {
    await (this.#travel === undefined ? this.advance(to) : this.#travel(to));
  }

  /** Does what a person does on the pay page: pays, unless told otherwise. */
  pay(session: string, outcome: PayOutcome = "pay", email: string | null = null): Stripe.Checkout.Session {
    const found = this.#account.find(this.#account.state.sessions, "checkout.session", session);
    return this.#done(() => {
      pay(this.#account, found, outcome, email);
      return found;
    });
  }

  /** Decides a delayed payment before its time. */
  settlePayment(session: string, succeeds: boolean): Stripe.Checkout.Session {
    const found = this.#account.find(this.#account.state.sessions, "checkout.session", session);
    return this.#done(() => {
      settleLater(this.#account, found, succeeds);
      return found;
    });
  }

  /** Says how a customer's card answers from now on. */
  setCard(customer: string, card: Card): void {
    this.#account.find(this.#account.state.customers, "customer", customer);
    this.#done(() => this.#account.state.cards.set(customer, card));
  }

  openDispute(wish: DisputeWish): Stripe.Dispute {
    return this.#done(() => openDispute(this.#account, wish));
  }

  closeDispute(dispute: string, status: "won" | "lost"): Stripe.Dispute {
    return this.#done(() => closeDispute(this.#account, dispute, status));
  }

  settleRefund(refund: string): Stripe.Refund {
    return this.#done(() => settleRefund(this.#account, refund));
  }

  failRefund(refund: string): Stripe.Refund {
    return this.#done(() => failRefund(this.#account, refund));
  }

  /** Brings an event to the endpoints now, and says what they answered. */
  async deliver(event: Stripe.Event | string, { times = 1, endpoint }: DeliverOptions = {}): Promise<DeliveryAnswer[]> {
    const id = typeof event === "string" ? event : event.id;
    const found = this.#account.find(this.#account.state.events, "event", id);
    const answers = Array.from({ length: times }, () => this.#deliveries.deliver(found, endpoint));
    return (await Promise.all(answers)).flat();
  }

  #done<Result>(work: () => Result): Result {
    this.#clock.catchUp();
    const result = work();
    this.#changed();
    return structuredClone(result);
  }
}
