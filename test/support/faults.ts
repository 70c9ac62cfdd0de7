import type { Pool } from "pg";
import type { Fault } from "../world/bridge/faults.ts";

/** One send that went wrong: what the bridge does to it, and whether the statement was done all the same. */
export interface Shape {
  fault: Fault;
  done: boolean;
}

const eitherWay = ["drop", "empty_code", "08P01", "57P01", "500", "502", "507", "truncated"] as const;

/** Every answer (and want of one) that may come before the statement ran or after it committed, each in both forms. */
export const ambiguous: readonly Shape[] = eitherWay.flatMap((kind) => [
  { fault: { kind, when: "before" }, done: false },
  { fault: { kind, when: "after" }, done: true },
]);

/** What Postgres rolls back because of the moment. */
export const passing: readonly Shape[] = (["40001", "40P01", "55P03"] as const).map((kind) => ({
  fault: { kind },
  done: false,
}));

/** What Postgres rolls back, or never began, because there is no room: not worth another send at once. */
export const busy: readonly Shape[] = (["57014", "53300"] as const).map((kind) => ({ fault: { kind }, done: false }));

/** Counts how often an effect of the ledger was carried out. */
export interface Executions {
  /** Since the last reset; those that were rolled back count too. */
  count(): Promise<number>;
  reset(): Promise<void>;
}

/**
 * Has a database count each row that is written to ledger.transaction, in a sequence: what a rollback takes back of the
 * row, it does not take back of the sequence. So an effect that ran twice and left one row is seen.
 */
export async function countExecutions(db: Pool): Promise<Executions> {
  await db.query(`
    create sequence public.executions minvalue 0 start 0;
    create function public.count_execution() returns trigger language plpgsql security definer as
      'begin perform nextval(''public.executions''); return new; end';
    create trigger count_execution before insert on ledger.transaction
      for each row execute function public.count_execution()`);
  return {
    count: async () => {
      const { rows } = await db.query<{ n: number }>(
        "select case when is_called then last_value::int + 1 else 0 end as n from public.executions",
      );
      return rows[0]?.n ?? 0;
    },
    reset: async () => {
      await db.query("alter sequence public.executions restart");
    },
  };
}
