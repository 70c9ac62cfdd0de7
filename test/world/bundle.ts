import { execFile } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, parse } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { z } from "zod";

/** The top of the checkout. */
export const projectRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** wrangler's environment of the local stack. */
export const localEnvironment = "local";

/** The environment of every wrangler that is run here: it tells nobody, and asks nobody where this machine is. */
export const quietWrangler = {
  WRANGLER_SEND_METRICS: "false",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  WRANGLER_LOG_SANITIZE: "true",
  NO_UPDATE_NOTIFIER: "1",
};

/**
 * A built Worker: the very bundle that would be deployed, and miniflare's options of it from wrangler.toml
 * (compatibility, assets).
 */
const builtWorker = z.object({ script: z.string(), options: z.record(z.string(), z.unknown()) });
export type BuiltWorker = z.infer<typeof builtWorker>;

/** Builds the Worker with wrangler into a directory. */
export async function buildWorker(
  directory: string,
  config = join(projectRoot, "wrangler.toml"),
): Promise<BuiltWorker> {
  const wrangler = join(projectRoot, "node_modules", "wrangler", "bin", "wrangler.js");
  const environment = readFileSync(config, "utf8").includes(`[env.${localEnvironment}]`) ? localEnvironment : "";
  const words = ["deploy", "--dry-run", "--config", config, "--env", environment, "--outdir", directory];
  try {
    await promisify(execFile)(process.execPath, [wrangler, ...words], {
      cwd: dirname(config),
      env: { ...process.env, ...quietWrangler },
    });
  } catch (error) {
    const said = error instanceof Error && "stderr" in error ? String(error.stderr) : "";
    throw new Error(`wrangler could not build the Worker.\n${said}`, { cause: error });
  }
  const { unstable_getMiniflareWorkerOptions: optionsOf, unstable_readConfig: readConfig } = await import("wrangler");
  // What there is to warn of, the build above has said.
  const { workerOptions, main } = optionsOf(readConfig({ config, env: environment }, { hideWarnings: true }));
  // The bundle is one module; rules for others mean nothing to it, and miniflare refuses them.
  const { modulesRules: _rules, ...options } = workerOptions;
  const script = join(directory, `${parse(main ?? "").name}.js`);
  if (!existsSync(script)) {
    throw new Error(`wrangler built no ${script}.`);
  }
  writeFileSync(join(directory, recordFile), JSON.stringify({ script, options }));
  return { script, options };
}

/** The Worker that was built into a directory; null when none was, or not to its end. */
export function findBuiltWorker(directory: string): BuiltWorker | null {
  const record = join(directory, recordFile);
  return existsSync(record) ? builtWorker.parse(JSON.parse(readFileSync(record, "utf8"))) : null;
}

/** Written last, so that a build cut short is not taken for one. */
const recordFile = "built.json";
