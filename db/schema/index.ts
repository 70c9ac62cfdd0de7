export * from "./access.ts";
export * from "./billing.ts";
export * from "./ledger.ts";
export * from "./messages.ts";
export * from "./ops.ts";
export * from "./payments.ts";
export * from "./people.ts";
