import { inject } from "vitest";
import { buildWorker, findBuiltWorker } from "../world/bundle.ts";
import { startWorker } from "../world/worker.ts";
import type { RunningWorker } from "../world/worker.ts";
import { oncePerRun } from "./once.ts";

/** What the secrets of webhook endpoints are made from, in every test. */
export const webhookKey = Buffer.alloc(32, "tests").toString("base64");

/**
 * Runs the Worker against a bridge, with bindings besides. The first caller of the run builds the bundle that all of them
 * run.
 */
export async function startTestWorker(
  workerUrl: string,
  bridgeUrl: string,
  bindings: Readonly<Record<string, string>> = {},
): Promise<RunningWorker> {
  const directory = inject("bundle");
  await oncePerRun(
    "bundle",
    async () => findBuiltWorker(directory) !== null,
    async () => {
      await buildWorker(directory);
    },
  );
  const built = findBuiltWorker(directory);
  if (built === null) {
    throw new Error(`There is no bundle in ${directory}.`);
  }
  return await startWorker(built, {
    DATABASE_URL: workerUrl,
    DATABASE_FETCH_ENDPOINT: bridgeUrl,
    WEBHOOK_SIGNING_KEY: webhookKey,
    ...bindings,
  });
}
