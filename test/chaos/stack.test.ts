import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { z } from "zod";
import { projectRoot } from "../world/bundle.ts";
import { freePort } from "../world/free-port.ts";
import { allProcesses, commandLine, ended, groupMembers, recordOf } from "../world/process.ts";
import { withClient } from "../world/roles.ts";

const address = z.object({
  url: z.string(),
  operator_key: z.string().regex(/^tg_[A-Za-z0-9_-]{43}$/),
  workspace_id: z.uuid(),
  database_url: z.string(),
  worker_database_url: z.string(),
  bridge_url: z.string(),
  dev_url: z.string(),
  pid: z.int(),
});
type Address = z.infer<typeof address>;

/** A stack that was started as a user would, in a process group of its own as a terminal gives it one. */
interface Started {
  child: ChildProcess;
  pid: number;
  /** What it has printed. */
  said: () => string;
  exit: Promise<number | null>;
}

// A start takes two seconds on a quiet machine and fifteen on a busy one, and some of these start three times.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

let directory: string;
let started: Started[];

beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), "tollgate-stack-"));
  // Root's Postgres runs as nobody and must come through.
  fs.chmodSync(directory, 0o755);
  started = [];
});

afterEach(async () => {
  for (const { child, exit } of started) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGINT");
    }
    await exit;
  }
  await expectNothingLeft();
  fs.rmSync(directory, { recursive: true, force: true });
});

function start(...words: string[]): Started {
  return launch(process.execPath, [...program(), "--directory", directory, ...words], process.env);
}

/** As npm does it: by a shell that is told of a signal and does not hand it on. */
function startUnderNpm(): Started {
  const line = [process.execPath, ...program(), "--directory", directory].map((word) => `'${word}'`).join(" ");
  return launch("sh", ["-c", `${line}; exit $?`], { ...process.env, npm_lifecycle_event: "dev" });
}

const program = (): string[] => ["with-node.js", "dev.ts"].map((file) => join(projectRoot, "test/world", file));

function launch(command: string, words: string[], env: NodeJS.ProcessEnv): Started {
  const child = spawn(command, words, { cwd: projectRoot, detached: true, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const listen = (chunk: Buffer): void => {
    output += chunk.toString("utf8");
  };
  child.stdout.on("data", listen);
  child.stderr.on("data", listen);
  const exit = new Promise<number | null>((resolve) => child.once("close", (code) => resolve(code)));
  const one: Started = { child, pid: child.pid ?? 0, said: () => output, exit };
  started.push(one);
  return one;
}

/** Waits until a stack has said that it runs, and reads where. */
async function running(stack: Started): Promise<Address> {
  await hasSaid(stack, "Ctrl-C stops it.");
  return address.parse(JSON.parse(fs.readFileSync(join(directory, "dev.json"), "utf8")));
}

/** Waits until a stack has said this; fails with what it said instead when it ends before. */
async function hasSaid(stack: Started, text: string): Promise<void> {
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

/** The processes of a running stack besides its own. */
function parts(): { postgres: number; worker: number } {
  const lock = fs.readFileSync(join(directory, "postgres/data/postmaster.pid"), "utf8");
  return {
    postgres: Number(lock.split("\n")[0]),
    worker: Number(fs.readFileSync(join(directory, "worker.pid"), "utf8")),
  };
}

async function kill(...pids: number[]): Promise<void> {
  const records = pids.map((pid) => recordOf(pid));
  for (const pid of pids) {
    process.kill(pid, "SIGKILL");
  }
  for (const record of records) {
    expect(record === null || (await ended(record, 10_000))).toBe(true);
  }
}

/** No process that names this stack's directory, and no file that says that it runs. */
async function expectNothingLeft(): Promise<void> {
  const left = allProcesses()
    .map((pid) => commandLine(pid) ?? "")
    .filter((line) => line.includes(`${directory}/`));
  expect(left).toEqual([]);
  for (const file of ["dev.json", "dev.lock", "worker.pid"]) {
    expect(fs.existsSync(join(directory, file)), file).toBe(false);
  }
}

test("it starts, refuses a second start by name, and stops in order however often it is told to", async () => {
  const stack = start();
  const found = await running(stack);
  expect((await fetch(`${found.url}/ready`)).status).toBe(200);
  expect(fs.statSync(join(directory, "dev.json")).mode & 0o777).toBe(0o600);
  const worker = parts().worker;
  expect(groupMembers(worker).length).toBeGreaterThan(1);

  const second = start();
  expect(await second.exit).toBe(1);
  expect(second.said()).toContain(`already running: process ${found.pid}, ${found.url}`);
  expect((await fetch(`${found.url}/ready`)).status).toBe(200);

  // As a terminal does it: the whole group is told, and told again while it stops.
  process.kill(-stack.pid, "SIGINT");
  await hasSaid(stack, "stopping");
  process.kill(-stack.pid, "SIGINT");
  expect(await stack.exit).toBe(0);
  expect(groupMembers(worker).filter((pid) => recordOf(pid) !== null)).toEqual([]);
  await expectNothingLeft();
});

test("data, key, passwords and Postgres's port are kept between starts; --reset empties the data and keeps the key", async () => {
  const first = await running(start());
  await withClient(first.database_url, (client) =>
    client.query("select people.create_workspace(name => 'kept', caused_by => 'test')"),
  );
  started[0]?.child.kill("SIGTERM");
  expect(await started[0]?.exit).toBe(0);
  const second = await running(start());
  expect({ ...second, pid: 0, url: "", bridge_url: "", dev_url: "" }).toEqual({
    ...first,
    pid: 0,
    url: "",
    bridge_url: "",
    dev_url: "",
  });
  expect(await count(second, "people.workspace where name = 'kept'")).toBe(1);
  started[1]?.child.kill("SIGINT");
  expect(await started[1]?.exit).toBe(0);
  const third = await running(start("--reset"));
  expect(third.operator_key).toBe(first.operator_key);
  expect(await count(third, "people.workspace where name = 'kept'")).toBe(0);
  const answer = await fetch(`${third.url}/v1/workspaces/${third.workspace_id}/credits`, {
    headers: { Authorization: `Bearer ${third.operator_key}` },
  });
  expect(answer.status).toBe(200);
});

test("the clock moves forward by the dev server, and only forward", async () => {
  const found = await running(start());
  const post = async (body: unknown): Promise<{ status: number; body: unknown }> => {
    const answer = await fetch(`${found.dev_url}/clock`, { method: "POST", body: JSON.stringify(body) });
    return { status: answer.status, body: await answer.json() };
  };
  const now = async (): Promise<number> =>
    await withClient(found.database_url, async (client) => {
      const { rows } = await client.query<{ now: Date }>("select ops.now() as now");
      return rows[0]?.now.getTime() ?? 0;
    });
  const before = await now();
  expect(await post({ advance: "31 days" })).toMatchObject({ status: 200, body: { offset: "31 days", tick: "ok" } });
  expect((await now()) - before).toBeGreaterThanOrEqual(31 * 86_400_000);
  for (const wrong of [
    {},
    { advance: "-1 days" },
    { advance: "yesterday" },
    { advance: "6000 years" },
    { advance: 5 },
    null,
  ]) {
    expect((await post(wrong)).status, JSON.stringify(wrong)).toBe(422);
  }
  const page = await fetch(`${found.dev_url}/clock`, {
    method: "POST",
    headers: { Origin: "https://example.com" },
    body: '{"advance":"1 day"}',
  });
  expect(page.status).toBe(403);
  expect(await (await fetch(`${found.dev_url}/clock`)).json()).toMatchObject({ offset: "31 days" });
  expect(await (await fetch(`${found.dev_url}/tick`, { method: "POST" })).json()).toEqual({ tick: "ok" });
});

test("a stack that was killed leaves nothing that the next start cannot clear", async () => {
  const first = await running(start());
  const before = parts();
  await kill(first.pid);
  const second = await running(start());
  expect(recordOf(before.postgres)).toBeNull();
  expect(groupMembers(before.worker).filter((pid) => recordOf(pid) !== null)).toEqual([]);
  expect((await fetch(`${second.url}/ready`)).status).toBe(200);

  const { postgres, worker } = parts();
  await kill(second.pid, worker, postgres);
  const third = await running(start());
  expect(groupMembers(worker).filter((pid) => recordOf(pid) !== null)).toEqual([]);
  expect((await fetch(`${third.url}/ready`)).status).toBe(200);
});

test.for(["postgres", "worker"] as const)("when its %s is killed it says so and stops the rest", async (part) => {
  const stack = start();
  await running(stack);
  await kill(parts()[part]);
  expect(await stack.exit).toBe(1);
  expect(stack.said()).toMatch(/ended unexpectedly/);
  await expectNothingLeft();
  const again = await running(start());
  expect((await fetch(`${again.url}/ready`)).status).toBe(200);
});

test.for(["starting Postgres", "migrating the database", "starting the Worker"])(
  "Ctrl-C while it is %s leaves nothing",
  async (line) => {
    const stack = start();
    await hasSaid(stack, line);
    process.kill(-stack.pid, "SIGINT");
    expect(await stack.exit).toBe(0);
    await expectNothingLeft();
  },
);

test("npm that is ended takes the stack with it, though its shell hands no signal on", async () => {
  const npm = startUnderNpm();
  const found = await running(npm);
  expect(found.pid).not.toBe(npm.pid);
  npm.child.kill("SIGTERM");
  await hasSaid(npm, "npm has ended; stopping");
  await npm.exit;
  await expectNothingLeft();
});

test("a chosen port that is taken is named, and what had started is stopped", async () => {
  const taken = createServer();
  const port = await freePort();
  await new Promise<void>((resolve) => taken.listen(port, "127.0.0.1", resolve));
  try {
    for (const option of ["--port", "--postgres-port"]) {
      const stack = start(option, String(port));
      expect(await stack.exit).toBe(1);
      expect(stack.said()).toContain(`Port ${port} of 127.0.0.1`);
      await expectNothingLeft();
    }
    const wrong = start("--port", "99999");
    expect(await wrong.exit).toBe(1);
    expect(wrong.said()).toContain('--port takes a port from 1 to 65535, not "99999"');
  } finally {
    taken.close();
  }
});

async function count(found: Address, what: string): Promise<number> {
  return await withClient(found.database_url, async (client) => {
    const { rows } = await client.query<{ n: number }>(`select count(*)::int as n from ${what}`);
    return rows[0]?.n ?? -1;
  });
}
