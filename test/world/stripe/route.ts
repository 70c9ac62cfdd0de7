import type { Account } from "./account.ts";
import type { Params } from "./params.ts";

/** One call of the API. */
export interface Call {
  account: Account;
  params: Params;
  /** What the path's `:name` parts are. */
  path: Record<string, string>;
}

/** One way to call the API. It runs without awaiting, so that a call is done wholly or not at all. */
export interface Route {
  method: "GET" | "POST" | "DELETE";
  /** `/v1/customers/:id`. */
  path: string;
  /**
   * The parameters that it takes, apart from `expand`. Another one is refused: one that was ignored would let a test
   * pass that Stripe would fail.
   */
  takes: string;
  run(call: Call): object;
}

/** What every list takes. */
export const paging = "limit starting_after ending_before";

/** The part of a path that a route's `:name` stands for. */
export function partOf(call: Call, name = "id"): string {
  return call.path[name] ?? "";
}
