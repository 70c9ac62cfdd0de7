import * as z from "zod";
import { instant } from "../http/time.ts";
import { credit } from "./model.ts";

/** The columns that every routine of the ledger ends with; lot i, of pool `pools[i]`, has `pool_available[i]` until `pool_expires_at[i]`. */
export const balanceColumns = {
  available: z.int(),
  held: z.int(),
  debt: z.int(),
  pools: z.array(z.string()),
  pool_available: z.array(z.int()),
  pool_expires_at: z.array(instant.nullable()),
};

/** What `ledger.balance_of` answers. */
export const balanceResult = z.object(balanceColumns);

/** What `ledger.verify` answers: check i is `names[i]`. */
export const verifyResult = z.object({
  names: z.array(z.string()),
  oks: z.array(z.boolean()),
  details: z.array(z.string().nullable()),
});

/** The i-th of an array that a routine answered beside another of the same length. */
export function nth<Item>(items: readonly Item[], index: number): Item {
  const item = items[index];
  if (item === undefined) throw new Error("a routine answered parallel arrays of different lengths");
  return item;
}

/** Adds up what stands there lot by lot: one entry per pool, in drain order. */
export function byPool<Entry extends { pool: string; amount: number }>(entries: Entry[]): Entry[] {
  const pools = new Map<string, Entry>();
  for (const entry of entries) {
    const first = pools.get(entry.pool);
    pools.set(entry.pool, first === undefined ? entry : { ...first, amount: first.amount + entry.amount });
  }
  return [...pools.values()];
}

/** A balance as every answer about credits shows it. `expires_at` of a pool is that of its first lot to go. */
export function shown(row: z.infer<typeof balanceResult>) {
  const lots = row.pools.map((pool, i) => ({
    pool,
    amount: nth(row.pool_available, i),
    expires_at: nth(row.pool_expires_at, i),
  }));
  return {
    unit: credit,
    available: row.available,
    held: row.held,
    debt: row.debt,
    pools: byPool(lots).map(({ pool, amount, expires_at }) => ({ pool, available: amount, expires_at })),
  } as const;
}
