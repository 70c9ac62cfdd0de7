import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { bigint, pgSchema, uuid } from "drizzle-orm/pg-core";
import { onTestFinished } from "vitest";
import type { Places } from "../../db/tool/places.ts";

const shop = pgSchema("shop");

/** A small shop's tables, for tests of the tool itself. */
export const tables: Record<string, unknown> = {
  shop,
  stock: shop.table("stock", { id: uuid().primaryKey(), amount: bigint({ mode: "number" }).notNull() }),
};

/** The same tables, a column later. */
export const laterTables: Record<string, unknown> = {
  shop,
  stock: shop.table("stock", {
    id: uuid().primaryKey(),
    amount: bigint({ mode: "number" }).notNull(),
    sold: bigint({ mode: "number" }).notNull().default(0),
  }),
};

/** A routine of the shop's; a test changes what it needs otherwise. */
export function take(parts: { arguments?: string; body?: string; callers?: string } = {}): string {
  const { arguments: list = "id uuid, amount bigint", callers = "worker" } = parts;
  return `-- shop.take: takes from the stock.
-- Callers: ${callers}
create or replace function shop.take(${list})
  returns bigint
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  ${parts.body ?? "return take.amount;"}
end
$$;
`;
}

/** A folder of sources and an empty history, gone after the test. `sql`: path under db/sql → text. */
export function shopPlaces(sql: Record<string, string>, drizzle: Record<string, unknown> = tables): Places {
  const root = mkdtempSync(join(tmpdir(), "tollgate-shop-"));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const places = { tables: drizzle, sql: join(root, "sql"), migrations: join(root, "migrations") };
  mkdirSync(places.migrations);
  mkdirSync(places.sql);
  for (const [path, text] of Object.entries(sql)) {
    write(places, path, text);
  }
  return places;
}

/** Writes one source file. */
export function write(places: Places, path: string, text: string): void {
  const file = join(places.sql, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
