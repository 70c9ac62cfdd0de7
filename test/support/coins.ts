import { randomUUID } from "node:crypto";
import { Counter, type Order } from "./counter.ts";
import { call, rows } from "./scenario.ts";
import type { Db } from "./scenario.ts";

/** How an invoice stands, as the Worker reads it: `src/outside/btcpay/invoice.ts`. */
export interface InvoiceFact {
  kind: "btcpay_invoice";
  invoice: string;
  purchase: string | null;
  status: "New" | "Processing" | "Settled" | "Expired" | "Invalid";
  marked: boolean;
  amount_minor: number;
  currency: string;
  paid_minor: number;
  unconfirmed: boolean;
  paid_at: number | null;
  url: string;
  created: number;
  expires_at: number;
  monitored_until: number;
}

/** Somebody's purchase in crypto, and its invoice. */
export interface Bill {
  workspace: string;
  purchase: string;
  invoice: string;
  amount_minor: number;
  expires_at: number;
}

const unique = () => randomUUID().replaceAll("-", "").slice(0, 12);

/** The shop's counter for crypto, without a Worker and without BTCPay: what it says is handed to the database itself. */
export class Coins {
  readonly db: Db;
  readonly counter: Counter;

  constructor(db: Db) {
    this.db = db;
    this.counter = new Counter(db);
  }

  /** Begins a purchase: what a route does before it asks BTCPay. */
  start(workspace_id: string, { plan, pack, topup, quantity = 1, promo = null, currency = "eur" }: Order) {
    return call<{
      id: string;
      amount_minor: number;
      session_token: string | null;
      session_id: string | null;
      search_session: boolean | null;
      customer_token: string | null;
      mode: string;
    }>(this.db, "payments.start_checkout", {
      workspace_id,
      plan_code: plan?.code ?? null,
      plan_number: null,
      pack_code: pack?.code ?? null,
      topup_minor: topup ?? null,
      currency,
      interval_unit: plan === undefined ? null : "month",
      interval_count: plan === undefined ? null : 1,
      quantity,
      promo_code: promo,
      success_url: "https://app.example/ok",
      cancel_url: "https://app.example/no",
      provider: "btcpay",
      caused_by: "test",
    });
  }

  /** A purchase of 10 € for the balance, or what is told, whose invoice was made and written down. */
  async buying(order: Order = { topup: 1000 }, workspace?: string): Promise<Bill> {
    const of = workspace ?? (await this.counter.workspace());
    const { id, amount_minor, session_token } = await this.start(of, order);
    const invoice = unique();
    const expires_at = await this.seconds("15 minutes");
    await this.record(id, session_token, invoice, expires_at);
    return { workspace: of, purchase: id, invoice, amount_minor: amount_minor, expires_at };
  }

  record(id: string, token: string | null, session_id: string, expires_at: number) {
    return call<{ state: string; session_id: string | null }>(this.db, "payments.record_session", {
      id,
      token,
      session_id,
      url: `https://pay.example/i/${session_id}`,
      expires_at: new Date(expires_at * 1000).toISOString(),
    });
  }

  /** The database's time, in whole seconds, so much later. */
  async seconds(later = "0"): Promise<number> {
    const [row] = await rows<{ at: number }>(
      this.db,
      "select extract(epoch from ops.now() + $1::interval)::int as at",
      [later],
    );
    return row?.at ?? 0;
  }

  /** How its invoice stands: open, unless told. */
  fact(of: Bill, more: Partial<InvoiceFact> = {}): InvoiceFact {
    return {
      kind: "btcpay_invoice",
      invoice: of.invoice,
      purchase: of.purchase,
      status: "New",
      marked: false,
      amount_minor: of.amount_minor,
      currency: "eur",
      paid_minor: 0,
      unconfirmed: false,
      paid_at: (more.paid_minor ?? 0) > 0 ? of.expires_at - 60 : null,
      url: `https://pay.example/i/${of.invoice}`,
      created: of.expires_at - 900,
      expires_at: of.expires_at,
      monitored_until: of.expires_at + 86_400,
      ...more,
    };
  }

  /** The webhook's event, fetched. Answers what it did; throws with what went wrong. */
  async tells(fact: InvoiceFact, db: Db = this.db): Promise<string> {
    const id = unique();
    const { state, outcome } = await call<{ state: string; outcome: string | null }>(db, "ops.receive_event", {
      provider: "btcpay",
      id,
      type: "InvoiceSettled",
      subject: fact.invoice,
      occurred_at: new Date().toISOString(),
      fact: JSON.stringify(fact),
      payload: "{}",
    });
    if (state !== "applied") {
      const [row] = await rows<{ error: string }>(db, "select error from ops.event where id = $1", [id]);
      throw new Error(`${state}: ${row?.error}`);
    }
    return outcome ?? "";
  }

  /** The watcher's answer, asked for now unless told. Answers the purchase's state. */
  async watched(
    of: { purchase: string },
    fact: InvoiceFact | null,
    asked_at?: string,
    db: Db = this.db,
  ): Promise<string> {
    const [now] = await rows<{ at: string }>(db, "select ops.now()::text as at");
    const { state } = await call<{ state: string }>(db, "payments.sync_checkout", {
      id: of.purchase,
      fact: fact === null ? null : JSON.stringify(fact),
      asked_at: asked_at ?? now?.at,
    });
    return state;
  }

  claim(batch = 100) {
    return call<{ ids: string[]; session_ids: (string | null)[]; asked_at: string }>(this.db, "payments.claim_checks", {
      batch,
      lease: "5 minutes",
      provider: "btcpay",
    });
  }

  /** What a purchase has become: its state, its money, the workspace's balance, and the open alarms. */
  async standing({ workspace, purchase }: Bill) {
    const [row] = await rows<{ state: string; balance: number; payments: string[]; alarms: string[] }>(
      this.db,
      `select p.state, (ledger.balance_of(p.workspace_id, 'eur')).available as balance,
              array(select m.reference_part || ' ' || m.amount_minor || ' ' || m.currency || m.kept
                      from (select regexp_replace(m.reference, '^[^:]*', '') as reference_part, m.amount_minor, m.currency,
                                   case when m.unsettled_at is null then '' else ' kept' end as kept, m.id
                              from payments.payment m where m.workspace_id = p.workspace_id) m order by m.id) as payments,
              array(select a.code from ops.alarm a where a.subject = 'purchase:' || p.id and a.closed_at is null
                     order by a.code) as alarms
         from payments.purchase p where p.id = $1 and p.workspace_id = $2`,
      [purchase, workspace],
    );
    if (row === undefined) throw new Error("there is no such purchase");
    return { ...row, payments: row.payments.map((payment) => payment.trim()) };
  }
}
