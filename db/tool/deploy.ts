import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { parseArgs } from "node:util";
import type { Client } from "pg";
import { check } from "./check.ts";
import { runAsCommand } from "./command.ts";
import { connectionTo, isLocal, namedUrl, withClient } from "./connect.ts";
import { createKey } from "./keys.ts";
import { migrate } from "./migrate.ts";
import { prepareWorkerRole, refusePowers, workerRole } from "./role.ts";
import { wrangler } from "./wrangler.ts";

export interface DeployOptions {
  /** A named environment of wrangler.toml; without: production. */
  environment?: string | undefined;
  /** Calls nobody at Cloudflare. Only for a database on this machine: another one's Worker would lose its password. */
  dryRun?: boolean;
  /** Makes an operator's key even if there is one. */
  newKey?: boolean;
  log?: (line: string) => void;
  /** Runs wrangler; a test puts itself in its place. */
  cloudflare?: typeof wrangler;
}

/**
 * Makes a database ready and gives the Worker its way in: migrations, the Worker's role with a new password, the secret
 * at Cloudflare, and the first operator's key. Run again, it changes the password and keeps everything else.
 */
export async function init(ownerUrl: string, options: DeployOptions = {}): Promise<void> {
  const { log = console.log, cloudflare = wrangler, dryRun = false } = options;
  refuseFarDryRun(ownerUrl, dryRun);
  await migrateAndTell(ownerUrl, log);
  const password = randomBytes(32).toString("base64url");
  const workerUrl = urlOfWorker(ownerUrl, password);
  await withClient(ownerUrl, refusePowers);
  // Another key would change the secrets of all webhook endpoints: it is made while there are none.
  const signing = (await withClient(ownerUrl, hasEndpoints))
    ? {}
    : { WEBHOOK_SIGNING_KEY: randomBytes(32).toString("base64") };
  const secrets = { DATABASE_URL: workerUrl, ...signing };
  // First there, where more can go wrong: if that fails, the Worker that runs keeps its password.
  if (dryRun) {
    log(`Dry run: at Cloudflare nothing is set (${Object.keys(secrets).join(", ")}).`);
  } else {
    await setSecrets(cloudflare, secrets, options);
  }
  await withClient(ownerUrl, (owner) => prepareWorkerRole(owner, password));
  await withClient(workerUrl, (worker) => worker.query("select ops.now()"));
  log(`${workerRole} has a new password, and it works.`);
  await withClient(ownerUrl, (owner) => firstKey(owner, options.newKey === true, log));
  await checkAndTell(ownerUrl, log);
}

/**
 * Migrates, checks and deploys; a database that lacks something stops it, and the Worker that runs goes on running. The
 * first time, when the Worker's role has no way in yet, `init` comes before.
 */
export async function deploy(ownerUrl: string, options: DeployOptions = {}): Promise<void> {
  const { log = console.log, cloudflare = wrangler, dryRun = false } = options;
  refuseFarDryRun(ownerUrl, dryRun);
  if (await withClient(ownerUrl, hasWayIn)) {
    await migrateAndTell(ownerUrl, log);
    await checkAndTell(ownerUrl, log);
  } else {
    await init(ownerUrl, options);
  }
  await cloudflare(["deploy", ...named(options), ...(dryRun ? ["--dry-run"] : [])]);
}

/** The Worker's connection string. Neon's HTTP endpoint is found from the host; nothing else of the owner's is in it. */
export function urlOfWorker(ownerUrl: string, password: string): string {
  const url = new URL(ownerUrl);
  url.username = workerRole;
  url.password = password;
  url.search = isLocal(url.hostname) ? "" : "?sslmode=require";
  return url.href;
}

function refuseFarDryRun(ownerUrl: string, dryRun: boolean): void {
  // Also says early that this is no connection string, or a pooler's.
  connectionTo(ownerUrl);
  const { hostname } = new URL(ownerUrl);
  if (dryRun && !isLocal(hostname)) {
    throw new Error(
      `A dry run changes the database and not the Worker: only for one on this machine, not ${hostname}.`,
    );
  }
}

async function setSecrets(
  cloudflare: typeof wrangler,
  secrets: Record<string, string>,
  options: DeployOptions,
): Promise<void> {
  try {
    await cloudflare(["secret", "bulk", ...named(options)], JSON.stringify(secrets));
  } catch (error) {
    throw new Error(
      `Cloudflare did not take the secrets ${Object.keys(secrets).join(", ")}; the password is unchanged. ` +
        "Log in first (npx wrangler login, or CLOUDFLARE_API_TOKEN); with several accounts, set CLOUDFLARE_ACCOUNT_ID.",
      { cause: error },
    );
  }
}

function named({ environment }: DeployOptions): string[] {
  // An empty name is wrangler's word for the top level; without it, it warns that it might not be meant.
  return [`--env=${environment ?? ""}`];
}

async function migrateAndTell(ownerUrl: string, log: (line: string) => void): Promise<void> {
  const { applied } = await migrate(ownerUrl, { log });
  log(applied.length === 0 ? "Every migration was applied already." : `${applied.length} migrations applied.`);
}

async function checkAndTell(ownerUrl: string, log: (line: string) => void): Promise<void> {
  const lines = await check(ownerUrl);
  if (lines.length > 0) {
    throw new Error(`The database is not what the code relies on:\n${lines.join("\n")}`);
  }
  log("db:check: nothing is missing.");
}

async function hasWayIn(owner: Client): Promise<boolean> {
  const { rowCount } = await owner.query("select from pg_roles where rolname = $1 and rolcanlogin", [workerRole]);
  return rowCount === 1;
}

async function hasEndpoints(owner: Client): Promise<boolean> {
  const { rowCount } = await owner.query("select from messages.endpoint where deleted_at is null limit 1");
  return rowCount === 1;
}

async function firstKey(owner: Client, anyway: boolean, log: (line: string) => void): Promise<void> {
  const { rowCount } = await owner.query(
    `select from people.api_key
      where workspace_id is null and revoked_at is null and (expires_at is null or expires_at > ops.now())`,
  );
  if (rowCount !== null && rowCount > 0 && !anyway) {
    log("There is an operator's key already; npm run keys makes another.");
    return;
  }
  const { key } = await createKey(owner, { name: "first operator" });
  log(`The operator's key, shown only now:\n${key}`);
}

/** Asks for the connection string without showing it: it holds a password. */
async function ask(): Promise<string> {
  if (!process.stdin.isTTY) {
    throw new Error("Which database? Set DATABASE_URL to the owner's unpooled connection string.");
  }
  process.stdout.write("The owner's unpooled connection string (Neon's console shows it; it is not echoed): ");
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true });
  try {
    // Ctrl-C and Ctrl-D close it, and the question then never ends.
    const closed = new Promise<never>((_resolve, reject) => {
      lines.once("close", () => reject(new Error("No database was given.")));
    });
    return (await Promise.race([lines.question(""), closed])).trim();
  } finally {
    lines.close();
    process.stdout.write("\n");
  }
}

const help = `npm run deploy:init -- [--env name] [--dry-run] [--new-key]
  migrates the database, opens the Worker's role with a new password, sets the secrets DATABASE_URL and, while there is no webhook
  endpoint, WEBHOOK_SIGNING_KEY at Cloudflare, prints the first operator's key, and ends in db:check. Run again, it changes
  the password.
npm run deploy -- [--env name] [--dry-run]
  migrates, checks and deploys. The first time it does what deploy:init does before.

  The database: DATABASE_URL, the owner's unpooled connection string; without it, you are asked.
  --dry-run   on a database of this machine only: everything but calling Cloudflare
  --new-key   an operator's key even if there is one`;

runAsCommand(import.meta, async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      env: { type: "string" },
      "dry-run": { type: "boolean" },
      "new-key": { type: "boolean" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help === true) {
    console.log(help);
    return;
  }
  const url = namedUrl(positionals.find((word) => word !== "init")) ?? (await ask());
  const options = { environment: values.env, dryRun: values["dry-run"] === true, newKey: values["new-key"] === true };
  await (positionals[0] === "init" ? init(url, options) : deploy(url, options));
});
