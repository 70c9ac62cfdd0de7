import { randomUUID } from "node:crypto";
import { call, rows } from "./scenario.ts";
import type { Db } from "./scenario.ts";
import { Till } from "./till.ts";
import type { Offer } from "./till.ts";

/** What is to be bought: a plan's period in months, a pack, or money for the balance; in euros unless told. */
export interface Order {
  plan?: Offer;
  pack?: Offer;
  topup?: number;
  quantity?: number;
  promo?: string | null;
  currency?: string;
  months?: number;
  auto_renew?: boolean;
}

interface PromoWish {
  code?: string;
  campaign_id?: string | null;
  percent?: number | null;
  currencies?: string[] | null;
  amounts_minor?: number[] | null;
  kinds?: string[] | null;
  max_redemptions?: number | null;
  per_workspace?: number | null;
  starts_at?: string | null;
  ends_at?: string | null;
}

/** A purchase as a routine answers it. */
export interface Bought {
  id: string;
  kind: string;
  state: string;
  list_minor: number;
  discount_minor: number;
  amount_minor: number;
}

const caused_by = "test";

/** The shop's counter, without a Worker: promo codes, purchases that are paid by hand, from the balance or at Stripe. */
export class Counter {
  readonly db: Db;
  readonly till: Till;

  constructor(db: Db) {
    this.db = db;
    this.till = new Till(db);
  }

  async workspace(): Promise<string> {
    const { id } = await call<{ id: string }>(this.db, "people.create_workspace", { name: "Acme", caused_by });
    return id;
  }

  campaign(wish: {
    max_redemptions?: number | null;
    starts_at?: string | null;
    ends_at?: string | null;
    name?: string;
  }) {
    return call<{ id: string }>(this.db, "payments.create_campaign", {
      name: `campaign ${randomUUID()}`,
      max_redemptions: null,
      starts_at: null,
      ends_at: null,
      ...wish,
      caused_by,
    });
  }

  /** A promo code; 10 % unless told. */
  promo(wish: PromoWish = {}) {
    return call<{ id: string; code: string }>(this.db, "payments.create_promo_code", {
      code: `P${randomUUID().slice(0, 8)}`,
      campaign_id: null,
      percent: wish.amounts_minor === undefined ? 10 : null,
      currencies: null,
      amounts_minor: null,
      kinds: null,
      max_redemptions: null,
      per_workspace: null,
      starts_at: null,
      ends_at: null,
      ...wish,
      caused_by,
    });
  }

  disable(code: string) {
    return call<{ id: string; disabled_at: string }>(this.db, "payments.disable_promo_code", { code, caused_by });
  }

  quote(workspace_id: string, order: Order, collection = "balance") {
    const { auto_renew: _, ...of } = wished(order);
    return call<{
      kind: string;
      name: string;
      trial_days: number;
      list_minor: number;
      discount_minor: number;
      amount_minor: number;
      promo_code_id: string | null;
    }>(this.db, "payments.quote", { workspace_id, ...of, topup_minor: order.topup ?? null, collection });
  }

  /** A purchase that is to be paid by hand, within a week unless told. */
  start(workspace_id: string, order: Order, expires_in = "7 days") {
    return call<Bought & { expires_at: string }>(this.db, "payments.start_purchase", {
      workspace_id,
      ...wished(order),
      topup_minor: order.topup ?? null,
      expires_in,
      caused_by,
    });
  }

  /** Money came for it. */
  confirm(
    workspace_id: string,
    { id, amount_minor }: { id: string; amount_minor: number },
    { currency = "eur", reference = `bank-${randomUUID()}` } = {},
  ) {
    return call<{
      outcome: string;
      state: string;
      payment_id: string;
      subscription_id: string | null;
      available: number;
    }>(this.db, "payments.confirm_purchase", { workspace_id, id, amount_minor, currency, reference, caused_by });
  }

  settle(workspace_id: string, payment_id: string, settle_as: "balance" | "purchase") {
    return call<{ state: string; subscription_id: string | null; available: number; amount_minor: number }>(
      this.db,
      "payments.settle_payment",
      { workspace_id, payment_id, settle_as, reason: "test", caused_by },
    );
  }

  /** From the balance. */
  buy(workspace_id: string, order: Order) {
    return call<Bought & { payment_id: string; subscription_id: string | null; available: number }>(
      this.db,
      "payments.buy_from_balance",
      { workspace_id, ...wished(order), caused_by },
    );
  }

  /** At Stripe: one period of a plan (`collection` balance) unless told. */
  checkout(workspace_id: string, order: Order, collection = "balance") {
    return call<{
      id: string;
      mode: string;
      discounted: boolean;
      name: string;
      session_token: string | null;
      amount_minor: number;
      trial_days: number;
    }>(this.db, "payments.start_checkout", {
      workspace_id,
      ...wished(order),
      topup_minor: order.topup ?? null,
      collection,
      success_url: "https://app.example/ok",
      cancel_url: "https://app.example/no",
      caused_by,
    });
  }

  topup(workspace_id: string, amount_minor: number, reference = `bank-${randomUUID()}`, currency = "eur") {
    return call<{ id: string; payment_id: string; available: number }>(this.db, "payments.record_topup", {
      workspace_id,
      amount_minor,
      currency,
      reference,
      caused_by,
    });
  }

  refund(workspace_id: string, payment_id: string, amount_minor: number | null = null) {
    return call<{ refunded: number; available: number }>(this.db, "payments.refund_payment", {
      workspace_id,
      payment_id,
      amount_minor,
      reason: "test",
      caused_by,
    });
  }

  cancel(workspace_id: string, id: string) {
    return call<{ state: string }>(this.db, "payments.cancel_purchase", { workspace_id, id });
  }

  expire(batch = 100) {
    return call<{ processed: number; failed: number; more: boolean }>(this.db, "payments.purchases_expire", { batch });
  }

  /** What is there and owed. */
  async balance(workspace_id: string, currency = "eur"): Promise<number> {
    const { available, debt } = await call<{ available: number; debt: number }>(this.db, "ledger.balance_of", {
      owner_id: workspace_id,
      unit: currency,
    });
    return available - debt;
  }

  /** The purchase's redemption, and what is left of the code's own cap. */
  async redemption(purchase_id: string) {
    const [row] = await rows<{ state: string; attempt: number; left: number }>(
      this.db,
      `select r.state, r.attempt, b.available as left
         from payments.redemption r cross join lateral ledger.balance_of(r.promo_code_id, 'redemption') b
        where r.purchase_id = $1`,
      [purchase_id],
    );
    return row;
  }

  /** What is left of a cap. */
  async left(owner_id: string): Promise<number> {
    return (await call<{ available: number }>(this.db, "ledger.balance_of", { owner_id, unit: "redemption" }))
      .available;
  }

  async purchase(id: string) {
    const [row] = await rows<{ state: string; payment_id: string | null; subscription_id: string | null }>(
      this.db,
      "select state, payment_id, subscription_id from payments.purchase where id = $1",
      [id],
    );
    return row;
  }

  /** The open alarms about a purchase's money. */
  async alarms(purchase_id: string): Promise<number> {
    const open = await rows(
      this.db,
      "select from ops.alarm where code = 'payment_does_not_fit' and subject = $1 and closed_at is null",
      [`purchase:${purchase_id}`],
    );
    return open.length;
  }
}

function wished({ plan, pack, quantity = 1, promo = null, currency = "eur", months = 1, auto_renew = true }: Order) {
  return {
    plan_code: plan?.code ?? null,
    plan_number: null,
    pack_code: pack?.code ?? null,
    currency,
    interval_unit: plan === undefined ? null : "month",
    interval_count: plan === undefined ? null : months,
    quantity,
    promo_code: promo,
    auto_renew,
  };
}
