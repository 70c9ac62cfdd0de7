import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { catalogueText } from "../../db/tool/catalogue.ts";
import { checkSource } from "../../db/tool/check.ts";
import { fromZero } from "../../db/tool/from-zero.ts";
import { generate } from "../../db/tool/generate.ts";
import type { Places } from "../../db/tool/places.ts";
import { laterTables, shopPlaces, take, write } from "./shop.ts";

/** Puts down what the migrations make, as db:generate does. */
async function writeCatalogue(places: Places): Promise<void> {
  await fromZero(places, async ({ migrated }) =>
    writeFileSync(join(places.migrations, "catalogue.json"), catalogueText(migrated)),
  );
}

test("A17 migrations from zero and the source from zero make one catalogue, in however many steps", async () => {
  const places = shopPlaces({ "shop/take.sql": take() });
  await generate(places);
  write(places, "shop/take.sql", take({ arguments: "id uuid, amount bigint, note text default null" }));
  const later = { ...places, tables: laterTables };
  await generate(later);
  await writeCatalogue(later);
  expect(await checkSource(later)).toEqual([]);
});

test("A17 a migration that does less than the source says is told, by name", async () => {
  const places = shopPlaces({ "shop/take.sql": take() });
  await generate(places);
  await writeCatalogue(places);
  const path = join(places.migrations, "0001_initial.sql");
  const lines = readFileSync(path, "utf8").split("\n");
  writeFileSync(path, lines.filter((line) => !line.startsWith("grant execute")).join("\n"));
  const found = await checkSource(places);
  expect(found).toContain(
    "migrations against source: routine shop.take(uuid,bigint): worker may is nothing, not EXECUTE",
  );
  expect(found).toContain("migrations/catalogue.json is not what the migrations make: npm run db:generate");
});
