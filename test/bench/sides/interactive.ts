import { randomUUID } from "node:crypto";
import type { Client } from "pg";
import { any, connect, disconnect, nth } from "../arena.ts";
import type { Arena } from "../arena.ts";
import { startAside } from "../aside.ts";
import { median } from "../measure.ts";
import type { Fact, Group } from "../measure.ts";
import { spendStatement, spendValues } from "../spend.ts";

const clients = 8;
const answer = JSON.stringify({ transaction_id: randomUUID(), amount: 1, drawn_pools: ["bulk"], drawn_amounts: [1] });

/**
 * The same work as a service of the usual kind does it: a transaction of one statement after the other, each a round
 * trip, the account's row locked from its SELECT to COMMIT. The same tables, the same rows at the end, prepared too.
 */
async function spendInteractively(client: Client, credential: string, workspace: string): Promise<void> {
  const ask = async (name: string, text: string, values: unknown[]) => {
    const { rows } = await client.query<Record<string, string>>({ name, text, values });
    return rows;
  };
  const [key, transaction] = [randomUUID(), randomUUID()];
  const [caller] = await ask(
    "key",
    `select k.id from people.api_key k join people.workspace w on w.id = $2
      where k.hash = $1 and k.revoked_at is null and 'credits:write' = any (k.scopes)`,
    [credential, workspace],
  );
  await client.query("begin");
  const claimed = await ask(
    "claim",
    `insert into ops.request (workspace_id, idempotency_key, fingerprint, request_id, answer, created_at)
     values ($1, $2, '\\x00', $3, '{}', clock_timestamp()) on conflict do nothing returning request_id`,
    [workspace, key, randomUUID()],
  );
  const [account] = await ask(
    "account",
    "select available from ledger.account where owner_id = $1 and unit = 'credit' for update",
    [workspace],
  );
  const [lot] = await ask(
    "lots",
    `select id, available from ledger.lot where owner_id = $1 and unit = 'credit' and not empty
      order by drain_order, expires_at, id`,
    [workspace],
  );
  if (caller === undefined || claimed.length !== 1 || account === undefined || lot === undefined) {
    throw new Error("the interactive spend found no key, no free idempotency key, no account or no lot");
  }
  await ask("spend", "update ledger.account set available = available - 1 where owner_id = $1 and unit = 'credit'", [
    workspace,
  ]);
  await ask(
    "draw",
    "update ledger.lot set available = available - 1 where owner_id = $1 and unit = 'credit' and id = $2",
    [workspace, lot["id"]],
  );
  await ask(
    "post",
    `insert into ledger.transaction
       (owner_id, unit, id, kind, amount, sides, lots, amounts, idempotency_key, caused_by, created_at)
     values ($1, 'credit', $2, 'spend', 1, '{available,spent}', array[$3, $3]::uuid[], '{-1,1}', $4, $5, clock_timestamp())`,
    [workspace, transaction, lot["id"], key, caller["id"]],
  );
  await ask("remember", "update ops.request set answer = $3 where workspace_id = $1 and idempotency_key = $2", [
    workspace,
    key,
    answer,
  ]);
  await client.query("commit");
}

/** One statement against nine, at a network's round trip. */
export async function interactive(arena: Arena, roundTripMs: number): Promise<Group> {
  const { credential, workspaces } = arena;
  const delay = roundTripMs === 0 ? null : await startAside({ kind: "delay", port: arena.cluster.port, roundTripMs });
  const through = (url: string) => {
    const changed = new URL(url);
    changed.port = String(delay?.port ?? arena.cluster.port);
    return changed.href;
  };
  const worker = await connect(through(arena.workerUrl), clients);
  // The Worker's role may not write by itself; an interactive service must.
  const owner = await connect(through(arena.ownerUrl), clients);
  const roundTrip = await roundTripOf(nth(worker, 0).client);

  const spend = (workspace: () => string) => async (client: number) => {
    const values = spendValues({ credential, workspace: workspace(), key: randomUUID() });
    await nth(worker, client).client.query({ name: "spend", text: spendStatement, values });
  };
  const separately = (workspace: () => string) => (client: number) =>
    spendInteractively(nth(owner, client).client, credential, workspace());
  const spread = () => any(workspaces);
  const one = () => nth(workspaces, 1);

  const at = ` at ${roundTripMs} ms`;
  const far = roundTripMs > 0;
  const ofWorker = { clients, backends: worker.map(({ pid }) => pid) };
  const ofOwner = { clients, backends: owner.map(({ pid }) => pid) };
  return {
    sides: [
      { name: `spend, spread,${at}`, ...ofWorker, call: spend(spread) },
      { name: `interactive spend, spread,${at}`, ...ofOwner, call: separately(spread) },
      { name: `spend, one workspace,${at}`, ...ofWorker, call: spend(one) },
      { name: `interactive spend, one workspace,${at}`, ...ofOwner, call: separately(one) },
    ],
    ratios: [
      {
        what: `spend / interactive, spread,${at}`,
        of: `spend, spread,${at}`,
        to: `interactive spend, spread,${at}`,
        ...(far ? { reach: 3 } : {}),
      },
      {
        what: `spend / interactive, one workspace,${at}`,
        of: `spend, one workspace,${at}`,
        to: `interactive spend, one workspace,${at}`,
        ...(far ? { reach: 10 } : {}),
      },
    ],
    facts: (): Fact[] => [{ what: `round trip to Postgres${at}, as measured`, figure: `${roundTrip.toFixed(2)} ms` }],
    stop: async () => {
      await disconnect(...worker, ...owner);
      await delay?.stop();
    },
  };
}

async function roundTripOf(client: Client): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 100; i += 1) {
    const before = performance.now();
    await client.query({ name: "nothing", text: "select 1" });
    times.push(performance.now() - before);
  }
  return median(times);
}
