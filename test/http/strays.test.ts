import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { type Api, textOf } from "../support/api.ts";
import { type Doorkeeper, outbox, reconcile, testAt } from "../support/doorkeeper.ts";
import { rows } from "../support/scenario.ts";
import type { Behaviour } from "../world/peer.ts";

const path = "/v1/provisioner/strays/remove";

const foreign = (door: Doorkeeper, count: number) =>
  Array.from({ length: count }, () => {
    const key = randomUUID();
    door.have(key);
    return key;
  }).toSorted();

/** The alarm that is open, as a person sees it. */
async function alarm(api: Api): Promise<unknown> {
  const { data } = (await api.get("/v1/alarms")).body;
  const open = Array.isArray(data) ? data : [];
  return open.find((one) => one.code === "strays_many" && one.closed_at === null)?.detail ?? null;
}

const removing = (door: Doorkeeper) => rows(door.db, "select from messages.outbox where kind = 'remove_stray'");

for (const kind of ["http", "marzban"] as const) {
  const test = testAt(kind);

  describe(`a provisioner by ${kind}, of another deployment's`, () => {
    test("D10 loses nothing to a deployment without keys, until a person has looked and said so; then all, once", async ({
      door,
    }) => {
      const theirs = foreign(door, 11);
      for (let i = 0; i < 3; i += 1) {
        expect(await door.sweep(reconcile, outbox)).toMatchObject([{ error: null }, { processed: 0 }]);
      }
      expect(door.there()).toEqual(theirs);
      expect(await alarm(door.api)).toEqual({ strays: 11, removed_today: 0, most: 10 });
      const { data } = (await door.api.get("/v1/provisioner/reconcile")).body;
      expect(data).toMatchObject(theirs.map((key) => ({ does: "remove", key, seen: 3 })));
      const said = await door.api.post(path, { most: 11 });
      expect([said.status, said.body]).toEqual([200, { strays: 11, approved_until: expect.stringMatching(/Z$/) }]);
      expect(await removing(door)).toEqual([]);
      expect(await door.sweep(reconcile)).toMatchObject([{ error: null, processed: 11 }]);
      expect(await alarm(door.api)).toBeNull();
      await door.sweep(outbox, reconcile, outbox);
      expect(door.there()).toEqual([]);
      for (const key of theirs) expect(door.deeds(key)).toEqual({ added: 0, removed: 1 });
    });

    test.for<Behaviour>(["error", "garbage", "huge", "cut"])(
      "D10 D24 removes nothing by a list that is %s, though a person has said so: the next one decides",
      async (behaviour, { door }) => {
        const theirs = foreign(door, 12);
        for (let i = 0; i < 2; i += 1) await door.sweep(reconcile);
        await door.api.post(path, { most: 12 });
        const before = (await removing(door)).length;
        door.peer.behave(behaviour, 1, ({ method }) => method === "GET");
        expect(await door.sweep(reconcile)).toMatchObject([{ processed: 0, error: expect.any(String) }]);
        expect(await removing(door)).toHaveLength(before);
        // One has come that nobody has seen twice: it stays.
        const [late = ""] = foreign(door, 1);
        expect(await door.sweep(reconcile)).toMatchObject([{ processed: 12, error: null }]);
        await door.sweep(outbox);
        expect(door.there()).toEqual([late]);
        for (const key of theirs) expect(door.deeds(key).removed).toBe(1);
        door.lose(late);
        await door.sweep(reconcile);
      },
    );
  });
}

const test = testAt("http");

/** Two passes have seen twelve that nobody here knows. */
const waiting = test.extend("strays", async ({ door }, { onCleanup }) => {
  const strays = foreign(door, 12);
  for (let i = 0; i < 2; i += 1) await door.sweep(reconcile);
  onCleanup(async () => {
    for (const key of strays) door.lose(key);
    await door.sweep(reconcile);
  });
  return strays;
});

describe("whoever has strays removed", () => {
  waiting("is an operator, with the scope", async ({ door, strays }) => {
    const most = strays.length;
    const reader = await door.api.withKey(["access:read", "ops:write"]);
    expect((await reader.post(path, { most })).body).toMatchObject({ code: "forbidden", scope: "access:write" });
    const workspace = await door.api.workspace();
    const theirs = await door.api.withKey(["billing:read", "billing:write"], workspace.id);
    expect((await theirs.post(path, { most })).body).toMatchObject({ code: "operator_key_required" });
    expect((await door.api.as("tg_x").post(path, { most })).status).toBe(401);
    expect(await rows(door.db, "select from access.stray where approved_at is not null")).toEqual([]);
    expect((await (await door.api.withKey(["access:write"])).post(path, { most })).status).toBe(200);
  });

  test.for([
    {},
    { most: null },
    { most: "12" },
    { most: 0 },
    { most: -1 },
    { most: 1.5 },
    { most: 2_147_483_648 },
    { most: [12] },
    { most: 12, all: true },
  ])("says how many, as %j does not", async (body, { door }) => {
    const refused = await door.api.post(path, body);
    expect([refused.status, refused.body["code"]]).toEqual([400, "validation_failed"]);
  });

  waiting("has seen all of them, or is refused with their number", async ({ door, strays }) => {
    const refused = await door.api.post(path, { most: strays.length - 1 });
    expect([refused.status, refused.body["code"], refused.body["strays"]]).toEqual([409, "strays_more", strays.length]);
    expect(await rows(door.db, "select from access.stray where approved_at is not null")).toEqual([]);
    expect(await door.sweep(reconcile)).toMatchObject([{ processed: 0 }]);
    expect(door.there()).toEqual(strays);
  });

  waiting("B9 says it once under a key, and once without: the audit has one row", async ({ door, strays }) => {
    const audited = async () => {
      const { data } = (await door.api.get("/v1/audit")).body;
      return Array.isArray(data) ? data.filter(({ action }) => action === "strays.approve") : [];
    };
    const before = (await audited()).length;
    const most = strays.length;
    const first = await door.api.post(path, { most }, "yes-1");
    const again = await door.api.post(path, { most }, "yes-1");
    expect([again.headers.get("Idempotent-Replayed"), again.body]).toEqual(["true", first.body]);
    expect((await door.api.post(path, { most: most + 1 }, "yes-1")).body).toMatchObject({
      code: "idempotency_key_reused",
    });
    expect((await door.api.post(path, { most })).body).toEqual(first.body);
    const [said, ...rest] = await audited();
    expect(rest).toHaveLength(before);
    expect(said).toMatchObject({
      actor: expect.stringMatching(/^key:/),
      subject: "provisioner",
      detail: { strays: most, most },
    });
  });

  test("says nothing where none waits", async ({ door }) => {
    const said = await door.api.post(path, { most: 1000 });
    expect([said.status, said.body]).toEqual([200, { strays: 0, approved_until: null }]);
  });
});

const atPanel = testAt("marzban");

atPanel(
  "D10 a panel with many other people's users is read in parts, and another run goes on between them",
  async ({ door }) => {
    const [first, last] = ["10000000-0000-4000-8000-000000000000", "f0000000-0000-4000-8000-000000000000"];
    for (const key of [first, last]) door.have(key);
    if (!("users" in door.peer)) throw new Error("it is no panel");
    for (let i = 10_000; i < 12_600; i += 1) door.peer.make(`bob_${i}`);
    const seen = () => rows(door.db, "select key from access.stray order by key");
    const listed = () => door.peer.requests.filter(({ path: of }) => of === "/api/users");
    let lists = 0;
    // The first page has a key; the next five have none, and are a part.
    door.peer.behave("error", 1, ({ path: of }) => of === "/api/users" && (lists += 1) === 9);
    expect(await door.sweep(reconcile)).toMatchObject([{ error: expect.stringContaining("answered 500") }]);
    expect(await seen()).toEqual([{ key: first }]);
    expect(await rows(door.db, "select position from ops.cursor where name = $1", [reconcile])).toEqual([
      { position: `${first} ${6 * 199} bob_${10_000 + 6 * 199 - 1}` },
    ]);
    const before = listed().length;
    expect(await door.sweep(reconcile)).toMatchObject([{ error: null, more: false }]);
    expect(await seen()).toEqual([{ key: first }, { key: last }]);
    expect(listed()[before]?.query.get("offset")).toBe(String(6 * 199));
    expect(listed().length - before).toBe(Math.ceil((2602 - 6 * 199) / 199));
    // A person who looks is shown no page that has nothing.
    const page = await door.api.get("/v1/provisioner/reconcile");
    expect(page.body).toMatchObject({ data: [{ key: first }], listed: 1 });
    const rest = await door.api.get(`/v1/provisioner/reconcile?cursor=${textOf(page, "next_cursor")}`);
    expect(rest.body).toMatchObject({ data: [{ key: last }], listed: 1, next_cursor: null });
    door.peer.users.clear();
    await door.sweep(reconcile);
  },
);
