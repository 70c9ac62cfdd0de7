import { and, desc, eq, gte, lt, sql, type SQL } from "drizzle-orm";
import type { PgRemoteDatabase } from "drizzle-orm/pg-proxy";
import { account, hold, lot, transaction } from "../../db/schema/ledger.ts";
import { api_key } from "../../db/schema/people.ts";
import { read, type Permit } from "../db/read.ts";
import type { AppContext } from "../http/context.ts";
import type { Page } from "../http/pagination.ts";
import type { Scope } from "../http/route.ts";
import { causes, nothing } from "./causes.ts";
import { clues } from "./clues.ts";
import type { Explanation } from "./explanation.ts";
import { shownAt, told } from "./told.ts";

/** What one transaction did to the balance. */
const moved = sql`(
  select coalesce(sum(e.amount) filter (where e.side = 'available'), 0)::bigint as available,
         coalesce(sum(e.amount) filter (where e.side = 'held'), 0)::bigint as held,
         coalesce(-sum(e.amount) filter (where e.side = 'debt'), 0)::bigint as debt
    from unnest("transaction".sides, "transaction".amounts) e(side, amount)) moved`;

/** Those of one unit, of which there are three. */
const each = <Made>(make: (sum: "available" | "held" | "debt") => Made) => ({
  available: make("available"),
  held: make("held"),
  debt: make("debt"),
});

/** Right after a transaction: all that there is, less what is newer: before this page, and on it. */
const after = (sum: string) => {
  const [all, newer, change] = [`l.${sum}`, `l.newer_${sum}`, `moved.${sum}`].map((name) => sql.raw(name));
  return sql`(select sum(${all}) - coalesce(sum(${newer}), 0) from line l) - coalesce(sum(${change}) over (
    order by "transaction".id desc rows between unbounded preceding and 1 preceding), 0)`;
};

const aftersOf = {
  available_after: after("available").as("available_after"),
  held_after: after("held").as("held_after"),
  debt_after: after("debt").as("debt_after"),
};

/** What came after the pages before, of each sum. */
const newerSums = (newer: SQL) => ({
  newer_available: sql`sum(moved.available) filter (where ${newer})`.as("newer_available"),
  newer_held: sql`sum(moved.held) filter (where ${newer})`.as("newer_held"),
  newer_debt: sql`sum(moved.debt) filter (where ${newer})`.as("newer_debt"),
});

/** By its key for each: joined, all lots of the account would be read for each transaction. */
const pool = sql`(
  select l.pool from ${lot} l where l.owner_id = page.owner_id and l.unit = page.unit and l.id = e.lot_id)`;

const entries = sql`(
  select coalesce(json_agg(${told({ side: sql`e.side`, pool, lot_id: sql`e.lot_id`, amount: sql`e.amount` })}
           order by e.position), '[]')
    from unnest(page.sides, page.lots, page.amounts) with ordinality e(side, lot_id, amount, position))`;

const heldBy = sql`case when page.hold_id is not null then (
  select ${told({ id: sql`page.hold_id`, state: sql`h.state`, amount: sql`h.amount`, reason: sql`h.reason` })}
    from ${nothing} left join ${hold} h on h.owner_id = page.owner_id and h.id = page.hold_id) end`;

const undone = sql`case when page.reverses is not null then (
  select ${told({ id: sql`t.id`, kind: sql`t.kind`, amount: sql`t.amount`, reason: sql`t.reason` })}
    from ${transaction} t
   where t.owner_id = page.owner_id and t.unit = page.unit and t.id = page.reverses) end`;

const item = told({
  id: sql`page.id`,
  kind: sql`page.kind`,
  amount: sql`page.amount`,
  change: told(each((sum) => sql.raw(`page.${sum}`))),
  after: told(each((sum) => sql.raw(`page.${sum}_after`))),
  entries,
  reason: sql`page.reason`,
  idempotency_key: sql`case when page.idempotency_key not like 'tg:%' then page.idempotency_key end`,
  hold: heldBy,
  reverses: undone,
  ...causes,
  created_at: shownAt(sql`page.created_at`),
});

/** The lines by their causes' types, and what is due. */
const made_of = sql`(
  select coalesce(json_agg(${told({
    kind: sql`m.kind`,
    cause: sql`m.cause`,
    transactions: sql`m.transactions`,
    ...each((sum) => sql.raw(`m.${sum}`)),
  })} order by m.kind, m.cause), '[]')
    from (
      select l.kind, c.cause, sum(l.transactions) as transactions, sum(l.available) as available, sum(l.held) as held,
             sum(l.debt) as debt
        from line l
        left join ${api_key} k on k.id = l.key_id
       cross join lateral (
         select case when l.cause <> 'key' then l.cause when k.id is null then 'other'
                  when k.workspace_id is null then 'operator' else 'key' end as cause) c
       group by l.kind, c.cause
      union all
      select 'expire', 'due', 0, -s.due, 0, 0 from standing s where s.due > 0) m)`;

/**
 * Why one unit's balance is what it is: what it is made of, over the whole history, and a page of the transactions, newest
 * first, and one more, each with its cause and the balance right after it. What has expired is taken off whether or not a sweep
 * has closed it, by a line of its own. One statement, so that all of it is of one moment.
 */
export async function explain(c: AppContext, workspace: string, unit: string, page: Page, as: Scope) {
  const [row] = await read(c, { scope: as, workspace }, (db, permit) => explanationOf(db, permit, unit, page));
  if (row === undefined) throw new Error("sums have a row, whatever there is");
  return row;
}

/** The query of it. */
export function explanationOf(db: PgRemoteDatabase, permit: Permit, unit: string, page: Page) {
  const ours = and(eq(transaction.owner_id, permit.workspace_id), eq(transaction.unit, unit));
  const reader = db.$with("reader").as(
    db
      .select({ is_operator: sql`${api_key.workspace_id} is null`.as("is_operator") })
      .from(api_key)
      .where(eq(api_key.id, permit.key_id)),
  );
  const moment = db.$with("moment").as(db.select({ now: sql`ops.now()`.as("now") }).from(nothing));
  const standing = db.$with("standing").as(
    db
      .select({
        available: sql`coalesce(sum(l.available) filter (where l.expires_at is null or l.expires_at > m.now), 0)`.as(
          "available",
        ),
        due: sql`coalesce(sum(l.available) filter (where l.expires_at <= m.now), 0)`.as("due"),
      })
      .from(
        sql`moment m left join ${lot} l on l.owner_id = ${permit.workspace_id} and l.unit = ${unit} and not l.empty`,
      ),
  );
  const newer = page.after === null ? sql`false` : gte(transaction.id, page.after);
  const line = db.$with("line").as(
    db
      .select({
        kind: transaction.kind,
        cause: clues.type.as("cause"),
        key_id: clues.key_id.as("key_id"),
        transactions: sql`count(*)`.as("transactions"),
        ...each((sum) => sql`sum(${sql.raw(`moved.${sum}`)})`.as(sum)),
        ...newerSums(newer),
      })
      .from(transaction)
      .crossJoinLateral(moved)
      .where(ours)
      .groupBy(sql`1, 2, 3`),
  );
  const shown = db.$with("page").as(
    db
      .select({
        owner_id: transaction.owner_id,
        unit: transaction.unit,
        id: transaction.id,
        kind: transaction.kind,
        amount: transaction.amount,
        sides: transaction.sides,
        lots: transaction.lots,
        amounts: transaction.amounts,
        reason: transaction.reason,
        idempotency_key: transaction.idempotency_key,
        hold_id: transaction.hold_id,
        reverses: transaction.reverses,
        caused_by: transaction.caused_by,
        created_at: transaction.created_at,
        fact: clues.fact.as("fact"),
        rest: clues.rest.as("rest"),
        subject: clues.subject.as("subject"),
        mover: clues.mover.as("mover"),
        mover_name: clues.mover_name.as("mover_name"),
        ...each((sum) => sql.raw(`moved.${sum}`).as(sum)),
        ...aftersOf,
      })
      .from(transaction)
      .crossJoinLateral(moved)
      .where(and(ours, page.after === null ? undefined : lt(transaction.id, page.after)))
      .orderBy(desc(transaction.id))
      .limit(page.limit + 1),
  );
  return db
    .with(reader, moment, standing, line, shown)
    .select({
      available: sql`s.available`.mapWith(Number).as("available"),
      held: sql`coalesce(a.held, 0)`.mapWith(Number).as("held"),
      debt: sql`coalesce(a.debt, 0)`.mapWith(Number).as("debt"),
      made_of: sql<Explanation["made_of"]>`${made_of}`.as("made_of"),
      data: sql<Explanation["data"]>`(select coalesce(json_agg(${item} order by page.id desc), '[]') from page)`.as(
        "data",
      ),
    })
    .from(sql`standing s left join ${account} a on a.owner_id = ${permit.workspace_id} and a.unit = ${unit}`);
}
