import * as z from "zod";
import { routine } from "../db/routine.ts";
import { write } from "../db/write.ts";
import type { AppContext } from "../http/context.ts";
import { instant } from "../http/time.ts";
import { credit } from "./model.ts";
import { balanceColumns, byPool, nth, shown } from "./rows.ts";

const moving = { owner_id: "workspace_id", idempotency_key: "idempotency_key", caused_by: "caused_by" } as const;
const unit = z.string();
const text = z.string().nullable();

const grantCall = routine({
  name: "ledger.grant",
  context: moving,
  args: z.strictObject({ unit, pool: z.string(), amount: z.int(), expires_at: text, reason: text }),
  result: z.object({ transaction_id: z.string(), lot_id: z.string(), ...balanceColumns }),
});

const resetCall = routine({
  name: "ledger.reset",
  context: moving,
  args: z.strictObject({ unit, pool: z.string(), amount: z.int(), expires_at: text, reason: text }),
  result: z.object({ transaction_id: z.string(), lot_id: z.string().nullable(), ...balanceColumns }),
});

const spendCall = routine({
  name: "ledger.spend",
  context: moving,
  args: z.strictObject({ unit, amount: z.int(), reason: text }),
  result: z.object({
    transaction_id: z.string(),
    amount: z.int(),
    drawn_pools: z.array(z.string()),
    drawn_amounts: z.array(z.int()),
    ...balanceColumns,
  }),
});

const spendManyCall = routine({
  name: "ledger.spend_many",
  context: { owner_id: "workspace_id", caused_by: "caused_by" },
  args: z.strictObject({ unit, keys: z.array(z.string()), amounts: z.array(z.int()), reasons: z.array(text) }),
  result: z.object({
    keys: z.array(z.string()),
    amounts: z.array(z.int()),
    outcomes: z.array(z.enum(["spent", "replayed", "refused"])),
    codes: z.array(text),
    transaction_ids: z.array(text),
    ...balanceColumns,
  }),
});

const holdCall = routine({
  name: "ledger.hold",
  context: moving,
  args: z.strictObject({ unit, amount: z.int(), expires_in: z.string(), reason: text }),
  result: z.object({
    id: z.string(),
    amount: z.int(),
    state: z.literal("held"),
    expires_at: instant,
    ...balanceColumns,
  }),
});

const lowCall = routine({
  name: "ledger.set_low_mark",
  context: { owner_id: "workspace_id", caused_by: "caused_by" },
  args: z.strictObject({ unit, below: z.int().nullable() }),
  result: z.object({ below: z.int().nullable(), available: z.int() }),
});

const ended = z.object({
  id: z.string(),
  state: z.enum(["settled", "released"]),
  settled: z.int(),
  released: z.int(),
  transaction_id: z.string(),
  ...balanceColumns,
});

const settleCall = routine({
  name: "ledger.settle",
  context: moving,
  args: z.strictObject({ unit, hold_id: z.string(), amount: z.int().nullable() }),
  result: ended,
});

const releaseCall = routine({
  name: "ledger.release",
  context: moving,
  args: z.strictObject({ unit, hold_id: z.string() }),
  result: ended,
});

const adjustCall = routine({
  name: "ledger.adjust",
  context: moving,
  args: z.strictObject({ unit, amount: z.int(), reason: z.string() }),
  result: z.object({ transaction_id: z.string(), amount: z.int(), ...balanceColumns }),
});

const reverseCall = routine({
  name: "ledger.reverse",
  // Its key is made from the transaction that it undoes: once, whatever the client's key.
  context: { owner_id: "workspace_id", caused_by: "caused_by" },
  args: z.strictObject({ unit, transaction_id: z.string(), reason: z.string() }),
  result: z.object({ transaction_id: z.string(), reversed: z.string(), ...balanceColumns }),
});

/** Every routine that this store calls, for the contract test. */
export const calls = [
  grantCall,
  resetCall,
  spendCall,
  spendManyCall,
  holdCall,
  settleCall,
  releaseCall,
  adjustCall,
  reverseCall,
  lowCall,
];

interface Given {
  pool: string;
  amount: number;
  expires_at?: string | undefined;
  reason?: string | undefined;
}

const given = ({ pool, amount, expires_at, reason }: Given) => ({
  unit: credit,
  pool,
  amount,
  expires_at: expires_at ?? null,
  reason: reason ?? null,
});

/** What gives credits takes an operator's scope: a customer's own key must not be able to fill its own account. */
const granting = { scope: "credits:grant" } as const;
const writing = { scope: "credits:write" } as const;
/** New work of the workspace's, which one that is read-only or frozen may not begin; what has begun may be ended. */
const beginning = { ...writing, refuse_read_only: true } as const;
const adjusting = { scope: "ledger:adjust" } as const;

/** Adds to a pool. Refuses `expires_in_past`, `balance_limit_exceeded`. */
export async function grant(c: AppContext, workspace: string, body: Given) {
  const row = await write(c, { routine: grantCall, args: given(body), ...granting, workspace });
  return { transaction_id: row.transaction_id, ...shown(row) };
}

/** Makes a pool hold `amount`, less any debt; touches no other pool. */
export async function reset(c: AppContext, workspace: string, body: Given) {
  const row = await write(c, { routine: resetCall, args: given(body), ...granting, workspace });
  return { transaction_id: row.transaction_id, ...shown(row) };
}

/** Takes from the pools in drain order. Refuses `insufficient_credits` with `available`. */
export async function spend(c: AppContext, workspace: string, body: { amount: number; reason?: string | undefined }) {
  const args = { unit: credit, amount: body.amount, reason: body.reason ?? null };
  const row = await write(c, { routine: spendCall, args, ...beginning, workspace });
  const drawn = byPool(row.drawn_pools.map((pool, i) => ({ pool, amount: nth(row.drawn_amounts, i) })));
  return { transaction_id: row.transaction_id, amount: row.amount, drawn, ...shown(row) };
}

/** Spends many items in one statement, each by itself: one that is refused does not stop the others. */
export async function spendMany(
  c: AppContext,
  workspace: string,
  items: { key: string; amount: number; reason?: string | undefined }[],
) {
  const args = {
    unit: credit,
    keys: items.map((item) => item.key),
    amounts: items.map((item) => item.amount),
    reasons: items.map((item) => item.reason ?? null),
  };
  const row = await write(c, { routine: spendManyCall, args, ...beginning, workspace });
  const results = row.keys.map((key, i) => {
    const [code, transaction_id] = [nth(row.codes, i), nth(row.transaction_ids, i)];
    return {
      key,
      outcome: nth(row.outcomes, i),
      amount: nth(row.amounts, i),
      ...(transaction_id === null ? {} : { transaction_id }),
      ...(code === null ? {} : { code }),
    };
  });
  return { results, ...shown(row) };
}

/** Takes an amount out of the pools until it is settled or released. Refuses `insufficient_credits`. */
export async function hold(
  c: AppContext,
  workspace: string,
  body: { amount: number; expires_in: number; reason?: string | undefined },
) {
  const args = {
    unit: credit,
    amount: body.amount,
    expires_in: `${body.expires_in} seconds`,
    reason: body.reason ?? null,
  };
  const row = await write(c, { routine: holdCall, args, ...beginning, workspace });
  return { id: row.id, amount: row.amount, state: row.state, expires_at: row.expires_at, ...shown(row) };
}

/** Spends the hold, or a part of it; the rest returns. Refuses `hold_ended`, `amount_exceeds_hold`. */
export async function settle(c: AppContext, workspace: string, hold_id: string, amount: number | null) {
  const args = { unit: credit, hold_id, amount };
  const row = await write(c, { routine: settleCall, args, ...writing, workspace });
  return { id: row.id, state: row.state, settled: row.settled, released: row.released, ...shown(row) };
}

/** Returns all of the hold. Refuses `hold_ended`. */
export async function release(c: AppContext, workspace: string, hold_id: string) {
  const row = await write(c, { routine: releaseCall, args: { unit: credit, hold_id }, ...writing, workspace });
  return { id: row.id, state: row.state, settled: row.settled, released: row.released, ...shown(row) };
}

/** An operator's correction, by a signed amount; leaves an audit row. */
export async function adjust(c: AppContext, workspace: string, body: { amount: number; reason: string }) {
  const args = { unit: credit, amount: body.amount, reason: body.reason };
  const row = await write(c, { routine: adjustCall, args, ...adjusting, workspace });
  return { transaction_id: row.transaction_id, amount: row.amount, ...shown(row) };
}

/** Undoes one transaction by a new one; leaves an audit row. Refuses `transaction_reversed`. */
export async function reverse(c: AppContext, workspace: string, transaction_id: string, reason: string) {
  const args = { unit: credit, transaction_id, reason };
  const row = await write(c, { routine: reverseCall, args, ...adjusting, workspace });
  return { transaction_id: row.transaction_id, reversed: row.reversed, ...shown(row) };
}

/** Sets below how much the workspace's credits are told to be low; null: never. */
export async function setLowMark(c: AppContext, workspace: string, below: number | null) {
  return write(c, { routine: lowCall, args: { unit: credit, below }, scope: "workspaces:write", workspace });
}
