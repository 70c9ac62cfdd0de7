import { z } from "zod";
import { accounted, type Coins, type Invoice, mayMark, minorOf, move, shown } from "./btcpay/invoice.ts";
import { isAct, pageOf } from "./btcpay/page.ts";
import { type DeliveryMode, type Delivery, type Listener, newId, Webhooks } from "./btcpay/webhooks.ts";
import { type Peer, type PeerAnswer, type PeerRequest, startPeer } from "./peer.ts";

/** How a stand-in is to be. */
export interface BtcpayOptions {
  /** Any free one unless told. */
  port?: number;
  /** Its clock, in milliseconds; the real time unless told. */
  now?: () => number;
  api_key?: string;
  store_id?: string;
  /** For how long an invoice can be paid; a store's setting. */
  expiration_minutes?: number;
}

/** BTCPay Server in miniature, running: one store, its Greenfield API, its webhook, and what wallets, chains and people do. */
export interface BtcpayMiniature {
  /** `http://127.0.0.1:<port>`. */
  readonly url: string;
  readonly api_key: string;
  readonly store_id: string;
  readonly peer: Peer;
  /** By id; to be read. */
  readonly invoices: ReadonlyMap<string, Invoice>;
  /** What its webhook told, oldest first. */
  readonly told: readonly Delivery[];
  /** What was answered to that, in order; 0: nobody answered. */
  readonly answers: readonly number[];
  deliveries: DeliveryMode;
  listen(listener: Listener): void;
  redeliver(delivery: Delivery): Delivery;
  /** Resolves when no delivery is under way. */
  settled(): Promise<void>;
  /** The invoices that name a purchase, the oldest first. */
  of(purchase: string): Invoice[];
  /** An invoice that somebody else made at the store, as its public forms allow. */
  make(wish: { orderId?: string; minor: number; currency?: string }): Invoice;
  /** Coins come: what is still lacking unless told, and not confirmed yet unless told. */
  pay(invoice: string, wish?: { minor?: number; confirmed?: boolean }): Coins;
  /** What came has its confirmations. */
  confirm(invoice: string): void;
  /** What came was replaced, or the chain forgot it. */
  forget(invoice: string): void;
  /** Its time is over. */
  expire(invoice: string): void;
  /** BTCPay no longer waits for confirmations. */
  giveUp(invoice: string): void;
  /** By a person at BTCPay. Throws where BTCPay does not allow it. */
  mark(invoice: string, as: "Settled" | "Invalid"): void;
  stop(): Promise<void>;
}

/** Starts a stand-in for BTCPay Server on 127.0.0.1, for tests and for development. */
export async function startBtcpay(options: BtcpayOptions = {}): Promise<BtcpayMiniature> {
  const { api_key = "btcpay-key-local", store_id = "StoreInMiniature", expiration_minutes = 15 } = options;
  const now = () => Math.floor((options.now ?? Date.now)() / 1000);
  const invoices = new Map<string, Invoice>();
  const webhooks = new Webhooks();
  const webhookId = newId();
  const peer = await startPeer({ ...(options.port === undefined ? {} : { port: options.port }), handle });

  return {
    url: peer.url,
    api_key,
    store_id,
    peer,
    invoices,
    told: webhooks.told,
    answers: webhooks.answers,
    get deliveries() {
      return webhooks.mode;
    },
    set deliveries(mode) {
      webhooks.mode = mode;
    },
    listen: (listener) => webhooks.listen(listener),
    redeliver: (delivery) => webhooks.redeliver(delivery),
    settled: () => webhooks.settled(),
    of: (purchase) => [...invoices.values()].filter(({ metadata }) => metadata["orderId"] === purchase),
    make: ({ orderId, minor, currency = "EUR" }) => make({ metadata: { orderId }, minor, currency, redirect: null }),
    pay,
    confirm,
    forget: (id) => {
      const invoice = known(id);
      for (const coins of accounted(invoice)) coins.status = "Invalid";
      update(invoice);
    },
    expire,
    giveUp: (id) => {
      const invoice = known(id);
      invoice.expires = Math.min(invoice.expires, now());
      invoice.monitored = now() - 1;
      update(invoice);
    },
    mark,
    stop: () => peer.stop(),
  };

  function known(id: string): Invoice {
    const invoice = invoices.get(id);
    if (invoice === undefined) throw new Error(`there is no invoice ${id}`);
    return invoice;
  }

  function tell({ id, metadata }: Invoice, type: string, more: Record<string, unknown> = {}): void {
    const deliveryId = newId();
    webhooks.tell({
      deliveryId,
      webhookId,
      originalDeliveryId: deliveryId,
      isRedelivery: false,
      type,
      timestamp: now(),
      storeId: store_id,
      invoiceId: id,
      metadata,
      ...more,
    });
  }

  function update(invoice: Invoice): void {
    for (const { type, more } of move(invoice, now())) tell(invoice, type, more);
  }

  function make(of: Pick<Invoice, "metadata" | "minor" | "currency" | "redirect">): Invoice {
    const created = now();
    const expires = created + expiration_minutes * 60;
    const invoice: Invoice = {
      id: newId(),
      ...of,
      status: "New",
      additional: "None",
      created,
      expires,
      monitored: expires + 86_400,
      archived: false,
      coins: [],
    };
    invoices.set(invoice.id, invoice);
    tell(invoice, "InvoiceCreated");
    return invoice;
  }

  function pay(id: string, { minor, confirmed = false }: { minor?: number; confirmed?: boolean } = {}): Coins {
    const invoice = known(id);
    // Its time may have passed while nobody looked.
    update(invoice);
    const lacking = invoice.minor - accounted(invoice).reduce((all, coins) => all + coins.minor, 0);
    const coins: Coins = { id: newId(), minor: minor ?? lacking, status: "Processing", received: now() };
    invoice.coins.push(coins);
    const afterExpiration = invoice.status === "Expired";
    tell(invoice, "InvoiceReceivedPayment", { afterExpiration, paymentMethodId: "BTC-CHAIN" });
    update(invoice);
    if (confirmed) confirm(id);
    return coins;
  }

  function confirm(id: string): void {
    const invoice = known(id);
    for (const coins of invoice.coins.filter(({ status }) => status === "Processing")) {
      coins.status = "Settled";
      tell(invoice, "InvoicePaymentSettled", { afterExpiration: invoice.status === "Expired" });
    }
    update(invoice);
  }

  function expire(id: string): void {
    const invoice = known(id);
    invoice.expires = Math.min(invoice.expires, now());
    update(invoice);
  }

  function mark(id: string, as: "Settled" | "Invalid"): void {
    const invoice = known(id);
    if (!mayMark(invoice, as)) throw new Error(`${invoice.status} cannot be marked ${as}`);
    invoice.status = as;
    invoice.additional = "Marked";
    tell(invoice, `Invoice${as}`, { manuallyMarked: true });
  }

  function handle(request: PeerRequest): PeerAnswer {
    const page = /^\/i\/(\w+)(?:\/(\w+))?$/.exec(request.path);
    if (page !== null) return person(request.method, page[1] ?? "", page[2] ?? "");
    if (request.headers["authorization"] !== `token ${api_key}`)
      return problem(401, "unauthenticated", "Authentication is required");
    const below = `/api/v1/stores/${store_id}/invoices`;
    if (!request.path.startsWith(below)) return problem(404, "store-not-found", "The store was not found");
    const [id, act] = request.path.slice(below.length + 1).split("/");
    if (id === undefined || id === "") return request.method === "POST" ? create(request) : list(request);
    const invoice = invoices.get(id);
    if (invoice === undefined) return problem(404, "invoice-not-found", "The invoice was not found");
    if (act === undefined && request.method === "GET") return { status: 200, body: show(invoice, request.query) };
    if (act !== "status" || request.method !== "POST") return problem(404, "not-found", "There is nothing there");
    const { status } = marking.parse(JSON.parse(request.text));
    if (!mayMark(invoice, status))
      return {
        status: 422,
        body: [
          { path: "status", message: "Status can only be marked to invalid or settled within certain conditions." },
        ],
      };
    mark(id, status);
    return { status: 200, body: show(invoice, request.query) };
  }

  function show(invoice: Invoice, query: URLSearchParams) {
    update(invoice);
    return shown(invoice, { store: store_id, url: peer.url, payments: query.get("includePaymentMethods") === "true" });
  }

  function create({ text, query }: PeerRequest): PeerAnswer {
    const wish = wishes.parse(JSON.parse(text));
    if (!/^\d+(?:\.\d+)?$/.test(wish.amount))
      return { status: 422, body: [{ path: "amount", message: "The amount should be 0 or more." }] };
    if (wish.currency === "XXX")
      return problem(400, "generic-error", "Error retrieving a matching payment method or rate.");
    const invoice = make({
      metadata: wish.metadata,
      minor: minorOf(wish.amount, wish.currency),
      currency: wish.currency,
      redirect: wish.checkout.redirectURL ?? null,
    });
    return { status: 200, body: show(invoice, query) };
  }

  function list({ query }: PeerRequest): PeerAnswer {
    const orders = query.getAll("orderId");
    const found = [...invoices.values()]
      .toReversed()
      .filter(({ metadata }) => orders.length === 0 || orders.includes(String(metadata["orderId"])))
      .filter(({ archived }) => !archived || query.get("includeArchived") === "true");
    return {
      status: 200,
      body: found.slice(0, Number(query.get("take") ?? 50)).map((invoice) => show(invoice, query)),
    };
  }

  function person(method: string, id: string, act: string): PeerAnswer {
    const invoice = invoices.get(id);
    if (invoice === undefined) return { status: 404, body: "There is no such invoice." };
    if (method === "POST" && isAct(act)) {
      if (act === "confirm") confirm(id);
      else if (act === "expire") expire(id);
      else if (act === "pay") pay(id);
      else pay(id, { minor: act === "partly" ? Math.floor(invoice.minor / 2) : invoice.minor + 1 });
      return { status: 303, headers: { Location: `/i/${id}` } };
    }
    update(invoice);
    const back =
      invoice.redirect?.replaceAll("{InvoiceId}", id).replaceAll("{OrderId}", String(invoice.metadata["orderId"])) ??
      null;
    return { status: 200, headers: { "Content-Type": "text/html; charset=utf-8" }, body: pageOf(invoice, back) };
  }
}

const marking = z.object({ status: z.enum(["Settled", "Invalid"]) });
const wishes = z.object({
  amount: z.string(),
  currency: z.string(),
  metadata: z.record(z.string(), z.unknown()).default({}),
  checkout: z.object({ redirectURL: z.string().optional() }).default({}),
});

const problem = (status: number, code: string, message: string): PeerAnswer => ({ status, body: { code, message } });
