import { expect } from "vitest";
import { ask, test } from "../support/bridge.ts";

test("every type comes back as the driver's user knows it from node-postgres", async ({ sql }) => {
  const [row] = await sql`
    select 1::int2 as int2, 2::int4 as int4, 9007199254740993::int8 as int8, 1.10::numeric as numeric,
           'NaN'::float8 as nan, 0.1::float8 as float8, true as yes, false as no, null::text as nothing,
           'a"b\\c'::text as text, '\\x00ff'::bytea as bytea, '{"a":[1,2.5,null]}'::jsonb as jsonb, '{"b":1}'::json as json,
           '2026-03-01T10:20:30.123456Z'::timestamptz as moment, interval '1 day 02:03:04' as interval,
           'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid as uuid, array[1,null,3] as ints,
           array['a,b', 'c"d', null, '{}'] as texts, '{{1,2},{3,4}}'::int[] as nested, ''::text as empty`;
  expect(row).toEqual({
    int2: 1,
    int4: 2,
    int8: "9007199254740993",
    numeric: "1.10",
    nan: Number.NaN,
    float8: 0.1,
    yes: true,
    no: false,
    nothing: null,
    text: 'a"b\\c',
    bytea: Buffer.from([0, 255]),
    jsonb: { a: [1, 2.5, null] },
    json: { b: 1 },
    moment: new Date("2026-03-01T10:20:30.123Z"),
    interval: expect.objectContaining({ days: 1, hours: 2, minutes: 3, seconds: 4 }),
    uuid: "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    ints: [1, null, 3],
    texts: ["a,b", 'c"d', null, "{}"],
    nested: [
      [1, 2],
      [3, 4],
    ],
    empty: "",
  });
});

test("every kind of parameter arrives as Postgres's type", async ({ sql }) => {
  const moment = new Date("2026-03-01T10:20:30.123Z");
  const [row] = await sql`
    select ${null}::text is null as is_null, ${42}::int + 1 as number, ${1.5}::numeric as fraction, ${true}::bool as yes,
           ${'O\'Hara \\ "x" ☃ 🦆'}::text as text, ${moment}::timestamptz = '2026-03-01T10:20:30.123Z' as moment,
           ${{ a: [1, "x"] }}::jsonb as object, ${[1, null, 3]}::int[] as ints, ${["a,b", 'c"d\\', null]}::text[] as texts,
           ${Buffer.from([0, 1, 255])}::bytea as bytes, ${9007199254740993n}::int8 as big`;
  expect(row).toEqual({
    is_null: true,
    number: 43,
    fraction: "1.5",
    yes: true,
    text: 'O\'Hara \\ "x" ☃ 🦆',
    moment: true,
    object: { a: [1, "x"] },
    ints: [1, null, 3],
    texts: ["a,b", 'c"d\\', null],
    bytes: Buffer.from([0, 1, 255]),
    big: "9007199254740993",
  });
});

test("parameters that are no text in the body are converted as Neon converts them", async ({ bridge, database }) => {
  const query =
    "select $1::text, $2::text, $3::text, $4::jsonb::text, $5::text[]::text, $6::int[]::text, $7::jsonb[]::text";
  const params = [
    null,
    true,
    1.5,
    { a: "ü" },
    ["NULL", null, 'a"\\b', "{x}"],
    [
      [1, null],
      [3, 4],
    ],
    [{ a: 1 }],
  ];
  const answer = await ask(bridge.url, database.superuserUrl, JSON.stringify({ query, params, arrayMode: true }));
  expect(answer.body["rows"]).toEqual([
    [null, "true", "1.5", '{"a": "ü"}', '{"NULL",NULL,"a\\"\\\\b","{x}"}', "{{1,NULL},{3,4}}", '{"{\\"a\\": 1}"}'],
  ]);
});

test("a client that asks for neither raw text nor arrays gets objects of JSON's own types", async ({
  bridge,
  database,
}) => {
  const query = `select 1::int2 as a, 9007199254740993 as b, 1.5::float8 as c, 'Infinity'::float8 as d, true as e, null as f,
    '{"x": 12345678901234567890}'::jsonb as g, array[1,null] as h, array['a b', 'c"d', null] as i, '{{t,f}}'::bool[] as j,
    '[2:3]={7,8}'::int[] as k, array['{"y": [1]}'::jsonb] as l, '{}'::text[] as m, 'x"y' as n`;
  const answer = await fetch(bridge.url, {
    method: "POST",
    headers: { "Neon-Connection-String": database.superuserUrl },
    body: JSON.stringify({ query }),
  });
  const text = await answer.text();
  expect(text).toContain(
    '"rows":[{"a":1,"b":"9007199254740993","c":1.5,"d":"Infinity","e":true,"f":null,"g":{"x": 12345678901234567890},' +
      '"h":[1,null],"i":["a b","c\\"d",null],"j":[[true,false]],"k":[7,8],"l":[{"y": [1]}],"m":[],"n":"x\\"y"}]',
  );
  expect(JSON.parse(text)).toMatchObject({ rowAsArray: false, command: "SELECT", rowCount: 1 });
});

test("full results carry fields, command and count", async ({ sql }) => {
  await sql`create table counted (a int primary key, b varchar(10))`;
  const full = { fullResults: true } as const;
  const inserted = await sql.query("insert into counted values (1, 'x'), (2, 'y')", [], full);
  const selected = await sql.query("select a, b from counted where a = $1", [2], { ...full, arrayMode: true });
  const created = await sql.query("create index counted_b on counted (b)", [], full);
  const empty = await sql.query("", [], full);
  expect(inserted).toMatchObject({ command: "INSERT", rowCount: 2, rows: [] });
  expect(selected).toMatchObject({ command: "SELECT", rowCount: 1, rowAsArray: true, rows: [[2, "y"]] });
  expect(selected.fields).toMatchObject([
    { name: "a", dataTypeID: 23, columnID: 1, dataTypeSize: 4, dataTypeModifier: -1, format: "text" },
    { name: "b", dataTypeID: 1043, columnID: 2, dataTypeSize: -1, dataTypeModifier: 14, format: "text" },
  ]);
  expect(selected.fields[0]?.tableID).toBeGreaterThan(0);
  expect(created).toMatchObject({ command: "CREATE", rowCount: null });
  expect(empty).toMatchObject({ command: "", rowCount: null, rows: [], fields: [] });
});

test("an error carries every field that Postgres gives", async ({ sql }) => {
  await sql`create table checked (a int constraint a_positive check (a > 0))`;
  await expect(sql`insert into checked values (-1)`).rejects.toMatchObject({
    name: "NeonDbError",
    code: "23514",
    severity: "ERROR",
    message: 'new row for relation "checked" violates check constraint "a_positive"',
    detail: "Failing row contains (-1).",
    schema: "public",
    table: "checked",
    constraint: "a_positive",
    file: "execMain.c",
    line: expect.stringMatching(/^\d+$/),
    routine: "ExecConstraints",
  });
  await expect(sql`select nope from checked`).rejects.toMatchObject({ code: "42703", position: "8" });
  await expect(sql.query("select pg_input_is_valid('1', 'nope')")).rejects.toMatchObject({ code: "42704" });
});

test("a routine's refusal keeps its private SQLSTATE, detail, hint and context", async ({ sql }) => {
  await sql.query(`create function refuse() returns void language plpgsql as $$
    begin
      raise exception using errcode = 'TG001', message = 'insufficient_credits', detail = '{"available": 3}', hint = 'top up';
    end $$`);
  await expect(sql`select refuse()`).rejects.toMatchObject({
    code: "TG001",
    message: "insufficient_credits",
    detail: '{"available": 3}',
    hint: "top up",
    where: expect.stringContaining("PL/pgSQL function refuse() line 3 at RAISE"),
    routine: "exec_stmt_raise",
  });
  await expect(sql.query("do $$ begin execute 'select 1 +'; end $$")).rejects.toMatchObject({
    code: "42601",
    internalPosition: "11",
    internalQuery: "select 1 +",
  });
});

test("two statements in one string are refused, and neither runs", async ({ sql }) => {
  await sql`create table twice (a int)`;
  await expect(sql.query("insert into twice values (1); insert into twice values (2)")).rejects.toMatchObject({
    code: "42601",
    message: "cannot insert multiple commands into a prepared statement",
  });
  expect(await sql`select * from twice`).toEqual([]);
});
