import { randomUUID } from "node:crypto";
import { DatabaseError, types } from "pg";
import type { CustomTypesConfig, Pool, PoolClient } from "pg";

/** Whoever runs statements: a pool, or one connection of it in a transaction. */
export type Db = Pool | PoolClient;

/**
 * 64-bit integers as numbers, and times as Postgres writes them, so that a test compares what the API would show.
 * By the types' oids: int8, int8[], timestamptz.
 */
const parsers = new Map<number, (text: string) => unknown>([
  [20, exact],
  [1016, (text) => text.slice(1, -1).split(",").filter(Boolean).map(exact)],
  [1184, (text) => text],
]);
const asNumbers: CustomTypesConfig = {
  getTypeParser: (oid, format) => parsers.get(oid) ?? types.getTypeParser(oid, format),
};

function exact(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new Error(`${text} is not exact as a number`);
  return value;
}

/** Runs a query whose rows a test wants as plain values. */
export async function rows<Row extends object>(db: Db, text: string, values: unknown[] = []): Promise<Row[]> {
  return (await db.query<Row>({ text, values, types: asNumbers })).rows;
}

/** Calls a routine by named arguments and answers its row. */
export async function call<Row extends object>(db: Db, routine: string, args: Record<string, unknown>): Promise<Row> {
  const named = Object.keys(args).map((name, i) => `${name} => $${i + 1}`);
  const [row] = await rows<Row>(db, `select * from ${routine}(${named.join(", ")})`, Object.values(args));
  if (row === undefined) throw new Error(`${routine} answered nothing`);
  return row;
}

/** Why a call was refused: its stable code with its members, or Postgres's own error by SQLSTATE and constraint. */
export async function refusal(called: Promise<unknown>): Promise<Record<string, unknown>> {
  try {
    await called;
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    if (error.code !== "TG001") return { sqlstate: error.code, constraint: error.constraint };
    const members: unknown = JSON.parse(error.detail ?? "{}");
    return { code: error.message, ...(typeof members === "object" ? members : {}) };
  }
  throw new Error("it was not refused");
}

/** The code of a refusal, or "done". */
export async function outcome(called: Promise<unknown>): Promise<string> {
  try {
    await called;
    return "done";
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    return error.code === "TG001" ? error.message : (error.code ?? "?");
  }
}

/** Moves the database's clock on. Never back: what happened would lie in the future. */
export async function advance(db: Db, by: string): Promise<void> {
  await db.query("update ops.clock set clock_offset = clock_offset + $1::interval", [by]);
}

/** The database's now, moved by an interval. */
async function instant(db: Db, by: string): Promise<string> {
  const [row] = await rows<{ at: string }>(db, "select ops.now() + $1::interval as at", [by]);
  return row?.at ?? "";
}

/** The columns that every routine of the ledger ends with. */
export interface Balance {
  available: number;
  held: number;
  debt: number;
  pools: string[];
  pool_available: number[];
  pool_expires_at: (string | null)[];
}

interface Granting {
  pool?: string;
  expires_in?: string;
  payment?: string;
  key?: string;
  reason?: string;
}

const newKey = () => `key-${randomUUID()}`;

/** The account of one owner in one unit; each method is one call of one routine, with a new key unless told. */
export class Account {
  readonly db: Db;
  readonly owner: string;
  readonly unit: string;

  constructor(db: Db, { owner, unit = "credit" }: { owner?: string; unit?: string } = {}) {
    this.db = db;
    this.owner = owner ?? randomUUID();
    this.unit = unit;
  }

  /** The same owner's account in another unit. */
  in(unit: string): Account {
    return new Account(this.db, { owner: this.owner, unit });
  }

  /** Takes the account's row, for `raceBehind`. */
  get lock(): { text: string; values: unknown[] } {
    return {
      text: "select from ledger.account where owner_id = $1 and unit = $2 for update",
      values: [this.owner, this.unit],
    };
  }

  /** The same account on another connection. */
  on(db: Db): Account {
    return new Account(db, { owner: this.owner, unit: this.unit });
  }

  async grant(amount: number, { pool = "bulk", ...rest }: Granting = {}) {
    return await this.#call<Balance & { transaction_id: string; lot_id: string }>("grant", {
      ...(await this.#given({ pool, ...rest })),
      amount,
    });
  }

  async reset(amount: number, { pool = "subscription", ...rest }: Granting = {}) {
    return await this.#call<Balance & { transaction_id: string; lot_id: string | null }>("reset", {
      ...(await this.#given({ pool, ...rest })),
      amount,
    });
  }

  async #given({ pool, expires_in, payment, key = newKey(), reason }: Granting) {
    return {
      pool,
      expires_at: expires_in === undefined ? null : await instant(this.db, expires_in),
      reason: reason ?? null,
      idempotency_key: key,
      payment_id: payment ?? null,
    };
  }

  spend(amount: number, { key = newKey(), reason = null as string | null } = {}) {
    return this.#call<
      Balance & { transaction_id: string; amount: number; drawn_pools: string[]; drawn_amounts: number[] }
    >("spend", { amount, reason, idempotency_key: key });
  }

  spendMany(items: { key: string | null; amount: number | null; reason?: string }[]) {
    return this.#call<
      Balance & { outcomes: string[]; codes: (string | null)[]; transaction_ids: (string | null)[]; keys: string[] }
    >("spend_many", {
      keys: items.map(({ key }) => key),
      amounts: items.map(({ amount }) => amount),
      reasons: items.map(({ reason }) => reason ?? null),
    });
  }

  hold(amount: number, { expires_in = "1 hour", key = newKey(), reason = null as string | null } = {}) {
    return this.#call<Balance & { id: string; amount: number; state: string; expires_at: string }>("hold", {
      amount,
      expires_in,
      reason,
      idempotency_key: key,
    });
  }

  settle(hold_id: string, amount: number | null = null, { key = newKey() } = {}) {
    return this.#call<Ended>("settle", { hold_id, amount, idempotency_key: key });
  }

  release(hold_id: string, { key = newKey() } = {}) {
    return this.#call<Ended>("release", { hold_id, idempotency_key: key });
  }

  adjust(amount: number, { key = newKey(), reason = "a correction" } = {}) {
    return this.#call<Balance & { transaction_id: string; amount: number }>("adjust", {
      amount,
      reason,
      idempotency_key: key,
    });
  }

  reverse(transaction_id: string, reason = "a mistake") {
    return this.#call<Balance & { transaction_id: string; reversed: string }>("reverse", { transaction_id, reason });
  }

  setLimit(amount: number, { key = newKey() } = {}) {
    return this.#call<Balance & { transaction_id: string }>("set_limit", { amount, idempotency_key: key });
  }

  /** What of a payment of `paid` was refunded and lost until now; answers how much was taken (below zero: given again). */
  async takeBack(payment_id: string, { refunded = 0, lost = 0, paid = 100, key = newKey() } = {}): Promise<number> {
    const { taken } = await call<{ taken: number }>(this.db, "ledger.take_back", {
      owner_id: this.owner,
      payment_id,
      refunded,
      lost,
      paid,
      idempotency_key: key,
      caused_by: "test",
    });
    return taken;
  }

  balance(): Promise<Balance> {
    return call<Balance>(this.db, "ledger.balance_of", { owner_id: this.owner, unit: this.unit });
  }

  /** `[available, held, debt]`. */
  async sums(): Promise<[number, number, number]> {
    const { available, held, debt } = await this.balance();
    return [available, held, debt];
  }

  /** What each pool has, added up. */
  async pools(): Promise<Record<string, number>> {
    const { pools, pool_available } = await this.balance();
    const sums: Record<string, number> = {};
    for (const [i, pool] of pools.entries()) sums[pool] = (sums[pool] ?? 0) + (pool_available[i] ?? 0);
    return sums;
  }

  /** How many transactions the account has, by kind: what was done, whatever was answered. */
  async kinds(): Promise<Record<string, number>> {
    const found = await rows<{ kind: string; n: number }>(
      this.db,
      `select t.kind::text, count(*) as n from ledger.transaction t where t.owner_id = $1 and t.unit = $2 group by 1`,
      [this.owner, this.unit],
    );
    return Object.fromEntries(found.map(({ kind, n }) => [kind, n]));
  }

  /** The entries of one transaction: `[side, amount]` in order. */
  async entries(transaction_id: string): Promise<[string, number][]> {
    const found = await rows<{ side: string; amount: number }>(
      this.db,
      "select side, amount from ledger.entry where owner_id = $1 and transaction_id = $2 order by position",
      [this.owner, transaction_id],
    );
    return found.map(({ side, amount }) => [side, amount]);
  }

  /** A hold's state and version. */
  async holdRow(id: string): Promise<{ state: string; version: number; settled: number } | undefined> {
    const [row] = await rows<{ state: string; version: number; settled: number }>(
      this.db,
      "select state, version, settled::bigint from ledger.hold where owner_id = $1 and id = $2",
      [this.owner, id],
    );
    return row;
  }

  #call<Row extends object>(routine: string, args: Record<string, unknown>): Promise<Row> {
    return call<Row>(this.db, `ledger.${routine}`, {
      owner_id: this.owner,
      unit: this.unit,
      ...args,
      caused_by: "test",
    });
  }
}

/** What ending a hold answers. */
export interface Ended extends Balance {
  id: string;
  state: string;
  settled: number;
  released: number;
  transaction_id: string;
}
