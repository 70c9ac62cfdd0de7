import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as z from "zod";
import { buildWorker } from "../world/bundle.ts";
import { buildArena, nth } from "./arena.ts";
import type { Arena } from "./arena.ts";
import { slug, thisMachine } from "./machine.ts";
import { drive, measure } from "./measure.ts";
import type { Effort, Fact, Figures, Group } from "./measure.ts";
import { bundle } from "./sides/bundle.ts";
import { deliveries } from "./sides/deliveries.ts";
import { envelope } from "./sides/envelope.ts";
import { interactive } from "./sides/interactive.ts";
import { reconciling } from "./sides/reconcile.ts";
import { closeShops, openShops, passes, plansOf, renewalsBySize, renewalsOneByOne } from "./sides/renewals.ts";
import { webhook } from "./sides/webhook.ts";
import { worker } from "./sides/worker.ts";
import { table } from "./table.ts";
import { workerdVersion } from "./workerd.ts";

const usage = `npm run bench -- [options]
  --rounds <n>     rounds; each measures every side once (7)
  --seconds <s>    seconds of a side in a round (2)
  --sizes <list>   how many subscriptions the databases of the renewals have (10000,100000,1000000)
  --only <words>   only the comparisons whose name has these words; prints, and writes no file
  --quick          one short round, to see that all of it runs; prints, and writes no file`;

const { values } = parseArgs({
  options: {
    rounds: { type: "string" },
    seconds: { type: "string" },
    sizes: { type: "string" },
    only: { type: "string" },
    quick: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}
const rounds = z.coerce
  .number()
  .int()
  .min(1)
  .parse(values.rounds ?? (values.quick ? 1 : 7));
const seconds = z.coerce
  .number()
  .positive()
  .parse(values.seconds ?? (values.quick ? 0.3 : 2));
const sizes = z
  .array(z.coerce.number().int().min(10_000))
  .min(1)
  .parse((values.sizes ?? (values.quick ? "10000,20000" : "10000,100000,1000000")).split(","));
const effort: Effort = { rounds, seconds, log: (line) => console.error(line) };

const found: Figures & { facts: Fact[] } = { sides: [], ratios: [], facts: [] };
const directory = mkdtempSync(join(tmpdir(), "tollgate-bench-"));
const arena = await buildArena();
try {
  const built = await buildWorker(directory);
  const groups: ((arena: Arena) => Promise<Group>)[] = [
    envelope,
    (on) => interactive(on, 0),
    (on) => interactive(on, 2),
    (on) => worker(on, built),
    (on) => webhook(on, built),
    (on) => deliveries(on, 0),
    (on) => deliveries(on, 50),
  ];
  for (const make of groups) {
    await run(await make(arena));
  }
  // Not made for those who do not ask: a million subscriptions take a minute.
  if (values.only === undefined || /renewals|sweep/i.test(values.only)) {
    await measureRenewals();
  }
  if (wanted("reconciliation: a pass")) {
    found.facts.push(...(await reconciling(arena)));
  }
  if (wanted("bundle, start-up")) {
    found.facts.push(...(await bundle(built, rounds)));
  }
} finally {
  await arena.stop();
  rmSync(directory, { recursive: true, force: true });
}

const now = new Date();
const machine = thisMachine({ postgres: arena.postgresVersion, workerd: workerdVersion() });
const text = table({ ...found, machine, day: now.toISOString().slice(0, 10), rounds, seconds });
console.log(text);
if (values.only === undefined && !values.quick) {
  const results = join(import.meta.dirname, "results");
  mkdirSync(results, { recursive: true });
  writeFileSync(join(results, `${now.toISOString().slice(0, 10)}-${slug(machine)}.md`), text);
}

/** Renewals, and every other sweep of subscriptions, in databases of their own. */
async function measureRenewals(): Promise<void> {
  const shops = await openShops(arena, sizes, effort.log);
  try {
    // First of all, while what is due is what the crowd was made with.
    found.facts.push(...(await passes(nth(shops, shops.length - 1))), await plansOf(shops));
    await run(renewalsBySize(shops));
    const shop = nth(shops, Math.min(1, shops.length - 1));
    for (const roundTripMs of [0, 2]) {
      await run(await renewalsOneByOne(arena, shop, roundTripMs));
    }
  } finally {
    await closeShops(shops);
  }
}

/** Measures what is wanted of a group, after a warm-up of each side: plans, caches and connections are then as they stay. */
async function run(group: Group): Promise<void> {
  try {
    const ratios = group.ratios.filter(({ what }) => wanted(what));
    const names = new Set(ratios.flatMap(({ of, to }) => [of, to]));
    const sides = group.sides.filter(({ name }) => names.has(name));
    for (const side of sides) {
      await drive(side, Math.min(seconds, 1));
    }
    const figures = await measure({ ...group, sides, ratios }, effort);
    found.sides.push(...figures.sides);
    found.ratios.push(...figures.ratios);
    found.facts.push(...(group.facts?.() ?? []).filter(({ what }) => ratios.length > 0 || wanted(what)));
  } finally {
    await group.stop();
  }
}

function wanted(name: string): boolean {
  return values.only === undefined || name.toLowerCase().includes(values.only.toLowerCase());
}
