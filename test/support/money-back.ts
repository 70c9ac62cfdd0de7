import * as fc from "fast-check";
import type { Fact, Till, TillEvent } from "./till.ts";

/** A refund or a dispute as the provider has it: every state that it was in, the last one being what it is. */
interface Moved {
  amount: number;
  states: string[];
}

/** All that ever was asked back of one payment. */
export interface MoneyBack {
  refunds: Moved[];
  disputes: Moved[];
}

const refundPaths = [
  ["succeeded"],
  ["pending"],
  ["pending", "succeeded"],
  ["pending", "failed"],
  ["succeeded", "failed"],
  ["pending", "succeeded", "failed"],
  ["requires_action", "canceled"],
  ["requires_action", "pending", "succeeded"],
];

/** `warning_…` are inquiries; one that was lost may be reinstated. */
const disputePaths = [
  ["needs_response"],
  ["needs_response", "lost"],
  ["needs_response", "under_review", "won"],
  ["needs_response", "lost", "won"],
  ["warning_needs_response", "warning_closed"],
  ["warning_needs_response", "needs_response", "lost"],
  ["warning_needs_response", "warning_under_review"],
];

const moved = (paths: string[][], most: number) =>
  fc.record({ amount: fc.integer({ min: 1, max: most }), states: fc.constantFrom(...paths) });

/** Whatever may come back of a payment of `paid`. */
export const moneyBack = (paid: number): fc.Arbitrary<MoneyBack> =>
  fc.record({
    refunds: fc.array(moved(refundPaths, paid), { maxLength: 4 }),
    disputes: fc.array(moved(disputePaths, paid), { maxLength: 2 }),
  });

const isAlive = (state: string) => !["failed", "canceled"].includes(state);
const isAgainst = (state: string) => state === "lost" || state === "needs_response" || state === "under_review";
const last = ({ states }: Moved) => states.at(-1) ?? "";
const sum = (all: Moved[], counts: (state: string) => boolean) =>
  all.reduce((total, one) => total + (counts(last(one)) ? one.amount : 0), 0);

/** What of a payment of `paid` is refunded and disputed in the end: a function of the final objects alone. */
export function totals({ refunds, disputes }: MoneyBack, paid: number): { refunded: number; disputed: number } {
  return { refunded: Math.min(paid, sum(refunds, isAlive)), disputed: Math.min(paid, sum(disputes, isAgainst)) };
}

/** What of `given` is to be taken back when of `paid` this much is refunded and disputed. */
export const share = (given: number, paid: number, { refunded, disputed }: { refunded: number; disputed: number }) =>
  Number((BigInt(given) * BigInt(Math.min(paid, refunded + disputed))) / BigInt(paid));

/** Facts of the final objects, as the provider answers who asks for them. */
export function finalFacts({ refunds, disputes }: MoneyBack, intent: string): { refunds: Fact[]; disputes: Fact[] } {
  return {
    refunds: refunds.map((one, i) => refundFact(intent, i, one.amount, last(one))),
    disputes: disputes.map((one, i) => disputeFact(intent, i, one.amount, last(one))),
  };
}

const refundFact = (intent: string, i: number, amount: number, status: string): Fact => ({
  kind: "refund",
  refund: `re_${i}_${intent}`,
  payment_intent: intent,
  charge: `ch_${intent}`,
  amount,
  status,
  created: 1_790_000_000,
});

const disputeFact = (intent: string, i: number, amount: number, status: string): Fact => ({
  kind: "dispute",
  dispute: `dp_${i}_${intent}`,
  payment_intent: intent,
  charge: `ch_${intent}`,
  amount,
  status,
  created: 1_790_000_000,
});

/** Every event of what happened to a payment, in the order in which it happened, a second apart. */
export function eventsOf(till: Till, back: MoneyBack, intent: string, { paid, customer }: Paid): TillEvent[] {
  const events: TillEvent[] = [];
  let at = Math.floor(Date.now() / 1000) - 86_400;
  const told = (type: string, fact: Fact) => events.push(till.event(type, fact, (at += 1)));
  const alive = new Map<number, number>();
  const longest = Math.max(0, ...[...back.refunds, ...back.disputes].map(({ states }) => states.length));
  for (let step = 0; step < longest; step += 1) {
    for (const [i, { amount, states }] of back.refunds.entries()) {
      const status = states[step];
      if (status === undefined) continue;
      alive.set(i, isAlive(status) ? amount : 0);
      const amount_refunded = [...alive.values()].reduce((total, one) => total + one, 0);
      const charge = { kind: "charge", charge: `ch_${intent}`, payment_intent: intent, customer, amount: paid };
      if (isAlive(status)) told("charge.refunded", { ...charge, amount_refunded });
      told(step === 0 ? "refund.created" : "refund.updated", refundFact(intent, i, amount, status));
    }
    for (const [i, { amount, states }] of back.disputes.entries()) {
      const status = states[step];
      if (status !== undefined) told("charge.dispute.updated", disputeFact(intent, i, amount, status));
    }
  }
  return events;
}

interface Paid {
  paid: number;
  customer: string;
}
