import { randomBytes, randomUUID } from "node:crypto";
import { Client } from "pg";
import { migrate } from "../../db/tool/migrate.ts";
import { prepareWorkerRole } from "../../db/tool/role.ts";
import { sha256 } from "../../src/http/credential.ts";
import { ensureOperatorKey, newKey } from "../world/operator-key.ts";
import { startEphemeralCluster } from "../world/postgres.ts";
import type { Cluster } from "../world/postgres.ts";
import { createDatabase, createOwner, ownerRole, urlFor, withClient, workerRole } from "../world/roles.ts";
import { spendStatement, spendValues } from "./spend.ts";

/** What every side is measured on: a Postgres of the bench's own, durable, migrated, with workspaces that have credits. */
export interface Arena {
  cluster: Cluster;
  postgresVersion: string;
  ownerUrl: string;
  workerUrl: string;
  superuserUrl: string;
  /** An operator's key, and what the database knows of it. */
  key: string;
  credential: string;
  workspaces: string[];
  stop: () => Promise<void>;
}

/** Workspaces of the sides that are spread: enough that two clients seldom meet. */
const workspaceCount = 256;
/** More than any run spends. */
const credits = 1_000_000_000_000;
/** Calls before anything is measured: tables that are not empty, so that ANALYZE says what there is. */
const warmUpCalls = 2000;

/** Builds the arena: schema by the migrations, workspaces, some history, ANALYZE. */
export async function buildArena(): Promise<Arena> {
  const cluster = await startEphemeralCluster();
  try {
    const name = "bench";
    const [ownerPassword, workerPassword] = [
      randomBytes(16).toString("base64url"),
      randomBytes(16).toString("base64url"),
    ];
    await createOwner(cluster.url("postgres"), ownerPassword);
    await createDatabase(cluster.url("postgres"), name);
    const superuserUrl = urlFor(cluster.url("postgres"), name);
    const ownerUrl = urlFor(superuserUrl, name, ownerRole, ownerPassword);
    const workerUrl = urlFor(superuserUrl, name, workerRole, workerPassword);
    await migrate(ownerUrl);
    await withClient(ownerUrl, (owner) => prepareWorkerRole(owner, workerPassword));
    const postgresVersion = await withClient(superuserUrl, (superuser) => asDeployed(superuser, name));
    const key = await newKey();
    const workspaces = await withClient(ownerUrl, async (owner) => {
      await ensureOperatorKey(owner, key, "bench");
      await makeBareAccounts(owner);
      return makeWorkspaces(owner);
    });
    const arena: Arena = {
      cluster,
      postgresVersion,
      ownerUrl,
      workerUrl,
      superuserUrl,
      key,
      credential: await sha256(key),
      workspaces,
      stop: () => cluster.stop(),
    };
    await makeHistory(arena);
    return arena;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

/** A connection with the id of its backend. */
export interface Connection {
  client: Client;
  pid: number;
}

/** Answers stay as Postgres's text: parsing them would be the callers' work, on the processors that are measured. */
const unparsed = { getTypeParser: () => String };

/** Opens so many connections. */
export async function connect(url: string, count: number): Promise<Connection[]> {
  return await Promise.all(
    Array.from({ length: count }, async () => {
      const client = new Client({ connectionString: url, types: unparsed });
      await client.connect();
      const found = await client.query<{ pid: string }>("select pg_backend_pid() as pid");
      return { client, pid: Number(found.rows[0]?.pid) };
    }),
  );
}

export async function disconnect(...connections: Connection[]): Promise<void> {
  await Promise.all(connections.map(({ client }) => client.end()));
}

/** The i-th of what must have one there. */
export function nth<Item>(items: readonly Item[], index: number): Item {
  const item = items[index];
  if (item === undefined) {
    throw new Error(`there is no item ${index}`);
  }
  return item;
}

/** Any of the items. */
export function any<Item>(items: readonly Item[]): Item {
  return nth(items, Math.floor(Math.random() * items.length));
}

/** The local stack's checks of plpgsql code are for development; a deployed database has none of them, and fsync. */
async function asDeployed(superuser: Client, database: string): Promise<string> {
  await superuser.query(`alter database ${database} set plpgsql.extra_errors = 'none'`);
  const { rows } = await superuser.query<{ fsync: string; commits: string; version: string }>(
    `select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commits,
            current_setting('server_version') as version`,
  );
  const { fsync, commits, version } = nth(rows, 0);
  if (fsync !== "on" || commits !== "on") {
    throw new Error(`a commit must be durable here: fsync is ${fsync}, synchronous_commit ${commits}`);
  }
  return version;
}

/** The bare side's table: the very columns, domains, checks, indexes and storage of ledger.account. */
async function makeBareAccounts(owner: Client): Promise<void> {
  await owner.query(`create schema bench`);
  await owner.query(`create table bench.account (like ledger.account including all)`);
  const { rows } = await owner.query<{ options: string }>(
    "select array_to_string(reloptions, ', ') as options from pg_class where oid = 'ledger.account'::regclass",
  );
  await owner.query(`alter table bench.account set (${nth(rows, 0).options})`);
  await owner.query(`grant usage on schema bench to ${workerRole}`);
  await owner.query(`grant select, update on bench.account to ${workerRole}`);
}

async function makeWorkspaces(owner: Client): Promise<string[]> {
  const made: string[] = [];
  await owner.query("begin");
  for (let i = 0; i < workspaceCount; i += 1) {
    const { rows } = await owner.query<{ id: string }>(
      "select id from people.create_workspace(name => 'bench', caused_by => 'bench')",
    );
    const { id } = nth(rows, 0);
    await owner.query(
      `select ledger.grant(owner_id => $1, unit => 'credit', pool => 'bulk', amount => $2, expires_at => null,
         reason => null, idempotency_key => 'bench', caused_by => 'bench')`,
      [id, credits],
    );
    made.push(id);
  }
  await owner.query("insert into bench.account select * from ledger.account");
  await owner.query("commit");
  return made;
}

async function makeHistory({ ownerUrl, workerUrl, superuserUrl, credential, workspaces }: Arena): Promise<void> {
  const connections = await connect(workerUrl, 8);
  await Promise.all(
    connections.map(async ({ client }) => {
      for (let i = 0; i < warmUpCalls / connections.length; i += 1) {
        await client.query({
          text: spendStatement,
          values: spendValues({ credential, workspace: any(workspaces), key: randomUUID() }),
        });
      }
    }),
  );
  await disconnect(...connections);
  await withClient(ownerUrl, (owner) => owner.query("vacuum analyze"));
  await withClient(superuserUrl, (superuser) => superuser.query("checkpoint"));
}
