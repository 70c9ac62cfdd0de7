import { readdirSync, readFileSync } from "node:fs";
import { describe, expect } from "vitest";
import * as z from "zod";
import type { Routine } from "../../src/db/routine.ts";
import { declarations } from "../support/declarations.ts";
import { rows } from "../support/scenario.ts";
import type { Db } from "../support/scenario.ts";
import { unwatched as test } from "../support/sql.ts";

// What src declares of a routine, held against what Postgres has: a routine cannot change under its callers.

/** A routine as `pg_proc` has it. */
interface Proc {
  kind: string;
  set: boolean;
  composite: boolean;
  worker: boolean;
  /** In order: mode `i`, `o` or `b` (both), name, type, and whether a call may leave it out. */
  arguments: { mode: string; name: string; type: string; optional: boolean }[];
}

/** Every routine of a name; more than one is an overload. */
async function procs(db: Db, name: string): Promise<Proc[]> {
  const found = await rows<{
    kind: string;
    set: boolean;
    composite: boolean;
    worker: boolean;
    modes: string[];
    names: string[];
    types: string[];
    defaults: number;
    inputs: number;
  }>(
    db,
    `select p.prokind as kind, p.proretset as set, p.prorettype = 'record'::regtype as composite,
            has_function_privilege('tollgate_worker', p.oid, 'execute') as worker,
            coalesce(p.proargmodes::text[], array_fill('i'::text, array[p.pronargs])) as modes,
            coalesce(p.proargnames, '{}') as names,
            array(select format_type(t.oid, null)
                    from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality t(oid, position)
                   order by t.position) as types,
            p.pronargdefaults::int as defaults, p.pronargs::int as inputs
       from pg_proc p join pg_namespace n on n.oid = p.pronamespace
      where n.nspname || '.' || p.proname = $1`,
    [name],
  );
  return found.map(({ kind, set, composite, worker, modes, names, types, defaults, inputs }) => {
    let input = 0;
    const all = modes.map((mode, i) => {
      if (mode !== "o") input += 1;
      const optional = mode !== "o" && input > inputs - defaults;
      return { mode, name: names[i] ?? "", type: types[i] ?? "", optional };
    });
    return { kind, set, composite, worker, arguments: all };
  });
}

/** The JSON types that a schema takes beside null, an array's as `string[]`. */
function shapes(schema: z.core.$ZodType): string[] {
  const of = (json: z.core.JSONSchema._JSONSchema): string[] => {
    if (typeof json === "boolean") return [];
    if (json.anyOf !== undefined) return json.anyOf.flatMap(of);
    // Any JSON: what it must have in it is the routine's to say.
    if (json.type === undefined) return ["object"];
    const types: string[] = [json.type ?? []].flat();
    if (!types.includes("array")) return types;
    return Array.isArray(json.items) || json.items === undefined ? [] : of(json.items).map((one) => `${one}[]`);
  };
  const found = of(z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }));
  return found.filter((one) => !one.startsWith("null"));
}

/** Which of Postgres's types a JSON type stands for. */
const stands: Record<string, string[]> = {
  // A list for one jsonb goes as its text: the driver writes a list as an array.
  string: ["text", "uuid", "timestamp with time zone", "interval", "jsonb"],
  integer: ["bigint", "integer"],
  boolean: ["boolean"],
  object: ["jsonb"],
  "object[]": ["jsonb[]"],
  "string[]": ["text[]", "uuid[]", "interval[]", "timestamp with time zone[]"],
  "integer[]": ["bigint[]", "integer[]"],
  "boolean[]": ["boolean[]"],
};

const inputs = (proc: Proc) => proc.arguments.filter(({ mode }) => mode !== "o");
const outputs = (proc: Proc) => proc.arguments.filter(({ mode }) => mode !== "i");

const named = declarations.map((declaration): [string, Routine] => [declaration.name, declaration]);

describe.for(named)("%s", ([name, declaration]) => {
  const only = async (db: Db): Promise<Proc> => {
    const found = await procs(db, name);
    const [one, another] = found;
    if (one === undefined || another !== undefined) throw new Error(`${found.length} routines are called ${name}`);
    return one;
  };

  test("is there once, answers one composite row, and the Worker may call it", async ({ db }) => {
    expect(await only(db)).toMatchObject({ kind: "f", set: false, composite: true, worker: true });
  });

  test("takes what is declared, by name and type, and needs no more", async ({ db }) => {
    const proc = await only(db);
    const given = new Set([...Object.keys(declaration.args.shape), ...Object.keys(declaration.context)]);
    const known = new Set(inputs(proc).map((one) => one.name));
    expect([...given].filter((one) => !known.has(one))).toEqual([]);
    expect(inputs(proc).filter((one) => !one.optional && !given.has(one.name))).toEqual([]);
    for (const [argument, schema] of Object.entries(declaration.args.shape)) {
      const type = inputs(proc).find((one) => one.name === argument)?.type;
      expect([argument, shapes(schema).flatMap((shape) => stands[shape] ?? [])]).toEqual([
        argument,
        expect.arrayContaining([type]),
      ]);
    }
    const admit = (await procs(db, "ops.admit")).flatMap(outputs);
    for (const [argument, column] of Object.entries(declaration.context)) {
      const admitted = admit.find((one) => one.name === column)?.type;
      expect([argument, admitted]).toEqual([argument, inputs(proc).find((one) => one.name === argument)?.type]);
    }
  });

  test("answers what is declared, column by column", async ({ db }) => {
    const proc = await only(db);
    expect(
      outputs(proc)
        .map((one) => one.name)
        .toSorted(),
    ).toEqual(Object.keys(declaration.result.shape).toSorted());
    for (const { name: column, type } of outputs(proc)) {
      const schema = declaration.result.shape[column];
      const accepted = schema === undefined ? [] : shapes(schema).flatMap((shape) => stands[shape] ?? []);
      expect([column, accepted]).toEqual([column, expect.arrayContaining([type])]);
    }
  });
});

/** The schemas of ours, as SQL lists them. */
const schemas = "'ledger', 'people', 'billing', 'payments', 'access', 'messages', 'ops'";

/** What the Worker calls besides its declarations: the envelope itself, what a read may name, and limits of seats and bytes. */
const besides = [
  "ops.admit",
  "ops.permit",
  "ops.remember",
  "ops.now",
  "ledger.balance_of",
  "ledger.verify",
  "ledger.set_limit",
  "access.compare",
  "billing.paid_until",
  "payments.quote",
  "messages.count_recipients",
  // Of the release before: its Worker runs until this one is deployed.
  "messages.settle",
];

test("A17 the Worker may call what it declares, and by name what else there is; nothing more", async ({ db }) => {
  const found = await rows<{ name: string }>(
    db,
    `select n.nspname || '.' || p.proname as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
      where n.nspname in (${schemas}) and has_function_privilege('tollgate_worker', p.oid, 'execute')
      order by 1`,
  );
  expect(found.map(({ name }) => name)).toEqual(
    [...new Set([...declarations.map(({ name }) => name), ...besides])].toSorted(),
  );
});

test("every routine that src names is declared to this test, or stands among the others", () => {
  const known = new Set([...declarations.map(({ name }) => name), ...besides]);
  const called = readdirSync("src", { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .flatMap((file) => {
      const text = readFileSync(`src/${file}`, "utf8");
      const names = text.matchAll(
        /name: "((?:ledger|ops|people|billing|payments|access|messages)\.[a-z_]+)"|\b((?:ledger|ops|people|billing|payments|access|messages)\.[a-z_]+)\(/g,
      );
      return [...names].map(([, inDeclaration, inQuery]) => inDeclaration ?? inQuery ?? "");
    });
  expect(called.length).toBeGreaterThan(20);
  expect(called.filter((name) => !known.has(name))).toEqual([]);
});

test("no routine of ours has an overload: a call by names would become ambiguous", async ({ db }) => {
  const overloads = await rows(
    db,
    `select n.nspname, p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
      where n.nspname in (${schemas}) group by 1, 2 having count(*) > 1`,
  );
  expect(overloads).toEqual([]);
});
