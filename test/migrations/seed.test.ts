import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { projectRoot } from "../../db/tool/command.ts";
import { withClient } from "../../db/tool/connect.ts";
import { seed } from "../../db/tool/seed.ts";
import { packBody, planBody } from "../../src/billing/catalogue.ts";
import { createTestDatabase } from "../support/database.ts";
import type { TestDatabase } from "../support/database.ts";

let database: TestDatabase;
const folder = mkdtempSync(join(tmpdir(), "tollgate-seed-"));
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await database.drop();
});

const month = { currency: "eur", interval: "month", amount_minor: 1900 };
const gold = { code: "gold", name: "Gold", included_credits: 100, prices: [month] };
const sack = {
  code: "sack",
  kind: "credit_pack",
  name: "A sack",
  quantity: 10,
  prices: [{ currency: "eur", amount_minor: 100 }],
};

test("A14 one command loads the plans with their credits, and may be run again", async () => {
  const first = await run();
  expect([first.code, first.output]).toEqual([0, expect.stringMatching(/^plan free +made: version 1$/m)]);
  const before = await catalogue();
  expect(before.plans).toEqual([
    expect.objectContaining({ code: "free", number: 1, included_credits: "20", rollover_cap: null }),
    expect.objectContaining({ code: "pro", included_credits: "500", rollover_cap: "250", rollover_days: 90 }),
    expect.objectContaining({ code: "team", included_credits: "2500", rollover_cap: "2500", rollover_days: null }),
  ]);
  expect(before.packs.map(({ code, kind }) => [code, kind])).toEqual([
    ["credits_100", "credit_pack"],
    ["credits_1000", "credit_pack"],
    ["single_report", "retail_token"],
  ]);
  expect(before.prices).toContain("tollgate_pro_1_eur_1year 19000");

  const again = await run();
  expect(again.code).toBe(0);
  expect(again.output.match(/as it was: version 1$/gm)).toHaveLength(6);
  expect(again.output).not.toContain("made");
  expect(await catalogue()).toEqual(before);
});

test("A14 ten who load one file at once make each version once", async () => {
  const file = write({ plans: [{ ...gold, code: "rush" }], packs: [{ ...sack, code: "rush" }] });
  const runs = await Promise.all(Array.from({ length: 10 }, () => run(file)));
  expect(runs.map(({ code }) => code)).toEqual(Array.from({ length: 10 }, () => 0));
  expect(runs.flatMap(({ output }) => output.match(/made: version 1$/gm) ?? [])).toHaveLength(2);
  const { plans, packs } = await catalogue();
  expect([plans, packs].map((list) => list.filter(({ code }) => code === "rush").length)).toEqual([1, 1]);
});

test("A14 a plan that changed becomes a new version, and the command says so", async () => {
  await run(write({ plans: [gold], packs: [sack] }));
  const changed = await run(write({ plans: [{ ...gold, included_credits: 200 }], packs: [sack] }));
  expect(changed.output).toMatch(/^plan gold +changed: version 2; who is subscribed keeps theirs$/m);
  expect(changed.output).toMatch(/^pack sack +as it was: version 1$/m);
  const { plans } = await catalogue();
  expect(plans.filter(({ code }) => code === "gold").map(({ included_credits }) => included_credits)).toEqual([
    "100",
    "200",
  ]);
  const { rows } = await database.owner.query(
    "select actor, subject from ops.audit where action = 'plan.create' and subject = 'plan:gold'",
  );
  expect(rows).toEqual(Array.from({ length: 2 }, () => ({ actor: "command:seed", subject: "plan:gold" })));
});

test("A11 a file that fails in its middle loads nothing", async () => {
  const before = await catalogue();
  const file = { plans: [planBody.parse({ ...gold, code: "whole" })], packs: [packBody.parse(sack)] };
  // What only the database refuses: no file that was read has it.
  const half = { ...file, plans: [...file.plans, { ...planBody.parse(gold), code: "HALF" }] };
  await expect(withClient(database.ownerUrl, (owner) => seed(owner, half))).rejects.toThrow("plan_code_is_word");
  expect(await catalogue()).toEqual(before);
});

test.each<[string, unknown, string]>([
  ["a field that no plan has", { plans: [{ ...gold, color: 1 }] }, "plans[0].color: there is no such field"],
  ["a list that no file has", { plan: [] }, "plan: there is no such field"],
  ["two plans of one code", { plans: [gold, gold] }, "plans[1].code: another one has the code gold"],
  [
    "a currency in capitals",
    { plans: [gold, { ...gold, code: "b", prices: [{ ...month, currency: "EUR" }] }] },
    "plans[1].prices[0].currency: must be an ISO 4217 code",
  ],
  ["no name", { packs: [{ ...sack, name: undefined }] }, "packs[0].name: "],
  ["no prices", { packs: [{ ...sack, prices: [] }] }, "packs[0].prices: "],
  ["what is no object", [], "the file: "],
])("a plan file with %s is refused, and the place is named", async (_, content, message) => {
  const { code, output } = await run(write(content));
  expect(code).toBe(1);
  expect(output).toContain(message);
  expect(output).not.toContain("    at ");
});

test("a file that is no JSON, or not there, says so in one line", async () => {
  const path = join(folder, "broken.json");
  writeFileSync(path, '{"plans": [');
  expect((await run(path)).output).toMatch(/broken\.json: not JSON at offset 11/);
  writeFileSync(path, '{"plans": [], "plans": []}');
  expect((await run(path)).output).toMatch(/broken\.json: a member is there twice/);
  expect((await run(join(folder, "nowhere.json"))).output).toMatch(/nowhere\.json/);
});

let files = 0;
function write(content: unknown): string {
  const path = join(folder, `${(files += 1)}.json`);
  writeFileSync(path, JSON.stringify(content));
  return path;
}

async function catalogue() {
  const [plans, packs, prices] = await Promise.all([
    database.owner.query<{ code: string; number: number; included_credits: string }>(
      `select code, number, included_credits, rollover_cap, extract(day from rollover_expires_in)::int as rollover_days
         from billing.plan order by code, number`,
    ),
    database.owner.query<{ code: string; kind: string }>(
      "select code, number, kind from billing.pack order by code, number",
    ),
    database.owner.query<{ line: string }>(
      "select lookup_key || ' ' || amount_minor as line from billing.price order by 1",
    ),
  ]);
  return { plans: plans.rows, packs: packs.rows, prices: prices.rows.map(({ line }) => line) };
}

/** Runs `npm run db:seed -- …`. */
async function run(...words: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [join(projectRoot, "db/tool/seed.ts"), ...words], {
    env: { ...process.env, DATABASE_URL: database.ownerUrl },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [output, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, output: output + errors };
}
