import { customType, timestamp } from "drizzle-orm/pg-core";

/** The column types that every domain shares. Their limits are domains of Postgres: see `ledger.ts`. */
const domain = <Data>(name: string) =>
  customType<{ data: Data; driverData: unknown }>({ dataType: () => `ledger.${name}` });

/** bigint between 0 and 2^53 − 1. */
export const amount = customType<{ data: number; driverData: string }>({
  dataType: () => "ledger.amount",
  fromDriver: Number,
});

/** A unit or a pool: a lower-case word. */
export const word = domain<string>("word");

/** An instant, as Postgres writes it. */
export const time = () => timestamp({ withTimezone: true, mode: "string" });
