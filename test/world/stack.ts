import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { Pool } from "pg";
import { z } from "zod";
import { MigrationError, migrate } from "../../db/tool/migrate.ts";
import { prepareWorkerRole } from "../../db/tool/role.ts";
import { startBridge } from "./bridge.ts";
import { localEnvironment, projectRoot } from "./bundle.ts";
import { freePort, isFree } from "./free-port.ts";
import { ensureOperatorKey, newKey } from "./operator-key.ts";
import { startCluster } from "./postgres.ts";
import { createDatabase, createOwner, ownerRole, withClient, workerRole } from "./roles.ts";
import { readDeveloperVars } from "./stack/developer-vars.ts";
import { startDevServer } from "./stack/dev-server.ts";
import { openDiary } from "./stack/diary.ts";
import { takeLock } from "./stack/lock.ts";
import { startOutside } from "./stack/outside.ts";
import type { Wallet } from "./stack/pages.ts";
import { seedExamples, startLocalStripe } from "./stack/stripe.ts";
import { startTicker } from "./stack/ticker.ts";
import { startTravel } from "./stack/travel.ts";
import type { Travel } from "./stack/travel.ts";
import { endLeftoverWorker, startDevWorker } from "./stack/worker.ts";
import { tickOverHttp } from "./worker.ts";

/** How to start the local stack. A port that is not chosen is the usual one or, where that is taken, any. */
export interface StackOptions {
  /** Where data, keys and `dev.json` are kept. */
  directory: string;
  reset: boolean;
  port?: number | undefined;
  postgresPort?: number | undefined;
  bridgePort?: number | undefined;
  devPort?: number | undefined;
  stripePort?: number | undefined;
  /** Told of each step, for whoever waits. */
  tell: (line: string) => void;
  /** Aborted when the stack is to stop before it has started. */
  signal: AbortSignal;
}

/** What `dev.json` says, so that any tool finds the stack. */
export interface StackAddress {
  url: string;
  operator_key: string;
  workspace_id: string;
  database_url: string;
  worker_database_url: string;
  bridge_url: string;
  dev_url: string;
  /** Stripe in miniature; null where the developer gave a key of a Stripe account. */
  stripe_url: string | null;
  /** The outside world in miniature: what provisions, and what takes webhooks, mails, chats and coins. */
  provisioner_url: string;
  receiver_url: string;
  mail_url: string;
  telegram_url: string;
  btcpay_url: string;
  /** What the outside world was told and did, a line each. */
  outside_log: string;
  pid: number;
}

/** The running local stack. */
export interface Stack {
  address: StackAddress;
  /** Resolves with the name of a part that ended although nobody asked it to. */
  broken: Promise<string>;
  /** Stops all parts, the last started first; calling it again waits for the same end. */
  stop(): Promise<void>;
}

const usualPort = 8787;
const databaseName = "tollgate";

/** Starts the whole local stack. What has started is stopped again when a later part does not start. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { directory, tell, signal } = options;
  fs.mkdirSync(directory, { recursive: true });
  const lock = takeLock(directory);
  const stops: (() => Promise<void> | void)[] = [() => lock.release()];
  const broken = Promise.withResolvers<string>();
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopping ??= stopAll(stops));
  const step = async <T>(line: string, work: () => Promise<T>): Promise<T> => {
    signal.throwIfAborted();
    tell(line);
    return await work();
  };
  try {
    // First: a workerd that outlived its stack still has the usual port.
    await endLeftoverWorker(directory);
    const given = readDeveloperVars(projectRoot, process.env);
    const workerPort = await choosePort(options.port);
    const workerUrl = `http://127.0.0.1:${workerPort}`;
    const cluster = await step("starting Postgres", () =>
      startCluster({ directory: join(directory, "postgres"), port: options.postgresPort, reset: options.reset }),
    );
    stops.push(() => cluster.stop());
    void cluster.ended.then(() => broken.resolve(`Postgres (its log is ${cluster.log})`));

    const passwords = keptPasswords(directory);
    const ownerUrl = cluster.url(databaseName, ownerRole, passwords.owner);
    const workerDatabaseUrl = cluster.url(databaseName, workerRole, passwords.worker);
    await step("migrating the database", async () => {
      await createOwner(cluster.url("postgres"), passwords.owner);
      await createDatabase(cluster.url("postgres"), databaseName);
      await migrate(ownerUrl, { log: tell }).catch(withHint);
      await withClient(ownerUrl, (owner) => prepareWorkerRole(owner, passwords.worker));
      await seedExamples(ownerUrl);
    });
    const owner = new Pool({ connectionString: ownerUrl, max: 2 });
    // An idle connection ends with its server; what is asked next says so.
    owner.on("error", () => undefined);
    stops.push(() => owner.end());
    const operatorKey = await operatorKeyOf(directory, owner);
    const workspace = await demoWorkspace(owner);

    const bridge = await startBridge({ target: cluster, port: options.bridgePort ?? 0 });
    stops.push(() => bridge.stop());
    const devServer = await startDevServer(options.devPort ?? 0);
    stops.push(() => devServer.stop());
    // The page of Stripe in miniature that moves its clock moves all; what moves all comes after it.
    let travel: Travel | undefined;
    const stripe =
      given.stripe === null
        ? await step("starting Stripe in miniature", () =>
            startLocalStripe({
              directory,
              port: options.stripePort,
              reset: options.reset,
              ownerUrl,
              workerUrl,
              travel: async (to) => void (await travel?.to(to)),
            }),
          )
        : null;
    stops.push(() => stripe?.miniature.stop());
    const log = join(directory, "outside.log");
    if (options.reset) fs.rmSync(log, { force: true });
    const diary = openDiary(log, owner, tell);
    const outside = await startOutside({ directory, diary, reset: options.reset, workerUrl });
    stops.push(async () => {
      await outside.stop();
      await diary.settled();
    });
    const worker = await step("starting the Worker", () =>
      startDevWorker(
        directory,
        {
          config: join(projectRoot, "wrangler.toml"),
          environment: localEnvironment,
          port: workerPort,
          vars: {
            DATABASE_URL: workerDatabaseUrl,
            DATABASE_FETCH_ENDPOINT: bridge.url,
            CHECKOUT_ORIGINS: [devServer.url, ...originsOf(workerPort), ...given.origins].join(","),
            ...(stripe?.vars ?? given.stripe),
            ...outside.vars,
          },
        },
        signal,
      ),
    );
    stops.push(() => worker.stop());
    void worker.ended.then(() => broken.resolve("the Worker's process"));

    await outside.subscribe({ url: worker.url, operatorKey });
    const ticker = startTicker((cut) => tickOverHttp(worker.url, cut), tell);
    stops.push(() => ticker.stop());
    const travels = startTravel(owner, {
      stripe: stripe?.miniature ?? null,
      tick: () => ticker.tick(),
      still: (work) => ticker.still(work),
      moved: (to) => outside.moved(to),
    });
    travel = travels;
    stops.push(() => travels.stop());
    await travels.align();
    devServer.open({
      travel: travels,
      tick: () => ticker.tick(),
      wallet: (asked) => walletOf(worker.url, operatorKey, asked ?? workspace),
      outside: () => diary.read(),
    });
    signal.throwIfAborted();

    const address: StackAddress = {
      url: worker.url,
      operator_key: operatorKey,
      workspace_id: workspace,
      database_url: ownerUrl,
      worker_database_url: workerDatabaseUrl,
      bridge_url: bridge.url,
      dev_url: devServer.url,
      stripe_url: stripe?.miniature.url ?? null,
      ...outside.addresses,
      outside_log: log,
      pid: process.pid,
    };
    const file = join(directory, "dev.json");
    writeSecret(file, `${JSON.stringify(address, null, 2)}\n`);
    stops.push(() => fs.rmSync(file, { force: true }));
    lock.announce(worker.url);
    return { address, broken: broken.promise, stop };
  } catch (error) {
    await stop();
    // Ctrl-C may have hit a child that was just being made; that it failed is then no news.
    signal.throwIfAborted();
    throw error;
  }
}

/** Local data outlives a migration that was rewritten before it was ever merged; nothing else can be done with it. */
function withHint(error: unknown): never {
  throw error instanceof MigrationError
    ? new Error(`${error.message}\nTo start with an empty local database: npm run dev -- --reset`)
    : error;
}

/** Stops every part even where one fails to; what failed is thrown when the rest has stopped. */
async function stopAll(stops: (() => Promise<void> | void)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const stop of stops.toReversed()) {
    try {
      await stop();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) {
    throw new AggregateError(failures, `Not all of the stack stopped: ${failures.map(String).join("; ")}`);
  }
}

async function choosePort(chosen: number | undefined): Promise<number> {
  if (chosen !== undefined && !(await isFree(chosen))) {
    throw new Error(`Port ${chosen} of 127.0.0.1, chosen for the Worker, is taken.`);
  }
  return chosen ?? (await freePort(usualPort));
}

/** Where the developer's own shop may run, besides what CHECKOUT_ORIGINS says: the ports that most dev servers take. */
const shopPorts = [3000, 5173];

/** This machine's origins that a checkout may send people back to. */
function originsOf(workerPort: number): string[] {
  return [workerPort, ...shopPorts].flatMap((port) => [`http://127.0.0.1:${port}`, `http://localhost:${port}`]);
}

const walletShape = z.object({
  available: z.int(),
  pools: z.array(z.object({ pool: z.string(), available: z.int() })),
});

/** What a workspace has, as the API says it; null: it says that there is no such workspace. */
async function walletOf(url: string, operatorKey: string, workspace: string): Promise<Wallet | null> {
  const answer = await fetch(`${url}/v1/workspaces/${encodeURIComponent(workspace)}/credits`, {
    headers: { Authorization: `Bearer ${operatorKey}` },
  });
  return answer.ok ? walletShape.parse(await answer.json()) : null;
}

const passwordFile = z.object({ owner: z.string(), worker: z.string() });

/** The roles' passwords, the same at each start, so that a connection string that was written down goes on working. */
function keptPasswords(directory: string): z.infer<typeof passwordFile> {
  const file = join(directory, "passwords.json");
  if (!fs.existsSync(file)) {
    const [owner, worker] = [randomBytes(18), randomBytes(18)].map((bytes) => bytes.toString("base64url"));
    writeSecret(file, JSON.stringify({ owner, worker }));
  }
  return passwordFile.parse(JSON.parse(fs.readFileSync(file, "utf8")));
}

/** The operator's key, the same at each start and after `--reset`; a new database is told of it. */
async function operatorKeyOf(directory: string, owner: Pool): Promise<string> {
  const file = join(directory, "operator_key");
  if (!fs.existsSync(file)) {
    writeSecret(file, await newKey());
  }
  const key = fs.readFileSync(file, "utf8").trim();
  await ensureOperatorKey(owner, key, "dev");
  return key;
}

/** A workspace to try things with, so that the first command is one that does something. */
async function demoWorkspace(owner: Pool): Promise<string> {
  const found = await owner.query<{ id: string }>(
    "select id from people.workspace where name = 'demo' order by id limit 1",
  );
  const made = found.rows[0] ?? (await createWorkspace(owner));
  return made.id;
}

async function createWorkspace(owner: Pool): Promise<{ id: string }> {
  const made = await owner.query<{ id: string }>(
    "select id from people.create_workspace(name => 'demo', caused_by => 'dev')",
  );
  const [row] = made.rows;
  if (row === undefined) {
    throw new Error("people.create_workspace answered nothing.");
  }
  return row;
}

/** Written beside its place and moved there, so that nobody reads half of it, or reads it at all but its owner. */
function writeSecret(file: string, text: string): void {
  const draft = `${file}.${process.pid}`;
  fs.writeFileSync(draft, text, { mode: 0o600 });
  fs.renameSync(draft, file);
}
