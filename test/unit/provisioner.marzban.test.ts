import { randomUUID } from "node:crypto";
import { describe, expect, test as base } from "vitest";
import { openProvisioner } from "../../src/outside/provisioner/open.ts";
import type { Listing } from "../../src/outside/provisioner/provisioner.ts";
import { Refused, Unavailable } from "../../src/outside/peer.ts";
import { accountOf, addition, all, failure, keys, nameOf, removal } from "../support/provisioners.ts";
import { type PanelMiniature, startPanel } from "../world/marzban.ts";

const test = base
  // oxlint-disable-next-line no-empty-pattern -- vitest reads a fixture's needs from its pattern and takes no other
  .extend("panel", async ({}, { onCleanup }) => {
    const panel = await startPanel();
    onCleanup(() => panel.stop());
    return panel;
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
    for (const name of ["1".repeat(32), "ABCDEF0123454678ABCDEF0123456789", "dave"])
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

  describe("among many of other people's users", () => {
    const asked = (panel: PanelMiniature) => panel.requests.filter(({ path }) => path === "/api/users").length;
    const others = (panel: PanelMiniature, count: number, prefix: string) => {
      for (let i = 0; i < count; i += 1) panel.make(`${prefix}${String(i).padStart(5, "0")}`);
    };
    const [first, last] = ["10000000-0000-4000-8000-000000000000", "f0000000-0000-4000-8000-000000000000"];
    const ours = (panel: PanelMiniature) => {
      for (const key of [first, last]) panel.make(nameOf(key), { note: "tollgate" });
    };

    test("D10 a part asks for some pages, and the next one goes on there, in another run too", async ({ panel }) => {
      others(panel, 1300, "0_");
      others(panel, 2600, "bob_");
      ours(panel);
      const found: string[] = [];
      let [after, place, parts]: [string | null, string | undefined, number] = [null, undefined, 0];
      for (let end = false; !end; parts += 1) {
        const before = asked(panel);
        const part: Listing = await openProvisioner(accountOf(panel.bindings)).list(after, 1000, place);
        expect(asked(panel) - before).toBeLessThanOrEqual(5);
        // Nobody is said to be missing in what was not read, and nobody is found out of it.
        expect((part.next ?? "z") >= (after ?? "")).toBe(true);
        expect(part.keys.every((key) => key > (after ?? "") && key <= (part.next ?? "z"))).toBe(true);
        found.push(...part.keys);
        [after, place, end] = [part.next, part.place, part.next === null];
        if (parts > 50) throw new Error("it does not go on");
      }
      expect(found).toEqual([first, last]);
      // No page is read twice.
      expect(asked(panel)).toBe(Math.ceil(3901 / 199));
      expect(parts).toBeGreaterThan(4);
    });

    test("D10 who is removed or made before its place, or at it, has nobody left out", async ({ panel }) => {
      for (const change of [
        () => others(panel, 700, "b_"),
        () => others(panel, 3, "b_"),
        () => {
          for (const name of [...panel.users.keys()].filter((one) => one.startsWith("bob_")).slice(0, 900)) {
            panel.users.delete(name);
          }
        },
        () => panel.users.clear(),
      ]) {
        panel.users.clear();
        others(panel, 2600, "bob_");
        ours(panel);
        const marzban = openProvisioner(accountOf(panel.bindings));
        const { next } = await marzban.list(null, 1000);
        const { keys: none, next: same, place } = await marzban.list(next, 1000);
        expect([none, next, same]).toEqual([[], first, first]);
        change();
        let parts = 0;
        const middle = "c0000000-0000-4000-8000-000000000000";
        for (const key of [middle, last]) panel.make(nameOf(key), { note: "tollgate" });
        const found: string[] = [];
        for (let part: Listing = { keys: [], shut: [], next, ...(place && { place }) }; part.next !== null;) {
          part = await openProvisioner(accountOf(panel.bindings)).list(part.next, 1000, part.place);
          found.push(...part.keys);
          if ((parts += 1) > 50) throw new Error("it does not go on");
        }
        expect(found).toEqual([middle, last]);
      }
    });

    test.for(["nocase", "bytes"] as const)(
      "D10 capitals are no end of the list: a panel that sorts by %s lists all",
      async (order, { panel }) => {
        panel.order = order;
        others(panel, 1500, "USER_");
        others(panel, 300, "Alice_");
        const there = keys(300);
        for (const key of there) panel.make(nameOf(key), { note: "tollgate" });
        expect(await all(openProvisioner(accountOf(panel.bindings)))).toMatchObject({ keys: there });
        // Where they come last, they are not read.
        if (order === "nocase") expect(asked(panel)).toBeLessThan(6);
        for (const at of [0, 150, 298]) {
          const part = await all(openProvisioner(accountOf(panel.bindings)), 1000, undefined, there[at]);
          expect(part.keys).toEqual(there.slice(at + 1));
        }
      },
    );
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
