import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { quietWrangler } from "../bundle.ts";
import { commandLine, ended, groupMembers, recordOf } from "../process.ts";
import { errorCode } from "../system-error.ts";
import { workerReport } from "./worker-order.ts";
import type { WorkerOrder, WorkerReport } from "./worker-order.ts";

/** The Worker of the local stack, rebuilt whenever its source changes. */
export interface DevWorker {
  url: string;
  /** Resolves when its process has ended, for whatever reason. */
  ended: Promise<void>;
  stop(): Promise<void>;
}

const program = fileURLToPath(new URL("worker-process.ts", import.meta.url));

/** Where the process group of the running Worker is written down, for a start after a kill. */
const recordFile = "worker.pid";

/**
 * Starts the Worker's process; resolves when it answers, rejects with what wrangler said when it does not build, and ends
 * the process when it is not wanted any more before it is up.
 */
export async function startDevWorker(directory: string, order: WorkerOrder, signal: AbortSignal): Promise<DevWorker> {
  // A process group of its own: Ctrl-C reaches the terminal's whole group, and it is the stack that decides on the order.
  const child = spawn(process.execPath, ["--no-warnings", program], {
    detached: true,
    windowsHide: true,
    env: { ...process.env, ...quietWrangler },
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const end = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  if (child.pid !== undefined) {
    fs.writeFileSync(join(directory, recordFile), String(child.pid));
  }
  const stop = async (): Promise<void> => {
    if (child.connected) {
      child.disconnect();
    }
    await endGroup(child.pid ?? 0);
    fs.rmSync(join(directory, recordFile), { force: true });
  };
  const report = new Promise<WorkerReport>((resolve) => {
    child.once("message", (message) => resolve(workerReport.parse(message)));
    void end.then(() => resolve({ kind: "failed", message: "Its process ended." }));
  });
  // Where the process has ended already, its end says so.
  child.send(order, () => undefined);
  const hangUp = (): void => (child.connected ? child.disconnect() : undefined);
  signal.addEventListener("abort", hangUp, { once: true });
  const said = await report;
  signal.removeEventListener("abort", hangUp);
  if (said.kind === "failed") {
    await stop();
    throw new Error(`The Worker does not start. ${said.message}`);
  }
  return { url: said.url, ended: end, stop };
}

/** Ends what a killed stack left of its Worker: wrangler's process, if it lives, and workerd, which may have outlived it. */
export async function endLeftoverWorker(directory: string): Promise<void> {
  const path = join(directory, recordFile);
  if (fs.existsSync(path)) {
    await endGroup(Number(fs.readFileSync(path, "utf8")));
    fs.rmSync(path, { force: true });
  }
}

/** Waits for a Worker's process group to end by itself, as it does when its stack is gone, and kills what does not. */
async function endGroup(group: number): Promise<void> {
  const leader = recordOf(group);
  if (leader !== null && isOurs(group)) {
    await ended(leader, 5_000);
  }
  for (const pid of groupMembers(group).filter(isOurs)) {
    const record = recordOf(pid);
    try {
      process.kill(pid, "SIGKILL");
    } catch (error) {
      if (errorCode(error) !== "ESRCH") {
        throw error;
      }
    }
    if (record !== null) {
      await ended(record, 5_000);
    }
  }
}

/** A number may have been given to somebody else since: only wrangler's process and what it starts is ended. */
function isOurs(pid: number): boolean {
  return /worker-process\.ts|workerd|esbuild/.test(commandLine(pid) ?? "");
}
