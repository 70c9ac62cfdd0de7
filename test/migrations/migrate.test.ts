import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { migrate } from "../../db/tool/migrate.ts";
import { prepareWorkerRole } from "../../db/tool/role.ts";
import { generate } from "../../db/tool/generate.ts";
import type { Places } from "../../db/tool/places.ts";
import { createEmptyDatabase } from "../support/database.ts";
import type { TestDatabase } from "../support/database.ts";
import { withClient } from "../world/roles.ts";
import { laterTables, shopPlaces, tables, take, write } from "./shop.ts";

let database: TestDatabase;
beforeEach(async () => {
  database = await createEmptyDatabase();
});
afterEach(() => database.drop());

/** Three migrations: the table, a routine, another routine. */
async function threeMigrations(): Promise<Places> {
  const places = shopPlaces({});
  await generate(places);
  write(places, "shop/take.sql", take());
  await generate(places);
  write(places, "shop/give.sql", take().replaceAll("take", "give"));
  await generate(places);
  return places;
}

const run = (places: Places) => migrate(database.ownerUrl, { directory: places.migrations });

/** Everything that the runner and the migrations made, in words. */
async function made(): Promise<string[]> {
  const { rows } = await database.owner.query<{ name: string }>(
    `select name from ops.migration
      union all select oid::regprocedure::text from pg_proc where pronamespace = to_regnamespace('shop')
      union all select oid::regclass::text from pg_class where relnamespace = to_regnamespace('shop') and relkind = 'r'
      order by 1`,
  );
  return rows.map((row) => row.name);
}

test("twenty runners at once: each file is applied once, and all of them end well", async () => {
  const places = await threeMigrations();
  const runs = await Promise.all(Array.from({ length: 20 }, () => run(places)));
  expect(runs.flatMap(({ applied }) => applied).toSorted()).toEqual([
    "0001_initial.sql",
    "0002_shop_take.sql",
    "0003_shop_give.sql",
  ]);
  expect(await made()).toEqual([
    "0001_initial.sql",
    "0002_shop_take.sql",
    "0003_shop_give.sql",
    "shop.give(uuid,bigint)",
    "shop.stock",
    "shop.take(uuid,bigint)",
  ]);
});

test("a second run applies nothing and a later file alone", async () => {
  const places = await threeMigrations();
  await run(places);
  expect(await run(places)).toEqual({ applied: [] });
  await generate({ ...places, tables: laterTables });
  expect(await run(places)).toEqual({ applied: ["0004_shop_stock.sql"] });
});

test("a runner that dies in the middle of a file leaves nothing of it, and the next one goes on", async () => {
  const places = await threeMigrations();
  await withClient(database.ownerUrl, async (holder) => {
    await run({ ...places, migrations: (await onlyFirst(places)).migrations });
    await holder.query("begin; lock table shop.stock in access share mode");
    writeFileSync(join(places.migrations, "0004_alter.sql"), "alter table shop.stock add column x integer;\n");
    const dying = run(places).catch((error: unknown) => String(error));
    const runner = await waitingRunner();
    await holder.query("select pg_terminate_backend($1)", [runner]);
    expect(await dying).toMatch(/terminat|connection/i);
    await holder.query("rollback");
  });
  expect(await made()).toContain("0003_shop_give.sql");
  expect(await made()).not.toContain("0004_alter.sql");
  expect(await run(places)).toEqual({ applied: ["0004_alter.sql"] });
});

test("a lock that somebody holds stops a file after two seconds and leaves nothing of it", async () => {
  const places = await threeMigrations();
  await run(places);
  writeFileSync(
    join(places.migrations, "0004_alter.sql"),
    "create table shop.a ();\nalter table shop.stock add x integer;\n",
  );
  await withClient(database.ownerUrl, async (holder) => {
    await holder.query("begin; lock table shop.stock in access share mode");
    await expect(run(places)).rejects.toThrow(/0004_alter\.sql.*55P03[^]*Somebody holds the table/);
    await holder.query("rollback");
  });
  expect(await made()).not.toContain("shop.a");
  expect(await run(places)).toEqual({ applied: ["0004_alter.sql"] });
});

test("a file that fails leaves nothing, is named with its line, and the files before it stay", async () => {
  const places = await threeMigrations();
  const text = "-- ä 😀\ncreate table shop.left_over ();\nselect 1 / 0, missing_column;\n";
  writeFileSync(join(places.migrations, "0004_fails.sql"), text);
  await expect(run(places)).rejects.toThrow(
    /migrations\/0004_fails\.sql:3:15 \(select 1 \/ 0, missing_column;\): column "missing_column" does not exist/,
  );
  expect(await made()).not.toContain("shop.left_over");
  expect(await made()).toContain("0003_shop_give.sql");
});

test("a file that was edited after it was applied is refused, and nothing after it runs", async () => {
  const places = await threeMigrations();
  await run(places);
  const path = join(places.migrations, "0002_shop_take.sql");
  writeFileSync(path, `${readFileSync(path, "utf8")}-- a word more\n`);
  write(places, "shop/take.sql", take({ body: "return 0;" }));
  await generate(places);
  await expect(run(places)).rejects.toThrow("0002_shop_take.sql was edited after it was applied");
  expect(await made()).not.toContain("0004_shop_take.sql");
});

test("the ends of lines of a Windows checkout are no edit", async () => {
  const places = await threeMigrations();
  await run(places);
  const path = join(places.migrations, "0002_shop_take.sql");
  writeFileSync(path, readFileSync(path, "utf8").replaceAll("\n", "\r\n"));
  expect(await run(places)).toEqual({ applied: [] });
});

test("a database ahead of the checkout is refused by the name that is missing", async () => {
  const places = await threeMigrations();
  await run(places);
  await expect(run(await onlyFirst(places))).rejects.toThrow(
    /0002_shop_take\.sql was applied .* Is this checkout older/,
  );
  renameSync(join(places.migrations, "0003_shop_give.sql"), join(places.migrations, "0004_shop_give.sql"));
  await expect(run(places)).rejects.toThrow(
    "0003_shop_give.sql was applied to this database, but is not in migrations/. Is it now 0004",
  );
});

test("a file that was merged late is applied, never skipped, where nothing after it touches the same things", async () => {
  const places = await threeMigrations();
  await run(places);
  // Branched off after the first; its number was taken meanwhile.
  const branch = await onlyFirst(places);
  write(branch, "shop/sell.sql", take().replaceAll("take", "sell"));
  const late = await generate(branch);
  expect(late?.name).toBe("0002_shop_sell.sql");
  writeFileSync(join(places.migrations, "0002_shop_sell.sql"), late?.text ?? "");
  expect(await run(places)).toEqual({ applied: ["0002_shop_sell.sql"] });
  expect(await made()).toContain("shop.sell(uuid,bigint)");
});

test("a file that was merged late and whose order would matter is refused by name", async () => {
  const places = await threeMigrations();
  write(places, "shop/take.sql", take({ body: "return 4;" }));
  await generate(places);
  await run(places);
  const branch = await onlyFirst(places);
  write(branch, "shop/take.sql", take({ body: "return 2;" }));
  const late = await generate(branch, { title: "late" });
  writeFileSync(join(places.migrations, "0002_late.sql"), late?.text ?? "");
  await expect(run(places)).rejects.toThrow(
    "0002_late.sql was merged late: 0002_shop_take.sql, which comes after it, is applied, and both touch routine shop.take",
  );
  expect(await made()).not.toContain("0002_late.sql");
  // Its own DDL counts as well, and a file that does not say what it touches may touch anything.
  writeFileSync(join(places.migrations, "0002_late.sql"), "update shop.stock set amount = 0;\n");
  await expect(run(places)).rejects.toThrow("what only a reader can tell");
});

test("a pooler, a plain connection to another machine and what is no connection string are refused before connecting", async () => {
  await expect(migrate("postgresql://o:secret@ep-x-pooler.eu.aws.neon.tech/db")).rejects.toThrow(
    /pooler.*ep-x\.eu\.aws\.neon\.tech/,
  );
  await expect(migrate("postgresql://o:secret@db.example/db?sslmode=disable")).rejects.toThrow("sslmode=disable");
  await expect(migrate("o:secret@db.example")).rejects.not.toThrow("secret");
});

test("the Worker's role gets no way in while it could write", async () => {
  const places = shopPlaces({}, tables);
  await generate(places);
  await run(places);
  await database.owner.query("grant insert on shop.stock to tollgate_worker");
  await withClient(database.ownerUrl, async (owner) => {
    await expect(prepareWorkerRole(owner, "unused")).rejects.toThrow("tollgate_worker may INSERT on shop.stock");
  });
});

/** The same shop with its first migration alone, as a branch of that time sees it. */
async function onlyFirst(places: Places): Promise<Places> {
  const branch = shopPlaces({}, places.tables);
  await generate(branch);
  return branch;
}

/** The process id of the runner that waits for a table; asks until there is one. */
async function waitingRunner(): Promise<number> {
  for (;;) {
    const { rows } = await database.owner.query<{ pid: number }>(
      "select pid from pg_locks where not granted and locktype = 'relation' and relation = to_regclass('shop.stock')",
    );
    if (rows[0] !== undefined) {
      return rows[0].pid;
    }
  }
}
