import { randomUUID } from "node:crypto";
import { call, rows } from "./scenario.ts";
import type { Db } from "./scenario.ts";

/** A plan's version with the id of its price. */
export interface SoldPlan {
  code: string;
  id: string;
  price: string;
}

interface PlanWish {
  code?: string;
  amount?: number;
  every?: [count: number, unit: "day" | "week" | "month" | "year"];
  included_credits?: number;
  trial_days?: number;
  grace_days?: number;
  grants_access?: boolean;
}

/** A plan that lets its customers in, sold in euros by the month for 5 €, unless wished otherwise. */
export async function soldPlan(db: Db, wish: PlanWish = {}): Promise<SoldPlan> {
  const { code = `plan_${randomUUID().slice(0, 8)}`, amount = 500, every = [1, "month"], ...rest } = wish;
  const plan = await call<{ id: string }>(db, "billing.create_plan", {
    code,
    name: code,
    included_credits: 0,
    rollover_cap: null,
    rollover_expires_in: null,
    seats: null,
    storage_bytes: null,
    trial_days: 0,
    grace_days: 0,
    grants_access: true,
    ...rest,
    currencies: ["eur"],
    interval_units: [every[1]],
    interval_counts: [every[0]],
    amounts_minor: [amount],
    caused_by: "test",
  });
  const [price] = await rows<{ id: string }>(db, "select id from billing.price where plan_id = $1", [plan.id]);
  return { code, id: plan.id, price: price?.id ?? "" };
}

/** A subscription as it stands. */
export interface Standing {
  id: string;
  state: string;
  period_number: number;
  current_period_start: string;
  current_period_end: string;
  renew_at: string | null;
  expire_at: string | null;
  notice_at: string | null;
  ended_reason: string | null;
  renew_attempts: number;
}

/** A workspace that pays by the period from its balance of euros. */
export class Subscriber {
  readonly db: Db;
  readonly workspace: string;

  private constructor(db: Db, workspace: string) {
    this.db = db;
    this.workspace = workspace;
  }

  /** A new workspace with so many cents. */
  static async make(db: Db, cents = 0): Promise<Subscriber> {
    const { id } = await call<{ id: string }>(db, "people.create_workspace", { name: "Acme", caused_by: "test" });
    const subscriber = new Subscriber(db, id);
    if (cents > 0) await subscriber.topup(cents);
    return subscriber;
  }

  /** The same workspace on another connection. */
  on(db: Db): Subscriber {
    return new Subscriber(db, this.workspace);
  }

  /** Another workspace, seen so. */
  of(workspace: string): Subscriber {
    return new Subscriber(this.db, workspace);
  }

  topup(amount_minor: number, reference: string = randomUUID()) {
    return call<{ payment_id: string; available: number }>(this.db, "payments.record_topup", {
      workspace_id: this.workspace,
      amount_minor,
      currency: "eur",
      reference,
      caused_by: "test",
    });
  }

  /** Pays a period of the plan from the balance. */
  buy(plan: SoldPlan, { quantity = 1, auto_renew = true, every = [1, "month"] as [number, string] } = {}) {
    return call<{ id: string; subscription_id: string; payment_id: string; available: number }>(
      this.db,
      "payments.buy_from_balance",
      {
        workspace_id: this.workspace,
        pack_code: null,
        currency: "eur",
        quantity,
        caused_by: "test",
        plan_code: plan.code,
        interval_unit: every[1],
        interval_count: every[0],
        auto_renew,
      },
    );
  }

  /** A period of the plan was paid for by itself, outside; answers the subscription. */
  async pay(plan: SoldPlan, { quantity = 1, auto_renew = true } = {}): Promise<string> {
    const reference = randomUUID();
    const [row] = await rows<{ id: string }>(
      this.db,
      `select billing.pay_period(w.id, $2, $3, $4,
                payments.record_payment(w.id, 'manual', $5, 500, 'eur', ops.now(), true), 'test') as id
         from people.workspace w where w.id = $1 and people.lock_workspace(w.id)`,
      [this.workspace, plan.price, quantity, auto_renew, reference],
    );
    await this.db.query("update payments.payment set subscription_id = $2 where reference = $1", [reference, row?.id]);
    return row?.id ?? "";
  }

  tryOut(plan: SoldPlan, { auto_renew = false, identity = null as string | null } = {}) {
    return call<{ id: string; trial_end: string }>(this.db, "billing.start_trial", {
      workspace_id: this.workspace,
      plan_code: plan.code,
      plan_number: null,
      currency: "eur",
      interval_unit: "month",
      interval_count: 1,
      quantity: 1,
      identity_hash: identity,
      auto_renew,
      caused_by: "test",
    });
  }

  /** cancel, cancel_now, uncancel, keep, downgrade. */
  change(change: string, plan: SoldPlan | null = null, quantity: number | null = null) {
    return call<object>(this.db, "billing.begin_change", {
      workspace_id: this.workspace,
      change,
      plan_code: plan?.code ?? null,
      plan_number: null,
      quantity,
      caused_by: "test",
    });
  }

  renewal(auto_renew: boolean, to: { plan?: SoldPlan; every?: [number, string]; quantity?: number } = {}) {
    return call<{ id: string; renew_at: string | null }>(this.db, "billing.set_renewal", {
      workspace_id: this.workspace,
      auto_renew,
      plan_code: to.plan?.code ?? null,
      plan_number: null,
      interval_unit: to.every?.[1] ?? null,
      interval_count: to.every?.[0] ?? null,
      quantity: to.quantity ?? null,
      caused_by: "test",
    });
  }

  /** Its newest subscription. */
  async standing(): Promise<Standing> {
    const [row] = await rows<Standing>(
      this.db,
      `select id, state, period_number, current_period_start, current_period_end, renew_at, expire_at, notice_at, ended_reason,
              renew_attempts
         from billing.subscription where workspace_id = $1 order by id desc limit 1`,
      [this.workspace],
    );
    if (row === undefined) throw new Error("it has no subscription");
    return row;
  }

  /** The cents that it has; less than none is what it owes. */
  async cents(): Promise<number> {
    const [row] = await rows<{ available: number; debt: number }>(
      this.db,
      "select available, debt from ledger.balance_of($1, 'eur')",
      [this.workspace],
    );
    return (row?.available ?? 0) - (row?.debt ?? 0);
  }

  /** Its keys, oldest first, and until when its newest subscription lets it in. */
  async access(): Promise<{ keys: string[]; states: string[]; until: string | null }> {
    const found = await rows<{ key: string; state: string }>(
      this.db,
      "select key, state from access.key where workspace_id = $1 order by id",
      [this.workspace],
    );
    const [row] = await rows<{ until: string | null }>(
      this.db,
      `select billing.paid_until(s.id) as until from billing.subscription s where s.workspace_id = $1 order by s.id desc limit 1`,
      [this.workspace],
    );
    return { keys: found.map(({ key }) => key), states: found.map(({ state }) => state), until: row?.until ?? null };
  }

  /** What its customer was told, in order: kind, and what of it a test wants. */
  async notices(): Promise<{ kind: string; body: Record<string, unknown> }[]> {
    return rows(
      this.db,
      "select kind, body from messages.outbox where workspace_id = $1 and channel = 'notice' order by created_at, id",
      [this.workspace],
    );
  }
}

/** What a run of a sweep did. */
export interface Ran {
  processed: number;
  failed: number;
  more: boolean;
}

/** Runs one batch of a sweep of billing's. */
function sweepOnce(db: Db, name: string, batch = 100): Promise<Ran> {
  return call<Ran>(db, `billing.${name}`, { batch });
}

/** Runs a sweep of billing's until nothing is left to do, and answers how much it did. */
export async function sweepAll(db: Db, name: string, batch = 100): Promise<{ processed: number; failed: number }> {
  const all = { processed: 0, failed: 0 };
  for (let more = true; more;) {
    const ran = await sweepOnce(db, name, batch);
    all.processed += ran.processed;
    all.failed += ran.failed;
    more = ran.more;
  }
  return all;
}

/** Moves the database's clock on to this instant. Never back. */
export async function travelTo(db: Db, at: string): Promise<void> {
  await db.query("update ops.clock set clock_offset = greatest(clock_offset, $1::timestamptz - clock_timestamp())", [
    at,
  ]);
}

/** The database's time. */
export async function timeOf(db: Db): Promise<string> {
  const [row] = await rows<{ now: string }>(db, "select ops.now() as now");
  return row?.now ?? "";
}
