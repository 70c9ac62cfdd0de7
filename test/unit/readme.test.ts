import { existsSync, globSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import * as z from "zod";
import { bodyLimit } from "../../src/http/body.ts";
import { limits } from "../../src/http/json.ts";
import { problems } from "../../src/http/problem.ts";
import { scopes } from "../../src/http/route.ts";
import { registry } from "../../src/sweeps/registry.ts";
import { quoted, readme, section, tableRows } from "../support/readme.ts";
import { projectRoot } from "../world/bundle.ts";

const read = (path: string): string => readFileSync(join(projectRoot, path), "utf8");
const names = z.record(z.string(), z.string());
const manifest = z
  .object({ scripts: names, dependencies: names, devDependencies: names, optionalDependencies: names })
  .parse(JSON.parse(read("package.json")));

/** The row that a test's title begins with: `test("A2 ten credits …"`. */
const titleOfRow = /\b(?:test|it|describe)(?:\.\w+(?:\([^)]*\))?)*\(\s*["'`]([A-D]\d+) /g;

test("B5 the guarantee table has every row that a test's title begins with, and no test that is not there", () => {
  const titles = globSync("test/**/*.test.ts", { cwd: projectRoot }).flatMap((file) =>
    [...read(file).matchAll(titleOfRow)].map(([, row = ""]) => ({ row, file: file.replaceAll("\\", "/") })),
  );
  const told = tableRows(section("What is guaranteed")).flatMap(([row = "", claim, tests = ""]) => {
    expect(claim).not.toBe("");
    return [...tests.matchAll(/\]\(([^)]+)\)/g)].map(([, file = ""]) => ({ row, file }));
  });
  expect(titles).toEqual(expect.arrayContaining(told));
  expect(new Set(told.map(({ row }) => row))).toEqual(new Set(titles.map(({ row }) => row)));
});

test("B5 every direct dependency has its reason, and nothing else has one", () => {
  const direct = [manifest.dependencies, manifest.devDependencies, manifest.optionalDependencies].flatMap(Object.keys);
  const reasoned = quoted(section("Dependencies")).filter((words) => !/^\/|^postinstall$/.test(words));
  expect(reasoned.toSorted()).toEqual(direct.toSorted());
});

test("B5 every command that README or a folder's README names is there, and README names every one", () => {
  const pages = globSync(["*.md", "{functions,src,db,migrations,test}/**/*.md"], { cwd: projectRoot });
  const named = pages.flatMap((page) => [...read(page).matchAll(/\bnpm run ([a-z:]+)/g)].map(([, name = ""]) => name));
  expect(Object.keys(manifest.scripts)).toEqual(expect.arrayContaining(named));
  for (const name of Object.keys(manifest.scripts).filter((script) => script !== "postinstall")) {
    expect(readme).toContain(name === "test" ? "npm test" : `npm run ${name}`);
  }
});

/** The names of the folders in a folder. */
const folders = (place: string): string[] =>
  readdirSync(join(projectRoot, place), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);

test("B5 the map has every folder of the source and every kind of test", () => {
  const map = section("The map");
  for (const folder of folders("src")) expect(map).toMatch(new RegExp(`^  ${folder}/ `, "m"));
  for (const file of globSync("*.ts", { cwd: join(projectRoot, "src") })) expect(map).toContain(`  ${file} `);
  for (const folder of folders("test")) expect(map).toMatch(new RegExp(`\\b${folder}\\b`));
  for (const [, top] of map.matchAll(/^(\w+)\/ /gm)) expect(existsSync(join(projectRoot, top ?? ""))).toBe(true);
});

test("B5 README links only to what is there", () => {
  const headings = [...readme.matchAll(/^#+ (.+)$/gm)].map(
    ([, words = ""]) =>
      `#${words
        .toLowerCase()
        .replaceAll(/[^\w\s-]/g, "")
        .replaceAll(" ", "-")}`,
  );
  const links = [...readme.matchAll(/\]\(([^)]+)\)/g)].map(([, target = ""]) => target);
  for (const target of links) {
    if (target.startsWith("#")) expect(headings).toContain(target);
    else if (!target.startsWith("https://")) expect(existsSync(join(projectRoot, target)), target).toBe(true);
  }
});

test("B13 README's table of errors is the table of the code", () => {
  const told = tableRows(section("The API, by curl").split("### Errors")[1] ?? "").map(([status, code]) => [
    Number(status),
    code?.replaceAll("`", ""),
  ]);
  expect(told).toEqual(Object.entries(problems).map(([code, { status }]) => [status, code]));
});

test("B5 README's scopes are the code's", () => {
  const table = section("The API, by curl").split("### Keys")[1]?.split("### ")[0] ?? "";
  const told = tableRows(table).flatMap(([scope = ""]) => quoted(scope));
  expect(told.toSorted()).toEqual([...scopes].toSorted());
});

test("B5 README's bindings, sweeps and sizes are the code's", () => {
  const accounts = (_: string, account: string) => read(`src/env/${account}.ts`);
  const named = read("src/env.ts").replaceAll(/^  \.\.\.(\w+)Bindings,$/gm, accounts);
  const bindings = [...named.matchAll(/^  ([A-Z_]+):/gm)].map(([, name]) => `\`${name}\``);
  expect(tableRows(section("Configuration")).map(([name]) => name)).toEqual(bindings);

  const seconds: Record<string, number> = { minute: 60, "5 minutes": 300, "10 minutes": 600, hour: 3600, day: 86_400 };
  const sweeps = tableRows(section("Operating")).filter(([, each = ""]) => each in seconds);
  expect(sweeps.map(([name, each = ""]) => [name, seconds[each]])).toEqual(
    registry.map(({ name, interval_seconds }) => [`\`${name}\``, interval_seconds]),
  );

  const text = section("Limits");
  const numbers = [bodyLimit, limits.depth, limits.members];
  for (const number of numbers) expect(text).toContain(number.toLocaleString("en"));
});
