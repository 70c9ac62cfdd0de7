import type { Act, Minefield } from "../../support/crash.ts";

/** A path that moves money or access, to be broken at every row that it writes. */
export interface Path {
  /** The row of the guarantees, and what is done. */
  name: string;
  /**
   * Who repeats it: a client its request, the provider its event, the clock a sweep. An error of a row that is no error of the
   * moment is told to a client, kept with the event, and parks a sweep's row alone.
   */
  by: "request" | "event" | "sweep";
  /** Every table that it writes. A path that meets fewer or more of them is not the one that was meant. */
  writes: string[];
  /** Makes what must be there before. Answers what is to be broken. */
  prepare(field: Minefield): Promise<Act>;
}

/** What is written wherever something is given or taken. */
export const ledger = ["ledger.account", "ledger.lot", "ledger.transaction"];

/** What is written where a promo code's use is held, counted or let go; its caps are accounts besides. */
export const redemption = ["ledger.hold", "payments.redemption"];

export const payment = ["payments.payment", "payments.purchase"];
