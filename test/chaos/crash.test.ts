import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { randomBytes } from "node:crypto";
import { Pool } from "pg";
import type { PoolClient } from "pg";
import { describe, expect, inject } from "vitest";
import { migrate } from "../../db/tool/migrate.ts";
import { prepareWorkerRole } from "../../db/tool/role.ts";
import { Api } from "../support/api.ts";
import { blockedBackends, race, until } from "../support/barrier.ts";
import { Envelope, declared, throughBridge } from "../support/envelope.ts";
import { assertInvariants } from "../support/invariants.ts";
import { Account, advance, rows } from "../support/scenario.ts";
import { startTestWorker } from "../support/worker.ts";
import { test as inWorld } from "../support/world.ts";
import { startBridge } from "../world/bridge.ts";
import { ensureOperatorKey, newKey } from "../world/operator-key.ts";
import { startCluster } from "../world/postgres.ts";
import { createDatabase, createOwner, ownerRole, withClient, workerRole } from "../world/roles.ts";
import { assertEachOnce, load, requests } from "./load.ts";
import type { Progress, Whereabouts } from "./load.ts";

const test = inWorld.extend("api", ({ world }) => new Api(world.url, world.operatorKey));

const granted = 1_000;

/** Does something each time that a further part of the load is known: `parts` times in all. */
async function atProgress(progress: Progress, parts: number, work: () => Promise<void>): Promise<void> {
  for (let part = 1; part <= parts; part += 1) {
    const due = Math.floor((requests * part) / (parts + 1));
    await until(`${due} requests are known`, async () => progress.known >= due, 60_000);
    await work();
  }
}

/** Ends backends of the Worker's that are in the middle of a statement; answers how many. */
async function terminate(superuserUrl: string, database: string, statement = "ops.admit("): Promise<number> {
  const found = await withClient(superuserUrl, (client) =>
    client.query<{ ended: boolean }>(
      `select pg_terminate_backend(pid) as ended from pg_stat_activity
        where datname = $1 and usename = $2 and state = 'active' and query like '%' || $3 || '%'`,
      [database, workerRole, statement],
    ),
  );
  return found.rows.filter(({ ended }) => ended).length;
}

describe("a backend that is terminated", () => {
  test("A11 in the middle of a statement leaves nothing, and the next send does it once", async ({
    world,
    api,
    db,
  }) => {
    const { id, credits } = await api.workspace({ bulk: 10 });
    const gate = await db.connect();
    try {
      await gate.query("begin");
      await gate.query("select from ledger.account where owner_id = $1 for update", [id]);
      const spending = api.post(`${credits}/spend`, { amount: 3 });
      await blockedBackends(db, 1);
      expect(await terminate(world.database.superuserUrl, world.database.name)).toBe(1);
      // It has come again, and waits as the first did.
      await blockedBackends(db, 1);
      await gate.query("rollback");
      expect(await spending).toMatchObject({ status: 200, body: { available: 7 } });
    } finally {
      gate.release(true);
    }
  });

  test("A11 between the effect and the commit leaves nothing of it", async ({ world, api, db }) => {
    const { id, credits } = await api.workspace({ bulk: 10 });
    const envelope = new Envelope(world.operatorKey, throughBridge(world));
    const gate = await db.connect();
    try {
      // The request's row is written last: whoever waits for it has done everything else.
      await gate.query("begin");
      await gate.query(
        `insert into ops.request (workspace_id, idempotency_key, fingerprint, request_id, answer, created_at)
         values ($1, 'mine', '\\x00', uuidv7(), '{}', ops.now())`,
        [id],
      );
      const spending = envelope.write(
        declared("ledger.spend"),
        { unit: "credit", amount: 3, reason: null },
        { workspace: id, key: "mine" },
      );
      await blockedBackends(db, 1);
      expect(await terminate(world.database.superuserUrl, world.database.name)).toBe(1);
      await blockedBackends(db, 1);
      expect((await api.get(credits)).body).toMatchObject({ available: 10 });
      await gate.query("rollback");
      expect(await spending).toMatchObject({ answer: { available: 7 }, replayed: false });
    } finally {
      gate.release(true);
    }
  });

  test(
    "A11 backends terminated again and again under a load: each key once",
    { timeout: 120_000 },
    async ({ world, api, db }) => {
      const workspace = await api.workspace({ bulk: granted });
      const progress = { known: 0, unknown: 0 };
      let ended = 0;
      await Promise.all([
        load({ api }, workspace, progress),
        atProgress(progress, 12, async () => {
          const before = ended;
          await until("another one is caught", async () => {
            ended += await terminate(world.database.superuserUrl, world.database.name);
            return ended > before;
          });
        }),
      ]);
      expect(ended).toBeGreaterThanOrEqual(12);
      await assertEachOnce(db, workspace, granted);
    },
  );
});

describe("a sweep that is killed in the middle of its batch", () => {
  /** Ten accounts, each with a hold that is due, and a lock that stops the sweep before the last of them. */
  async function due(db: Pool): Promise<{ owners: string[]; gate: PoolClient }> {
    const accounts = await race(10, async () => {
      const account = new Account(db);
      await account.grant(5);
      await account.hold(5, { expires_in: "1 minute" });
      return account;
    });
    await advance(db, "2 minutes");
    const owners = accounts.map(({ owner }) => owner).toSorted();
    const gate = await db.connect();
    await gate.query("begin");
    await gate.query("select from ledger.account where owner_id = $1 for update", [owners.at(-1)]);
    return { owners, gate };
  }

  async function ended(db: Pool, owners: string[]): Promise<number> {
    const [found] = await rows<{ n: number }>(
      db,
      "select count(*)::int as n from ledger.hold where owner_id = any($1) and state = 'expired'",
      [owners],
    );
    return found?.n ?? 0;
  }

  test("A11 its backend terminated: nothing of the batch is done, then all of it once", async ({ world, db }) => {
    const { owners, gate } = await due(db);
    try {
      const tick = world.tick();
      await blockedBackends(db, 1);
      expect(await terminate(world.database.superuserUrl, world.database.name, "ledger.holds_expire(")).toBe(1);
      await blockedBackends(db, 1);
      expect(await ended(db, owners)).toBe(0);
      await gate.query("rollback");
      await tick;
    } finally {
      gate.release(true);
    }
    expect(await ended(db, owners)).toBe(10);
  });

  test("A11 its Worker killed: nothing of the batch is done, and when its lease is over another one does it", async ({
    world,
    db,
    bridge,
  }) => {
    const { owners, gate } = await due(db);
    const worker = await startTestWorker(world.database.workerUrl, bridge.url);
    try {
      const tick = worker.tick().catch(() => "killed");
      await blockedBackends(db, 1);
      await worker.stop();
      expect(await tick).toBe("killed");
    } finally {
      gate.release(true);
    }
    await until("its statement is cancelled", async () => {
      const found = await db.query(
        "select from pg_stat_activity where state = 'active' and query like '%holds_expire(%' and pid <> pg_backend_pid() and datname = current_database()",
      );
      return found.rowCount === 0;
    });
    expect(await ended(db, owners)).toBe(0);
    await world.tick();
    expect(await ended(db, owners)).toBe(0);
    await advance(db, "2 minutes");
    await world.tick();
    expect(await ended(db, owners)).toBe(10);
  });
});

test(
  "A11 the Worker killed in the middle of a load, and another one started, three times: each key once",
  {
    timeout: 180_000,
  },
  async ({ world, api, db, bridge }) => {
    const workspace = await api.workspace({ bulk: granted });
    const progress = { known: 0, unknown: 0 };
    let worker = await startTestWorker(world.database.workerUrl, bridge.url);
    const where: Whereabouts = { api: new Api(worker.url, world.operatorKey) };
    await Promise.all([
      load(where, workspace, progress),
      atProgress(progress, 3, async () => {
        await worker.stop();
        worker = await startTestWorker(world.database.workerUrl, bridge.url);
        where.api = new Api(worker.url, world.operatorKey);
      }),
    ]);
    await worker.stop();
    expect(progress.unknown).toBeGreaterThan(0);
    await assertEachOnce(db, workspace, granted);
  },
);

test(
  "A11 Postgres killed in the middle of a load, and started again, twice: what was answered is there, each key once",
  {
    timeout: 240_000,
  },
  async () => {
    await using crashing = await startCrashing();
    const { api, owner } = crashing;
    const workspace = await api.workspace({ bulk: granted });
    const progress = { known: 0, unknown: 0 };
    await Promise.all([load({ api }, workspace, progress), atProgress(progress, 2, () => crashing.crash())]);
    expect(progress.unknown).toBeGreaterThan(0);
    await assertEachOnce(owner, workspace, granted);
    await assertInvariants(owner);
    // What was answered before the crashes is answered again after them.
    const again = await race(5, () => api.post(`${workspace.credits}/spend`, { amount: 3 }, "0-0-spend"));
    for (const { headers } of again) expect(headers.get("Idempotent-Replayed")).toBe("true");
  },
);

/** A stack whose Postgres is its own, to be killed. */
async function startCrashing() {
  // In the run's own directory, so that what a killed run leaves is removed by the next one.
  const directory = mkdtempSync(join(dirname(inject("bundle")), "crash-"));
  chmodSync(directory, 0o711);
  let cluster = await startCluster({ directory });
  const { port } = cluster;
  const [ownerPassword, workerPassword] = [randomBytes(16).toString("hex"), randomBytes(16).toString("hex")];
  await createOwner(cluster.url("postgres"), ownerPassword);
  await createDatabase(cluster.url("postgres"), "crash");
  const ownerUrl = cluster.url("crash", ownerRole, ownerPassword);
  await migrate(ownerUrl);
  await withClient(ownerUrl, (client) => prepareWorkerRole(client, workerPassword));
  const owner = new Pool({ connectionString: ownerUrl, max: 5 });
  owner.on("error", () => undefined);
  const operatorKey = await newKey();
  await ensureOperatorKey(owner, operatorKey, "test");
  const bridge = await startBridge({ target: { host: cluster.host, port } });
  const worker = await startTestWorker(cluster.url("crash", workerRole, workerPassword), bridge.url);
  return {
    api: new Api(worker.url, operatorKey),
    owner,
    /** Kills the server and all of its backends, with nothing said and nothing written, and starts it again. */
    crash: async () => {
      // It leads a process group of its own.
      process.kill(-cluster.pid, "SIGKILL");
      await cluster.ended;
      cluster = await startCluster({ directory, port });
    },
    [Symbol.asyncDispose]: async () => {
      await worker.stop();
      await bridge.stop();
      await owner.end();
      await cluster.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
