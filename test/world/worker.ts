import { dirname } from "node:path";
import { Miniflare, NoOpLog, convertV4MiniflareOptions } from "miniflare";
import type { V4MiniflareOptions } from "miniflare";
import type { BuiltWorker } from "./bundle.ts";

/** A line that the Worker logged. */
export interface LogLine {
  level: string;
  message: string;
}

/** A Worker that runs in workerd. */
export interface RunningWorker {
  /** `http://127.0.0.1:<port>`, without a slash at its end. */
  url: string;
  /** What it logged since the start, or since this was emptied. */
  logs: LogLine[];
  /** Does what the Cron Trigger does, and resolves when that is done. */
  tick(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Runs a built Worker in workerd, for tests. workerd itself connects to the bridge: behind wrangler's own test harness a
 * cut connection would reach the Worker as an answer with status 500, and an aborted fetch would not reach the bridge.
 */
export async function startWorker(built: BuiltWorker, vars: Record<string, string>): Promise<RunningWorker> {
  const logs: LogLine[] = [];
  const options: V4MiniflareOptions = {
    ...built.options,
    name: "tollgate",
    modules: [{ type: "ESModule", path: built.script }],
    modulesRoot: dirname(built.script),
    bindings: vars,
    host: "127.0.0.1",
    port: 0,
    cf: false,
    log: new NoOpLog(),
    logRequests: false,
    unsafeTriggerHandlers: true,
    handleStructuredLogs: ({ level, message }) => {
      logs.push({ level, message });
    },
    handleUncaughtError: (error) => {
      logs.push({ level: "error", message: error.stack ?? String(error) });
    },
  };
  const miniflare = new Miniflare(convertV4MiniflareOptions(options));
  const url = (await miniflare.ready).origin;
  return {
    url,
    logs,
    tick: () => tickOverHttp(url),
    stop: () => miniflare.dispose(),
  };
}

/** Has a Worker's scheduled handler run, through the path that wrangler and miniflare keep for it. */
export async function tickOverHttp(url: string, cut?: AbortSignal): Promise<void> {
  const path = `/cdn-cgi/local/scheduled?format=json&cron=${encodeURIComponent("* * * * *")}`;
  const answer = await fetch(`${url}${path}`, cut === undefined ? {} : { signal: cut });
  const body = await answer.text();
  if (!answer.ok || !body.includes('"outcome":"ok"')) {
    throw new Error(`The cron failed: ${answer.status} ${body}`);
  }
}
