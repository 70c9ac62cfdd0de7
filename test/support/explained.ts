import { expect } from "vitest";
import type * as z from "zod";
import { explainAnswer, explainMoneyAnswer } from "../../src/ledger/explanation.ts";
import type { Api } from "./api.ts";

type Explained = Omit<z.infer<ReturnType<typeof explainAnswer>>, "unit" | "next_cursor">;
type Sums = Pick<Explained, "available" | "held" | "debt">;

const nothing: Sums = { available: 0, held: 0, debt: 0 };
const plus = (a: Sums, b: Sums): Sums => ({
  available: a.available + b.available,
  held: a.held + b.held,
  debt: a.debt + b.debt,
});
const sumOf = (all: Sums[]) => all.reduce(plus, nothing);
const sumsOf = ({ available, held, debt }: Sums): Sums => ({ available, held, debt });

/** One page as the API answers it; each of its members is as described, and there is no other. */
export async function page(api: Api, path: string, query: string) {
  const answer = await api.get(`${path}?${query}`);
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  const parsed = path.endsWith("/balance/explain")
    ? explainMoneyAnswer().parse(answer.body)
    : explainAnswer().parse(answer.body);
  expect(answer.body).toEqual(parsed);
  return parsed;
}

/**
 * The whole explanation, page by page, held against itself: the lines sum to the balance, and each is what its transactions did;
 * a transaction did what its entries say; and from each to the next the balance goes on.
 */
export async function explained(api: Api, path: string, query = "", limit = 100): Promise<Explained> {
  const ask = query === "" ? `limit=${limit}` : `${query}&limit=${limit}`;
  const first = await page(api, path, ask);
  const data = [...first.data];
  for (let cursor = first.next_cursor; cursor !== null;) {
    const next = await page(api, path, `${ask}&cursor=${cursor}`);
    expect([sumsOf(next), next.made_of]).toEqual([sumsOf(first), first.made_of]);
    data.push(...next.data);
    cursor = next.next_cursor;
  }
  assertAgrees({ ...first, data });
  return { ...sumsOf(first), made_of: first.made_of, data };
}

/** Throws unless the sums agree; `data` is the whole history. */
export function assertAgrees({ made_of, data, ...balance }: Explained): void {
  expect(sumOf(made_of)).toEqual(sumsOf(balance));
  const lines = new Map<string, { transactions: number; sums: Sums }>();
  let before = nothing;
  for (const { kind, cause, change, after, entries } of data.toReversed()) {
    const did = (side: string) => entries.reduce((sum, one) => sum + (one.side === side ? one.amount : 0), 0);
    expect(change).toEqual({ available: did("available"), held: did("held"), debt: 0 - did("debt") });
    expect(after).toEqual(plus(before, change));
    expect(Math.min(after.available, after.held, after.debt)).toBeGreaterThanOrEqual(0);
    before = after;
    const line = lines.get(`${kind} ${cause.type}`) ?? { transactions: 0, sums: nothing };
    lines.set(`${kind} ${cause.type}`, { transactions: line.transactions + 1, sums: plus(line.sums, change) });
  }
  const written = made_of.filter(({ cause }) => cause !== "due");
  const told = written.map(
    ({ kind, cause, transactions, ...sums }) => [`${kind} ${cause}`, { transactions, sums }] as const,
  );
  expect(new Map(told)).toEqual(lines);
  expect(sumOf(written)).toEqual(before);
}
