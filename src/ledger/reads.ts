import { and, desc, eq, lt, sql, type SQL } from "drizzle-orm";
import { account, hold, lot, transaction } from "../../db/schema/ledger.ts";
import { read } from "../db/read.ts";
import type { AppContext } from "../http/context.ts";
import type { Page } from "../http/pagination.ts";
import { Problem } from "../http/problem.ts";
import type { Scope } from "../http/route.ts";
import { utc, utcOrNull } from "../http/time.ts";
import { credit, currencyForm, type HoldState } from "./model.ts";
import { balanceResult, nth, shown, verifyResult } from "./rows.ts";

const scope: Scope = "credits:read";

/** What a workspace has. One that never had any has zero. */
export async function balance(c: AppContext, workspace: string) {
  const [row] = await read(c, { scope, workspace }, (db, permit) =>
    db
      .select({ answer: sql`to_json(ledger.balance_of(${permit.workspace_id}, ${credit}))`.as("answer") })
      .from(sql`(select) nothing`),
  );
  return shown(balanceResult.parse(row?.answer));
}

/** What a workspace has of every unit that it ever had any of, by unit. */
export async function balances(c: AppContext, workspace: string, as: Scope = scope) {
  const rows = await read(c, { scope: as, workspace }, (db, permit) =>
    db
      .select({
        unit: sql<string>`${account.unit}`.as("unit"),
        answer: sql`to_json(ledger.balance_of(${permit.workspace_id}, ${account.unit}))`.as("answer"),
      })
      .from(account)
      .where(eq(account.owner_id, permit.workspace_id))
      .orderBy(account.unit),
  );
  return { data: rows.map(({ unit, answer }) => Object.assign(shown(balanceResult.parse(answer)), { unit })) };
}

/** A workspace's money, by currency: the units of three letters. */
export async function money(c: AppContext, workspace: string) {
  const { data } = await balances(c, workspace, "billing:read");
  return {
    data: data
      .filter(({ unit }) => currencyForm.test(unit))
      .map(({ unit, available, held, debt }) => ({ currency: unit, available, held, debt })),
  };
}

/** The ledger proves itself: each check by name, with what it found. */
export async function verify(c: AppContext, workspace: string) {
  const [row] = await read(c, { scope, workspace }, (db, permit) =>
    db.select({ answer: sql`to_json(ledger.verify(${permit.workspace_id}))`.as("answer") }).from(sql`(select) nothing`),
  );
  const { names, oks, details } = verifyResult.parse(row?.answer);
  const checks = names.map((name, i) => ({ name, ok: nth(oks, i), detail: nth(details, i) }));
  return { ok: checks.every(({ ok }) => ok), checks };
}

const holdColumns = {
  id: hold.id,
  amount: hold.amount,
  state: sql<HoldState>`${hold.state}`.as("state"),
  settled: hold.settled,
  reason: hold.reason,
  expires_at: hold.expires_at,
  ended_at: hold.ended_at,
  created_at: hold.created_at,
};

interface HoldRow {
  expires_at: string;
  ended_at: string | null;
  created_at: string;
}

const shownHold = <Row extends HoldRow>(row: Row) => ({
  ...row,
  expires_at: utc(row.expires_at),
  ended_at: utcOrNull(row.ended_at),
  created_at: utc(row.created_at),
});

/** One hold. Refuses `not_found`. */
export async function getHold(c: AppContext, workspace: string, id: string) {
  const [row] = await read(c, { scope, workspace }, (db, permit) =>
    db
      .select(holdColumns)
      .from(hold)
      .where(and(eq(hold.owner_id, permit.workspace_id), eq(hold.id, id), eq(hold.unit, credit))),
  );
  if (row === undefined) throw new Problem("not_found");
  return shownHold(row);
}

/** A page of holds, newest first, and one more. */
export async function listHolds(c: AppContext, workspace: string, page: Page, state: HoldState | undefined) {
  const rows = await read(c, { scope, workspace }, (db, permit) =>
    db
      .select(holdColumns)
      .from(hold)
      .where(
        and(
          eq(hold.owner_id, permit.workspace_id),
          eq(hold.unit, credit),
          state === undefined ? undefined : eq(hold.state, state),
          page.after === null ? undefined : lt(hold.id, page.after),
        ),
      )
      .orderBy(desc(hold.id))
      .limit(page.limit + 1),
  );
  return rows.map(shownHold);
}

/**
 * The pool of each entry's lot, in the order of the entries. The columns are named by hand: in a query of one table drizzle
 * leaves its name out, and within the subquery `owner_id` would be the lot's own.
 */
const pools = sql<(string | null)[]>`array(
  select l.pool::text from unnest("transaction".lots) with ordinality e(lot_id, position)
    left join ${lot} l on l.owner_id = "transaction".owner_id and l.unit = "transaction".unit and l.id = e.lot_id
   order by e.position)`;

/** A page of credits' transactions, newest first, and one more. */
export async function listTransactions(c: AppContext, workspace: string, page: Page) {
  const rows = await pageOfTransactions(c, workspace, page, scope, () => eq(transaction.unit, credit));
  return rows.map(({ unit: _unit, ...row }) => row);
}

/** The transactions of money. The accounts are few; by them the index finds these among all others. */
const ofMoney = (owner: SQL<string>) =>
  sql`"transaction".unit in (
    select a.unit from ${account} a where a.owner_id = ${owner} and a.unit ~ ${currencyForm.source})`;

/** A page of one currency's transactions, or of all, newest first, and one more. */
export async function listMoneyTransactions(
  c: AppContext,
  workspace: string,
  page: Page,
  currency: string | undefined,
) {
  const rows = await pageOfTransactions(c, workspace, page, "billing:read", (owner) =>
    currency === undefined ? ofMoney(owner) : eq(transaction.unit, currency),
  );
  return rows.map(({ unit, ...row }) => Object.assign(row, { currency: unit }));
}

async function pageOfTransactions(
  c: AppContext,
  workspace: string,
  page: Page,
  as: Scope,
  ofUnit: (owner: SQL<string>) => SQL,
) {
  const rows = await read(c, { scope: as, workspace }, (db, permit) =>
    db
      .select({
        id: transaction.id,
        unit: transaction.unit,
        kind: transaction.kind,
        amount: transaction.amount,
        sides: transaction.sides,
        lots: sql<(string | null)[]>`${transaction.lots}`.as("lots"),
        amounts: sql<string[]>`${transaction.amounts}`.as("amounts"),
        pools: pools.as("pools"),
        reason: transaction.reason,
        caused_by: transaction.caused_by,
        created_at: transaction.created_at,
      })
      .from(transaction)
      .where(
        and(
          eq(transaction.owner_id, permit.workspace_id),
          ofUnit(permit.workspace_id),
          page.after === null ? undefined : lt(transaction.id, page.after),
        ),
      )
      .orderBy(desc(transaction.id))
      .limit(page.limit + 1),
  );
  return rows.map((row) => ({
    id: row.id,
    unit: row.unit,
    kind: row.kind,
    amount: row.amount,
    entries: row.sides.map((side, i) => ({
      side,
      pool: nth(row.pools, i),
      lot_id: nth(row.lots, i),
      amount: Number(nth(row.amounts, i)),
    })),
    reason: row.reason,
    caused_by: row.caused_by,
    created_at: utc(row.created_at),
  }));
}
