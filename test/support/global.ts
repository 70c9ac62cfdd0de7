import { randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import type { TestProject } from "vitest/node";
import { startEphemeralCluster } from "../world/postgres.ts";
import { createOwner } from "../world/roles.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** The cluster of this run: where it is and the passwords of its roles. */
    postgres: { superuserUrl: string; ownerPassword: string; workerPassword: string };
    /** Where this run's bundle of the Worker goes. */
    bundle: string;
  }
}

/** Starts the one Postgres of this run of tests. Where it does not start, the run fails: no test is ever skipped for it. */
export default async function startPostgresForTests(project: TestProject): Promise<() => Promise<void>> {
  const cluster = await startEphemeralCluster();
  const ownerPassword = randomBytes(16).toString("base64url");
  await createOwner(cluster.url("postgres"), ownerPassword);
  project.provide("postgres", {
    superuserUrl: cluster.url("postgres"),
    ownerPassword,
    workerPassword: randomBytes(16).toString("base64url"),
  });
  // Beside the cluster's log: what a killed run leaves there, the next run removes.
  project.provide("bundle", join(dirname(cluster.log), "bundle"));
  return () => cluster.stop();
}
