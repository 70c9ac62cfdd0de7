import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { projectRoot } from "./command.ts";

/**
 * Runs this project's wrangler. What is secret goes in by `input`, never by an argument, which every user of the machine
 * can read; and the owner's connection string does not go in at all. Throws if wrangler fails.
 */
export async function wrangler(words: string[], input?: string): Promise<void> {
  const program = join(dirname(createRequire(import.meta.url).resolve("wrangler/package.json")), "bin/wrangler.js");
  const { DATABASE_URL: _, ...environment } = process.env;
  const child = spawn(process.execPath, [program, ...words], {
    cwd: projectRoot,
    env: environment,
    stdio: [input === undefined ? "inherit" : "pipe", "inherit", "inherit"],
  });
  // A child that ends early leaves a broken pipe; its exit code is what counts.
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(input);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code !== 0) {
    throw new Error(`wrangler ${words.join(" ")} failed (${code ?? "killed"}).`);
  }
}
