import { Stripe } from "stripe";
import { missing } from "./failure.ts";
import { newId } from "./ids.ts";
import { isObject, jsonOf } from "./json.ts";
import type { Json } from "./json.ts";
import type { State } from "./state.ts";

/** How the account behaves where Stripe lets its owner choose, or where waiting as long as Stripe does would be idle. */
export interface Policies {
  /** How long a renewal's invoice stays a draft. Stripe: an hour. */
  draft_seconds: number;
  /** Days from each failed attempt to pay an invoice to the next. */
  retry_days: number[];
  /** What becomes of a subscription when the last attempt has failed. */
  after_retries: "unpaid" | "canceled" | "past_due";
  /** How long after its creation a customer is not found by search. Stripe: up to a minute. */
  search_delay_ms: number;
  /** Whether refunds arrive at once, or are on their way until they are told to arrive. */
  refunds: "succeed" | "pend";
  /** How long a delayed payment is on its way. */
  async_seconds: number;
}

/** The call during which an event happened. */
export interface Cause {
  id: string;
  idempotency_key: string | null;
}

/** One Stripe account: what it has, its clock, and the events that its changes make. */
export class Account {
  readonly id = "acct_miniature";
  readonly state: State;
  readonly policies: Policies;
  /** Where the pages are: `http://127.0.0.1:<port>`. */
  url = "";
  /** The call that is being done, which events name. */
  cause: Cause | null = null;
  /** Called for each new event. */
  onEvent: (event: Stripe.Event) => void = () => undefined;
  readonly #base: () => number;
  #at: number | null = null;

  constructor(state: State, policies: Policies, base: () => number) {
    this.state = state;
    this.policies = policies;
    this.#base = base;
  }

  /** The account's time in milliseconds. */
  now(): number {
    return this.#at ?? this.#base() + this.state.offset_ms;
  }

  /** The account's time in whole seconds, as objects have it. */
  seconds(): number {
    return Math.floor(this.now() / 1000);
  }

  /** Holds the clock at an instant, as while what was due then is done; null lets it run again. */
  hold(at: number | null): void {
    this.#at = at;
  }

  /** Moves the clock; it runs on from there. */
  setNow(to: number): void {
    this.state.offset_ms = to - this.#base();
  }

  /** An object by its id, or Stripe's refusal. `param` is the parameter that named it, if not the path. */
  find<Item>(collection: Map<string, Item>, what: string, id: string, param?: string): Item {
    const found = collection.get(id);
    if (found === undefined) {
      throw missing(what, id, param);
    }
    return found;
  }

  /** Stores and announces that something happened to an object, as it is now. */
  emit(type: Stripe.Event["type"], object: object, previous?: Json): void {
    const id = newId("evt");
    // Through JSON: it is a copy of the object as it is now, and of the hundreds of kinds of event it is one.
    const event: Stripe.Event = JSON.parse(
      JSON.stringify({
        id,
        object: "event",
        api_version: Stripe.API_VERSION,
        created: this.seconds(),
        data: { object, ...(previous === undefined ? {} : { previous_attributes: previous }) },
        livemode: false,
        pending_webhooks: 0,
        request: this.cause ?? { id: null, idempotency_key: null },
        type,
      } satisfies Record<keyof Omit<Stripe.Event, "account" | "context">, unknown>),
    );
    this.state.events.set(id, event);
    this.onEvent(event);
  }

  /** Changes an object and announces it with what was there before. A change that changes nothing is not announced. */
  change<Item extends object>(type: Stripe.Event["type"], object: Item, change: (object: Item) => void): void {
    const before = jsonOf(object);
    change(object);
    const previous = difference(before, jsonOf(object));
    if (Object.keys(previous).length > 0) {
      this.emit(type, object, previous);
    }
  }
}

/** What was there before, where it is not there now. Lists are given whole, as Stripe does. */
function difference(before: Json, after: Json): Json {
  const previous: Json = {};
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [old, now] = [before[key], after[key]];
    if (isObject(old) && isObject(now)) {
      const inner = difference(old, now);
      if (Object.keys(inner).length > 0) {
        previous[key] = inner;
      }
    } else if (JSON.stringify(old) !== JSON.stringify(now)) {
      previous[key] = old ?? null;
    }
  }
  return previous;
}
