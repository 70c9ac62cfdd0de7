import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, test } from "vitest";
import { registry } from "../../src/sweeps/registry.ts";

const root = join(import.meta.dirname, "../..");
const files = globSync("{src,functions}/**/*.ts", { cwd: root }).toSorted();
const textOf = (file: string) => readFileSync(join(root, file), "utf8");

/** What a file imports: paths from the repository's root, and names of packages. */
function importsOf(file: string): string[] {
  const specifiers = [...textOf(file).matchAll(/^(?:import|export)\b[^;]*?from "([^"]+)";$/gms)].map(
    ([, name]) => name ?? "",
  );
  return specifiers.map((name) => (name.startsWith(".") ? normalize(join(dirname(file), name)) : name));
}

/** The floor that a file stands on; what stands higher may import what stands lower, and nothing else. */
function floorOf(file: string): number {
  if (file.startsWith("functions/")) return 6;
  if (file === "src/app.ts") return 5;
  if (/^src\/(?!http\/|db\/|env\/|sweeps\/|outside\/)\w+\/(?:\w+-)?(?:routes|views)\.ts$/.test(file)) return 4;
  if (/^src\/sweeps\/(?:registry|run)\.ts$/.test(file)) return 3;
  if (/^src\/(?!http\/|db\/|env\/)\w+\//.test(file)) return 2;
  if (file.startsWith("src/db/")) return 1;
  return 0;
}

const domainOf = (file: string) => /^src\/(?!http\/|db\/|env\/|sweeps\/|outside\/)(\w+)\//.exec(file)?.[1];

describe("the house", () => {
  test("is found", () => expect(files.length).toBeGreaterThan(20));

  test.each(files)("imports run one way: %s", (file) => {
    for (const imported of importsOf(file).filter((name) => /^(?:src|functions)\//.test(name))) {
      expect(floorOf(imported), `${file} imports ${imported}`).toBeLessThanOrEqual(floorOf(file));
      // What every domain's messages are sent by.
      if (["src/messages/courier.ts", "src/messages/pump.ts"].includes(imported)) continue;
      const [ours, theirs] = [domainOf(file), domainOf(imported)];
      if (ours !== undefined && theirs !== undefined) {
        expect(theirs, `${file} imports ${imported}: a domain never imports another's`).toBe(ours);
      }
    }
  });

  test.each(files)("has no test, no tool and no Node in it: %s", (file) => {
    for (const imported of importsOf(file)) {
      expect(imported).not.toMatch(/^(?:test|db\/tool|migrations)\//);
      expect(imported).not.toMatch(/^node:/);
    }
    expect(textOf(file)).not.toMatch(/\bprocess\.env\b|\bBuffer\b/);
  });

  test.each(files)("is a file of one thing, under 300 lines: %s", (file) => {
    expect(textOf(file).split("\n").length).toBeLessThan(file.startsWith("functions/") ? 60 : 300);
    expect(file).not.toMatch(/\b(?:utils?|helpers?|common|misc|manager|tmp)\b/i);
  });
});

test("only src/db knows the Neon driver", () => {
  const importers = files.filter((file) => importsOf(file).some((name) => name.startsWith("@neondatabase/")));
  expect(importers.every((file) => file.startsWith("src/db/"))).toBe(true);
  expect(importers.length).toBeGreaterThan(0);
  expect(files.filter((file) => /\bneon\(/.test(textOf(file)))).toEqual(["src/db/run.ts"]);
});

test("only src/outside/stripe knows Stripe's package, and only when it is used", () => {
  const importers = files.filter((file) => /\b(?:from|import\() ?"stripe["/]/.test(textOf(file)));
  expect(importers.every((file) => file.startsWith("src/outside/stripe/"))).toBe(true);
  for (const file of importers) expect(textOf(file), file).not.toMatch(/^import (?!type\b)[^;]*"stripe["/]/m);
  expect(files.filter((file) => textOf(file).includes('import("stripe")'))).toEqual(["src/outside/stripe/client.ts"]);
});

test("only src/env names a binding", () => {
  const bindings =
    /\b(?:DATABASE_[A-Z_]+|STRIPE_[A-Z_]+|BTCPAY_[A-Z_]+|WEBHOOK_[A-Z_]+|PUBLIC_URL|ASSETS)\b|\benv\.[A-Z]/;
  const readers = files.filter((file) => bindings.test(textOf(file)));
  expect(readers).toContain("src/env.ts");
  for (const file of readers) expect(file).toMatch(/^src\/env(?:\/\w+)?\.ts$/);
});

test("no subquery compares two columns by drizzle's names: in a query of one table it leaves the table's name out", () => {
  for (const file of files) expect(textOf(file), file).not.toMatch(/\$\{\w+\.\w+\} = \$\{\w+\.\w+\}/);
});

test("zod comes as a namespace, for the bundle has no object `z`", () => {
  for (const file of files.filter((name) => name !== "src/zod.ts")) {
    expect(textOf(file), file).not.toMatch(
      /import (?!(?:type )?\* as z from)[^;]*from "zod"|\bz\b[^;]*from "@hono\/zod-openapi"/,
    );
  }
});

test("no interactive transaction, and no time of the Worker's in what it sends", () => {
  for (const file of files) {
    expect(textOf(file), file).not.toMatch(/\.transaction\(|["'`]begin\b/i);
    // A provider's time may be written as an instant, and a webhook's receiver is told when it was sent; there is no other that is
    // not the database's.
    if (file === "src/outside/instant.ts") expect(textOf(file)).not.toMatch(/Date\.now|new Date\(\)/);
    else if (file === "src/outside/webhook/sign.ts") expect(textOf(file)).not.toMatch(/\btoISOString\b/i);
    else expect(textOf(file), file).not.toMatch(/\bnew Date\(|\btoISOString\b/i);
  }
});

test("ways in have no SQL and no business words", () => {
  for (const file of files.filter((name) => name.startsWith("functions/"))) {
    expect(textOf(file), file).not.toMatch(/\bselect\b|\bsql`|credit|workspace|ledger|hold|spend/i);
  }
});

test("the sweeps have names of their own, and stay within law 8", () => {
  expect(new Set(registry.map(({ name }) => name)).size).toBe(registry.length);
  for (const { name, interval_seconds, batch, budget_ms, calls } of registry) {
    const names = calls.map((call) => call.name);
    const pumps = names.includes("messages.claim");
    const asks = pumps || calls.length > 1;
    if (!asks) expect(names.map((routine) => routine.split(".")[1])).toEqual([name]);
    expect(interval_seconds).toBeGreaterThanOrEqual(60);
    // What a pump claimed and did not send is given back; what others claimed waits out its lease.
    // A page of the provisioner's list is one question and one statement.
    const few = pumps || name === "broadcasts" || name === "notices";
    expect(batch).toBe(name === "provisioner_reconcile" ? 1000 : few ? 25 : asks ? 20 : 100);
    expect(budget_ms).toBe(15_000);
  }
});
