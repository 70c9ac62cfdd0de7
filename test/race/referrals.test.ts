import { randomInt } from "node:crypto";
import type { Pool } from "pg";
import { expect } from "vitest";
import { besideOpen, race, tally } from "../support/barrier.ts";
import { Account, call, outcome, rows } from "../support/scenario.ts";
import type { Db } from "../support/scenario.ts";
import { Scheme } from "../support/scheme.ts";
import { Till } from "../support/till.ts";
import type { Customer } from "../support/till.ts";
import { testRoutines as test, times } from "./arena.ts";

// Who brought whom, and what it earned, however many say so at once. Locks: a workspace's own, then its referrer's, so chains are
// taken upwards; that Postgres ended no deadlock is asserted for the whole file (arena.ts).

const set = (db: Pool, workspace_id: string | undefined, referrer_id: string | undefined) =>
  outcome(call(db, "payments.set_referrer", { workspace_id, referrer_id, caused_by: "test" }));

test("a ring of workspaces that are each set above the next at once: all but one, and no cycle", async ({ db }) => {
  const till = new Till(db);
  for (const size of [2, 3, 8, 2, 3, 8]) {
    const ring = await Promise.all(times(size).map(() => till.customer()));
    const outcomes = await race(size, (i) => set(db, ring[i]?.workspace, ring[(i + 1) % size]?.workspace));
    expect(tally(outcomes)).toEqual({ done: size - 1, referral_cycle: 1 });
  }
});

test("who is set below waits for who is being set above it, and sees it", async ({ db }) => {
  const till = new Till(db);
  const [a, b] = [(await till.customer()).workspace, (await till.customer()).workspace];
  const first = (connection: Db) =>
    call(connection, "payments.set_referrer", { workspace_id: a, referrer_id: b, caused_by: "test" });
  expect(await besideOpen(db, first, () => set(db, b, a))).toBe("referral_cycle");
});

test("twenty referrers of one workspace at once: one is fixed", async ({ db }) => {
  const till = new Till(db);
  const [own, ...others] = await Promise.all(times(21).map(() => till.customer()));
  const outcomes = await race(20, (i) => set(db, own?.workspace, others[i]?.workspace));
  expect(tally(outcomes)).toEqual({ done: 1, referrer_fixed: 19 });
});

test("a referrer that is set while its workspace pays is in time and rewarded, or late and not", async ({ db }) => {
  const scheme = await Scheme.open(db, { percent: 10, recurring: true });
  for (const _ of times(20)) {
    const payer = await scheme.till.customer();
    const [said] = await race(2, (i) =>
      i === 0 ? set(db, payer.workspace, scheme.referrer) : outcome(scheme.pay({ amount: 1000, of: payer })),
    );
    const found = await rows(db, "select from payments.reward where workspace_id = $1", [payer.workspace]);
    expect([said, found.length]).toEqual(said === "done" ? ["done", 1] : ["referral_late", 0]);
  }
});

test("D1 thirty first payments of one workspace at once: one reward", async ({ db }) => {
  const scheme = await Scheme.open(db, { percent: 10 });
  await race(30, () => scheme.pay({ amount: 1000 }));
  expect([await scheme.rewards(), await scheme.balance()]).toEqual([[100], 100]);
});

test("B14 a chain that pays, is refunded and spends at once, from both ends: no deadlock, and the right sums", async ({
  db,
}) => {
  const scheme = await Scheme.open(db, { percent: 50, recurring: true });
  const seed = randomInt(2 ** 31);
  const chain = [scheme.payer, ...(await Promise.all(times(4).map(() => scheme.till.customer())))];
  for (const [i, below] of chain.slice(1).entries()) await set(db, below.workspace, chain[i]?.workspace);
  const pack = await scheme.till.pack(1, { amount: 7 });
  const paid = new Map<string, { amount: number; of: Customer; gone: number }>();

  const moves = chain.flatMap((of, at) =>
    times(8).flatMap((i) => {
      const amount = 1000 + ((seed + 37 * i + 11 * at) % 500);
      const invoice = scheme.invoice({ amount, of });
      const parts = [1, 2, 3].map((part) => Math.floor((amount * part) / (7 + i)));
      const won = i % 2 === 0;
      paid.set(invoice.invoice, { amount, of, gone: parts.reduce((a, b) => a + b, won ? 0 : amount) });
      const [first = 0, second = 0, third = 0] = parts;
      return [
        () => scheme.tell(invoice),
        () => scheme.refund(invoice, first),
        () => scheme.refund(invoice, second),
        () => scheme.refund(invoice, third),
        () => scheme.dispute(invoice, amount, "needs_response"),
        () => scheme.dispute(invoice, amount, won ? "won" : "lost"),
        () => scheme.tell(invoice),
        () => topup(db, of, 100),
        () => buy(db, of, pack.code),
      ];
    }),
  );
  // From both ends towards the middle, so that neighbours meet in either order.
  const order = moves.map((_, i) => (i % 2 === 0 ? i / 2 : moves.length - 1 - (i - 1) / 2));
  const queue = order.map((i) => moves[i]);
  await race(24, async () => {
    for (let move = queue.shift(); move !== undefined; move = queue.shift()) await move();
  });

  for (const [at, of] of chain.entries()) {
    const below = chain[at + 1];
    const earned = [...paid.values()]
      .filter((one) => one.of === below)
      .map(({ amount, gone }) => {
        const reward = Math.floor(amount / 2);
        return reward - Math.floor((reward * Math.min(gone, amount)) / amount);
      });
    const [spent] = await rows<{ sum: number }>(
      db,
      "select coalesce(sum(amount_minor), 0)::int as sum from payments.payment where workspace_id = $1 and provider = 'balance'",
      [of.workspace],
    );
    // Eight times 1 €, and half of what those below put in.
    const byHand = 800 + (below === undefined ? 0 : 400) - (spent?.sum ?? 0);
    const [available, , debt] = await new Account(db, { owner: of.workspace, unit: "eur" }).sums();
    const expected = earned.reduce((a, b) => a + b, byHand);
    expect(available - debt, `seed ${seed}, ${at}`).toBe(expected);
  }
});

const topup = (db: Pool, { workspace }: Customer, amount_minor: number) =>
  call(db, "payments.record_topup", {
    workspace_id: workspace,
    amount_minor,
    currency: "eur",
    reference: crypto.randomUUID(),
    caused_by: "test",
  });

/** What is not there is not spent. */
async function buy(db: Pool, { workspace }: Customer, pack_code: string): Promise<void> {
  const bought = await outcome(
    call(db, "payments.buy_from_balance", {
      workspace_id: workspace,
      pack_code,
      currency: "eur",
      quantity: 1,
      caused_by: "test",
    }),
  );
  expect(["done", "insufficient_balance", "workspace_read_only"]).toContain(bought);
}
