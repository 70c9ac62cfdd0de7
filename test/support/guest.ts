import { randomUUID } from "node:crypto";
import { call, rows } from "./scenario.ts";
import type { Db } from "./scenario.ts";

/** A row of access.key, as tests look at it. */
export interface KeyRow {
  id: string;
  key: string;
  state: string;
  activated_at: string | null;
  revoked_at: string | null;
  removed_at: string | null;
}

/** A message to the provisioner that somebody has claimed. */
export interface Told {
  id: string;
  kind: string;
  body: { key_id: string; key: string };
  token: string;
}

/** What differs from a plan of 5 € a month without a trial and without grace. */
export interface GuestWish {
  workspace?: string;
  trial_days?: number;
  grace_days?: number;
  included_credits?: number;
  /** Cents in the balance. */
  balance?: number;
}

/** A workspace whose customer is let in by a key, while a plan is paid that grants access; each method is one call of a routine. */
export class Guest {
  readonly db: Db;
  readonly workspace: string;
  readonly plan: string;
  readonly price: string;

  private constructor(db: Db, workspace: string, plan: string, price: string) {
    this.db = db;
    this.workspace = workspace;
    this.plan = plan;
    this.price = price;
  }

  /** One who has paid nothing yet. */
  static async of(db: Db, wish: GuestWish = {}): Promise<Guest> {
    const { trial_days = 0, grace_days = 0, included_credits = 0, balance = 0 } = wish;
    const code = `access_${randomUUID().slice(0, 8)}`;
    const workspace =
      wish.workspace ??
      (await call<{ id: string }>(db, "people.create_workspace", { name: "Acme", caused_by: "test" })).id;
    const { id } = await call<{ id: string }>(db, "billing.create_plan", {
      code,
      name: "Access",
      included_credits,
      rollover_cap: null,
      rollover_expires_in: null,
      seats: null,
      storage_bytes: null,
      trial_days,
      grace_days,
      currencies: ["eur"],
      interval_units: ["month"],
      interval_counts: [1],
      amounts_minor: [500],
      caused_by: "test",
      grants_access: true,
    });
    const [price] = await rows<{ id: string }>(db, "select id from billing.price where plan_id = $1", [id]);
    const guest = new Guest(db, workspace, code, price?.id ?? "");
    if (balance > 0) await guest.topUp(balance);
    return guest;
  }

  /** One who has paid a month, and has a key. */
  static async withKey(db: Db, wish: GuestWish = {}): Promise<Guest> {
    const guest = await Guest.of(db, wish);
    await guest.pay();
    return guest;
  }

  /** The same on another connection. */
  on(db: Db): Guest {
    return new Guest(db, this.workspace, this.plan, this.price);
  }

  topUp(amount_minor: number) {
    return call(this.db, "payments.record_topup", {
      workspace_id: this.workspace,
      amount_minor,
      currency: "eur",
      reference: randomUUID(),
      caused_by: "test",
    });
  }

  /** A month is paid, as whoever has taken the money says it. */
  async pay({ auto_renew = false } = {}): Promise<void> {
    const reference = randomUUID();
    await this.db.query(
      `with paid as (
         select case when people.lock_workspace($1) then payments.record_payment($1, 'manual', $4, 500, 'eur', ops.now(), true) end as id)
       select billing.pay_period(
         workspace_id => $1, price_id => $2, quantity => 1, auto_renew => $3, payment_id => p.id, caused_by => 'test') from paid p`,
      [this.workspace, this.price, auto_renew, reference],
    );
    await this.db.query(
      `update payments.payment p set subscription_id = (
         select s.id from billing.subscription s where s.workspace_id = p.workspace_id and s.ended_at is null)
        where p.reference = $1`,
      [reference],
    );
  }

  tryOut({ auto_renew = false } = {}) {
    return call<{ id: string; trial_end: string }>(this.db, "billing.start_trial", {
      workspace_id: this.workspace,
      plan_code: this.plan,
      plan_number: null,
      currency: "eur",
      interval_unit: "month",
      interval_count: 1,
      quantity: 1,
      identity_hash: null,
      auto_renew,
      caused_by: "test",
    });
  }

  /** Its subscription is over at once. */
  end() {
    return call(this.db, "billing.begin_change", {
      workspace_id: this.workspace,
      change: "cancel_now",
      plan_code: null,
      plan_number: null,
      quantity: null,
      caused_by: "test",
    });
  }

  /** Says which subscription is to have a key: its own, or none. */
  async follow(wanted = true): Promise<void> {
    await this.db.query(
      `select access.follow($1, (
         select s.id from billing.subscription s where $2 and s.workspace_id = $1 and s.ended_at is null))`,
      [this.workspace, wanted],
    );
  }

  confirm(id: string, state: "active" | "removed") {
    return call<KeyRow>(this.db, "access.confirm", { id, state, caused_by: "key:someone" });
  }

  async subscription(): Promise<{ id: string; state: string; ended_reason: string | null }> {
    const [row] = await rows<{ id: string; state: string; ended_reason: string | null }>(
      this.db,
      "select id, state, ended_reason from billing.subscription where workspace_id = $1 order by id desc limit 1",
      [this.workspace],
    );
    if (row === undefined) throw new Error("it has no subscription");
    return row;
  }

  /** Moves the database's clock to the end of what is paid for (`current_period_end`), or to where all ends; and on by an interval. */
  async toEnd(by = "0", of: "current_period_end" | "expire_at" = "current_period_end"): Promise<void> {
    await this.db.query(
      `update ops.clock set clock_offset = clock_offset + (
         select s.${of} - ops.now() + $2::interval from billing.subscription s where s.id = $1)`,
      [(await this.subscription()).id, by],
    );
  }

  /** Is it let in by the key that it has, or had last? As the Worker asks it at the door. */
  async isLetIn(): Promise<boolean> {
    const [row] = await rows<{ valid: boolean }>(
      this.db,
      `select billing.paid_until((
         select k.subscription_id from access.key k where k.key = $1 and k.state in ('pending', 'active'))) is not null as valid`,
      [(await this.key()).key],
    );
    return row?.valid === true;
  }

  /** Its keys, the first one first. */
  keys(): Promise<KeyRow[]> {
    return rows<KeyRow>(
      this.db,
      `select id, key, state, activated_at, revoked_at, removed_at from access.key where workspace_id = $1 order by id`,
      [this.workspace],
    );
  }

  /** The key that it has, or had last. */
  async key(): Promise<KeyRow> {
    const key = (await this.keys()).at(-1);
    if (key === undefined) throw new Error("it has no key");
    return key;
  }

  /** Claims all that the provisioner is to be told, for five minutes, and answers what is about this guest's keys. */
  async claimed(): Promise<Told[]> {
    const { ids, kinds, bodies, tokens } = await call<{
      ids: string[];
      kinds: string[];
      bodies: Told["body"][];
      tokens: string[];
    }>(this.db, "messages.claim", { channel: "provisioner", batch: 1000, lease: "5 minutes" });
    const own = new Set((await this.keys()).map(({ id }) => id));
    return ids.flatMap((id, i) => {
      const [kind = "", body, token = ""] = [kinds[i], bodies[i], tokens[i]];
      return body !== undefined && own.has(body.key_id) ? [{ id, kind, body, token }] : [];
    });
  }

  /** What the provisioner is told of its keys, as "add_key queued", in order. */
  async told(): Promise<string[]> {
    const messages = await rows<{ told: string }>(
      this.db,
      `select kind || ' ' || state as told from messages.outbox
        where channel = 'provisioner' and workspace_id = $1 order by id`,
      [this.workspace],
    );
    return messages.map(({ told }) => told);
  }

  /** Its key was never made: as a subscription is of which nobody has said yet that it is to have one. */
  async forgetKey(): Promise<void> {
    await this.db.query("delete from access.key where workspace_id = $1", [this.workspace]);
    await this.db.query("delete from messages.outbox where channel = 'provisioner' and workspace_id = $1", [
      this.workspace,
    ]);
  }
}
