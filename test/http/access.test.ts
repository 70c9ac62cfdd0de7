import { randomUUID } from "node:crypto";
import type { Pool } from "pg";
import { describe, expect } from "vitest";
import * as z from "zod";
import { Api, idOf } from "../support/api.ts";
import { Guest } from "../support/guest.ts";
import { rows } from "../support/scenario.ts";
import { test as inWorld } from "../support/world.ts";

const test = inWorld
  .extend("api", ({ world }) => new Api(world.url, world.operatorKey))
  .extend("ask", ({ world }) => async (key: string) => {
    const response = await fetch(`${world.url}/v1/access/${key}`, {
      headers: { Authorization: `Bearer ${world.operatorKey}` },
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  });

const nothing = '{"valid":false,"expires_at":null}';

/** Moves the database's clock; the next test finds it as it was. */
async function atLater<Result>(db: Pool, later: string, work: () => Promise<Result>): Promise<Result> {
  await db.query("update ops.clock set clock_offset = $1::interval", [later]);
  try {
    return await work();
  } finally {
    await db.query("update ops.clock set clock_offset = interval '0'");
  }
}

/** A guest of the operator's at this Worker. */
async function guestAt(api: Api, db: Pool, wish: Parameters<typeof Guest.of>[1] = {}) {
  const workspace = await api.workspace();
  const guest = await Guest.withKey(db, { ...wish, workspace: workspace.id });
  return { guest, workspace, own: await guest.key() };
}

describe("the question at the door", () => {
  test("D18 is answered by what was paid for, in one round trip, pending or active", async ({
    api,
    ask,
    bridge,
    db,
  }) => {
    const { guest, own } = await guestAt(api, db);
    bridge.resetCounters();
    const answer = await ask(own.key);
    expect(bridge.counters).toMatchObject({ requests: 1, statements: 1 });
    expect(answer.status).toBe(200);
    const { expires_at } = JSON.parse(answer.text);
    expect(Date.parse(expires_at) - Date.now()).toBeGreaterThan(27 * 86_400_000);
    expect(answer.text).toBe(`{"valid":true,"expires_at":"${expires_at}"}`);
    expect(answer.headers.get("Cache-Control")).toBe("no-store");
    await guest.confirm(own.id, "active");
    expect((await ask(own.key)).text).toBe(answer.text);
  });

  test("D18 is right though no sweep ever ran: what is over is not valid", async ({ api, ask, db }) => {
    const { guest, own } = await guestAt(api, db);
    const [left] = await rows<{ before: string; after: string }>(
      db,
      `select (s.current_period_end - ops.now() - interval '1 minute')::text as before,
              (s.current_period_end - ops.now())::text as after
         from billing.subscription s where s.id = $1`,
      [(await guest.subscription()).id],
    );
    await atLater(db, left?.before ?? "", async () => expect((await ask(own.key)).text).toContain('"valid":true'));
    await atLater(db, left?.after ?? "", async () => expect((await ask(own.key)).text).toBe(nothing));
    expect(await guest.key()).toMatchObject({ state: "pending" });
  });

  test("unknown, expired, revoked and removed keys are one answer, byte for byte", async ({ api, ask, bridge, db }) => {
    const expired = await guestAt(api, db);
    const revoked = await guestAt(api, db);
    await revoked.guest.end();
    const removed = await guestAt(api, db);
    await removed.guest.end();
    await removed.guest.confirm(removed.own.id, "removed");
    const keys = [randomUUID(), expired.own.id, revoked.own.key, removed.own.key];
    const later = await atLater(db, "40 days", async () => {
      const answers = [];
      for (const key of [expired.own.key, ...keys]) answers.push(await ask(key));
      return answers;
    });
    bridge.resetCounters();
    const answers = [...later];
    for (const key of keys) answers.push(await ask(key));
    expect(bridge.counters.requests).toBe(keys.length);
    for (const { status, text: body, headers } of answers) {
      expect([status, body]).toEqual([200, nothing]);
      const said = Object.fromEntries(headers);
      expect(Object.keys(said).toSorted()).toEqual(
        Object.keys(Object.fromEntries(answers[0]?.headers ?? [])).toSorted(),
      );
      expect(said).toMatchObject({ "cache-control": "no-store", "content-type": "application/json" });
    }
  });

  test("a workspace that is frozen or read-only keeps what it has paid for", async ({ api, ask, db }) => {
    const { workspace, own } = await guestAt(api, db);
    const before = await ask(own.key);
    await api.post(`${workspace.path}/freeze`, { reason: "a dispute" });
    expect((await ask(own.key)).text).toBe(before.text);
    await api.post(`${workspace.path}/unfreeze`);
    await db.query("select people.set_read_only($1, ops.now(), 'past_due')", [workspace.id]);
    expect((await ask(own.key)).text).toBe(before.text);
    await db.query("select people.set_read_only($1, null, null)", [workspace.id]);
  });

  test("is an operator's, with its scope; any UUID may be asked, in its one form", async ({ api, ask, db }) => {
    const { workspace, own } = await guestAt(api, db);
    const asking = (client: Api, key = own.key) => client.get(`/v1/access/${key}`);
    expect((await asking(await api.withKey(["access:read"]))).body).toMatchObject({ valid: true });
    expect((await asking(await api.withKey(["ops:read", "access:write"]))).body).toMatchObject({
      code: "forbidden",
      scope: "access:read",
    });
    const theirs = await api.withKey(["billing:read"], workspace.id);
    expect((await asking(theirs)).body).toMatchObject({ code: "operator_key_required" });
    expect((await asking(api.as(`tg_${"A".repeat(43)}`))).status).toBe(401);
    for (const scope of ["access:read", "access:write"]) {
      const made = await api.post("/v1/keys", { workspace_id: workspace.id, name: "x", scopes: [scope] });
      expect([made.status, made.body["code"]]).toEqual([422, "scope_not_for_workspace"]);
    }
    for (const key of [
      "00000000-0000-0000-0000-000000000000",
      "ffffffff-ffff-ffff-ffff-ffffffffffff",
      "c232ab00-9414-11ec-b3c8-9f6bdeced846",
      "6fa459ea-ee8a-3ca4-894e-db77e160355e",
      "0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b",
    ]) {
      expect(await ask(key)).toMatchObject({ status: 200, text: nothing });
    }
    expect((await ask(own.key.toUpperCase())).status).toBe(400);
  });
});

test("a workspace's keys are listed, newest first, for whoever may see what it bought; nobody else's", async ({
  api,
  db,
}) => {
  const { guest, workspace, own } = await guestAt(api, db);
  const stranger = await guestAt(api, db);
  await guest.confirm(own.id, "active");
  const first = (await guest.subscription()).id;
  await guest.end();
  await guest.pay();
  const fresh = await guest.key();
  const product = await api.withKey(["billing:read"], workspace.id);
  const { status, body } = await product.get(`${workspace.path}/access_keys`);
  expect(status).toBe(200);
  expect(body).toEqual({
    data: [
      {
        id: fresh.id,
        key: fresh.key,
        workspace_id: workspace.id,
        subscription_id: (await guest.subscription()).id,
        state: "pending",
        valid: true,
        expires_at: expect.stringMatching(/Z$/),
        activated_at: null,
        revoked_at: null,
        removed_at: null,
        created_at: expect.stringMatching(/Z$/),
      },
      {
        id: own.id,
        key: own.key,
        workspace_id: workspace.id,
        subscription_id: first,
        state: "removing",
        valid: false,
        expires_at: null,
        activated_at: expect.stringMatching(/Z$/),
        revoked_at: expect.stringMatching(/Z$/),
        removed_at: null,
        created_at: expect.stringMatching(/Z$/),
      },
    ],
    next_cursor: null,
  });
  const page = (await product.get(`${workspace.path}/access_keys?limit=1`)).body;
  expect(page["data"]).toMatchObject([{ id: fresh.id }]);
  const rest = (await product.get(`${workspace.path}/access_keys?limit=1&cursor=${String(page["next_cursor"])}`)).body;
  expect(rest).toMatchObject({ data: [{ id: own.id }], next_cursor: null });
  expect((await product.get(`${stranger.workspace.path}/access_keys`)).status).toBe(404);
  const blind = await api.withKey(["credits:read"], workspace.id);
  expect((await blind.get(`${workspace.path}/access_keys`)).status).toBe(403);
});

describe("whoever provisions", () => {
  const page = z.object({
    data: z.array(z.object({ id: z.string(), state: z.string() })),
    next_cursor: z.string().nullable(),
  });

  /** Every key that is to be added or removed, page by page. */
  async function pulled(client: Api, query = ""): Promise<{ id: string; state: string }[]> {
    const found: { id: string; state: string }[] = [];
    for (let cursor = ""; ;) {
      const { status, body } = await client.get(`/v1/access_keys?limit=2${query}${cursor}`);
      expect(status).toBe(200);
      const { data, next_cursor } = page.parse(body);
      found.push(...data);
      if (next_cursor === null) return found;
      cursor = `&cursor=${next_cursor}`;
    }
  }

  test("sees what is to be done, the oldest first, and says that it is done, once", async ({ api, db }) => {
    const provisioner = await api.withKey(["access:read", "access:write"]);
    const guests = [];
    for (let i = 0; i < 7; i += 1) guests.push(await guestAt(api, db));
    for (const { guest } of guests.filter((_, i) => i % 2 === 1)) await guest.end();
    const ours = new Set(guests.map(({ own }) => own.id));
    const seen = async (query = "") => (await pulled(provisioner, query)).filter(({ id }) => ours.has(id));
    const wanted = guests.map(({ own }, i) => ({ id: own.id, state: i % 2 === 1 ? "removing" : "pending" }));
    expect(await seen()).toMatchObject(wanted);
    for (const state of ["pending", "removing"]) {
      expect(await seen(`&state=${state}`)).toMatchObject(wanted.filter((one) => one.state === state));
    }
    for (const { id, state } of wanted) {
      const said = { state: state === "pending" ? "active" : "removed" };
      const confirmed = await provisioner.post(`/v1/access_keys/${id}/confirm`, said);
      expect([confirmed.status, confirmed.body]).toMatchObject([200, { id, ...said }]);
      expect((await provisioner.post(`/v1/access_keys/${id}/confirm`, said)).body).toEqual(confirmed.body);
    }
    expect(await seen()).toEqual([]);
  });

  test("is told by its state that a key has moved on; and needs the scope", async ({ api, db }) => {
    const { guest, own, workspace } = await guestAt(api, db);
    const path = `/v1/access_keys/${own.id}/confirm`;
    const early = await api.post(path, { state: "removed" });
    expect([early.status, early.body["code"], early.body["state"]]).toEqual([409, "key_moved_on", "pending"]);
    await guest.end();
    const late = await api.post(path, { state: "active" });
    expect([late.status, late.body["code"], late.body["state"]]).toEqual([409, "key_moved_on", "removing"]);
    expect((await api.post(`/v1/access_keys/${randomUUID()}/confirm`, { state: "active" })).status).toBe(404);
    const reader = await api.withKey(["access:read", "ops:write"]);
    expect((await reader.post(path, { state: "removed" })).body).toMatchObject({
      code: "forbidden",
      scope: "access:write",
    });
    const theirs = await api.withKey(["billing:read", "billing:write"], workspace.id);
    expect((await theirs.post(path, { state: "removed" })).body).toMatchObject({ code: "operator_key_required" });
    expect((await api.post(path, { state: "pending" })).status).toBe(400);
    expect((await api.post(path, {})).status).toBe(400);
    expect(await guest.key()).toMatchObject({ state: "removing" });
  });

  test("B9 a confirmation is in the audit, once, with who said it", async ({ api, db }) => {
    const { own, workspace } = await guestAt(api, db);
    await api.post(`/v1/access_keys/${own.id}/confirm`, { state: "active" });
    await api.post(`/v1/access_keys/${own.id}/confirm`, { state: "active" });
    const { data } = (await api.get(`/v1/audit?workspace_id=${workspace.id}`)).body;
    const said = { action: "access_key.confirm", subject: `access_key:${own.id}`, detail: { state: "active" } };
    expect(data).toMatchObject([{ ...said, actor: expect.stringMatching(/^key:/) }, { action: "workspace.create" }]);
  });

  test("a confirmation under a key is answered again, whatever has become of the key since", async ({ api, db }) => {
    const { guest, own } = await guestAt(api, db);
    const path = `/v1/access_keys/${own.id}/confirm`;
    const first = await api.post(path, { state: "active" }, own.id);
    await guest.end();
    const again = await api.post(path, { state: "active" }, own.id);
    expect([again.headers.get("Idempotent-Replayed"), again.body]).toEqual(["true", first.body]);
    expect(idOf(first)).toBe(own.id);
  });
});
