import * as fc from "fast-check";
import { ambiguous, busy, passing } from "./faults.ts";
import type { Model, Operation } from "./model.ts";

/** Random acts of clients, for histories that a model follows. `which` picks among what there is by then. */

const amount = fc.integer({ min: 1, max: 12 });
const which = fc.nat({ max: 30 });
const ahead = fc.oneof(fc.constant(null), fc.integer({ min: -1, max: 4 }));
const payment = fc.constantFrom("p", "q");
const percent = fc.integer({ min: 0, max: 110 });
const item = fc.nat({ max: 5 });
const kind = <Kind extends string>(name: Kind) => fc.constant(name);

const grant = fc.record({
  kind: kind("grant"),
  pool: fc.constantFrom("subscription" as const, "subscription" as const, "bulk" as const, "promo" as const),
  amount,
  hours: ahead,
  payment: fc.oneof(fc.constant(null), payment),
});
const reset = fc.record({ kind: kind("reset"), amount: fc.nat({ max: 12 }), hours: ahead });
const spend = fc.record({ kind: kind("spend"), amount, item: fc.oneof(fc.constant(null), item) });
const items = fc.uniqueArray(fc.record({ item, amount }), {
  selector: (each) => each.item,
  minLength: 1,
  maxLength: 4,
});
const batch = fc.record({ kind: kind("batch"), items });
const hold = fc.record({ kind: kind("hold"), amount, hours: fc.nat({ max: 3 }) });
const settle = fc.record({ kind: kind("settle"), which, amount: fc.oneof(fc.constant(null), amount) });
const release = fc.record({ kind: kind("release"), which });
const adjust = fc.record({ kind: kind("adjust"), amount: amount.map((n) => (n % 2 === 0 ? n : -n)) });
const reverse = fc.record({ kind: kind("reverse"), which });
const take_back = fc.record({ kind: kind("take_back"), payment, refunded: percent, lost: percent });
const limit = fc.record({ kind: kind("limit"), amount: fc.nat({ max: 20 }) });
const again = fc.record({ kind: kind("again"), which });

/** What is asked for. */
const wish = fc.oneof(
  { weight: 4, arbitrary: grant },
  { weight: 2, arbitrary: reset },
  { weight: 3, arbitrary: spend },
  { weight: 1, arbitrary: batch },
  { weight: 4, arbitrary: hold },
  { weight: 2, arbitrary: settle },
  { weight: 3, arbitrary: release },
  { weight: 1, arbitrary: adjust },
  { weight: 3, arbitrary: reverse },
  { weight: 4, arbitrary: take_back },
  { weight: 1, arbitrary: limit },
  { weight: 1, arbitrary: again },
);
export type Wish = typeof wish extends fc.Arbitrary<infer Value> ? Value : never;

const shape = fc.constantFrom(...[...ambiguous, ...passing, ...busy].map(({ fault }) => fault));

/** One request: what it asks for, and what befalls it. */
export const act = fc.record({
  wish,
  /** A key that was used before, instead of a new one. */
  reuse: fc.oneof({ weight: 11, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: which }),
  /** How many send it at once. */
  copies: fc.oneof({ weight: 5, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.constantFrom(2, 3) }),
  faults: fc.oneof(
    { weight: 2, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(shape, { maxLength: 3 }) },
  ),
});
export type Act = typeof act extends fc.Arbitrary<infer Value> ? Value : never;

/** A wish as an operation on what there is by now. */
export function concrete(wanted: Exclude<Wish, { kind: "again" }>, model: Model): Operation {
  const ends = (hours: number | null) => (hours === null ? null : model.hour + hours);
  const pick = (from: string[], index: number) => from[index % (from.length || 1)] ?? "nobody's";
  switch (wanted.kind) {
    case "grant": {
      const { pool, amount: given, payment: of } = wanted;
      return { kind: "grant", pool, amount: given, ends: ends(wanted.hours), payment: of };
    }
    case "reset":
      return { kind: "reset", amount: wanted.amount, ends: ends(wanted.hours) };
    case "spend":
      return { kind: "spend", amount: wanted.amount };
    case "batch":
      return { kind: "batch", items: wanted.items.map((each) => ({ key: `item-${each.item}`, amount: each.amount })) };
    case "settle":
      return { kind: "settle", hold: pick(model.holdKeys(), wanted.which), amount: wanted.amount };
    case "release":
      return { kind: "release", hold: pick(model.holdKeys(), wanted.which) };
    case "reverse":
      return { kind: "reverse", transaction: pick(model.movementKeys(), wanted.which) };
    case "hold":
    case "adjust":
    case "take_back":
    case "limit":
      return wanted;
  }
}
