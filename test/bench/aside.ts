import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import * as z from "zod";
import { startBridge } from "../world/bridge.ts";
import { startDelay } from "./delay.ts";

/**
 * What stands between the callers and Postgres, in a process of its own: in the callers' it would take its turns from
 * them, and a slow side would be slow for a reason that is only the bench's.
 */
const order = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("bridge"), port: z.int() }),
  z.object({ kind: z.literal("delay"), port: z.int(), roundTripMs: z.number() }),
]);
type Order = z.infer<typeof order>;

export interface Aside {
  port: number;
  stop: () => Promise<void>;
}

/** Starts a bridge, or a delay, before the Postgres on `order.port` of this machine. */
export async function startAside(wish: Order): Promise<Aside> {
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(wish)]);
  const ended = once(child, "exit");
  const said = await Promise.race([once(child, "message"), ended.then(() => null)]);
  if (said === null) {
    throw new Error(`the ${wish.kind} did not start`);
  }
  return {
    port: z.int().parse(said[0]),
    stop: async () => {
      child.disconnect();
      await ended;
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const wish = order.parse(JSON.parse(process.argv[2] ?? ""));
  const target = { host: "127.0.0.1", port: wish.port };
  const started =
    wish.kind === "bridge"
      ? await startBridge({ target, maxConnections: 32 })
      : await startDelay({ target, roundTripMs: wish.roundTripMs });
  // Whoever ordered it has gone, or wishes it to go.
  process.once("disconnect", () => void started.stop().then(() => process.exit(0)));
  process.send?.(started.port);
}
