import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Client } from "pg";
import { freePort, isFree } from "./free-port.ts";
import { findBinaries, serverUser } from "./postgres/binaries.ts";
import type { Binaries } from "./postgres/binaries.ts";
import { dataDirectory, endLeftover, environment, makeData, removeData, superuser } from "./postgres/data.ts";
import { errorCode } from "./system-error.ts";
import { ended, processRecord, recordOf, stillRuns, thisProcess } from "./process.ts";

/** A running Postgres 18 that listens on 127.0.0.1 only and asks every role for its password. */
export interface Cluster {
  host: "127.0.0.1";
  port: number;
  pid: number;
  /** The server's log, from this start on. */
  log: string;
  /** A connection string; without a user it is the superuser's, with its password. */
  url(database: string, user?: string, password?: string): string;
  /** Resolves when the server has ended, for whatever reason. */
  ended: Promise<void>;
  /** Ends the server in order; calling it again waits for the same end. */
  stop(): Promise<void>;
}

/** How to start a cluster that is kept between starts. */
export interface ClusterOptions {
  /** Where the data, the log and the superuser's password are kept. */
  directory: string;
  /** The port to listen on; a taken one is an error. Without it: the last start's port if free, else any. */
  port?: number | undefined;
  /** Throws the data of earlier starts away. */
  reset?: boolean;
}

/** Starts the cluster that is kept in a directory, making it the first time, and ends one that a killed start left. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { directory } = options;
  const binaries = findBinaries();
  fs.mkdirSync(directory, { recursive: true });
  const data = dataDirectory(directory);
  await endLeftover(data);
  if (options.reset === true) {
    removeData(data);
  }
  const secret = join(directory, "superuser_password");
  if (!fs.existsSync(data) || !fs.existsSync(secret)) {
    removeData(data);
    fs.writeFileSync(secret, randomBytes(24).toString("base64url"), { mode: 0o600 });
  }
  const password = fs.readFileSync(secret, "utf8");
  makeData(data, password, binaries);
  const lastPort = join(directory, "port");
  const cluster = await startServer({
    binaries,
    data,
    password,
    log: join(directory, "log"),
    port: options.port,
    wish: fs.existsSync(lastPort) ? Number(fs.readFileSync(lastPort, "utf8")) : undefined,
    stopSignal: "SIGINT",
  });
  fs.writeFileSync(lastPort, String(cluster.port));
  return cluster;
}

/**
 * Starts a new cluster for one run of tests; stopping it removes it. Clusters whose run was killed are found by their
 * owner's record and removed first.
 */
export async function startEphemeralCluster(): Promise<Cluster> {
  await removeAbandoned();
  const binaries = findBinaries();
  const directory = fs.mkdtempSync(join(tmpdir(), ephemeralPrefix));
  fs.chmodSync(directory, 0o711);
  const owner = join(directory, "owner.json");
  fs.writeFileSync(`${owner}.new`, JSON.stringify(thisProcess()));
  fs.renameSync(`${owner}.new`, owner);
  const data = dataDirectory(directory);
  const password = randomBytes(24).toString("base64url");
  makeData(data, password, binaries);
  // Its data is thrown away, so an immediate end loses nothing.
  const cluster = await startServer({ binaries, data, password, log: join(directory, "log"), stopSignal: "SIGQUIT" });
  return {
    ...cluster,
    stop: async () => {
      await cluster.stop();
      removeEphemeral(directory, data);
    },
  };
}

const ephemeralPrefix = "tollgate-postgres-";

async function removeAbandoned(): Promise<void> {
  for (const name of fs.readdirSync(tmpdir()).filter((entry) => entry.startsWith(ephemeralPrefix))) {
    const directory = join(tmpdir(), name);
    try {
      const owner = join(directory, "owner.json");
      const mine = fs.statSync(owner).uid === (process.getuid?.() ?? 0);
      if (mine && !stillRuns(processRecord.parse(JSON.parse(fs.readFileSync(owner, "utf8"))))) {
        const data = dataDirectory(directory);
        await endLeftover(data);
        removeEphemeral(directory, data);
      }
    } catch (error) {
      // Being made, or being removed by another run that saw it too.
      if (errorCode(error) !== "ENOENT") {
        throw error;
      }
    }
  }
}

function removeEphemeral(directory: string, data: string): void {
  fs.rmSync(dirname(data), { recursive: true, force: true });
  fs.rmSync(directory, { recursive: true, force: true });
}

interface ServerOptions {
  binaries: Binaries;
  data: string;
  password: string;
  log: string;
  port?: number | undefined;
  wish?: number | undefined;
  stopSignal: "SIGINT" | "SIGQUIT";
}

/** Starts the server; a port that somebody takes first, and backends of a killed server, are waited out. */
async function startServer(options: ServerOptions): Promise<Cluster> {
  if (options.port !== undefined && !(await isFree(options.port))) {
    throw new Error(`Port ${options.port} of 127.0.0.1, chosen for Postgres, is taken.`);
  }
  const deadline = Date.now() + 30_000;
  for (;;) {
    const port = options.port ?? (await freePort(options.wish));
    const cluster = spawnServer(options, port);
    try {
      await ready(cluster);
      return cluster;
    } catch (error) {
      await cluster.stop();
      const said = fs.readFileSync(options.log, "utf8");
      const passing = /Address already in use|pre-existing shared memory block|lock file ".*" already exists/.test(
        said,
      );
      if (!passing || Date.now() > deadline) {
        throw new Error(`Postgres did not start. Its log:\n${said.slice(-4000)}`, { cause: error });
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

function spawnServer(options: ServerOptions, port: number): Cluster {
  const log = fs.openSync(options.log, "w");
  const words = ["-D", options.data, "-p", String(port)];
  for (const [name, value] of Object.entries(settings(options.binaries))) {
    words.push("-c", `${name}=${value}`);
  }
  // In a process group of its own: Ctrl-C reaches the whole group of the terminal, and Postgres must be the last to end.
  const child = spawn(options.binaries.postgres, words, {
    ...serverUser,
    cwd: options.data,
    env: environment(),
    detached: true,
    windowsHide: true,
    stdio: ["ignore", log, log],
  });
  fs.closeSync(log);
  const end = endOf(child);
  let stopping: Promise<void> | undefined;
  return {
    host: "127.0.0.1",
    port,
    pid: child.pid ?? -1,
    log: options.log,
    url: (database, user = superuser, password = options.password) =>
      `postgresql://${encodeURIComponent(user)}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`,
    ended: end,
    stop: () => (stopping ??= stopServer(child, end, options)),
  };
}

function endOf(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
}

async function stopServer(child: ChildProcess, end: Promise<void>, options: ServerOptions): Promise<void> {
  const record = child.pid === undefined ? null : recordOf(child.pid);
  if (record === null) {
    return;
  }
  if (process.platform === "win32") {
    // Windows has no signals: Node's would end the server without a word, and every start would be a recovery.
    spawnSync(options.binaries.pgCtl, ["stop", "-D", options.data, "-m", "fast", "-W"], { windowsHide: true });
  } else {
    child.kill(options.stopSignal);
  }
  if (!(await ended(record, 20_000))) {
    child.kill("SIGQUIT");
  }
  await end;
}

/** Resolves when the server takes connections; rejects when it ends before. A recovery may take its time. */
async function ready(cluster: Cluster): Promise<void> {
  const end = cluster.ended.then(() => "ended" as const);
  const deadline = Date.now() + 120_000;
  for (;;) {
    const answer = await Promise.race([end, tryConnecting(cluster)]);
    if (answer === "connected") {
      return;
    }
    if (answer === "ended" || Date.now() > deadline) {
      throw new Error(answer === "ended" ? "It ended while it started." : "It took no connection within two minutes.");
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function tryConnecting(cluster: Cluster): Promise<"connected" | "refused"> {
  const client = new Client({ connectionString: cluster.url("postgres") });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.end();
    return "connected";
  } catch {
    return "refused";
  }
}

function settings(binaries: Binaries): Record<string, string> {
  const libraries = join(dirname(dirname(binaries.postgres)), "lib", "postgresql");
  const statistics =
    fs.existsSync(libraries) && fs.readdirSync(libraries).some((file) => file.startsWith("pg_stat_statements."));
  return {
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    max_connections: "200",
    timezone: "UTC",
    log_timezone: "UTC",
    // A refusal is an error to Postgres; logging each would bury what went wrong.
    log_min_messages: "log",
    ...(statistics ? { shared_preload_libraries: "pg_stat_statements" } : {}),
    // A plpgsql query that finds two rows for one variable, or a name that hides another, is an error in development.
    "plpgsql.extra_errors": "all",
  };
}
