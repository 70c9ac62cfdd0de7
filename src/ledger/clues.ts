import { sql, type SQL } from "drizzle-orm";

/**
 * What stands in a transaction of where it came from: its idempotency key names a fact, its caused_by who moved it. All words of
 * either are here; what is told of them: src/ledger/causes.ts.
 */

/** The type of the fact that a key of the system's own names by its first word, `tg:<word>:…`; null: who moved it tells all. */
export const facts: Readonly<Record<string, string | null>> = {
  purchase: "purchase",
  refund: "refund",
  reckon: "payment",
  settle: "payment",
  referral: "referral",
  reckon_reward: "referral",
  invoice: "subscription",
  rollover: "subscription",
  late: "subscription",
  renewal: "subscription",
  trial: "subscription",
  ended: "subscription",
  seats: "subscription",
  bytes: "subscription",
  expire: "expiry",
  // Of promo codes' and campaigns' own accounts, which no workspace has.
  redemption: "purchase",
  promo: null,
  campaign: null,
  hold_expire: null,
  reverse: null,
  request: null,
};

/** The first words of caused_by. Beside a fact, those of `false` say nothing more. */
export const movers: Readonly<Record<string, boolean>> = {
  key: true,
  event: true,
  sweep: true,
  sync: true,
  subscription: false,
  expiry: false,
};

const word = sql`case when "transaction".idempotency_key like 'tg:%' then split_part("transaction".idempotency_key, ':', 2) end`;
const named = sql`substr("transaction".idempotency_key, length(${word}) + 5)`;
const mover = sql<string>`split_part("transaction".caused_by, ':', 1)`;
const mover_name = sql<string>`substr("transaction".caused_by, strpos("transaction".caused_by, ':') + 1)`;
const typed = Object.entries(facts).flatMap(([name, type]) => (type === null ? [] : [`when '${name}' then '${type}'`]));
const fact = sql<string | null>`case ${word} ${sql.raw(typed.join(" "))} end`;
const listed = (says: boolean) =>
  Object.keys(movers)
    .filter((name) => movers[name] === says)
    .map((name) => `'${name}'`)
    .join(", ");
const speaking = listed(true);
export const silent = listed(false);

/** What stands of its causes in a transaction itself: `rest` is its key after the word, `subject` the id that begins it. */
export const clues = {
  fact,
  rest: named,
  subject: idOf(sql`split_part(${named}, ':', 1)`),
  mover,
  mover_name,
  /** The cause's type, but for a key's, whose workspace says whether it is the operator's. */
  type: sql<string>`coalesce(${fact}, case when ${mover} in (${sql.raw(speaking)}) then ${mover} else 'other' end)`,
  key_id: sql`case when ${fact} is null and ${mover} = 'key' then ${idOf(mover_name)} end`,
};

/** Text as an id; null where it is none. */
export function idOf(text: SQL): SQL<string | null> {
  return sql`case when pg_input_is_valid(${text}, 'uuid') then (${text})::uuid end`;
}
