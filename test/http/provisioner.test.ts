import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { textOf } from "../support/api.ts";
import { outbox, reconcile, testAt } from "../support/doorkeeper.ts";
import { Guest } from "../support/guest.ts";
import { advance, rows } from "../support/scenario.ts";
import { sweepOnly } from "../support/sweeping.ts";
import type { Behaviour } from "../world/peer.ts";

const good = { failed: 0, more: false, error: null };

for (const kind of ["http", "marzban"] as const) {
  const test = testAt(kind);

  describe(`a provisioner by ${kind}`, () => {
    test("D25 has a key a sweep after it was paid for, and has it no more a sweep after it is over", async ({
      door,
    }) => {
      const guest = await Guest.withKey(door.db);
      const { key } = await guest.key();
      expect(await door.sweep(outbox)).toMatchObject([{ ...good, processed: 1 }]);
      expect(door.there()).toContain(key);
      expect(await guest.key()).toMatchObject({ state: "active" });
      await guest.end();
      expect(await door.sweep(outbox)).toMatchObject([{ ...good, processed: 1 }]);
      expect(door.there()).not.toContain(key);
      expect(await guest.key()).toMatchObject({ state: "removed" });
      expect(door.deeds(key)).toEqual({ added: 1, removed: 1 });
      const asked = door.peer.requests.length;
      await door.sweep(outbox);
      expect(door.peer.requests).toHaveLength(asked);
    });

    test("D25 that refuses a key is a listed failure, until a person has it sent again", async ({ door }) => {
      const guest = await Guest.withKey(door.db);
      door.peer.answers = () => ({ status: 422 });
      expect(await door.sweep(outbox)).toMatchObject([{ failed: 1 }]);
      const dead = (await door.api.get("/v1/messages?state=dead&limit=1")).body["data"];
      expect(dead).toMatchObject([{ channel: "provisioner", kind: "add_key", error: "answered 422" }]);
      const alarms = async () => JSON.stringify((await door.api.get("/v1/alarms")).body["data"]);
      expect(await alarms()).toContain("message_dead");
      door.peer.answers = null;
      await advance(door.db, "31 minutes");
      await door.sweep(outbox, reconcile);
      expect(await guest.key()).toMatchObject({ state: "pending" });
      const [{ id } = { id: "" }] = Array.isArray(dead) ? dead : [];
      await door.api.post(`/v1/messages/${id}/retry`, {});
      expect(await door.sweep(outbox)).toMatchObject([{ ...good, processed: 1 }]);
      expect(await guest.key()).toMatchObject({ state: "active" });
      expect(await alarms()).not.toContain("message_dead");
    });

    test("D10 D25 gets back what it lost, within two sweeps, and loses what nobody here knows, after two", async ({
      door,
    }) => {
      const lost = await door.admitted();
      const kept = await door.admitted();
      const foreign = randomUUID();
      door.have(foreign);
      door.lose(lost.key);
      expect(await door.sweep(reconcile)).toMatchObject([{ ...good, processed: 1 }]);
      expect(door.there()).toContain(foreign);
      await door.sweep(outbox);
      expect(door.there()).toEqual(expect.arrayContaining([lost.key, kept.key, foreign].toSorted()));
      expect(await door.sweep(reconcile)).toMatchObject([{ ...good, processed: 1 }]);
      await door.sweep(outbox);
      expect(door.there()).toEqual(await door.paid());
      expect(door.deeds(kept.key)).toEqual({ added: 1, removed: 0 });
      expect(await door.sweep(reconcile)).toMatchObject([{ ...good, processed: 0 }]);
      expect(await rows(door.db, "select from access.stray")).toEqual([]);
    });

    test("a dry run says what would be done, and does nothing", async ({ door }) => {
      const { id, key, guest } = await door.admitted();
      const foreign = randomUUID();
      door.have(foreign);
      door.lose(key);
      const before = door.there();
      const told = await guest.told();
      const look = async () => (await door.api.get("/v1/provisioner/reconcile")).body;
      const added = { does: "add", key, access_key_id: id, workspace_id: guest.workspace, seen: null };
      const removed = { does: "remove", key: foreign, access_key_id: null, workspace_id: null };
      expect(await look()).toEqual({
        data: [added, { ...removed, seen: 0 }],
        listed: before.length,
        next_cursor: null,
      });
      expect(await look()).toMatchObject({ data: [added, { ...removed, seen: 0 }] });
      expect(door.there()).toEqual(before);
      expect(await guest.told()).toEqual(told);
      expect(await rows(door.db, "select from access.stray")).toEqual([]);
      await door.sweep(reconcile);
      // What is on its way need not be done.
      expect(await look()).toMatchObject({ data: [{ ...removed, seen: 1 }] });
      await door.mend();
      expect(await look()).toEqual({ data: [], listed: (await door.paid()).length, next_cursor: null });
    });

    test("a dry run is an operator's, with its scope; and says so where the provisioner makes no sense", async ({
      door,
      world,
    }) => {
      const path = "/v1/provisioner/reconcile";
      const asked = door.peer.requests.length;
      const workspace = await door.api.workspace();
      expect((await (await door.api.withKey(["billing:read"], workspace.id)).get(path)).status).toBe(403);
      expect((await (await door.api.withKey(["access:write"])).get(path)).body).toMatchObject({ scope: "access:read" });
      expect((await door.api.as("tg_x").get(path)).status).toBe(401);
      expect((await door.api.get(`${path}?cursor=x`)).body).toMatchObject({ code: "cursor_invalid" });
      // Nobody was asked for who may not know.
      expect(door.peer.requests).toHaveLength(asked);
      door.peer.answers = () => ({ status: 200, body: "<html>" });
      const answer = await door.api.get(path);
      expect([answer.status, answer.body["code"]]).toEqual([503, "provisioner_unavailable"]);
      const without = await fetch(`${world.url}${path}`, { headers: { Authorization: `Bearer ${world.operatorKey}` } });
      expect([without.status, await without.json()]).toMatchObject([500, { code: "misconfigured" }]);
    });

    test.for<Behaviour>(["error", "throttled", "redirect", "garbage", "huge"])(
      "D10 whose list is %s decides nothing: the run says so, and the next one goes on",
      async (behaviour, { door }) => {
        const { key } = await door.admitted();
        await door.mend();
        door.lose(key);
        const foreign = randomUUID();
        door.have(foreign);
        const seen = () => rows(door.db, "select key from access.stray");
        // A login is none of it.
        door.peer.behave(behaviour, 1, ({ method }) => method === "GET");
        expect(await door.sweep(reconcile)).toMatchObject([{ processed: 0, error: expect.any(String) }]);
        expect(await seen()).toEqual([]);
        expect(await door.sweep(outbox)).toMatchObject([{ processed: 0 }]);
        expect(await door.sweep(reconcile)).toMatchObject([{ ...good, processed: 1 }]);
        expect(await seen()).toEqual([{ key: foreign }]);
        await door.mend();
        expect(door.there()).toEqual(await door.paid());
      },
    );
  });
}

const test = testAt("http");

test("D10 a list that fails half-way decides nothing about the part that was not read", async ({ door }) => {
  const foreign = Array.from({ length: 1500 }, () => randomUUID()).toSorted();
  for (const key of foreign) door.have(key);
  let lists = 0;
  door.peer.behave("error", 1, ({ method }) => method === "GET" && (lists += 1) === 2);
  const read = async () => {
    const [row] = await rows<{ n: number; last: string }>(
      door.db,
      "select count(*)::int as n, max(key::text) as last from access.stray",
    );
    return row;
  };
  const all = door.there();
  expect(await door.sweep(reconcile)).toMatchObject([{ error: expect.stringContaining("answered 500") }]);
  expect(await read()).toMatchObject({ last: all[999] });
  // It goes on there.
  expect(await door.sweep(reconcile)).toMatchObject([good]);
  expect(door.peer.requests.at(-1)?.query.get("after")).toBe(all[999]);
  expect(await read()).toMatchObject({ n: 1500, last: all.at(-1) });
  // Far more than anybody loses: this is somebody else's list.
  expect(await door.sweep(reconcile)).toMatchObject([{ ...good, processed: 0 }]);
  expect(JSON.stringify((await door.api.get("/v1/alarms")).body)).toContain("strays_many");
  const page = await door.api.get("/v1/provisioner/reconcile");
  expect(page.body).toMatchObject({ listed: 1000, next_cursor: expect.any(String) });
  const rest = await door.api.get(`/v1/provisioner/reconcile?cursor=${textOf(page, "next_cursor")}`);
  expect(rest.body).toMatchObject({ listed: all.length - 1000, next_cursor: null });
  for (const key of foreign) door.lose(key);
  expect(await door.sweep(reconcile)).toMatchObject([good]);
  expect(await read()).toMatchObject({ n: 0 });
});

test("without a provisioner nothing is claimed: who provisions asks for the list, and says what is done", async ({
  door,
  world,
  db,
}) => {
  const guest = await Guest.withKey(db);
  const { id } = await guest.key();
  for (const name of [outbox, reconcile]) {
    expect(await sweepOnly(db, world.worker, name)).toMatchObject([{ ...good, processed: 0 }]);
  }
  expect(await guest.told()).toEqual(["add_key queued"]);
  expect(JSON.stringify((await door.api.get("/v1/access_keys?state=pending")).body)).toContain(id);
  expect((await door.api.post(`/v1/access_keys/${id}/confirm`, { state: "active" })).status).toBe(200);
  expect(await guest.told()).toEqual(["add_key canceled"]);
  // Whoever did it by hand, did it: at a provisioner that is asked later it is missing.
  expect(await door.sweep(reconcile)).toMatchObject([{ ...good, processed: 1 }]);
  await door.sweep(outbox);
  expect(door.there()).toEqual(await door.paid());
});
