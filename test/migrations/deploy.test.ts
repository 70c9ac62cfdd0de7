import { spawn } from "node:child_process";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { projectRoot } from "../../db/tool/command.ts";
import { deploy, init, urlOfWorker } from "../../db/tool/deploy.ts";
import type { DeployOptions } from "../../db/tool/deploy.ts";
import { startEphemeralCluster } from "../world/postgres.ts";
import type { Cluster } from "../world/postgres.ts";
import { createDatabase, createOwner, ownerRole, urlFor, withClient } from "../world/roles.ts";

// A cluster of their own: these tests change the password of the Worker's role, which all databases share.
let cluster: Cluster;
let ownerUrl: string;
beforeAll(async () => {
  cluster = await startEphemeralCluster();
  await createOwner(cluster.url("postgres"), "owner");
});
afterAll(() => cluster.stop());

let made = 0;
beforeEach(async () => {
  made += 1;
  await createDatabase(cluster.url("postgres"), `house_${made}`);
  await withClient(cluster.url("postgres"), (client) =>
    client.query(`do $$ begin alter role tollgate_worker nologin; exception when undefined_object then null; end $$`),
  );
  ownerUrl = urlFor(cluster.url("postgres"), `house_${made}`, ownerRole, "owner");
});

/** Options that record what is said and what wrangler is called with, instead of calling it. */
function recorded(fails = false) {
  const said: string[] = [];
  const calls: { words: string[]; input: string | undefined }[] = [];
  const options: DeployOptions = {
    log: (line) => said.push(line),
    cloudflare: async (words, input) => {
      calls.push({ words, input });
      if (fails) {
        throw new Error("wrangler failed");
      }
    },
  };
  return { said, calls, options };
}

const keys = () => withClient(ownerUrl, async (owner) => (await owner.query("select from people.api_key")).rowCount);

/** The connection string that was given to Cloudflare last. */
function secretOf(calls: { words: string[]; input: string | undefined }[]): string {
  const input = calls.findLast(({ words }) => words[0] === "secret")?.input ?? "{}";
  const secrets: Record<string, string> = JSON.parse(input);
  const { DATABASE_URL = "", WEBHOOK_SIGNING_KEY, ...rest } = secrets;
  expect(DATABASE_URL).toContain("tollgate_worker");
  if (WEBHOOK_SIGNING_KEY !== undefined) expect(Buffer.from(WEBHOOK_SIGNING_KEY, "base64")).toHaveLength(32);
  expect(rest).toEqual({});
  return DATABASE_URL;
}

test("deploy:init makes the key of webhooks' secrets while there is no endpoint, and never another one", async () => {
  const { said, calls, options } = recorded();
  const given = () => Object.keys(JSON.parse(calls.at(-1)?.input ?? "{}"));
  await init(ownerUrl, options);
  expect(given()).toEqual(["DATABASE_URL", "WEBHOOK_SIGNING_KEY"]);
  await withClient(ownerUrl, (owner) =>
    owner.query("select messages.create_endpoint('https://app.example/', '', '{*}', 'test')"),
  );
  await init(ownerUrl, options);
  expect(given()).toEqual(["DATABASE_URL"]);
  expect(JSON.stringify(said)).not.toContain("WEBHOOK_SIGNING_KEY");
});

test("deploy:init gives the Worker a password that works, by stdin and nowhere else", async () => {
  const { said, calls, options } = recorded();
  await init(ownerUrl, { ...options, environment: "staging" });
  expect(calls.map(({ words }) => words)).toEqual([["secret", "bulk", "--env=staging"]]);
  const workerUrl = secretOf(calls);
  const { password } = new URL(workerUrl);
  expect(JSON.stringify(said)).not.toContain(password);
  await withClient(workerUrl, (worker) => worker.query("select ops.now()"));
  expect(said.filter((line) => /tg_[\w-]{43}/.test(line))).toHaveLength(1);
  expect(said.at(-1)).toBe("db:check: nothing is missing.");
});

test("deploy:init again: another password, the same keys, unless one is asked for", async () => {
  const { said, calls, options } = recorded();
  await init(ownerUrl, options);
  const first = secretOf(calls);
  await init(ownerUrl, options);
  const second = secretOf(calls);
  await expect(withClient(first, async () => undefined)).rejects.toThrow("password");
  await withClient(second, (worker) => worker.query("select ops.now()"));
  expect(await keys()).toBe(1);
  expect(said.filter((line) => /tg_/.test(line))).toHaveLength(1);
  await init(ownerUrl, { ...options, newKey: true });
  expect(await keys()).toBe(2);
});

test("where Cloudflare does not take the secret, the Worker that runs keeps its password", async () => {
  const { calls, options } = recorded();
  await init(ownerUrl, options);
  const before = secretOf(calls);
  await expect(init(ownerUrl, recorded(true).options)).rejects.toThrow("the password is unchanged");
  await withClient(before, (worker) => worker.query("select ops.now()"));
});

test("deploy: the first time it does what deploy:init does; later it migrates, checks and uploads", async () => {
  const { calls, options } = recorded();
  await deploy(ownerUrl, options);
  await deploy(ownerUrl, options);
  expect(calls.map(({ words }) => words)).toEqual([
    ["secret", "bulk", "--env="],
    ["deploy", "--env="],
    ["deploy", "--env="],
  ]);
});

test("A17 deploy uploads nothing to a database that lacks something", async () => {
  await deploy(ownerUrl, recorded().options);
  await withClient(ownerUrl, (owner) => owner.query("drop index ledger.lot_drain"));
  const { calls, options } = recorded();
  await expect(deploy(ownerUrl, options)).rejects.toThrow("missing: index ledger.lot_drain");
  expect(calls).toEqual([]);
});

test("a role that could write is refused before anything at Cloudflare changes", async () => {
  const { calls, options } = recorded();
  await init(ownerUrl, options);
  await withClient(ownerUrl, (owner) => owner.query("grant insert on ops.audit to tollgate_worker"));
  await expect(init(ownerUrl, options)).rejects.toThrow("tollgate_worker may INSERT on ops.audit");
  expect(calls).toHaveLength(1);
});

test("a dry run is for a database of this machine only", async () => {
  const url = "postgresql://owner:secret@ep-x.eu-central-1.aws.neon.tech/db";
  await expect(init(url, { dryRun: true })).rejects.toThrow(/dry run.*not ep-x/);
  await expect(deploy(url, { dryRun: true })).rejects.not.toThrow("secret");
});

test("the Worker's connection string has nothing of the owner's but the host and the database", () => {
  const url = urlOfWorker(
    "postgresql://owner:secret@ep-x.aws.neon.tech/db?sslmode=require&channel_binding=require&x=1",
    "p@ss",
  );
  expect(url).toBe("postgresql://tollgate_worker:p%40ss@ep-x.aws.neon.tech/db?sslmode=require");
});

test("the dry runs of both commands, as they are typed, and the second keeps what the first made", async () => {
  const first = await typed(["init", "--dry-run"]);
  expect(first.code, first.output).toBe(0);
  expect(first.output).toMatch(/tg_[\w-]{43}/);
  const second = await typed(["--dry-run"]);
  expect(second.code, second.output).toBe(0);
  expect(second.output).toContain("Every migration was applied already.");
  expect(second.output).toContain("--dry-run: exiting now");
  expect(first.output + second.output).not.toContain(ownerRole);
  expect(await keys()).toBe(1);
});

/** Runs db/tool/deploy.ts as npm does, with the owner's connection string in the environment. */
async function typed(words: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [join(projectRoot, "db/tool/deploy.ts"), ...words], {
    cwd: projectRoot,
    env: { ...process.env, DATABASE_URL: ownerUrl, CLOUDFLARE_API_TOKEN: "", WRANGLER_SEND_METRICS: "false" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [output, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, output: output + errors };
}
