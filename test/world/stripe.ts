import type Stripe from "stripe";
import { Account } from "./stripe/account.ts";
import type { Policies } from "./stripe/account.ts";
import { Api } from "./stripe/api.ts";
import type { LoggedCall } from "./stripe/api.ts";
import { readdress } from "./stripe/billing/checkout.ts";
import { Clock } from "./stripe/clock.ts";
import { Control } from "./stripe/control.ts";
import { Deliveries, sign } from "./stripe/delivery.ts";
import type { DeliveryMode } from "./stripe/delivery.ts";
import { Faults } from "./stripe/faults.ts";
import { StateFile } from "./stripe/file.ts";
import { pagesOf } from "./stripe/pages/pages.ts";
import { forget } from "./stripe/resources/events.ts";
import { ensureEndpoint } from "./stripe/resources/webhook-endpoints.ts";
import type { EndpointWish } from "./stripe/resources/webhook-endpoints.ts";
import { listen } from "./stripe/server.ts";
import type { State } from "./stripe/state.ts";

/** How a stand-in is to be. */
export interface StripeOptions {
  /** Any free one unless told. */
  port?: number;
  /** What its clock is based on, in milliseconds; the real time unless told. */
  now?: () => number;
  /** Where the account is kept from one start to the next. */
  file?: string;
  /** Endpoints that are there from the start. One that is kept, by its url or by its secret, is made what is told here. */
  endpoints?: EndpointWish[];
  /** Whether what comes due with real time is done by itself, and not only when somebody asks for something. */
  ticks?: boolean;
  policies?: Partial<Policies>;
  /** What becomes of events until it is set: `automatic` unless told. */
  deliveries?: DeliveryMode;
  /** Moves the clock where a page asks for it, by `advance` in the end; for whoever has another clock that is to go along. */
  travel?: (to: Date) => Promise<void>;
}

/** Stripe in miniature, running. The methods of {@link Control} are what people and banks do. */
export interface StripeMiniature extends Pick<
  Control,
  | "advance"
  | "pay"
  | "settlePayment"
  | "setCard"
  | "openDispute"
  | "closeDispute"
  | "failRefund"
  | "settleRefund"
  | "deliver"
> {
  /** `http://127.0.0.1:<port>`. */
  readonly url: string;
  readonly port: number;
  /** What `new Stripe(key, …)` needs to find it. */
  readonly config: { host: string; port: number; protocol: "http" };
  /** The account's objects, as they are: to be read. */
  readonly state: State;
  /** The calls of the API since the start; may be emptied. */
  readonly calls: LoggedCall[];
  readonly faults: Faults;
  /** What becomes of new events. Set it back to `automatic` to send what was held. */
  deliveries: DeliveryMode;
  /** The account's time. */
  now(): Date;
  /** When the next thing comes due until an instant; undefined when nothing does. */
  nextDue(until: Date): Date | undefined;
  /** The signing secret of an endpoint, by its id or url; of the first without one. */
  secret(endpoint?: string): string;
  /** Adds an endpoint, or makes the one of that url or secret what is told. */
  listen(wish: EndpointWish): Stripe.WebhookEndpoint;
  /** The header of a body, signed by the first endpoint's secret and now, unless told otherwise. Seconds. */
  sign(body: string, options?: { secret?: string; timestamp?: number }): string;
  /** Every event that happened, oldest first. */
  events(type?: string): Stripe.Event[];
  /** Events that are held, or wait for their next attempt. */
  pending(): Stripe.Event[];
  /** Tries failed deliveries again now, whatever their back-off. */
  deliverDue(): Promise<void>;
  /** Resolves when no delivery is under way. */
  settled(): Promise<void>;
  stop(): Promise<void>;
}

const defaults: Policies = {
  draft_seconds: 0,
  retry_days: [1, 3, 5],
  after_retries: "unpaid",
  search_delay_ms: 0,
  refunds: "succeed",
  async_seconds: 3 * 86_400,
};

/** Starts a stand-in for Stripe on 127.0.0.1, for tests and for development. */
export async function startStripe(options: StripeOptions = {}): Promise<StripeMiniature> {
  const file = new StateFile(options.file);
  const state = file.read();
  const account = new Account(state, { ...defaults, ...options.policies }, options.now ?? Date.now);
  const deliveries = new Deliveries(account, options.deliveries);
  const clock = new Clock(account, deliveries);
  const faults = new Faults();
  const api = new Api(account, faults);
  const changed = (): void => file.touch(state);
  const control = new Control(account, deliveries, clock, changed, options.travel);
  const pages = pagesOf(account, control, deliveries);

  const server = await listen(
    options.port ?? 0,
    {
      answer: async (request, wait) => {
        clock.catchUp();
        try {
          return await api.answer(request, wait);
        } finally {
          changed();
        }
      },
    },
    async (request) => {
      clock.catchUp();
      try {
        return await pages(request);
      } finally {
        changed();
      }
    },
  );
  account.url = `http://127.0.0.1:${server.port}`;
  forget(account);
  readdress(account);
  for (const wish of options.endpoints ?? []) {
    addEndpoint(wish);
  }
  deliveries.resume();
  const ticker = options.ticks === true ? setInterval(tick, 1000) : undefined;
  ticker?.unref();
  changed();
  let stopped: Promise<void> | undefined;

  return {
    url: account.url,
    port: server.port,
    config: { host: "127.0.0.1", port: server.port, protocol: "http" },
    state,
    calls: api.calls,
    faults,
    get deliveries() {
      return deliveries.mode;
    },
    set deliveries(mode) {
      deliveries.mode = mode;
    },
    now: () => new Date(account.now()),
    nextDue: (until) => {
      const due = clock.nextDue(until.getTime());
      return due === undefined ? undefined : new Date(due);
    },
    secret,
    listen: addEndpoint,
    sign: (body, { secret: key = secret(), timestamp } = {}) => sign(body, key, timestamp),
    events: (type) => [...state.events.values()].filter((event) => type === undefined || event.type === type),
    pending: () => deliveries.pending(),
    deliverDue: () => deliveries.retryAll(),
    settled: () => deliveries.settled(),
    advance: (to) => control.advance(to),
    pay: (...given) => control.pay(...given),
    settlePayment: (...given) => control.settlePayment(...given),
    setCard: (...given) => control.setCard(...given),
    openDispute: (wish) => control.openDispute(wish),
    closeDispute: (...given) => control.closeDispute(...given),
    failRefund: (refund) => control.failRefund(refund),
    settleRefund: (refund) => control.settleRefund(refund),
    deliver: (...given) => control.deliver(...given),
    stop: () => (stopped ??= stop()),
  };

  async function stop(): Promise<void> {
    clearInterval(ticker);
    deliveries.stop();
    await server.stop();
    file.write(state);
  }

  function tick(): void {
    clock.catchUp();
    changed();
  }

  function addEndpoint(wish: EndpointWish): Stripe.WebhookEndpoint {
    const endpoint = ensureEndpoint(account, wish);
    changed();
    return structuredClone(endpoint);
  }

  function secret(endpoint?: string): string {
    const found = [...state.endpoints.values()].find(
      ({ id, url }) => endpoint === undefined || id === endpoint || url === endpoint,
    );
    if (found?.secret === undefined) {
      throw new Error(`There is no webhook endpoint${endpoint === undefined ? "" : ` ${endpoint}`}.`);
    }
    return found.secret;
  }
}
