import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { commandLine, endProcess } from "../process.ts";
import { publicDirectory, reachable, serverUser } from "./binaries.ts";
import type { Binaries } from "./binaries.ts";

/** The name of the superuser of every cluster here. */
export const superuser = "postgres";

/**
 * Where a cluster's data stands: `data` in its directory, or outside the checkout where the server's user cannot come
 * through to it.
 */
export function dataDirectory(directory: string): string {
  const inside = join(directory, "data");
  const probe = join(directory, "probe");
  makeOwnDirectory(probe);
  const usable = reachable(probe);
  fs.rmSync(probe, { recursive: true });
  return usable ? inside : join(publicDirectory(directory), "data");
}

/**
 * Makes a new cluster's files, unless they are there. The cluster is built beside its place and moved there when whole:
 * a start that was killed half-way would otherwise leave files that look like a cluster and never start.
 */
export function makeData(data: string, password: string, binaries: Binaries): void {
  if (fs.existsSync(data)) {
    const found = fs.readFileSync(join(data, "PG_VERSION"), "utf8").trim();
    const wanted = /\b(\d+)\./.exec(version(binaries))?.[1];
    if (found !== wanted) {
      throw new Error(`${data} was made by Postgres ${found}, and this is Postgres ${wanted}: start with --reset.`);
    }
    return;
  }
  const partial = `${data}.new`;
  const secret = `${data}.secret`;
  makeOwnDirectory(partial);
  fs.writeFileSync(secret, password, { mode: 0o600 });
  own(secret);
  const words = ["-D", partial, "-U", superuser, `--pwfile=${secret}`, "--auth=scram-sha-256", "--encoding=UTF8"];
  // The built-in provider is the same on every system: no test may depend on the machine's libc or its locales.
  words.push("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions");
  // Detached: Ctrl-C reaches the terminal's whole group, and this must end whole or not at all.
  const options = { ...serverUser, cwd: partial, env: environment(), encoding: "utf8", detached: true } as const;
  const made = spawnSync(binaries.initdb, words, options);
  fs.rmSync(secret, { force: true });
  if (made.status !== 0) {
    throw new Error(`initdb failed: ${made.error?.message ?? made.stderr}`);
  }
  fs.renameSync(partial, data);
}

/** The environment of Postgres's programs: the user's own PGDATA or PGPORT must not reach them. */
export function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("PG") && !name.startsWith("LC_"));
  return { ...Object.fromEntries(kept), LC_ALL: "C", TZ: "UTC" };
}

/**
 * Ends a server that still runs on this data because whoever started it was killed, and clears the lock file of one
 * that is gone. Only a process that names our data directory on its command line is ours; any other is left alone.
 */
export async function endLeftover(data: string): Promise<void> {
  const lock = join(data, "postmaster.pid");
  if (!fs.existsSync(lock)) {
    return;
  }
  const pid = Number.parseInt(fs.readFileSync(lock, "utf8").split("\n")[0] ?? "", 10);
  if (Number.isInteger(pid) && pid > 1 && (commandLine(pid)?.includes(data) ?? false)) {
    // SIGINT is a fast shutdown; SIGQUIT an immediate one, after which the next start replays the log.
    if (!(await endProcess(pid, "SIGINT", 15_000)) && !(await endProcess(pid, "SIGQUIT", 10_000))) {
      throw new Error(`Postgres ${pid}, left over by an earlier start on ${data}, does not stop.`);
    }
  }
  // Postgres takes any running process of that number for its former self and would refuse to start.
  fs.rmSync(lock, { force: true });
}

/** Removes a cluster's files, also those that a start left half-made. */
export function removeData(data: string): void {
  for (const path of [data, `${data}.new`, `${data}.secret`]) {
    fs.rmSync(path, { recursive: true, force: true });
  }
}

function version(binaries: Binaries): string {
  return spawnSync(binaries.postgres, ["--version"], { ...serverUser, encoding: "utf8" }).stdout;
}

function makeOwnDirectory(path: string): void {
  fs.rmSync(path, { recursive: true, force: true });
  fs.mkdirSync(path, { mode: 0o700 });
  own(path);
}

function own(path: string): void {
  if (serverUser !== undefined) {
    fs.chownSync(path, serverUser.uid, serverUser.gid);
  }
}
