import { createHmac, randomBytes } from "node:crypto";

/** Where deliveries go, and with which secret they are signed. */
export interface Listener {
  url: string;
  secret: string;
}

/** One delivery, as its body was. */
export interface Delivery {
  deliveryId: string;
  originalDeliveryId: string;
  isRedelivery: boolean;
  webhookId: string;
  type: string;
  timestamp: number;
  storeId: string;
  invoiceId: string;
  [more: string]: unknown;
}

/** `held`: kept until the mode is `automatic` again. `dropped`: nobody is ever told. */
export type DeliveryMode = "automatic" | "held" | "dropped";

const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/** An id as BTCPay makes them: base58. */
export const newId = (): string => Array.from(randomBytes(22), (byte) => alphabet[byte % alphabet.length]).join("");

/** The header of a body. */
export const sign = (body: string | Uint8Array, secret: string): string =>
  `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;

/** A store's webhook. */
export class Webhooks {
  /** Everything that was to be told, oldest first. */
  readonly told: Delivery[] = [];
  /** The statuses of what was answered, in order; 0: nobody answered. */
  readonly answers: number[] = [];
  #listener: Listener | null = null;
  #mode: DeliveryMode = "automatic";
  #held: Delivery[] = [];
  readonly #underWay = new Set<Promise<void>>();

  get mode(): DeliveryMode {
    return this.#mode;
  }

  set mode(mode: DeliveryMode) {
    this.#mode = mode;
    if (mode !== "automatic") return;
    for (const delivery of this.#held.splice(0)) this.#send(delivery);
  }

  listen(listener: Listener): void {
    this.#listener = listener;
  }

  tell(delivery: Delivery): void {
    this.told.push(delivery);
    if (this.#mode === "held") this.#held.push(delivery);
    else if (this.#mode === "automatic") this.#send(delivery);
  }

  /** Sends again what was sent, as the button of that name does: a delivery of its own, which names the first. */
  redeliver(original: Delivery): Delivery {
    const again = { ...original, deliveryId: newId(), isRedelivery: true };
    this.#send(again);
    return again;
  }

  /** Resolves when no delivery is under way. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  #send(delivery: Delivery): void {
    const listener = this.#listener;
    if (listener === null) return;
    const sent = this.#deliver(listener, delivery);
    this.#underWay.add(sent);
    void sent.finally(() => this.#underWay.delete(sent));
  }

  async #deliver(listener: Listener, delivery: Delivery): Promise<void> {
    this.answers.push(await post(listener, JSON.stringify(delivery, null, 2)));
  }
}

async function post({ url, secret }: Listener, body: string): Promise<number> {
  const headers = { "Content-Type": "application/json", "BTCPay-Sig": sign(body, secret) };
  try {
    const answer = await fetch(url, { method: "POST", headers, body, redirect: "manual" });
    await answer.arrayBuffer();
    return answer.status;
  } catch {
    // Nobody is there.
    return 0;
  }
}
