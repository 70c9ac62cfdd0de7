import { once } from "node:events";
import { createServer } from "node:http";
import { Stripe } from "stripe";
import { test as plain } from "vitest";
import { startStripe } from "../world/stripe.ts";
import { idOf } from "../world/stripe/ids.ts";
import type { StripeMiniature, StripeOptions } from "../world/stripe.ts";

/** A delivery as it came in at the shop. */
export interface Received {
  body: string;
  signature: string;
  /** Null when the signature was not right. */
  event: Stripe.Event | null;
}

/** A shop before Stripe in miniature: the real SDK, a webhook endpoint, and things to sell. */
export interface Shop {
  world: StripeMiniature;
  stripe: Stripe;
  /** What came in at the endpoint, in order. */
  received: Received[];
  /** What the endpoint answers. */
  answer: { status: number };
  /** The types of what came in since the last time. */
  taken(): string[];
  /** A price of a new product: once, or by month or year. */
  price: (amount: number, interval?: "month" | "year") => Promise<string>;
  /** A customer who subscribed in Checkout. */
  subscriber(amount: number, quantity?: number, trialDays?: number): Promise<Subscriber>;
  stop(): Promise<void>;
}

/** A customer, and what they subscribed to. */
export interface Subscriber {
  customer: string;
  session: string;
  subscription: string;
  price: string;
}

/** Opens a shop whose clock stands at an instant until it is moved. */
async function openShop(at: string, options: StripeOptions = {}): Promise<Shop> {
  const received: Received[] = [];
  const answer = { status: 200 };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString("utf8");
      const signature = String(request.headers["stripe-signature"]);
      received.push({ body, signature, event: verified(body, signature) });
      response.writeHead(answer.status).end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === "object" ? (address?.port ?? 0) : 0}/hook`;
  const world = await startStripe({ now: () => Date.parse(at), endpoints: [{ url }], ...options });
  const stripe = new Stripe("sk_test_shop", { ...world.config, maxNetworkRetries: 0 });

  function verified(body: string, signature: string): Stripe.Event | null {
    try {
      return stripe.webhooks.constructEvent(body, signature, world.secret());
    } catch (error) {
      if (error instanceof Stripe.errors.StripeSignatureVerificationError) {
        return null;
      }
      throw error;
    }
  }

  async function price(amount: number, interval?: "month" | "year"): Promise<string> {
    const product = await stripe.products.create({ name: "Thing" });
    const made = await stripe.prices.create({
      product: product.id,
      currency: "usd",
      unit_amount: amount,
      ...(interval === undefined ? {} : { recurring: { interval } }),
    });
    return made.id;
  }

  return {
    world,
    stripe,
    received,
    answer,
    taken: () => received.splice(0).map(({ event }) => event?.type ?? "unsigned"),
    price,
    async subscriber(amount, quantity = 1, trialDays) {
      const monthly = await price(amount, "month");
      const { id: customer } = await stripe.customers.create({ email: "who@example.com" });
      const session = await stripe.checkout.sessions.create({
        mode: "subscription",
        customer,
        line_items: [{ price: monthly, quantity }],
        success_url: "https://shop.example/done",
        ...(trialDays === undefined ? {} : { subscription_data: { trial_period_days: trialDays } }),
      });
      const subscription = idOf(world.pay(session.id).subscription) ?? "";
      await world.settled();
      return { customer, session: session.id, subscription, price: monthly };
    },
    async stop() {
      await world.stop();
      server.close();
      server.closeAllConnections();
    },
  };
}

/** `test` with a shop of its own: `test("…", async ({ open }) => { const shop = await open("2027-01-31T10:00:00Z"); … })`. */
export const test = plain.extend(
  "open",
  // oxlint-disable-next-line no-empty-pattern -- vitest reads a fixture's needs from its pattern and takes no other
  ({}, { onCleanup }) => {
    const shops: Shop[] = [];
    onCleanup(async () => {
      await Promise.all(shops.map((shop) => shop.stop()));
    });
    return async (at = "2027-01-31T10:00:00Z", options?: StripeOptions): Promise<Shop> => {
      const shop = await openShop(at, options);
      shops.push(shop);
      return shop;
    };
  },
);
