import * as z from "zod";
import { instant } from "../http/time.ts";
import { credit } from "./model.ts";

/** The columns that every routine of the ledger ends with; `pools[i]` has `pool_available[i]` until `pool_expires_at[i]`. */
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

/** A balance as every answer about credits shows it. */
export function shown(row: z.infer<typeof balanceResult>) {
  return {
    unit: credit,
    available: row.available,
    held: row.held,
    debt: row.debt,
    pools: row.pools.map((pool, i) => ({
      pool,
      available: nth(row.pool_available, i),
      expires_at: nth(row.pool_expires_at, i),
    })),
  } as const;
}
