import * as fs from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { StackFolder, hasSaid, kill } from "../support/stack.ts";
import type { Address } from "../support/stack.ts";
import { groupMembers, recordOf } from "../world/process.ts";
import { withClient } from "../world/roles.ts";

// A start takes two seconds on a quiet machine and fifteen on a busy one, and some of these start three times.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

let folder: StackFolder;

beforeEach(() => {
  folder = new StackFolder();
});

afterEach(() => folder.remove());

test("it starts, refuses a second start by name, and stops in order however often it is told to", async () => {
  const stack = folder.start();
  const found = await folder.running(stack);
  expect((await fetch(`${found.url}/ready`)).status).toBe(200);
  expect(fs.statSync(join(folder.path, "dev.json")).mode & 0o777).toBe(0o600);
  const worker = folder.parts().worker;
  expect(groupMembers(worker).length).toBeGreaterThan(1);

  const second = folder.start();
  expect(await second.exit).toBe(1);
  expect(second.said()).toContain(`already running: process ${found.pid}, ${found.url}`);
  expect((await fetch(`${found.url}/ready`)).status).toBe(200);

  // As a terminal does it: the whole group is told, and told again while it stops.
  process.kill(-stack.pid, "SIGINT");
  await hasSaid(stack, "stopping");
  process.kill(-stack.pid, "SIGINT");
  expect(await stack.exit).toBe(0);
  expect(groupMembers(worker).filter((pid) => recordOf(pid) !== null)).toEqual([]);
  folder.expectNothingLeft();
});

test("data, key, passwords and Postgres's port are kept between starts; --reset empties the data and keeps the key", async () => {
  const first = await folder.running(folder.start());
  await withClient(first.database_url, (client) =>
    client.query("select people.create_workspace(name => 'kept', caused_by => 'test')"),
  );
  folder.started[0]?.child.kill("SIGTERM");
  expect(await folder.started[0]?.exit).toBe(0);
  const second = await folder.running(folder.start());
  const others = { pid: 0, url: "", bridge_url: "", dev_url: "", stripe_url: "" };
  expect({ ...second, ...others }).toEqual({ ...first, ...others });
  expect(await count(second, "people.workspace where name = 'kept'")).toBe(1);
  folder.started[1]?.child.kill("SIGINT");
  expect(await folder.started[1]?.exit).toBe(0);
  const third = await folder.running(folder.start("--reset"));
  expect(third.operator_key).toBe(first.operator_key);
  expect(await count(third, "people.workspace where name = 'kept'")).toBe(0);
  const answer = await fetch(`${third.url}/v1/workspaces/${third.workspace_id}/credits`, {
    headers: { Authorization: `Bearer ${third.operator_key}` },
  });
  expect(answer.status).toBe(200);
});

test("the clock moves forward by the dev server, and only forward", async () => {
  const found = await folder.running(folder.start());
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
  // The shop's pages say what the API says, of a workspace that there is.
  const thanks = async (of: string): Promise<string> => await (await fetch(`${found.dev_url}/thanks${of}`)).text();
  expect(await thanks("")).toContain('<strong id="credits">0</strong>');
  expect(await thanks("?workspace=..%2F<script>")).toMatch(/no such workspace(?![^]*script)/);
});

test("a stack that was killed leaves nothing that the next start cannot clear", async () => {
  const first = await folder.running(folder.start());
  const before = folder.parts();
  await kill(first.pid);
  const second = await folder.running(folder.start());
  expect(recordOf(before.postgres)).toBeNull();
  expect(groupMembers(before.worker).filter((pid) => recordOf(pid) !== null)).toEqual([]);
  expect((await fetch(`${second.url}/ready`)).status).toBe(200);

  const { postgres, worker } = folder.parts();
  await kill(second.pid, worker, postgres);
  const third = await folder.running(folder.start());
  expect(groupMembers(worker).filter((pid) => recordOf(pid) !== null)).toEqual([]);
  expect((await fetch(`${third.url}/ready`)).status).toBe(200);
});

test.for(["postgres", "worker"] as const)("when its %s is killed it says so and stops the rest", async (part) => {
  const stack = folder.start();
  await folder.running(stack);
  await kill(folder.parts()[part]);
  expect(await stack.exit).toBe(1);
  expect(stack.said()).toMatch(/ended unexpectedly/);
  folder.expectNothingLeft();
  const again = await folder.running(folder.start());
  expect((await fetch(`${again.url}/ready`)).status).toBe(200);
});

test.for(["starting Postgres", "migrating the database", "starting Stripe in miniature", "starting the Worker"])(
  "Ctrl-C while it is %s leaves nothing",
  async (line) => {
    const stack = folder.start();
    await hasSaid(stack, line);
    process.kill(-stack.pid, "SIGINT");
    expect(await stack.exit).toBe(0);
    folder.expectNothingLeft();
  },
);

test("npm that is ended takes the stack with it, though its shell hands no signal on", async () => {
  const npm = folder.startUnderNpm();
  const found = await folder.running(npm);
  expect(found.pid).not.toBe(npm.pid);
  npm.child.kill("SIGTERM");
  await hasSaid(npm, "npm has ended; stopping");
  await npm.exit;
  folder.expectNothingLeft();
});

test("a chosen port that is taken is named, and what had started is stopped", async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const address = taken.address();
  const port = typeof address === "object" ? address?.port : address;
  try {
    for (const option of ["--port", "--postgres-port", "--stripe-port"]) {
      const stack = folder.start(option, String(port));
      expect(await stack.exit).toBe(1);
      expect(stack.said()).toContain(`Port ${port} of 127.0.0.1`);
      folder.expectNothingLeft();
    }
    const wrong = folder.start("--port", "99999");
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
