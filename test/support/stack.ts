import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { z } from "zod";
import { projectRoot } from "../world/bundle.ts";
import { allProcesses, commandLine, ended, recordOf } from "../world/process.ts";

/** What `dev.json` says. */
const address = z.strictObject({
  url: z.string(),
  operator_key: z.string().regex(/^tg_[A-Za-z0-9_-]{43}$/),
  workspace_id: z.uuid(),
  database_url: z.string(),
  worker_database_url: z.string(),
  bridge_url: z.string(),
  dev_url: z.string(),
  stripe_url: z.string(),
  provisioner_url: z.string(),
  receiver_url: z.string(),
  mail_url: z.string(),
  telegram_url: z.string(),
  btcpay_url: z.string(),
  outside_log: z.string(),
  pid: z.int(),
});
export type Address = z.infer<typeof address>;

/** A stack that was started as a user would, in a process group of its own as a terminal gives it one. */
export interface Started {
  child: ChildProcess;
  pid: number;
  /** What it has printed. */
  said: () => string;
  exit: Promise<number | null>;
}

/** A folder of a test's own, and the local stacks that are started in it. */
export class StackFolder {
  readonly path: string;
  readonly started: Started[] = [];

  constructor() {
    this.path = fs.mkdtempSync(join(tmpdir(), "tollgate-stack-"));
    // Root's Postgres runs as nobody and must come through.
    fs.chmodSync(this.path, 0o755);
  }

  start(...words: string[]): Started {
    return this.#launch(process.execPath, [...program, "--directory", this.path, ...words], {});
  }

  /** As npm does it: by a shell that is told of a signal and does not hand it on. */
  startUnderNpm(): Started {
    const line = [process.execPath, ...program, "--directory", this.path].map((word) => `'${word}'`).join(" ");
    return this.#launch("sh", ["-c", `${line}; exit $?`], { npm_lifecycle_event: "dev" });
  }

  /** Waits until a stack has said that it runs, and reads where. */
  async running(stack: Started): Promise<Address> {
    await hasSaid(stack, "Ctrl-C stops it.");
    return address.parse(JSON.parse(fs.readFileSync(join(this.path, "dev.json"), "utf8")));
  }

  /** The processes of a running stack besides its own. */
  parts(): { postgres: number; worker: number } {
    const lock = fs.readFileSync(join(this.path, "postgres/data/postmaster.pid"), "utf8");
    return {
      postgres: Number(lock.split("\n")[0]),
      worker: Number(fs.readFileSync(join(this.path, "worker.pid"), "utf8")),
    };
  }

  /** No process that names this folder, and no file that says that one runs. */
  expectNothingLeft(): void {
    const left = allProcesses()
      .map((pid) => commandLine(pid) ?? "")
      .filter((line) => line.includes(`${this.path}/`));
    expect(left).toEqual([]);
    for (const file of ["dev.json", "dev.lock", "worker.pid"]) {
      expect(fs.existsSync(join(this.path, file)), file).toBe(false);
    }
  }

  /** Stops what still runs, and takes the folder away. */
  async remove(): Promise<void> {
    for (const { child, exit } of this.started) {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGINT");
      }
      await exit;
    }
    this.expectNothingLeft();
    fs.rmSync(this.path, { recursive: true, force: true });
  }

  #launch(command: string, words: string[], more: NodeJS.ProcessEnv): Started {
    // Whatever account at Stripe this machine's developer has: a test has none of it.
    // The usual port is whose who comes first: of two that start at once, one would wait for it for ever.
    const own = { TOLLGATE_PORT: String(20_000 + Number(process.env["VITEST_POOL_ID"] ?? 0)) };
    const env = { ...process.env, ...own, STRIPE_SECRET_KEY: "", CHECKOUT_ORIGINS: "", ...more };
    const child = spawn(command, words, { cwd: projectRoot, detached: true, env, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const listen = (chunk: Buffer): void => {
      output += chunk.toString("utf8");
    };
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    const exit = new Promise<number | null>((resolve) => child.once("close", (code) => resolve(code)));
    const one: Started = { child, pid: child.pid ?? 0, said: () => output, exit };
    this.started.push(one);
    return one;
  }
}

const program = ["with-node.js", "dev.ts"].map((file) => join(projectRoot, "test/world", file));

/** Waits until a stack has said this; fails with what it said instead when it ends before. */
export async function hasSaid(stack: Started, text: string): Promise<void> {
  const over = stack.exit.then(() => true);
  for (;;) {
    if (stack.said().includes(text)) {
      return;
    }
    const next = new Promise<false>((resolve) => stack.child.stdout?.once("data", () => resolve(false)));
    if ((await Promise.race([over, next])) && !stack.said().includes(text)) {
      throw new Error(`The stack ended before it said "${text}". It said:\n${stack.said()}`);
    }
  }
}

/** Kills processes as a machine that fails does, and waits until they are gone. */
export async function kill(...pids: number[]): Promise<void> {
  const records = pids.map((pid) => recordOf(pid));
  for (const pid of pids) {
    process.kill(pid, "SIGKILL");
  }
  for (const record of records) {
    expect(record === null || (await ended(record, 10_000))).toBe(true);
  }
}
