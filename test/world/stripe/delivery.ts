import { createHmac } from "node:crypto";
import type Stripe from "stripe";
import type { Account } from "./account.ts";
import type { Due } from "./due.ts";
import { newId } from "./ids.ts";
import type { Delivery } from "./state.ts";

/** What becomes of new events: sent at once in their order, kept until asked for, or lost as in an outage. */
export type DeliveryMode = "automatic" | "held" | "dropped";

/** What an endpoint answered. No status: it could not be reached, or took too long. */
export interface DeliveryAnswer {
  event: string;
  endpoint: string;
  status: number | null;
  body: string;
}

/** Minutes from each failed attempt to the next; three days in all, as Stripe tries. */
const backOffMinutes = [5, 30, 120, 300, 600, 720, 720, 720, 720, 720];

/** How long an endpoint may take, in real milliseconds. */
const patienceMs = 20_000;

/** Signs a body as Stripe does: `t=…,v1=…`. */
export function sign(body: string, secret: string, timestamp = Math.floor(Date.now() / 1000)): string {
  const mac = createHmac("sha256", secret).update(`${timestamp}.${body}`).digest("hex");
  return `t=${timestamp},v1=${mac}`;
}

/** Brings events to the webhook endpoints. */
export class Deliveries {
  readonly #account: Account;
  #mode: DeliveryMode;
  /** The end of each endpoint's queue. */
  readonly #queues = new Map<string, Promise<unknown>>();
  readonly #queued = new Set<string>();
  #inFlight = 0;
  #idle = Promise.withResolvers<void>();
  #stopped = false;

  constructor(account: Account, mode: DeliveryMode = "automatic") {
    this.#account = account;
    this.#mode = mode;
    this.#idle.resolve();
    account.onEvent = (event) => this.#announce(event);
  }

  get mode(): DeliveryMode {
    return this.#mode;
  }

  /** Changes what becomes of new events. Going back to automatic sends what was held. */
  set mode(mode: DeliveryMode) {
    this.#mode = mode;
    if (mode === "automatic") {
      for (const delivery of this.#all("held")) {
        delivery.state = "due";
      }
      this.resume();
    }
  }

  /** Events that are held, or whose delivery failed and is to be tried again, oldest first. */
  pending(): Stripe.Event[] {
    const ids = new Set([...this.#all("held"), ...this.#all("due")].map(({ event }) => event));
    return [...this.#account.state.events.values()].filter(({ id }) => ids.has(id));
  }

  /** Sends an event now, whatever became of it before; every time anew, so that it may come twice. */
  async deliver(event: Stripe.Event, endpoint?: string): Promise<DeliveryAnswer[]> {
    const endpoints = [...this.#account.state.endpoints.values()].filter(
      ({ id }) => endpoint === undefined || id === endpoint,
    );
    return await Promise.all(
      endpoints.map(async (target) => {
        const known = [...this.#account.state.deliveries.values()].find(
          (delivery) => delivery.event === event.id && delivery.endpoint === target.id,
        );
        return await this.#send(known ?? this.#record(event, target, "held"));
      }),
    );
  }

  /** Tries all failed deliveries again, whether or not their time has come. */
  async retryAll(): Promise<void> {
    await Promise.all(this.#all("due").map((delivery) => this.#enqueue(delivery)));
  }

  /** Resolves when no delivery is under way. */
  async settled(): Promise<void> {
    await this.#idle.promise;
  }

  /** Sends nothing more by itself. */
  stop(): void {
    this.#stopped = true;
  }

  /** Takes up again what was due when the account was stored, or was held since. */
  resume(): void {
    if (this.#mode !== "automatic") {
      return;
    }
    for (const delivery of this.#all("due")) {
      if (delivery.attempts === 0 && !this.#queued.has(delivery.id)) {
        this.#enqueue(delivery).catch(() => undefined);
      }
    }
  }

  /** Retries whose time comes. */
  *due(): Generator<Due> {
    for (const delivery of this.#mode === "automatic" ? this.#all("due") : []) {
      if (delivery.attempts > 0 && !this.#queued.has(delivery.id)) {
        yield {
          at: Math.ceil(delivery.next_at / 1000),
          rank: 4,
          run: () => void this.#enqueue(delivery).catch(() => undefined),
        };
      }
    }
  }

  #announce(event: Stripe.Event): void {
    for (const endpoint of this.#account.state.endpoints.values()) {
      const wants = endpoint.enabled_events.some((type) => type === "*" || type === event.type);
      if (wants && endpoint.status === "enabled") {
        event.pending_webhooks += 1;
        const state = this.#mode === "automatic" ? "due" : this.#mode;
        const delivery = this.#record(event, endpoint, state);
        if (this.#mode === "automatic") {
          this.#enqueue(delivery).catch(() => undefined);
        }
      }
    }
  }

  #record(event: Stripe.Event, endpoint: Stripe.WebhookEndpoint, state: Delivery["state"]): Delivery {
    const delivery: Delivery = {
      id: newId("dlv"),
      event: event.id,
      endpoint: endpoint.id,
      state,
      attempts: 0,
      next_at: this.#account.now(),
      last_status: null,
    };
    this.#account.state.deliveries.set(delivery.id, delivery);
    return delivery;
  }

  #all(state: Delivery["state"]): Delivery[] {
    return [...this.#account.state.deliveries.values()].filter((delivery) => delivery.state === state);
  }

  /** Sends after what the endpoint's queue has already, so that events come in the order in which they happened. */
  async #enqueue(delivery: Delivery): Promise<void> {
    this.#begin();
    this.#queued.add(delivery.id);
    const turn = (this.#queues.get(delivery.endpoint) ?? Promise.resolve()).then(() =>
      this.#stopped ? undefined : this.#send(delivery),
    );
    this.#queues.set(delivery.endpoint, turn);
    try {
      await turn;
    } finally {
      this.#queued.delete(delivery.id);
      this.#end();
    }
  }

  async #send(delivery: Delivery): Promise<DeliveryAnswer> {
    const { state } = this.#account;
    const [event, endpoint] = [state.events.get(delivery.event), state.endpoints.get(delivery.endpoint)];
    if (event === undefined || endpoint?.secret === undefined) {
      delivery.state = "failed";
      return { event: delivery.event, endpoint: delivery.endpoint, status: null, body: "no such endpoint" };
    }
    this.#begin();
    try {
      const body = JSON.stringify({ ...event, api_version: endpoint.api_version ?? event.api_version }, null, 2);
      const answer = await post(endpoint, body);
      this.#note(delivery, event, answer.status);
      return { event: event.id, endpoint: endpoint.id, ...answer };
    } finally {
      this.#end();
    }
  }

  #note(delivery: Delivery, event: Stripe.Event, status: number | null): void {
    delivery.last_status = status;
    delivery.attempts += 1;
    if (status !== null && status >= 200 && status < 300) {
      if (delivery.state !== "delivered") {
        event.pending_webhooks = Math.max(0, event.pending_webhooks - 1);
      }
      delivery.state = "delivered";
    } else if (delivery.state === "due") {
      const wait = backOffMinutes[delivery.attempts - 1];
      delivery.state = wait === undefined ? "failed" : "due";
      delivery.next_at = this.#account.now() + (wait ?? 0) * 60_000;
    }
  }

  #begin(): void {
    if (this.#inFlight === 0) {
      this.#idle = Promise.withResolvers<void>();
    }
    this.#inFlight += 1;
  }

  #end(): void {
    this.#inFlight -= 1;
    if (this.#inFlight === 0) {
      this.#idle.resolve();
    }
  }
}

async function post(endpoint: Stripe.WebhookEndpoint, body: string): Promise<{ status: number | null; body: string }> {
  try {
    const answer = await fetch(endpoint.url, {
      method: "POST",
      headers: {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": sign(body, endpoint.secret ?? ""),
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
      },
      body,
      redirect: "manual",
      signal: AbortSignal.timeout(patienceMs),
    });
    return { status: answer.status, body: await answer.text() };
  } catch (error) {
    // An endpoint that is away is what retries are for.
    return { status: null, body: String(error) };
  }
}
