/** The payment's totals so far, of 100 that were paid. */
export type Totals = { refunded?: number; lost?: number };

/** A payment of 100 gave 10; what is taken back, and where it comes from. */
export interface Case {
  title: string;
  /** What happened to the 10 before: `other` credits beside them, how many were spent, held, or left to expire. */
  other?: number;
  spent?: number;
  held?: number;
  expired?: boolean;
  /** The totals as they came to be known, one after the other. */
  events: Totals[];
  /** How much each event took, and `[available, held, debt]` at the end. */
  taken: number[];
  sums: [number, number, number];
}
export const cases: Case[] = [
  { title: "all unspent, all refunded", events: [{ refunded: 100 }], taken: [10], sums: [0, 0, 0] },
  { title: "nothing refunded", events: [{}], taken: [0], sums: [10, 0, 0] },
  { title: "a part, rounded down", events: [{ refunded: 39 }], taken: [3], sums: [7, 0, 0] },
  { title: "a part too small for one credit", events: [{ refunded: 9 }], taken: [0], sums: [10, 0, 0] },
  {
    title: "parts that add up: 9 + 9 + 9 + 73, each time the whole is rounded and not the part",
    events: [{ refunded: 9 }, { refunded: 18 }, { refunded: 27 }, { refunded: 100 }],
    taken: [0, 1, 1, 8],
    sums: [0, 0, 0],
  },
  {
    title: "the same total again and again",
    events: [{ refunded: 50 }, { refunded: 50 }, { refunded: 50 }],
    taken: [5, 0, 0],
    sums: [5, 0, 0],
  },
  {
    title: "totals that arrive late end as the last one says",
    events: [{ refunded: 80 }, { refunded: 30 }, { refunded: 80 }],
    taken: [8, -5, 5],
    sums: [2, 0, 0],
  },
  {
    title: "more refunded and lost than was paid counts as all of it",
    events: [{ refunded: 80, lost: 80 }, { refunded: 5000 }],
    taken: [10, 0],
    sums: [0, 0, 0],
  },
  {
    title: "spent: the other credits pay",
    other: 20,
    spent: 10,
    events: [{ refunded: 100 }],
    taken: [10],
    sums: [10, 0, 0],
  },
  {
    title: "spent, and nothing else there: debt",
    spent: 10,
    events: [{ refunded: 100 }],
    taken: [10],
    sums: [0, 0, 10],
  },
  {
    title: "half spent, some other credits: lot, others, debt",
    other: 2,
    spent: 6,
    events: [{ refunded: 100 }],
    taken: [10],
    sums: [0, 0, 4],
  },
  {
    title: "held: the other credits pay, and the hold stands",
    other: 20,
    held: 10,
    events: [{ refunded: 100 }],
    taken: [10],
    sums: [10, 10, 0],
  },
  {
    title: "held, and nothing else there: debt, and the hold stands",
    held: 7,
    events: [{ refunded: 100 }],
    taken: [10],
    sums: [0, 7, 7],
  },
  {
    title: "expired: nothing is taken, from nobody",
    other: 20,
    expired: true,
    events: [{ refunded: 100 }],
    taken: [0],
    sums: [20, 0, 0],
  },
  {
    title: "spent in part and expired in part: only what was spent is taken",
    other: 20,
    spent: 4,
    expired: true,
    events: [{ refunded: 100 }],
    taken: [4],
    sums: [16, 0, 0],
  },
  {
    title: "spent in part and expired in part, half refunded",
    other: 20,
    spent: 4,
    expired: true,
    events: [{ refunded: 50 }, { refunded: 100 }],
    taken: [4, 0],
    sums: [16, 0, 0],
  },
  {
    title: "a dispute opened and lost",
    spent: 3,
    events: [{ lost: 100 }, { lost: 100 }],
    taken: [10, 0],
    sums: [0, 0, 3],
  },
  {
    title: "a dispute opened and won",
    spent: 3,
    events: [{ lost: 100 }, { lost: 0 }],
    taken: [10, -10],
    sums: [7, 0, 0],
  },
  {
    title: "a dispute opened, won, opened again and lost",
    spent: 3,
    events: [{ lost: 100 }, {}, { lost: 100 }],
    taken: [10, -10, 10],
    sums: [0, 0, 3],
  },
  {
    title: "a refund of a part, a dispute of the rest, won: the refund stays",
    events: [{ refunded: 40 }, { refunded: 40, lost: 60 }, { refunded: 40 }],
    taken: [4, 6, -6],
    sums: [6, 0, 0],
  },
  {
    title: "a dispute of all while a part was refunded, won",
    spent: 10,
    other: 6,
    events: [{ refunded: 40 }, { refunded: 40, lost: 100 }, { refunded: 40 }, {}],
    taken: [4, 6, -6, -4],
    sums: [6, 0, 0],
  },
];
