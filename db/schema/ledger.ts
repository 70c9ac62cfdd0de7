import { sql } from "drizzle-orm";
import {
  boolean,
  check,
  customType,
  index,
  integer,
  pgSchema,
  primaryKey,
  text,
  unique,
  uuid,
} from "drizzle-orm/pg-core";
import { amount, time, word } from "./columns.ts";

/** What counts: credits, money, seats, bytes, trials, redemptions. The contract of each routine: `db/sql/ledger/`. */
export const ledger = pgSchema("ledger");

/**
 * The limits of single values are domains (`db/sql/ledger/*.before.sql`): a domain's check is compiled once a session,
 * while a table's checks are parsed again by every UPDATE (measured: 5 µs each, on a statement of 19 µs). What spans
 * columns is a table's check.
 */
const domain = <Data>(name: string) =>
  customType<{ data: Data; driverData: unknown }>({ dataType: () => `ledger.${name}` });
/** bigint[], of either sign. */
const amounts = customType<{ data: number[]; driverData: unknown }>({ dataType: () => "bigint[]" });
const kind = domain<string>("transaction_kind");

/**
 * One row per owner and unit: the row that every ledger routine locks first, and on which its guards stand.
 * `next_expiry` is the soonest expiry of a lot with something in it: while it lies ahead, `available` is exact.
 * `low_at`: falling below it is told (credits.low; null: never), and `lows` counts how often that was.
 * Growth: one row per owner and unit, kept for ever.
 */
export const account = ledger.table(
  "account",
  {
    owner_id: uuid().notNull(),
    unit: word().notNull(),
    available: amount().notNull().default(0),
    held: amount().notNull().default(0),
    debt: amount().notNull().default(0),
    next_expiry: time(),
    parked_until: time(),
    created_at: time().notNull(),
    low_at: amount(),
    lows: integer().notNull().default(0),
  },
  (t) => [
    primaryKey({ name: "account_pk", columns: [t.owner_id, t.unit] }),
    check("account_debt_leaves_nothing", sql`debt = 0 or available = 0`),
    index("account_expiry_due")
      .on(t.next_expiry, t.owner_id, t.unit)
      .where(sql`next_expiry is not null`),
  ],
);

/**
 * Where an account's available came from. `covered` is the part of `recovered` that other lots or debt paid for, as it was
 * spent or held when a refund took it. `given` = `available` + `expired` + `recovered` − `covered` + what was spent or is
 * held; and `available` + `expired` + `recovered` is never more than `given` (ledger.verify; a check would be parsed by
 * every spend).
 * `forgiven` is what a refund would have made debt of, had the operator not let it go (ledger.take_back): it is outside, and
 * stays there.
 * `empty` repeats `available = 0`, so that the index of lots to drain does not change with each spend (a HOT update).
 * Growth: one row per grant, kept for ever (a refund years later must find it); the drain index holds only lots with
 * something in them.
 */
export const lot = ledger.table(
  "lot",
  {
    owner_id: uuid().notNull(),
    unit: word().notNull(),
    id: uuid().notNull(),
    pool: word().notNull(),
    drain_order: integer().notNull(),
    given: amount().notNull(),
    available: amount().notNull(),
    empty: boolean().notNull(),
    expired: amount().notNull().default(0),
    recovered: amount().notNull().default(0),
    covered: amount().notNull().default(0),
    forgiven: amount().notNull().default(0),
    payment_id: uuid(),
    expires_at: time(),
    closed_at: time(),
    created_at: time().notNull(),
  },
  (t) => [
    primaryKey({ name: "lot_pk", columns: [t.owner_id, t.unit, t.id] }),
    check("lot_empty_when_nothing_left", sql`empty = (available = 0)`),
    // A refund finds what its payment gave, however many payments there were.
    index("lot_of_payment")
      .on(t.payment_id, t.owner_id)
      .where(sql`payment_id is not null`),
    index("lot_drain")
      .on(t.owner_id, t.unit, t.drain_order, t.expires_at, t.id)
      .where(sql`not empty`),
  ],
);

/**
 * What happened, append-only (a trigger refuses UPDATE, DELETE and TRUNCATE from every role). Its entries are its own
 * columns: entry i moves `amounts[i]` on side `sides[i]` (of lot `lots[i]`, if any), and the trigger transaction_balanced
 * refuses a row whose entries do not sum to zero, so that half a movement cannot be stored. `ledger.entry` shows them as
 * rows. `unit` is its account's, where it is checked to be a word (4 µs that each transaction need not pay again).
 * Growth: one row per movement, kept for ever; (owner, idempotency key) is what makes a late duplicate harmless. Not
 * partitioned: the unique key cannot span partitions.
 */
export const transaction = ledger.table(
  "transaction",
  {
    owner_id: uuid().notNull(),
    unit: text().notNull(),
    id: uuid().notNull(),
    kind: kind().notNull(),
    amount: amount().notNull(),
    sides: text().array().notNull(),
    lots: uuid().array().notNull(),
    amounts: amounts().notNull(),
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
  ],
);

/**
 * Amounts taken out of lots until settled, released or expired, exactly once (lifecycle `ledger.hold`).
 * `lots[i]` gave `lot_amounts[i]`, in drain order: a settlement uses them from the front, the rest returns.
 * Growth: one row per hold; `ledger.holds_retire` drops it 400 days after its end (its transactions stay).
 */
export const hold = ledger.table(
  "hold",
  {
    owner_id: uuid().notNull(),
    id: uuid().notNull(),
    unit: word().notNull(),
    state: text().notNull(),
    version: integer().notNull().default(1),
    amount: amount().notNull(),
    settled: amount().notNull().default(0),
    lots: uuid().array().notNull(),
    lot_amounts: amounts().notNull(),
    reason: text(),
    expires_at: time().notNull(),
    ended_at: time(),
    parked_until: time(),
    created_at: time().notNull(),
  },
  (t) => [
    primaryKey({ name: "hold_pk", columns: [t.owner_id, t.id] }),
    check("hold_amount_positive", sql`amount > 0`),
    check("hold_settled_within", sql`settled <= amount`),
    check("hold_ended_when_not_held", sql`(state = 'held') = (ended_at is null)`),
    index("hold_open")
      .on(t.owner_id, t.unit, t.id)
      .where(sql`state = 'held'`),
    index("hold_ended")
      .on(t.ended_at)
      .where(sql`ended_at is not null`),
    index("hold_expiry_due")
      .on(t.expires_at, t.owner_id, t.id)
      .where(sql`state = 'held'`),
  ],
);
