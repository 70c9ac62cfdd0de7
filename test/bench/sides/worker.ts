import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import * as z from "zod";
import type { BuiltWorker } from "../../world/bundle.ts";
import { any } from "../arena.ts";
import type { Arena } from "../arena.ts";
import { startAside } from "../aside.ts";
import { openCallers } from "../callers.ts";
import type { Fact, Group } from "../measure.ts";
import { spendStatement, spendValues } from "../spend.ts";
import { compatibilityDateOf, startWorkerd } from "../workerd.ts";

const clients = 32;
/** Requests of each kind whose round trips are counted. */
const counted = 100;

/** The least that a Worker can do: one fetch of what it was sent, and its answer answered. */
export const bareModule = `export default {
  async fetch(request, env) {
    if (request.method === "GET") return new Response("ok");
    const answer = await fetch(env.DATABASE_FETCH_ENDPOINT, {
      method: "POST",
      headers: {
        "Neon-Connection-String": env.DATABASE_URL,
        "Neon-Raw-Text-Output": "true",
        "Neon-Array-Mode": "true",
      },
      body: await request.text(),
    });
    return new Response(await answer.text(), { status: answer.status });
  },
};
`;

const counters = z.object({ requests: z.int(), statements: z.int() });

/** The whole product over HTTP, in workerd, against a Worker that only passes the same statement on. */
export async function worker(arena: Arena, built: BuiltWorker): Promise<Group> {
  const { workspaces, credential, key } = arena;
  const bridge = await startAside({ kind: "bridge", port: arena.cluster.port });
  const bridgeUrl = `http://127.0.0.1:${bridge.port}`;
  const bindings = { DATABASE_URL: arena.workerUrl, DATABASE_FETCH_ENDPOINT: `${bridgeUrl}/sql` };
  const workerd = await startWorkerd(
    [
      { module: readFileSync(built.script, "utf8"), bindings },
      { module: bareModule, bindings },
    ],
    compatibilityDateOf(built),
  );
  const [productUrl = "", bareUrl = ""] = workerd.urls;
  const callers = openCallers(clients);
  const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };

  const send = async (url: string, method: string, extra: Record<string, string>, body?: string) => {
    const { status, text } = await callers.send(url, method, { ...headers, ...extra }, body);
    if (status !== 200) {
      throw new Error(`${method} was answered ${status}: ${text.slice(0, 300)}`);
    }
  };
  const creditsOf = (workspace: string) => `${productUrl}/v1/workspaces/${workspace}/credits`;
  const spend = (workspace: string, name: string) =>
    send(`${creditsOf(workspace)}/spend`, "POST", { "Idempotency-Key": name }, '{"amount":1}');
  const balance = (workspace: string) => send(creditsOf(workspace), "GET", {});
  const bare = () => {
    const params = spendValues({ credential, workspace: any(workspaces), key: randomUUID() });
    return send(bareUrl, "POST", {}, JSON.stringify({ query: spendStatement, params }));
  };

  const roundTrips = await roundTripsOf(bridgeUrl, [
    () => spend(any(workspaces), randomUUID()),
    () => spend(any(workspaces), "the same"),
    () => balance(any(workspaces)),
  ]);
  return {
    sides: [
      { name: "one bare fetch in a Worker", clients, call: bare },
      { name: "spend over HTTP", clients, call: () => spend(any(workspaces), randomUUID()) },
    ],
    ratios: [
      {
        what: "Worker spend / the same Worker runtime doing one bare fetch",
        of: "spend over HTTP",
        to: "one bare fetch in a Worker",
        reach: 0.5,
      },
    ],
    facts: (): Fact[] => [
      {
        what: "database round trips per API request (spends, replays, balances)",
        figure: roundTrips.toFixed(3),
        reach: "exactly 1",
        reached: roundTrips === 1,
      },
    ],
    stop: async () => {
      callers.close();
      await workerd.stop();
      await bridge.stop();
    },
  };
}

/** What the bridge counted for each request: the round trips that the Worker made. */
export async function roundTripsOf(bridgeUrl: string, kinds: (() => Promise<void>)[]): Promise<number> {
  const read = async (method: "GET" | "DELETE") =>
    counters.parse(await (await fetch(`${bridgeUrl}/counters`, { method })).json());
  await read("DELETE");
  for (const ask of kinds) {
    for (let i = 0; i < counted; i += 1) await ask();
  }
  return (await read("GET")).requests / (kinds.length * counted);
}
