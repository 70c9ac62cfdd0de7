import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import type { ClientBase } from "pg";
import * as z from "zod";
import { packBody, planBody } from "../../src/billing/catalogue.ts";
import { packArguments, planArguments } from "../../src/billing/store.ts";
import { JsonFault, parseJson } from "../../src/http/json.ts";
import { projectRoot, runAsCommand } from "./command.ts";
import { withClient } from "./connect.ts";
import { ownerUrl } from "./local.ts";
import { explained } from "./refusal.ts";

/** What `npm run db:seed` loads: the bodies of POST /v1/plans and POST /v1/packs. */
const planFile = z
  .strictObject({ plans: z.array(planBody).default([]), packs: z.array(packBody).default([]) })
  .superRefine(({ plans, packs }, context) => {
    onceEach("plans", plans, context);
    onceEach("packs", packs, context);
  });

export type PlanFile = z.infer<typeof planFile>;

function onceEach(list: string, items: { code: string }[], context: z.core.$RefinementCtx): void {
  const seen = new Set<string>();
  for (const [index, { code }] of items.entries()) {
    if (seen.has(code)) {
      const message = `another one has the code ${code}`;
      context.addIssue({ code: "custom", path: [list, index, "code"], message, input: code });
    }
    seen.add(code);
  }
}

/** Reads a plan file. Throws what is wrong with it, a line for each place. */
export function readPlanFile(path: string): PlanFile {
  let json: unknown;
  try {
    json = parseJson(readFileSync(path, "utf8"));
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    throw new Error(`${path}: ${error.message}${error.pointer === "" ? "" : ` (at ${error.pointer})`}`, {
      cause: error,
    });
  }
  const parsed = planFile.safeParse(json);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.flatMap((issue) =>
    issue.code === "unrecognized_keys"
      ? issue.keys.map((key) => `  ${placeOf([...issue.path, key])}: there is no such field`)
      : `  ${placeOf(issue.path)}: ${issue.message}`,
  );
  throw new Error(`${path} is no plan file:\n${lines.join("\n")}`);
}

/** `plans[1].prices[0].currency` */
function placeOf(path: readonly PropertyKey[]): string {
  const text = path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("");
  return text === "" ? "the file" : text.replace(/^\./, "");
}

interface Made {
  number: number;
  created: boolean;
}

/**
 * Loads plans and packs, all or none. What is as the newest version already stays (A14); what differs becomes a new version,
 * and who is subscribed keeps theirs.
 */
export async function seed(
  owner: ClientBase,
  file: PlanFile,
  log: (line: string) => void = console.log,
): Promise<void> {
  const lines: string[] = [];
  let made = 0;
  const load = async (kind: string, routine: string, code: string, args: Record<string, unknown>) => {
    const names = Object.keys(args).map((name, i) => `${name} => $${i + 2}`);
    const { rows } = await owner.query<Made>(
      `select number, created from ${routine}(caused_by => $1, ${names.join(", ")})`,
      [cause, ...Object.values(args)],
    );
    const [row] = rows;
    if (row === undefined) throw new Error(`${routine} answered nothing`);
    if (row.created) made += 1;
    lines.push(`${kind} ${code.padEnd(20)} ${told(row)}`);
  };
  await owner.query("begin");
  try {
    for (const plan of file.plans) await load("plan", "billing.create_plan", plan.code, planArguments(plan));
    for (const pack of file.packs) await load("pack", "billing.create_pack", pack.code, packArguments(pack));
    await owner.query("commit");
  } catch (error) {
    await owner.query("rollback");
    throw error;
  }
  for (const line of lines) log(line);
  if (made > 0) log("npm run stripe:setup makes the new prices at Stripe; until then they cannot be bought.");
}

/** Who the audit names: whoever holds the owner's connection string. */
const cause = "command:seed";

function told({ number, created }: Made): string {
  if (!created) return `as it was: version ${number}`;
  return number === 1 ? "made: version 1" : `changed: version ${number}; who is subscribed keeps theirs`;
}

const help = `npm run db:seed -- [file]
  Loads plans and packs from a plan file (without one: db/plans.json), by the owner's DATABASE_URL (without it: the local
  stack's). It may be run again: what did not change stays, and what did becomes a new version.`;

runAsCommand(import.meta, async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { help: { type: "boolean", short: "h" } },
  });
  const [path, more] = positionals;
  if (values.help === true || more !== undefined) {
    console.log(help);
    return;
  }
  const file = readPlanFile(path === undefined ? join(projectRoot, "db/plans.json") : resolve(path));
  try {
    await withClient(ownerUrl(), (owner) => seed(owner, file));
  } catch (error) {
    throw explained(error);
  }
});
