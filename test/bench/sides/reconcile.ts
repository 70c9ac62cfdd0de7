import { randomUUID } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { migrate } from "../../../db/tool/migrate.ts";
import { prepareWorkerRole } from "../../../db/tool/role.ts";
import { reconciliation } from "../../../src/access/reconcile.ts";
import { settings as settingsOf } from "../../../src/env.ts";
import { Shift, Tick } from "../../../src/sweeps/shift.ts";
import { startProvisioner } from "../../world/provisioner.ts";
import { createDatabase, urlFor, withClient } from "../../world/roles.ts";
import { nth } from "../arena.ts";
import type { Arena } from "../arena.ts";
import { startAside } from "../aside.ts";
import type { Fact } from "../measure.ts";

/** Keys that should be at the provisioner; half of the differences it lacks, half it has besides. */
const [size, differences] = [100_000, 100];

/**
 * One pass over a provisioner's whole list, in a database of its own: what it costs in time, round trips and memory, where all but some
 * keys are as they should be. The stand-in's own memory is there before the pass begins.
 */
export async function reconciling(arena: Arena): Promise<Fact[]> {
  const name = "reconciling";
  await createDatabase(arena.superuserUrl, name);
  const [ownerUrl, workerUrl] = [urlFor(arena.ownerUrl, name), urlFor(arena.workerUrl, name)];
  await migrate(ownerUrl);
  await withClient(ownerUrl, (owner) => prepareWorkerRole(owner, decodeURIComponent(new URL(workerUrl).password)));
  const keys = await withClient(ownerUrl, async (owner) => {
    const { rows } = await owner.query<{ key: string }>(
      `insert into access.key (id, key, workspace_id, subscription_id, state, created_at)
       select uuidv7(), gen_random_uuid(), uuidv7(), uuidv7(), 'pending', ops.now() from generate_series(1, $1) i
       returning key`,
      [size],
    );
    await owner.query("update access.key set state = 'active', activated_at = ops.now()");
    await owner.query("update ops.clock set clock_offset = interval '1 hour'");
    await owner.query("analyze");
    return rows.map(({ key }) => key);
  });
  const bridge = await startAside({ kind: "bridge", port: arena.cluster.port });
  const provisioner = await startProvisioner();
  try {
    for (const key of keys.slice(differences / 2)) provisioner.keys.set(key, { key_id: key, workspace_id: null });
    for (let i = 0; i < differences / 2; i += 1) provisioner.keys.set(randomUUID(), { key_id: "", workspace_id: null });
    const settings = settingsOf({
      // A client of the driver's is kept for each address, with the way that it was made with.
      DATABASE_URL: `${workerUrl}?application_name=${name}`,
      DATABASE_FETCH_ENDPOINT: `http://127.0.0.1:${bridge.port}/sql`,
      ...provisioner.bindings,
    });
    const before = collected();
    const watch = new Peak();
    provisioner.watch = () => watch.look();
    const shift = new Shift(new Tick(settings), reconciliation.name, 600_000);
    const started = performance.now();
    const { processed } = await reconciliation.work(shift);
    const seconds = (performance.now() - started) / 1000;
    if (processed !== differences / 2) throw new Error(`${processed} of ${differences / 2} missing keys were added`);
    const strays = await withClient(ownerUrl, (owner) => owner.query("select from access.stray"));
    if (strays.rowCount !== differences / 2) throw new Error(`${strays.rowCount} strays were seen`);
    const grown = (watch.highest - before) / 2 ** 20;
    const pages = `${shift.trace.round_trips} round trips`;
    return [
      {
        what: `reconciliation: a pass over ${size.toLocaleString("en")} keys with ${differences} differences`,
        figure: `${seconds.toFixed(1)} s, ${pages}`,
      },
      {
        what: "reconciliation: memory that the pass needs at most, after collection",
        figure: `${grown.toFixed(1)} MiB`,
      },
    ];
  } finally {
    await provisioner.stop();
    await bridge.stop();
  }
}

/** Bytes of the heap that are still needed. */
function collected(): number {
  setFlagsFromString("--expose-gc");
  nth<() => void>([runInNewContext("gc")], 0)();
  return process.memoryUsage().heapUsed;
}

/** The most that was needed at any look: one in ten is taken, collecting takes time. */
class Peak {
  highest = 0;
  #looks = 0;

  look(): void {
    this.#looks += 1;
    if (this.#looks % 10 === 0) this.highest = Math.max(this.highest, collected());
  }
}
