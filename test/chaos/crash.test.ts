import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Pool } from "pg";
import { expect, test } from "vitest";
import { migrate } from "../../db/tool/migrate.ts";
import { prepareWorkerRole } from "../../db/tool/role.ts";
import { Api } from "../support/api.ts";
import type { Answer } from "../support/api.ts";
import { assertInvariants } from "../support/invariants.ts";
import { startTestWorker } from "../support/worker.ts";
import { startBridge } from "../world/bridge.ts";
import { ensureOperatorKey, newKey } from "../world/operator-key.ts";
import { startCluster } from "../world/postgres.ts";
import type { Cluster } from "../world/postgres.ts";
import { createDatabase, createOwner, ownerRole, urlFor, withClient, workerRole } from "../world/roles.ts";
import type { RunningWorker } from "../world/worker.ts";

/**
 * A stack of the test's own, whose parts die under load. `up` is the promise that the part that died last is there
 * again: a client that failed waits for it, and then sends the same request with the same key.
 */
class Stage {
  readonly #directory = mkdtempSync(join(tmpdir(), "tollgate-crash-"));
  readonly #end: (() => Promise<void>)[] = [];
  #cluster!: Cluster;
  #worker!: RunningWorker;
  #operatorKey = "";
  #workerUrl = "";
  #bridgeUrl = "";
  #ownerUrl = "";
  up: Promise<void> = Promise.resolve();

  async start(): Promise<void> {
    this.#end.push(async () => rmSync(this.#directory, { recursive: true, force: true }));
    this.#cluster = await startCluster({ directory: this.#directory });
    this.#end.push(() => this.#cluster.stop());
    const [owner, worker] = [randomBytes(16).toString("hex"), randomBytes(16).toString("hex")];
    await createOwner(this.#cluster.url("postgres"), owner);
    await createDatabase(this.#cluster.url("postgres"), "crash");
    const superuserUrl = this.#cluster.url("crash");
    this.#ownerUrl = urlFor(superuserUrl, "crash", ownerRole, owner);
    this.#workerUrl = urlFor(superuserUrl, "crash", workerRole, worker);
    await migrate(this.#ownerUrl);
    this.#operatorKey = await newKey();
    await withClient(this.#ownerUrl, async (client) => {
      await prepareWorkerRole(client, worker);
      await ensureOperatorKey(client, this.#operatorKey, "test");
    });
    const bridge = await startBridge({ target: { host: this.#cluster.host, port: this.#cluster.port } });
    this.#end.push(() => bridge.stop());
    this.#bridgeUrl = bridge.url;
    this.#worker = await startTestWorker(this.#workerUrl, bridge.url);
    this.#end.push(() => this.#worker.stop());
  }

  async stop(): Promise<void> {
    for (const end of this.#end.toReversed()) await end();
  }

  get api(): Api {
    return new Api(this.#worker.url, this.#operatorKey);
  }

  async owner<Found>(work: (db: Pool) => Promise<Found>): Promise<Found> {
    const db = new Pool({ connectionString: this.#ownerUrl, max: 2 });
    try {
      return await work(db);
    } finally {
      await db.end();
    }
  }

  /** Ends every backend of the Worker's role, whatever it is doing; there must be some. */
  async killBackends(): Promise<void> {
    const { rowCount } = await withClient(this.#cluster.url("crash"), (client) =>
      client.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = $1", [workerRole]),
    );
    expect(rowCount).toBeGreaterThan(0);
  }

  /** kill -9 of the server; the next start recovers from its log. The data directory and the port stay. */
  killPostgres(): Promise<void> {
    this.up = (async () => {
      const { pid, ended, port } = this.#cluster;
      process.kill(pid, "SIGKILL");
      await ended;
      this.#cluster = await startCluster({ directory: this.#directory, port });
    })();
    return this.up;
  }

  /** Ends workerd with all that it has under way, and starts another on another port. */
  killWorker(): Promise<void> {
    this.up = (async () => {
      await this.#worker.stop();
      this.#worker = await startTestWorker(this.#workerUrl, this.#bridgeUrl);
    })();
    return this.up;
  }
}

/** What dies, and whether clients notice: a lost backend is the Worker's to repeat, silently. */
const crashes: [what: string, crash: (stage: Stage) => Promise<void>, noticed: boolean][] = [
  ["every backend is terminated", (stage) => stage.killBackends(), false],
  ["Postgres is killed -9 and comes back", (stage) => stage.killPostgres(), true],
  ["the Worker is killed and comes back", (stage) => stage.killWorker(), true],
];

const operations = 240;
const clients = 8;
const granted = 1_000;

test.for(crashes)("A11 under load %s: every key has its one effect, whole", async ([, crash, noticed]) => {
  const stage = new Stage();
  try {
    await stage.start();
    const { id, credits } = await stage.api.workspace({ bulk: granted });
    const left = Array.from({ length: operations }, (_, i) => i);
    let answered = 0;
    let failures = 0;

    /** One operation of a client that never gives up on a key: 5xx and a broken connection say nothing. */
    const perform = async (i: number): Promise<Answer> => {
      for (let sends = 0; sends < 100; sends += 1) {
        const { up } = stage;
        try {
          const answer =
            i % 4 === 0
              ? await stage.api.post(`${credits}/holds`, { amount: 1, expires_in: 3_600 }, `hold-${i}`)
              : await stage.api.post(`${credits}/spend`, { amount: 1 }, `spend-${i}`);
          if (answer.status < 500) return answer;
        } catch (error) {
          if (!(error instanceof Error)) throw error;
        }
        failures += 1;
        await (stage.up === up ? up : stage.up);
      }
      throw new Error(`operation ${i} was never answered`);
    };
    const client = async (): Promise<void> => {
      for (let i = left.shift(); i !== undefined; i = left.shift()) {
        const answer = await perform(i);
        expect([i, answer.status]).toEqual([i, i % 4 === 0 ? 201 : 200]);
        answered += 1;
        // Three crashes, each in the middle of what the other clients do.
        if (answered % (operations / 4) === 0 && answered < operations) await crash(stage);
      }
    };
    await Promise.all(Array.from({ length: clients }, client));

    await stage.owner(async (db) => {
      const { rows } = await db.query(
        `select kind, count(*)::int as times, count(distinct idempotency_key)::int as keys
           from ledger.transaction where owner_id = $1 and kind in ('spend', 'hold') group by kind order by kind`,
        [id],
      );
      expect(rows).toEqual([
        { kind: "hold", times: operations / 4, keys: operations / 4 },
        { kind: "spend", times: (operations * 3) / 4, keys: (operations * 3) / 4 },
      ]);
      await assertInvariants(db);
    });
    expect((await stage.api.get(credits)).body).toMatchObject({
      available: granted - operations,
      held: operations / 4,
    });
    expect(failures > 0).toBe(noticed);
  } finally {
    await stage.stop();
  }
});
