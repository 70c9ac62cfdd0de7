import * as z from "zod";
import { type Routine, routine } from "../db/routine.ts";
import type { BtcpayAccount, Settings, StripeAccount } from "../env.ts";
import type { Done, Shift } from "./shift.ts";

/** What every routine of a sweep takes and answers: law 8 of the design. */
function sweepRoutine(name: `${string}.${string}`) {
  return routine({
    name,
    context: {},
    args: z.strictObject({ batch: z.int() }),
    result: z.object({ processed: z.int(), failed: z.int(), more: z.boolean() }),
  });
}

/** A bounded, repeatable piece of housekeeping: one routine, or work that also asks the outside. */
export interface Sweep {
  /** As in ops.sweep; that of a routine is the routine's name without its schema. */
  name: string;
  interval_seconds: number;
  /** Rows of one statement, or things of one claim. */
  batch: number;
  /** Milliseconds after which a run begins nothing more. */
  budget_ms: number;
  /** The routines that it calls, for the contract test. */
  calls: readonly Routine[];
  /** One batch. It is right at none, one or many at once, and after a half one. */
  work(shift: Shift): Promise<Done>;
}

/** Rows of one statement; law 8. */
export const batch = 100;

/** Things of one claim that are asked about: what a claim takes and the budget cuts off waits out its lease for nothing. */
export const askedBatch = 20;

const budget_ms = 15_000;

/** Declares a sweep that is a routine: batches of 100 unless told, within 15 seconds a run. */
export function sweep(domain: string, name: string, interval_seconds: number, rows: number = batch): Sweep {
  const only = sweepRoutine(`${domain}.${name}`);
  const work = (shift: Shift) => shift.call(only, { batch: rows });
  return { name, interval_seconds, batch: rows, budget_ms, calls: [only], work };
}

/** Declares a sweep that asks a provider. A deployment without it has nothing to ask, and that is no error. */
function askingSweep<Account>(accountOf: (settings: Settings) => Account | null) {
  return (
    name: string,
    interval_seconds: number,
    calls: readonly Routine[],
    work: (shift: Shift, account: Account) => Promise<Done>,
  ): Sweep => ({
    name,
    interval_seconds,
    batch: askedBatch,
    budget_ms,
    calls,
    work: async (shift) => {
      const account = accountOf(shift.settings);
      return account === null ? { processed: 0, failed: 0, more: false } : work(shift, account);
    },
  });
}

/** Declares a sweep that asks Stripe. */
export const stripeSweep = askingSweep<StripeAccount>(({ stripe }) => stripe);

/** Declares a sweep that asks BTCPay Server. */
export const btcpaySweep = askingSweep<BtcpayAccount>(({ btcpay }) => btcpay);
