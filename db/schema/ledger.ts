import { sql } from "drizzle-orm";
import { bigint, boolean, check, index, integer, pgSchema, primaryKey, text, timestamp, unique, uniqueIndex, uuid } from "drizzle-orm/pg-core";

/** What counts: credits, money, seats, bytes, trials, redemptions. The contract of each routine: `db/sql/ledger/`. */
export const ledger = pgSchema("ledger");

/** 2^53 − 1: an amount must survive JSON and JavaScript. (A bigint has no NaN and no Infinity to slip past a check.) */
const within = (expression: string) => sql.raw(`${expression} between 0 and 9007199254740991`);
const amount = () => bigint({ mode: "number" });
const time = () => timestamp({ withTimezone: true, mode: "string" });

/**
 * One row per owner and unit: the row that every ledger routine locks first, and on which its guards stand.
 * `next_expiry` is the soonest expiry of a lot with something in it: while it lies ahead, `available` is exact.
 * Growth: one row per owner and unit, kept for ever.
 */
export const account = ledger.table(
  "account",
  {
    owner_id: uuid().notNull(),
    unit: text().notNull(),
    available: amount().notNull().default(0),
    held: amount().notNull().default(0),
    debt: amount().notNull().default(0),
    next_expiry: time(),
    parked_until: time(),
    created_at: time().notNull(),
  },
  (t) => [
    primaryKey({ name: "account_pk", columns: [t.owner_id, t.unit] }),
    check("account_unit_named", sql`unit ~ '^[a-z][a-z0-9_]{0,31}$'`),
    check("account_available_within", within("available")),
    check("account_held_within", within("held")),
    check("account_debt_within", within("debt")),
    check("account_total_within", within("available + held")),
    check("account_debt_leaves_nothing", sql`debt = 0 or available = 0`),
    index("account_expiry_due").on(t.next_expiry, t.owner_id, t.unit).where(sql`next_expiry is not null`),
  ],
);

/**
 * Where an account's available came from. `given` = `available` + `expired` + `recovered` + what was spent or is held.
 * `empty` repeats `available = 0`, so that the index of lots to drain does not change with each spend (a HOT update).
 * Growth: one row per grant, kept for ever (a refund years later must find it); the drain index holds only lots with
 * something in them.
 */
export const lot = ledger.table(
  "lot",
  {
    owner_id: uuid().notNull(),
    unit: text().notNull(),
    id: uuid().notNull(),
    pool: text().notNull(),
    drain_order: integer().notNull(),
    given: amount().notNull(),
    available: amount().notNull(),
    empty: boolean().notNull(),
    expired: amount().notNull().default(0),
    recovered: amount().notNull().default(0),
    payment_id: uuid(),
    expires_at: time(),
    closed_at: time(),
    created_at: time().notNull(),
  },
  (t) => [
    primaryKey({ name: "lot_pk", columns: [t.owner_id, t.unit, t.id] }),
    check("lot_pool_named", sql`pool ~ '^[a-z][a-z0-9_]{0,31}$'`),
    check("lot_given_within", within("given")),
    check("lot_available_within", sql`available between 0 and given`),
    check("lot_expired_within", sql`expired between 0 and given`),
    check("lot_recovered_within", sql`recovered between 0 and given`),
    check("lot_empty_is_available_zero", sql`empty = (available = 0)`),
    check("lot_closed_is_empty", sql`closed_at is null or empty`),
    index("lot_drain").on(t.owner_id, t.unit, t.drain_order, t.expires_at, t.id).where(sql`not empty`),
    index("lot_payment").on(t.owner_id, t.payment_id).where(sql`payment_id is not null`),
  ],
);

/**
 * What happened, append-only (a trigger refuses UPDATE, DELETE and TRUNCATE from every role). Its entries are its own
 * columns: entry i moves `amounts[i]` on side `sides[i]` (of lot `lots[i]`, if any), and a check refuses a row whose
 * entries do not sum to zero, so that half a movement cannot be stored. `ledger.entry` shows them as rows.
 * Growth: one row per movement, kept for ever; (owner, idempotency key) is what makes a late duplicate harmless. Not
 * partitioned: the unique key cannot span partitions.
 */
export const transaction = ledger.table(
  "transaction",
  {
    owner_id: uuid().notNull(),
    unit: text().notNull(),
    id: uuid().notNull(),
    kind: text().notNull(),
    amount: amount().notNull(),
    sides: text().array().notNull(),
    lots: uuid().array().notNull(),
    amounts: amount().array().notNull(),
    idempotency_key: text().notNull(),
    reason: text(),
    hold_id: uuid(),
    reverses: uuid(),
    caused_by: text().notNull(),
    created_at: time().notNull(),
  },
  (t) => [
    primaryKey({ name: "transaction_pk", columns: [t.owner_id, t.unit, t.id] }),
    unique("transaction_key_once").on(t.owner_id, t.idempotency_key),
    uniqueIndex("transaction_reversed_once").on(t.owner_id, t.reverses).where(sql`reverses is not null`),
    check(
      "transaction_kind_known",
      sql`kind in ('grant', 'reset', 'spend', 'hold', 'settle', 'release', 'hold_expire', 'expire', 'take_back', 'give_back', 'reverse', 'limit', 'adjust')`,
    ),
    check("transaction_amount_within", within("amount")),
    check("transaction_moves_something", sql`cardinality(amounts) > 0 or kind in ('reset', 'limit', 'reverse')`),
    check("transaction_balanced", sql`ledger.balanced(sides, lots, amounts)`),
  ],
);

/**
 * Amounts taken out of lots until settled, released or expired, exactly once (lifecycle `ledger.hold`).
 * `lots[i]` gave `lot_amounts[i]`, in drain order: a settlement uses them from the front, the rest returns.
 * Growth: one row per hold; an ended one may be dropped once its owner's retention allows (its transactions stay).
 */
export const hold = ledger.table(
  "hold",
  {
    owner_id: uuid().notNull(),
    id: uuid().notNull(),
    unit: text().notNull(),
    state: text().notNull(),
    version: integer().notNull().default(1),
    amount: amount().notNull(),
    settled: amount().notNull().default(0),
    lots: uuid().array().notNull(),
    lot_amounts: amount().array().notNull(),
    reason: text(),
    expires_at: time().notNull(),
    ended_at: time(),
    parked_until: time(),
    created_at: time().notNull(),
  },
  (t) => [
    primaryKey({ name: "hold_pk", columns: [t.owner_id, t.id] }),
    check("hold_amount_positive", sql`amount between 1 and 9007199254740991`),
    check("hold_settled_within", sql`settled between 0 and amount`),
    check("hold_ended_when_not_held", sql`(state = 'held') = (ended_at is null)`),
    index("hold_open").on(t.owner_id, t.unit, t.id).where(sql`state = 'held'`),
    index("hold_expiry_due").on(t.expires_at, t.owner_id, t.id).where(sql`state = 'held'`),
  ],
);
