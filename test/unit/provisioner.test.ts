import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { describe, expect, test as base } from "vitest";
import { settings, type ProvisionerAccount } from "../../src/env.ts";
import { openProvisioner } from "../../src/outside/provisioner/open.ts";
import type { Provisioner } from "../../src/outside/provisioner/provisioner.ts";
import { Refused, Unavailable } from "../../src/outside/peer.ts";
import { until } from "../support/barrier.ts";
import { readme } from "../support/readme.ts";
import { projectRoot } from "../world/bundle.ts";
import { freePort } from "../world/free-port.ts";
import { startPanel } from "../world/marzban.ts";
import { startProvisioner } from "../world/provisioner.ts";

const DATABASE_URL = "postgresql://tollgate_worker:secret@ep-cool.eu-central-1.aws.neon.tech/tollgate?sslmode=require";
const onThisMachine = { DATABASE_URL, DATABASE_FETCH_ENDPOINT: "http://127.0.0.1:4444/sql" };

function accountOf(bindings: Record<string, string>): ProvisionerAccount {
  const { provisioner } = settings({ ...onThisMachine, ...bindings });
  if (provisioner === null) throw new Error("no provisioner");
  return provisioner;
}

const test = base
  // oxlint-disable-next-line no-empty-pattern -- vitest reads a fixture's needs from its pattern and takes no other
  .extend("own", async ({}, { onCleanup }) => {
    const own = await startProvisioner();
    onCleanup(() => own.stop());
    return own;
  })
  // oxlint-disable-next-line no-empty-pattern -- vitest reads a fixture's needs from its pattern and takes no other
  .extend("panel", async ({}, { onCleanup }) => {
    const panel = await startPanel();
    onCleanup(() => panel.stop());
    return panel;
  });

const nameOf = (key: string) => key.replaceAll("-", "");
const addition = (key: string) => ({ key, key_id: randomUUID(), workspace_id: randomUUID(), message_id: randomUUID() });
const removal = (key: string) => ({ key, message_id: randomUUID() });
const keys = (count: number) => Array.from({ length: count }, () => randomUUID() as string).toSorted();
const failure = (work: Promise<unknown>) =>
  work.then(
    () => null,
    (error: unknown) => error,
  );

/** The whole list, in parts. */
async function all(provisioner: Provisioner, limit = 1000, between: () => void = () => undefined) {
  const found = { keys: [] as string[], shut: [] as string[], parts: 0 };
  for (let after: string | null = null; ;) {
    const part = await provisioner.list(after, limit);
    found.keys.push(...part.keys);
    found.shut.push(...part.shut);
    found.parts += 1;
    if (part.next === null) return found;
    after = part.next;
    between();
  }
}

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

describe("Marzban", () => {
  const proxies = '{"vless":{"flow":"xtls-rprx-vision","inbounds":["VLESS TCP REALITY"]},"trojan":{}}';

  test("makes, removes and lists users; each again is the same", async ({ panel }) => {
    const marzban = openProvisioner(accountOf({ ...panel.bindings, PROVISIONER_PROXIES: proxies }));
    const [one = "", two = ""] = keys(2);
    for (const key of [two, one, two]) await marzban.add(addition(key));
    expect(panel.users.get(nameOf(one))).toEqual({
      username: nameOf(one),
      status: "active",
      note: "tollgate",
      expire: null,
      data_limit: null,
      proxies: { vless: { id: one, flow: "xtls-rprx-vision" }, trojan: { password: nameOf(one) } },
      inbounds: { vless: ["VLESS TCP REALITY"], trojan: ["Trojan WS"] },
    });
    expect(await marzban.list(null, 1000)).toEqual({ keys: [one, two], shut: [], next: null });
    for (const key of [one, one]) await marzban.remove(removal(key));
    expect(await marzban.list(null, 1000)).toEqual({ keys: [two], shut: [], next: null });
    expect(panel.requests.filter(({ path }) => path === "/api/admin/token")).toHaveLength(1);
  });

  test("a user of our name that was shut is listed as such, and opened by adding it", async ({ panel }) => {
    const marzban = openProvisioner(accountOf(panel.bindings));
    const there = keys(4);
    for (const key of there) await marzban.add(addition(key));
    const [disabled, expiring, limited, unmarked] = there.map((key) => panel.users.get(nameOf(key)));
    if (disabled && expiring && limited && unmarked) {
      disabled.status = "disabled";
      expiring.expire = 1;
      limited.data_limit = 1;
      unmarked.note = "mine now";
    }
    expect(await marzban.list(null, 1000)).toEqual({ keys: [], shut: there.slice(0, 3), next: null });
    for (const key of there) await marzban.add(addition(key));
    expect(await marzban.list(null, 1000)).toEqual({ keys: there, shut: [], next: null });
    const before = panel.requests.length;
    for (const key of there) await marzban.add(addition(key));
    expect(panel.requests.slice(before).filter(({ method }) => method === "PUT")).toEqual([]);
  });

  test("D10 users of other people are none of ours, whatever they are called", async ({ panel }) => {
    const marzban = openProvisioner(accountOf(panel.bindings));
    const ours = randomUUID();
    for (const name of ["alice", "0_bob", "f_carol", "0".repeat(32), nameOf(randomUUID()), nameOf(ours).slice(1)])
      panel.make(name);
    // Not random, in capitals, and a name of somebody's who writes the same notes.
    for (const name of ["1".repeat(32), nameOf(randomUUID()).toUpperCase(), "dave"])
      panel.make(name, { note: "tollgate" });
    await marzban.add(addition(ours));
    expect(await marzban.list(null, 1000)).toEqual({ keys: [ours], shut: [], next: null });
  });

  test("lists all that is there by pages of an offset, with others' users between", async ({ panel }) => {
    const there = keys(700);
    for (const key of there) panel.make(nameOf(key), { note: "tollgate" });
    for (const key of keys(300)) panel.make(`${nameOf(key).slice(0, 20)}_x`);
    for (const key of keys(500)) panel.make(`user_${key.slice(0, 20)}`);
    const marzban = openProvisioner(accountOf(panel.bindings));
    expect(await all(marzban)).toMatchObject({ keys: there, shut: [] });
    // Nobody of ours comes after those who begin with u.
    expect(panel.requests.filter(({ path }) => path === "/api/users").length).toBeLessThan(8);
    // Another run goes on anywhere.
    for (const at of [0, 1, 349, 698, 699]) {
      const part = await openProvisioner(accountOf(panel.bindings)).list(there[at] ?? "", 1000);
      expect(part.keys[0]).toBe(there[at + 1]);
    }
  });

  test("what is removed and made while it pages leaves out nobody who was there all the time", async ({ panel }) => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    console.log(`seed ${seed}`);
    let dice = seed;
    const roll = (below: number) => {
      dice = (Math.imul(dice, 1_103_515_245) + 12_345) & 0x7fffffff;
      return dice % below;
    };
    for (let round = 0; round < 10; round += 1) {
      panel.users.clear();
      const there = keys(900);
      for (const key of there) panel.make(nameOf(key), { note: "tollgate" });
      const passing = there.filter(() => roll(3) === 0);
      const staying = there.filter((key) => !passing.includes(key));
      const found = await all(openProvisioner(accountOf(panel.bindings)), 50, () => {
        for (let i = roll(120); i > 0; i -= 1)
          panel.users.delete(nameOf(passing.splice(roll(passing.length), 1)[0] ?? ""));
        for (let i = roll(40); i > 0; i -= 1) panel.make(nameOf(randomUUID()), { note: "tollgate" });
      });
      expect(found.keys).toEqual(expect.arrayContaining(staying));
      expect(found.keys).toEqual(found.keys.toSorted());
      expect(new Set(found.keys).size).toBe(found.keys.length);
    }
  });

  test("a panel that does not sort, or does not page, is not believed", async ({ panel }) => {
    const marzban = openProvisioner(accountOf(panel.bindings));
    await marzban.add(addition(randomUUID()));
    const user = (key: string) => ({ username: nameOf(key), status: "active", note: "tollgate" });
    const both = keys(2).map(user);
    for (const body of [
      { users: both.toReversed(), total: 2 },
      { users: [], total: 5 },
      { users: keys(300).map(user), total: 300 },
      { users: [{ username: 5 }], total: 1 },
      [],
      "<html>",
    ]) {
      panel.answers = () => ({ status: 200, body });
      expect(await failure(marzban.list(null, 1000))).toBeInstanceOf(Unavailable);
    }
  });

  test("logs in again when its token is no longer taken, once for all", async ({ panel }) => {
    const marzban = openProvisioner(accountOf(panel.bindings));
    const there = keys(4);
    await marzban.add(addition(there[0] ?? ""));
    panel.logOut();
    await Promise.all(there.map((key) => marzban.add(addition(key))));
    expect([...panel.users.keys()].toSorted()).toEqual(there.map(nameOf));
    expect(panel.requests.filter(({ path }) => path === "/api/admin/token")).toHaveLength(2);
  });

  test("who may not log in hears that it may pass; what is not set up there is refused", async ({ panel }) => {
    const wrong = accountOf({ ...panel.bindings, PROVISIONER_PASSWORD: "wrong" });
    expect(await failure(openProvisioner(wrong).add(addition(randomUUID())))).toBeInstanceOf(Unavailable);
    const disabled = accountOf({ ...panel.bindings, PROVISIONER_PROXIES: '{"vmess":{}}' });
    expect(await failure(openProvisioner(disabled).add(addition(randomUUID())))).toBeInstanceOf(Refused);
  });
});
