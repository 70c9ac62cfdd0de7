import { expect, test } from "vitest";
import { pgSchema, timestamp } from "drizzle-orm/pg-core";
import { next } from "../../db/tool/generate.ts";
import { readSource } from "../../db/tool/source.ts";
import { shopPlaces, tables, take } from "./shop.ts";

/** Each breaks one rule of db/sql; the message says which, and the file. */
const broken: [rule: string, path: string, text: string, message: string][] = [
  [
    "a file is named after its routine",
    "shop/give.sql",
    take().replace("shop.take:", "shop.give:"),
    "it creates shop.take, not shop.give",
  ],
  ["a folder is a schema", "shed/take.sql", take().replaceAll("shop.", "shed."), "no schema is called shed"],
  [
    "a schema is its folder's",
    "shop/take.sql",
    take().replace("function shop.take", "function ops.take"),
    "it creates ops.take",
  ],
  [
    "a contract comes first",
    "shop/take.sql",
    take().replace("-- shop.take: takes from the stock.\n", ""),
    "opens with its contract",
  ],
  ["callers are named", "shop/take.sql", take().replace("-- Callers: worker\n", ""), "who calls it"],
  ["one statement", "shop/take.sql", `${take()}select 1;`, "one statement, not 2"],
  ["it ends", "shop/take.sql", take().trim().slice(0, -1), "ends with a semicolon"],
  ["fit to run again", "shop/take.sql", take().replace("or replace ", ""), "create or replace"],
  ["an empty search_path", "shop/take.sql", take().replace(" set search_path = ''", ""), "set search_path = ''"],
  [
    "no other search_path",
    "shop/take.sql",
    take().replace("search_path = ''", "search_path = shop"),
    "set search_path = ''",
  ],
  [
    "plpgsql",
    "shop/take.sql",
    take()
      .replace("plpgsql", "sql")
      .replace(/begin[^]*end/, "select 1"),
    "language plpgsql, not sql",
  ],
  [
    "one row of OUT columns",
    "shop/take.sql",
    take({ body: "return next 1;" }).replace("returns bigint", "returns setof bigint"),
    "one row of OUT columns",
  ],
  ["no marker of a migration", "shop/take.sql", take({ body: "return 1;\n-- @routine shop.x" }), "a migration's own"],
  ["ops.now() instead of now()", "shop/take.sql", take({ body: "perform now();" }), "now() is the statement's start"],
  [
    "in a condition too",
    "shop/take.sql",
    take({ body: "if current_timestamp > now() then return 1; end if;" }),
    "current_timestamp is",
  ],
  [
    "in a default too",
    "shop/take.sql",
    take({ arguments: "id uuid, at timestamptz default pg_catalog.now()" }),
    "now() is the",
  ],
  ["no 'now' as a text", "shop/take.sql", take({ body: "perform 'now'::timestamptz;" }), "'now' is read when"],
  [
    "ops.now() instead of the system's clock",
    "shop/take.sql",
    take({ body: "perform clock_timestamp();" }),
    "local stack's offset",
  ],
  ["no session lock", "shop/take.sql", take({ body: "perform pg_advisory_lock(1);" }), "pg_advisory_xact_lock"],
  [
    "no session lock tried",
    "shop/take.sql",
    take({ body: "perform pg_catalog.pg_try_advisory_lock(1);" }),
    "pg_advisory_xact_lock",
  ],
  ["no OFFSET", "shop/take.sql", take({ body: "perform s.id from shop.stock s offset 3;" }), "no OFFSET"],
  ["no SQL from text", "shop/take.sql", take({ body: "execute 'drop table shop.stock';" }), "no SQL made from text"],
  [
    "no other domain's table",
    "shop/take.sql",
    take({ body: "perform 1 from till.coin c;" }),
    "till.coin is another domain's",
  ],
  [
    "not in an assignment",
    "shop/take.sql",
    take({ body: "take.amount := (select 1 from till.coin c);" }),
    "till.coin is",
  ],
  [
    "not in a CTE's update",
    "shop/take.sql",
    take({ body: "with x as (select 1) update till.coin set id = 1;" }),
    "till.coin is",
  ],
  [
    "not in a loop",
    "shop/take.sql",
    take({ body: "for amount in select 1 from till.coin c loop end loop;" }),
    "till.coin is",
  ],
  ["not as a type", "shop/take.sql", take().replace("begin", "declare x till.coin; begin"), "it declares till.coin"],
  ["no name without a schema", "shop/take.sql", take({ body: "delete from stock;" }), "stock has no schema"],
  [
    "no end of the transaction",
    "shop/take.sql",
    take({ body: "return 1;" }).replace(/^create/m, "commit;\ncreate"),
    "one statement",
  ],
  [
    "a view reads as its reader",
    "shop/x.view.sql",
    "-- shop.x: all.\ncreate or replace view shop.x as select 1 as n;",
    "security_invoker",
  ],
  [
    "a trigger's table is its schema's",
    "shop/x.trigger.sql",
    "-- shop.x: no.\ncreate or replace trigger x before update on till.coin execute function shop.f();",
    "it creates till.x",
  ],
  [
    "a domain's check has a name",
    "shop/x.before.sql",
    "-- shop.x: a word.\ncreate domain shop.x as text check (value > '');",
    "a domain's check has a name",
  ],
  ["no object of another kind", "shop/x.before.sql", "-- shop.x: a word.\ncreate type shop.x as (n int);", "no plain"],
];

test.each(broken)("%s", async (_, path, text, message) => {
  const places = shopPlaces({ [path]: text }, { ...tables, till: pgSchema("till") });
  await expect(next(places)).rejects.toThrow(message);
  await expect(next(places)).rejects.toThrow(`db/sql/${path}: `);
});

test("what keeps to the rules is let through: CTEs, other domains' routines, pg_catalog, an advisory lock of the transaction", async () => {
  const body = `with x as (select s.id from shop.stock s for update) delete from shop.stock s using x where s.id = x.id;
  perform till.count(take.id), pg_advisory_xact_lock(1) from pg_stat_activity;
  return ops.now() is null;`;
  const places = shopPlaces({ "shop/take.sql": take({ body }) }, { ...tables, till: pgSchema("till") });
  await expect(next(places)).resolves.toMatchObject({ name: "0001_initial.sql" });
});

test("two files do not make one routine", async () => {
  const places = shopPlaces({ "shop/take.sql": take(), "shop/take.before.sql": take() });
  await expect(next(places)).rejects.toThrow("makes the same routine");
});

test("a column's default is not the statement's start", async () => {
  const shop = pgSchema("shop");
  const stock = shop.table("stock", { at: timestamp().defaultNow() });
  await expect(next(shopPlaces({}, { shop, stock }))).rejects.toThrow("the default of shop.stock.at");
});

test("a body that plpgsql cannot read is refused before anybody calls it", async () => {
  const places = shopPlaces({ "shop/take.sql": take({ body: "if true then return 1;" }) });
  await expect(next(places)).rejects.toThrow("db/sql/shop/take.sql: ");
});

test("a text that Postgres cannot read is refused with its file and line", () => {
  const places = shopPlaces({ "shop/take.sql": take({ body: "x" }).replace("as $$", "es $$") });
  expect(() => readSource(places.sql)).toThrow("db/sql/shop/take.sql: line 6: syntax error");
});
