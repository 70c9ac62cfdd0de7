import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import * as z from "zod";
import { projectRoot } from "./command.ts";

const findings = z.array(
  z.object({
    line: z.number(),
    level: z.string(),
    message: z.string(),
    help: z.string().nullable(),
    rule_name: z.string(),
  }),
);

/** What squawk says of a migration's text, one line each: what would lock a busy table, or break the Worker that runs. */
export function squawk(name: string, text: string): string[] {
  const program = createRequire(import.meta.url).resolve("squawk-cli/js/bin/squawk");
  const words = ["--config", join(projectRoot, ".squawk.toml"), "--reporter", "json", "--stdin-filepath", name];
  const run = spawnSync(process.execPath, [program, ...words], { input: text, encoding: "utf8" });
  if (run.error !== undefined || run.stdout === "") {
    throw new Error(`squawk did not run: ${run.error?.message ?? run.stderr}`);
  }
  // Its lines count from 0.
  return findings
    .parse(JSON.parse(run.stdout))
    .map(({ line, rule_name, message, help }) =>
      `migrations/${name}:${line + 1}: ${rule_name}: ${message} ${help ?? ""}`.trim(),
    );
}
