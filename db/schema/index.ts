export * from "./ledger.ts";
export * from "./ops.ts";
export * from "./people.ts";
