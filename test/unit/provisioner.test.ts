import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { describe, expect, test as base } from "vitest";
import { openProvisioner } from "../../src/outside/provisioner/open.ts";
import { Refused, Unavailable } from "../../src/outside/peer.ts";
import { until } from "../support/barrier.ts";
import { accountOf, addition, all, failure, keys, removal } from "../support/provisioners.ts";
import { readme } from "../support/readme.ts";
import { projectRoot } from "../world/bundle.ts";
import { freePort } from "../world/free-port.ts";
import { startProvisioner } from "../world/provisioner.ts";

const test = base
  // oxlint-disable-next-line no-empty-pattern -- vitest reads a fixture's needs from its pattern and takes no other
  .extend("own", async ({}, { onCleanup }) => {
    const own = await startProvisioner();
    onCleanup(() => own.stop());
    return own;
  });

describe("our own contract", () => {
  test("adds, removes and lists; each again is the same", async ({ own }) => {
    const provisioner = openProvisioner(accountOf(own.bindings));
    const [one = "", two = "", three = ""] = keys(3);
    for (const key of [two, one, two, three]) await provisioner.add(addition(key));
    for (const key of [three, three]) await provisioner.remove(removal(key));
    expect(await provisioner.list(null, 10)).toEqual({ keys: [one, two], shut: [], next: null });
    expect(own.history.map(({ did, key }) => `${did} ${key}`)).toEqual([
      `added ${two}`,
      `added ${one}`,
      `added ${three}`,
      `removed ${three}`,
    ]);
    const given = addition(two);
    await provisioner.add(given);
    const { headers, text } = own.requests.at(-1) ?? {};
    expect(headers?.["webhook-id"]).toBe(given.message_id);
    expect(JSON.parse(text ?? "")).toEqual(given);
  });

  test("pages a list by its keys", async ({ own }) => {
    const there = keys(25);
    for (const key of there) own.keys.set(key, { key_id: key, workspace_id: null });
    expect(await all(openProvisioner(accountOf(own.bindings)), 10)).toEqual({ keys: there, shut: [], parts: 3 });
  });

  test("what is signed is the method, the path and the body: with another secret nothing is done", async ({ own }) => {
    const other = accountOf({ ...own.bindings, PROVISIONER_SECRET: `whsec_${"A".repeat(32)}` });
    const thrown = await failure(openProvisioner(other).add(addition(randomUUID())));
    expect(thrown).toBeInstanceOf(Unavailable);
    const provisioner = openProvisioner(accountOf(own.bindings));
    const [one = "", two = ""] = keys(2);
    await provisioner.add(addition(one));
    const { headers, text } = own.requests.at(-1) ?? { headers: {}, text: "" };
    const replayed = await fetch(`${own.url}/keys/${two}`, { method: "PUT", headers: { ...headers }, body: text });
    expect(replayed.status).toBe(401);
    const changed = await fetch(`${own.url}/keys/${one}`, { method: "DELETE", headers: { ...headers } });
    expect(changed.status).toBe(401);
    expect([...own.keys.keys()]).toEqual([one]);
  });

  test.for([
    ["not JSON", "<html>"],
    ["no list", { next: null }],
    ["not sorted", { keys: keys(2).toReversed(), next: null }],
    ["one twice", { keys: ["1", "1"].map(() => "11111111-1111-4111-8111-111111111111"), next: null }],
    ["not after what was asked for", { keys: ["00000000-0000-4000-8000-000000000000"], next: null }],
    ["in capitals", { keys: ["AAAAAAAA-AAAA-4AAA-8AAA-AAAAAAAAAAAA"], next: null }],
    [
      "more than was asked for",
      {
        keys: keys(11)
          .map((key) => key.replace(/^./, "f"))
          .toSorted(),
        next: null,
      },
    ],
    ["that goes on elsewhere", { keys: [], next: "ffffffff-ffff-4fff-8fff-ffffffffffff" }],
  ] as const)("a list that is %s is not believed", async ([, body], { own }) => {
    const provisioner = openProvisioner(accountOf(own.bindings));
    own.answers = () => ({ status: 200, body });
    const thrown = await failure(provisioner.list("10000000-0000-4000-8000-000000000000", 10));
    expect(thrown).toBeInstanceOf(Unavailable);
  });

  test("what will never be taken is told from what may pass", async ({ own }) => {
    const provisioner = openProvisioner(accountOf(own.bindings));
    for (const [status, kind] of [
      [400, Refused],
      [422, Refused],
      [401, Unavailable],
      [302, Unavailable],
      [503, Unavailable],
    ] as const) {
      own.answers = () => ({ status });
      expect(await failure(provisioner.add(addition(randomUUID()))), `${status}`).toBeInstanceOf(kind);
      expect(await failure(provisioner.remove(removal(randomUUID()))), `${status}`).toBeInstanceOf(kind);
    }
  });
});

test("the server that README shows keeps the contract", async ({ own }) => {
  const [, text = ""] = /This is a whole server:\n\n```js\n(.*?)```/s.exec(readme) ?? [];
  expect(text.split("\n").length).toBeLessThan(42);
  const port = await freePort();
  const { PROVISIONER_SECRET = "" } = own.bindings;
  const env = { ...process.env, PORT: String(port), PROVISIONER_SECRET };
  const server = spawn(process.execPath, ["--input-type=module", "-"], {
    cwd: projectRoot,
    env,
    stdio: ["pipe", "ignore", "inherit"],
  });
  try {
    server.stdin.end(text);
    const url = `http://127.0.0.1:${port}`;
    await until("it listens", () =>
      fetch(url).then(
        (response) => response.status === 401,
        () => false,
      ),
    );
    const provisioner = openProvisioner(accountOf({ ...own.bindings, PROVISIONER_URL: url }));
    const there = keys(5);
    for (const key of [...there, ...there]) await provisioner.add(addition(key));
    expect(await all(provisioner, 2)).toEqual({ keys: there, shut: [], parts: 3 });
    for (const key of there) for (let i = 0; i < 2; i += 1) await provisioner.remove(removal(key));
    expect(await provisioner.list(null, 1000)).toEqual({ keys: [], shut: [], next: null });
    const stranger = accountOf({
      ...own.bindings,
      PROVISIONER_URL: url,
      PROVISIONER_SECRET: `whsec_${"A".repeat(32)}`,
    });
    expect(await failure(openProvisioner(stranger).add(addition(randomUUID())))).toBeInstanceOf(Unavailable);
  } finally {
    server.kill();
  }
});
