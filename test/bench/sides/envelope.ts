import { randomUUID } from "node:crypto";
import { any, connect, disconnect, nth } from "../arena.ts";
import type { Arena } from "../arena.ts";
import type { Group } from "../measure.ts";
import { spendManyStatement, spendManyValues, spendStatement, spendValues } from "../spend.ts";

const clients = 8;
const batchSize = 100;

/** The statement that a spend cannot do without, by itself: no key, no idempotency, no lots, no ledger. */
const bareUpdate = `update bench.account set available = available - $2
 where owner_id = $1 and unit = 'credit' and available >= $2 returning available`;

const anew = () => randomUUID();
const again = (workspace: string) => `again and again, ${workspace}`;

/** What the envelope and the ledger cost, over Postgres's own protocol and prepared, without any HTTP. */
export async function envelope(arena: Arena): Promise<Group> {
  const { credential, workspaces } = arena;
  const connections = await connect(arena.workerUrl, clients);
  const backends = connections.map(({ pid }) => pid);
  const one = nth(workspaces, 0);

  const send = async (client: number, name: string, text: string, values: unknown[]) => {
    const { rowCount } = await nth(connections, client).client.query({ name, text, values });
    if (rowCount !== 1) {
      throw new Error(`${name} answered ${rowCount} rows`);
    }
  };
  const bare = (workspace: () => string) => (client: number) => send(client, "bare", bareUpdate, [workspace(), 1]);
  const spend = (workspace: () => string, key: (workspace: string) => string) => (client: number) => {
    const id = workspace();
    return send(client, "spend", spendStatement, spendValues({ credential, workspace: id, key: key(id) }));
  };
  const batch = (client: number) => {
    const keys = Array.from({ length: batchSize }, () => randomUUID());
    const caller = { credential, workspace: one, key: randomUUID() };
    return send(client, "batch", spendManyStatement, spendManyValues(caller, keys));
  };
  const spread = () => any(workspaces);
  const single = () => one;

  // The first calls, which the replays repeat.
  for (const workspace of workspaces) {
    await send(0, "spend", spendStatement, spendValues({ credential, workspace, key: again(workspace) }));
  }
  const shared = { clients, backends };
  return {
    sides: [
      { name: "bare UPDATE, spread", ...shared, call: bare(spread) },
      { name: "spend, spread", ...shared, call: spend(spread, anew) },
      { name: "replayed spend, spread", ...shared, call: spend(spread, again) },
      { name: "bare UPDATE, one workspace", ...shared, call: bare(single) },
      { name: "spend, one workspace", ...shared, call: spend(single, anew) },
      { name: "spend in batches of 100, one workspace", ...shared, call: batch, things: batchSize },
    ],
    ratios: [
      { what: "spend / bare guarded UPDATE, spread", of: "spend, spread", to: "bare UPDATE, spread", reach: 0.45 },
      {
        what: "spend / bare guarded UPDATE, one workspace",
        of: "spend, one workspace",
        to: "bare UPDATE, one workspace",
      },
      { what: "replayed key / first call", of: "replayed spend, spread", to: "spend, spread", reach: 4 },
      {
        what: "batch of 100 / 100 singles, one workspace",
        of: "spend in batches of 100, one workspace",
        to: "spend, one workspace",
        reach: 10,
      },
    ],
    stop: () => disconnect(...connections),
  };
}
