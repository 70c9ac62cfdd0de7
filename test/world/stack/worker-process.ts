import { unstable_startWorker as startWrangler } from "wrangler";
import { workerOrder } from "./worker-order.ts";
import type { WorkerReport } from "./worker-order.ts";

/**
 * The process that runs wrangler's dev server for the local stack. It is a process of its own because wrangler ends its
 * process at once on Ctrl-C, before Postgres could be stopped in order; and it ends by itself when the stack's process
 * is gone, because workerd would otherwise live on and keep the port.
 */
let dispose: (() => Promise<void>) | undefined;

/** wrangler waits for ever for a port that somebody else has taken meanwhile, and so does its disposal. */
const [startMs, disposeMs] = [90_000, 5_000];

// From the first moment: the stack may be gone before wrangler is up. What wrangler has started by then ends with this.
process.once("disconnect", () => {
  void Promise.race([dispose?.(), after(disposeMs)]).finally(() => process.exit(0));
});

process.once("message", (message) => {
  run(workerOrder.parse(message)).catch((error: unknown) => {
    tell({ kind: "failed", message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    process.exit(1);
  });
});

async function run(order: ReturnType<typeof workerOrder.parse>): Promise<void> {
  const worker = await startWrangler({
    config: order.config,
    env: order.environment,
    bindings: Object.fromEntries(
      Object.entries(order.vars).map(([name, value]) => [name, { type: "secret_text" as const, value }]),
    ),
    dev: {
      server: { hostname: "127.0.0.1", port: order.port },
      watch: true,
      liveReload: false,
      persist: false,
      inspector: false,
      logLevel: "warn",
      registry: undefined,
      structuredLogsHandler: ({ message }: { message: string }) => {
        process.stdout.write(`${message}\n`);
      },
    },
  });
  dispose = () => worker.dispose();
  const url = await Promise.race([worker.url, after(startMs)]);
  if (url === undefined) throw new Error(`It does not listen on port ${order.port}: is that another program's by now?`);
  tell({ kind: "ready", url: url.origin });
}

function after(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(resolve, ms, undefined));
}

function tell(report: WorkerReport): void {
  process.send?.(report);
}
