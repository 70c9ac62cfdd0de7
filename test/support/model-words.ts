import * as z from "zod";
import type { Outcome } from "./model.ts";

// An answer without what the model does not know: ids and times. Of the API's bodies, and of the routines' columns.

const shown = z.object({
  available: z.int().optional(),
  held: z.int().optional(),
  debt: z.int().optional(),
  pools: z.array(z.object({ pool: z.string(), available: z.int() })).optional(),
  amount: z.int().optional(),
  drawn: z.array(z.object({ pool: z.string(), amount: z.int() })).optional(),
  results: z
    .array(z.object({ key: z.string(), amount: z.int(), outcome: z.string(), code: z.string().optional() }))
    .optional(),
  state: z.string().optional(),
  settled: z.int().optional(),
  released: z.int().optional(),
  code: z.string().optional(),
  kind: z.string().optional(),
});

/** A body of the API's, an answer or a problem. */
export function bodyInWords(body: unknown): Outcome {
  const { pools, ...rest } = shown.parse(body);
  if (pools === undefined) return rest;
  return { ...rest, pools: Object.fromEntries(pools.map((each) => [each.pool, each.available])) };
}

const columns = z.object({
  available: z.int().optional(),
  held: z.int().optional(),
  debt: z.int().optional(),
  pools: z.array(z.string()).optional(),
  pool_available: z.array(z.int()).optional(),
  amount: z.int().optional(),
  drawn_pools: z.array(z.string()).optional(),
  drawn_amounts: z.array(z.int()).optional(),
  keys: z.array(z.string()).optional(),
  amounts: z.array(z.int()).optional(),
  outcomes: z.array(z.string()).optional(),
  codes: z.array(z.string().nullable()).optional(),
  state: z.string().optional(),
  settled: z.int().optional(),
  released: z.int().optional(),
  taken: z.int().optional(),
});

/** A routine's row, which has lists as columns beside each other and names a pool once for each lot. */
export function columnsInWords(row: Record<string, unknown>): Outcome {
  const { pools, pool_available, drawn_pools, drawn_amounts, keys, amounts, outcomes, codes, ...rest } =
    columns.parse(row);
  const said: Outcome = { ...rest };
  if (pools !== undefined) said["pools"] = Object.fromEntries(sums(pools, pool_available ?? []));
  if (drawn_pools !== undefined) {
    said["drawn"] = [...sums(drawn_pools, drawn_amounts ?? [])].map(([pool, amount]) => ({ pool, amount }));
  }
  if (keys !== undefined) {
    said["results"] = keys.map((key, i) => {
      const code = codes?.[i] ?? null;
      const result = { key, amount: amounts?.[i], outcome: outcomes?.[i] };
      return code === null ? result : Object.assign(result, { code });
    });
  }
  return said;
}

function sums(names: string[], amounts: number[]): Map<string, number> {
  const found = new Map<string, number>();
  for (const [i, name] of names.entries()) found.set(name, (found.get(name) ?? 0) + (amounts[i] ?? 0));
  return found;
}
