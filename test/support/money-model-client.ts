import { createHash, randomUUID } from "node:crypto";
import { DatabaseError } from "pg";
import { race } from "./barrier.ts";
import type { TestDatabase } from "./database.ts";
import { declared } from "./declarations.ts";
import type { Dice } from "./dice.ts";
import { Door } from "./door.ts";
import type { Answered } from "./door.ts";
import { Bomb } from "./money-model-faults.ts";
import type { Operation, Order, SweepName } from "./money-model-operations.ts";
import { pack, plans } from "./money-model-shop.ts";
import { call, rows } from "./scenario.ts";
import type { Db } from "./scenario.ts";

/** What a request came back with: done, a refusal's code, or what a confirmed payment was. */
export interface Heard {
  outcome: string;
  answer: Record<string, unknown>;
}

/** Carries the walk's operations out through the envelope, as the Worker would, whatever befalls them. */
export class MoneyClient {
  readonly #db: TestDatabase["owner"];
  readonly #door: Door;
  readonly #bomb: Bomb;
  readonly #dice: Dice;
  /** What the model calls something, and its id; for payments of renewals, which nobody is told of, by their reference. */
  readonly ids = new Map<string, string>();
  readonly names = new Map<string, string>();
  requests = 0;
  lost = 0;
  twice = 0;

  private constructor(db: TestDatabase["owner"], door: Door, bomb: Bomb, dice: Dice) {
    this.#db = db;
    this.#door = door;
    this.#bomb = bomb;
    this.#dice = dice;
  }

  /** In a database whose time stands still at this instant, but for who moves it, and which sells the walk's plans. */
  static async open(database: TestDatabase, began: number, dice: Dice): Promise<MoneyClient> {
    const { owner } = database;
    await owner.query(`
      create or replace function ops.now() returns timestamptz language plpgsql volatile security definer set search_path = '' as $$
      declare
        v_offset interval;
      begin
        select c.clock_offset into v_offset from ops.clock c;
        return timestamptz '${new Date(began).toISOString()}' + v_offset;
      end $$`);
    const bomb = await Bomb.lay(database);
    const client = new MoneyClient(owner, await Door.open(owner), bomb, dice);
    await client.#openShop();
    return client;
  }

  async close(): Promise<void> {
    await this.#bomb.close();
  }

  get hits(): number {
    return this.#bomb.hits;
  }

  async #openShop(): Promise<void> {
    for (const { code, credits, trial_days, grace_days, access, prices } of plans) {
      await call(this.#db, "billing.create_plan", {
        code,
        name: code,
        included_credits: credits,
        rollover_cap: null,
        rollover_expires_in: null,
        seats: null,
        storage_bytes: null,
        trial_days,
        grace_days,
        grants_access: access,
        currencies: prices.map(({ currency }) => currency),
        interval_units: prices.map(({ unit }) => unit),
        interval_counts: prices.map(({ count }) => count),
        amounts_minor: prices.map(({ amount }) => amount),
        caused_by: "test",
      });
    }
    await call(this.#db, "billing.create_pack", {
      code: pack.code,
      kind: "credit_pack",
      name: pack.code,
      quantity: pack.quantity,
      currencies: Object.keys(pack.costs),
      amounts_minor: Object.values(pack.costs),
      caused_by: "test",
    });
  }

  /** What is called so by the model has this id, and ever had. */
  bind(name: string | undefined, id: unknown): void {
    if (name === undefined || typeof id !== "string") return;
    const known = this.ids.get(name) ?? id;
    if (known !== id || (this.names.get(id) ?? name) !== name) {
      throw new Error(`${name} is ${known}, and now ${id}, which is ${this.names.get(id) ?? "new"}`);
    }
    this.ids.set(name, id);
    this.names.set(id, name);
  }

  #id(name: string): string {
    const found = this.ids.get(name);
    if (found === undefined) throw new Error(`${name} has no id`);
    return found;
  }

  async #paymentId(name: string): Promise<string> {
    const [subscription, number] = name.split("/");
    if (number !== undefined && !this.ids.has(name)) {
      const [row] = await rows<{ id: string }>(
        this.#db,
        "select id from payments.payment where provider = 'balance' and reference = $1",
        [`renewal:${this.#id(subscription ?? "")}:${number}`],
      );
      this.bind(name, row?.id);
    }
    return this.#id(name);
  }

  async carry(operation: Operation): Promise<Heard> {
    switch (operation.kind) {
      case "clock":
        await this.#db.query("update ops.clock set clock_offset = clock_offset + $1 * interval '1 millisecond'", [
          operation.by,
        ]);
        return { outcome: "done", answer: {} };
      case "workspace":
        return {
          outcome: "done",
          answer: await call(this.#db, "people.create_workspace", { name: operation.of, caused_by: "test" }),
        };
      case "sweep":
        await this.#sweeps(operation.names, operation.to_rest);
        return { outcome: "done", answer: {} };
      default:
        return await this.#request(operation);
    }
  }

  async #sweeps(names: readonly SweepName[], to_rest: boolean): Promise<void> {
    if (!to_rest) {
      for (const name of names) {
        await this.#whateverHappens((db) => sweep(db, name, 100));
      }
      return;
    }
    // Side by side, in small steps; what one skips because another is at it, a later one finds.
    const batch = 1 + this.#dice(4);
    await race(2, async (i) => {
      for (const name of i === 0 ? names : names.toReversed()) await sweep(this.#db, name, batch);
    });
    for (let done = true; done;) {
      done = false;
      for (const name of names) {
        const ran = await this.#whateverHappens((db) => sweep(db, name, batch));
        done ||= ran.processed > 0;
      }
    }
  }

  /** Does something that may be done again; one in ten meets a fault before. */
  async #whateverHappens<Answer>(act: (db: Db) => Promise<Answer>): Promise<Answer> {
    if (this.#dice(9) === 0) {
      const blow = (["killed", "passing", "faulty"] as const)[this.#dice(3)] ?? "killed";
      const nth = 1 + this.#dice([3, 10, 24][this.#dice(3)] ?? 3);
      const survived = await this.#bomb.under(blow, nth, act);
      if (survived !== null) return survived.answer;
    }
    return await act(this.#db);
  }

  async #request(operation: Operation): Promise<Heard> {
    const { routine, args } = await this.#called(operation);
    this.requests += 1;
    const request = {
      routine,
      args,
      workspace: "of" in operation ? this.#id(operation.of) : null,
      key: `request ${this.requests}`,
    };
    // A repeat is another request to the door, unless it repeats by itself what it does not know the end of.
    const send = async (db: Db): Promise<Answered | DatabaseError> => {
      try {
        return await this.#door.write({ ...request, request_id: randomUUID() }, db);
      } catch (error) {
        if (error instanceof DatabaseError && error.code === "TG001") return error;
        throw error;
      }
    };
    const first = await (this.#dice(20) === 0 ? this.#twiceAtOnce(send) : this.#whateverHappens(send));
    if (this.#dice(30) === 0) {
      this.lost += 1;
      sameAgain(operation, first, await send(this.#db));
    }
    if (first instanceof DatabaseError) return { outcome: first.message, answer: {} };
    const { answer } = first;
    return { outcome: typeof answer["outcome"] === "string" ? answer["outcome"] : "done", answer };
  }

  async #twiceAtOnce(send: (db: Db) => Promise<Answered | DatabaseError>): Promise<Answered | DatabaseError> {
    this.twice += 1;
    const [one, other] = await Promise.all([send(this.#db), send(this.#db)]);
    const [first, second] = one instanceof DatabaseError || !one.replayed ? [one, other] : [other, one];
    sameAgain("twice at once", first, second);
    return first;
  }

  async #called(op: Operation): Promise<{ routine: string; args: Record<string, unknown> }> {
    switch (op.kind) {
      case "topup":
        return asked("payments.record_topup", {
          amount_minor: op.amount,
          currency: op.currency,
          reference: op.reference,
        });
      case "buy":
        return asked("payments.buy_from_balance", { ...ordered(op.order), auto_renew: op.auto_renew });
      case "start": {
        const args = { ...ordered(op.order), topup_minor: op.order.topup, expires_in: `${op.hours} hours` };
        return asked("payments.start_purchase", { ...args, auto_renew: op.auto_renew });
      }
      case "confirm": {
        const { amount, currency, reference } = op;
        return asked("payments.confirm_purchase", {
          id: this.#id(op.purchase),
          amount_minor: amount,
          currency,
          reference,
        });
      }
      case "cancel_purchase":
        return asked("payments.cancel_purchase", { id: this.#id(op.purchase) });
      case "settle":
        return asked("payments.settle_payment", {
          payment_id: await this.#paymentId(op.payment),
          settle_as: op.as,
          reason: "the walk",
        });
      case "refund":
        return asked("payments.refund_payment", {
          payment_id: await this.#paymentId(op.payment),
          amount_minor: op.amount,
          reason: "the walk",
        });
      case "trial": {
        const { plan, currency, unit, count, quantity } = op.order;
        const args = {
          plan_code: plan,
          plan_number: null,
          currency,
          interval_unit: unit,
          interval_count: count,
          quantity,
        };
        return asked("billing.start_trial", { ...args, identity_hash: hashed(op.identity), auto_renew: op.auto_renew });
      }
      case "change":
        return asked("billing.begin_change", {
          change: op.change,
          plan_code: op.plan,
          plan_number: null,
          quantity: op.quantity,
        });
      case "renewal":
        return asked("billing.set_renewal", {
          auto_renew: op.auto_renew,
          plan_code: op.plan,
          plan_number: null,
          interval_unit: op.every?.unit ?? null,
          interval_count: op.every?.count ?? null,
          quantity: op.quantity,
        });
      case "referrer":
        return asked("payments.set_referrer", { referrer_id: this.#id(op.referrer) });
      case "policy":
        return asked("payments.set_referral_policy", { percent: op.percent, recurring: op.recurring });
      case "campaign":
        return asked("payments.create_campaign", {
          name: op.name,
          max_redemptions: op.most,
          starts_at: null,
          ends_at: null,
        });
      case "code": {
        const { code } = op;
        const minor = code.percent === null;
        return asked("payments.create_promo_code", {
          code: code.name,
          campaign_id: code.campaign === null ? null : this.#id(code.campaign),
          percent: code.percent,
          currencies: minor ? Object.keys(code.minor) : null,
          amounts_minor: minor ? Object.values(code.minor) : null,
          kinds: code.kinds,
          max_redemptions: code.most,
          per_workspace: code.per_workspace,
          starts_at: null,
          ends_at: code.ends_at === null ? null : new Date(code.ends_at).toISOString(),
        });
      }
      case "disable":
        return asked("payments.disable_promo_code", { code: op.name });
      case "clock":
      case "workspace":
      case "sweep":
        throw new Error(`${op.kind} is no request`);
    }
  }
}

/** The routine as the Worker declares it, and all of its arguments. */
function asked(routine: string, args: Record<string, unknown>) {
  const missing = Object.keys(declared(routine).args.shape).filter((name) => !(name in args));
  if (missing.length > 0) throw new Error(`${routine} lacks ${missing.join(", ")}`);
  return { routine, args };
}

function ordered(order: Order): Record<string, unknown> {
  const { plan, currency, unit, count, quantity, code } = order;
  return {
    plan_code: plan,
    plan_number: null,
    pack_code: order.pack ? pack.code : null,
    currency,
    interval_unit: plan === null ? null : unit,
    interval_count: plan === null ? null : count,
    quantity,
    promo_code: code,
  };
}

const hashed = (text: string | null) => (text === null ? null : createHash("sha256").update(text).digest("hex"));

function sameAgain(what: unknown, first: Answered | DatabaseError, again: Answered | DatabaseError): void {
  const shown = (each: Answered | DatabaseError) =>
    each instanceof DatabaseError ? each.message : JSON.stringify(each.answer);
  const replayed = again instanceof DatabaseError || again.replayed;
  if (shown(first) === shown(again) && replayed) return;
  throw new Error(`${JSON.stringify(what)} was answered ${shown(first)}, and again ${shown(again)}`);
}

async function sweep(db: Db, name: SweepName, batch: number): Promise<{ processed: number }> {
  const routine = `${name === "purchases_expire" ? "payments" : "billing"}.${name}`;
  const ran = await call<{ processed: number; failed: number }>(db, routine, { batch });
  if (ran.failed > 0) throw new Error(`${name} failed at ${ran.failed}`);
  return ran;
}
