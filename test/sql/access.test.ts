import { randomUUID } from "node:crypto";
import type { Pool } from "pg";
import { describe, expect } from "vitest";
import { race, raceBehind, tally } from "../support/barrier.ts";
import { Guest } from "../support/guest.ts";
import { advance, call, outcome, refusal, rows } from "../support/scenario.ts";
import { test } from "../support/sql.ts";

const fail = (db: Pool, { id, token }: { id: string; token: string }, final = false) =>
  call<{ state: string }>(db, "messages.fail", { id, token, error: "no answer", final });
const settle = (db: Pool, { id, token }: { id: string; token: string }) =>
  call<{ state: string }>(db, "messages.settle", { id, token });
const alarms = (db: Pool, subject: string) =>
  rows(db, "select from ops.alarm where code = 'message_dead' and subject = $1 and closed_at is null", [subject]);

/** The only one. */
function only<Item>(items: readonly Item[]): Item {
  const [item] = items;
  if (items.length !== 1 || item === undefined) throw new Error(`one, not ${items.length}`);
  return item;
}

describe("a key", () => {
  test("D19 is made once, and whoever pays on keeps it", async ({ db }) => {
    const guest = await Guest.withKey(db);
    const first = only(await guest.keys());
    expect(first).toMatchObject({ state: "pending", activated_at: null, revoked_at: null, removed_at: null });
    for (let month = 0; month < 12; month += 1) await guest.follow();
    await guest.confirm(first.id, "active");
    for (let month = 0; month < 12; month += 1) await guest.follow();
    expect(only(await guest.keys())).toMatchObject({ id: first.id, key: first.key, state: "active" });
    expect(await guest.told()).toEqual(["add_key canceled"]);
  });

  test("D19 is one, however many make it at once: the index guards, nobody holds a lock", async ({ db }) => {
    const guest = await Guest.withKey(db);
    await guest.forgetKey();
    expect(tally(await race(20, () => outcome(guest.follow())))).toEqual({ done: 20 });
    expect(await guest.keys()).toHaveLength(1);
    expect(await guest.told()).toEqual(["add_key queued"]);
  });

  test("is a random UUID, and no name of anything else", async ({ db }) => {
    const guest = await Guest.withKey(db);
    const { id, key } = await guest.key();
    expect(key).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(only(await guest.claimed())).toMatchObject({ kind: "add_key", body: { key_id: id, key } });
  });

  test("D18 is revoked and its removal said in one statement, once; saying it again changes nothing", async ({
    db,
  }) => {
    const guest = await Guest.withKey(db);
    await guest.confirm((await guest.key()).id, "active");
    await guest.end();
    expect(await guest.key()).toMatchObject({ state: "removing", revoked_at: expect.any(String) });
    const revoked = await guest.key();
    await advance(db, "1 minute");
    expect(tally(await race(20, () => outcome(guest.follow(false))))).toEqual({ done: 20 });
    expect(only(await guest.keys())).toEqual(revoked);
    expect(await guest.told()).toEqual(["add_key canceled", "remove_key queued"]);
  });

  test("D18 is removed once, however many revoke it at once", async ({ db }) => {
    const guest = await Guest.withKey(db);
    const { id } = await guest.key();
    const lock = { text: "select from access.key where id = $1 for update", values: [id] };
    const outcomes = await raceBehind(db, lock, 20, () => outcome(guest.follow(false)));
    expect(tally(outcomes)).toEqual({ done: 20 });
    expect(await guest.told()).toEqual(["add_key canceled", "remove_key queued"]);
    await guest.end();
  });

  test("D18 that was revoked does not come back: who buys again has another", async ({ db }) => {
    const guest = await Guest.withKey(db);
    const before = await guest.key();
    await guest.follow(false);
    await guest.follow(true);
    const [old, fresh] = await guest.keys();
    expect(old).toMatchObject({ id: before.id, state: "removing" });
    expect(fresh).toMatchObject({ state: "pending" });
    expect(fresh?.key).not.toBe(before.key);
    expect(await guest.told()).toEqual(["add_key canceled", "remove_key queued", "add_key queued"]);
    expect(await refusal(guest.confirm(before.id, "active"))).toEqual({ code: "key_moved_on", state: "removing" });
    expect(await guest.confirm(fresh?.id ?? "", "active")).toMatchObject({ state: "active" });
  });

  test("C9 moves only as the lifecycle says, and has the moments of its state", async ({ db }) => {
    const guest = await Guest.withKey(db);
    const { id } = await guest.key();
    const set = (change: string) => outcome(db.query(`update access.key set ${change} where id = $1`, [id]));
    expect(await set("state = 'removed', revoked_at = ops.now(), removed_at = ops.now()")).toBe("TG003");
    expect(await set("state = 'active'")).toBe("23514");
    expect(await set("state = 'removing'")).toBe("23514");
    expect(await set("removed_at = ops.now()")).toBe("23514");
    await guest.confirm(id, "active");
    expect(await set("state = 'pending', activated_at = null")).toBe("TG003");
    await guest.end();
    expect(await set("state = 'active', revoked_at = null")).toBe("TG003");
    await guest.confirm(id, "removed");
    expect(await set("state = 'removing', removed_at = null")).toBe("TG003");
  });
});

describe("what was to add a key that is revoked", () => {
  test("D18 is not sent any more where it waits", async ({ db }) => {
    const guest = await Guest.withKey(db);
    await guest.end();
    expect(await guest.told()).toEqual(["add_key canceled", "remove_key queued"]);
    expect(only(await guest.claimed())).toMatchObject({ kind: "remove_key" });
  });

  test("D18 is not sent again where it is being sent, and its removal waits until that is over", async ({ db }) => {
    const guest = await Guest.withKey(db);
    const { id } = await guest.key();
    const adding = only(await guest.claimed());
    await guest.end();
    expect(await fail(db, adding)).toMatchObject({ state: "canceled" });
    expect(await settle(db, adding)).toMatchObject({ state: "canceled" });
    await advance(db, "4 minutes");
    expect(await guest.claimed()).toEqual([]);
    await advance(db, "1 minute");
    expect(only(await guest.claimed())).toMatchObject({ kind: "remove_key", body: { key_id: id } });
    expect(await guest.told()).toEqual(["add_key canceled", "remove_key sending"]);
  });

  test("D18 whose sender died long ago holds no removal up", async ({ db }) => {
    const guest = await Guest.withKey(db);
    await guest.claimed();
    await advance(db, "1 hour");
    await guest.end();
    expect(only(await guest.claimed())).toMatchObject({ kind: "remove_key" });
  });

  test("D18 is not sent by a person's retry, where it was dead; its alarm closes", async ({ db }) => {
    const guest = await Guest.withKey(db);
    const adding = only(await guest.claimed());
    await fail(db, adding, true);
    expect(await alarms(db, adding.id)).toHaveLength(1);
    await guest.end();
    expect(await alarms(db, adding.id)).toEqual([]);
    expect(await call(db, "messages.retry", { id: adding.id, caused_by: "test" })).toMatchObject({ state: "canceled" });
    expect(await guest.told()).toEqual(["add_key canceled", "remove_key queued"]);
  });

  test("and was delivered stays delivered", async ({ db }) => {
    const guest = await Guest.withKey(db);
    await settle(db, only(await guest.claimed()));
    await guest.end();
    expect(await guest.told()).toEqual(["add_key delivered", "remove_key queued"]);
  });
});

describe("who provisions says that it is done", () => {
  const audit = (db: Pool, id: string) =>
    rows(db, "select actor, action, detail from ops.audit where subject = $1 order by id", [`access_key:${id}`]);

  test("B9 once: again it changes nothing, and the audit knows who", async ({ db }) => {
    const guest = await Guest.withKey(db);
    const { id } = await guest.key();
    const added = await guest.confirm(id, "active");
    expect(added).toMatchObject({ id, state: "active", activated_at: expect.any(String), revoked_at: null });
    await advance(db, "1 minute");
    expect(await guest.confirm(id, "active")).toEqual(added);
    await guest.end();
    const removed = await guest.confirm(id, "removed");
    expect(removed).toMatchObject({
      state: "removed",
      activated_at: added.activated_at,
      removed_at: expect.any(String),
    });
    await advance(db, "1 minute");
    expect(await guest.confirm(id, "removed")).toEqual(removed);
    expect(await audit(db, id)).toEqual([
      { actor: "key:someone", action: "access_key.confirm", detail: { state: "active" } },
      { actor: "key:someone", action: "access_key.confirm", detail: { state: "removed" } },
    ]);
    expect(await guest.told()).toEqual(["add_key canceled", "remove_key canceled"]);
  });

  test("of what is no longer so is refused with its state, and leaves all as it was", async ({ db }) => {
    const guest = await Guest.withKey(db);
    const { id } = await guest.key();
    expect(await refusal(guest.confirm(id, "removed"))).toEqual({ code: "key_moved_on", state: "pending" });
    await guest.confirm(id, "active");
    expect(await refusal(guest.confirm(id, "removed"))).toEqual({ code: "key_moved_on", state: "active" });
    await guest.end();
    expect(await refusal(guest.confirm(id, "active"))).toEqual({ code: "key_moved_on", state: "removing" });
    expect(await guest.told()).toEqual(["add_key canceled", "remove_key queued"]);
    await guest.confirm(id, "removed");
    expect(await refusal(guest.confirm(id, "active"))).toEqual({ code: "key_moved_on", state: "removed" });
    expect(await outcome(guest.confirm(randomUUID(), "active"))).toBe("not_found");
  });

  test("a message that is being sent was delivered then; its sender's word changes nothing more", async ({ db }) => {
    const guest = await Guest.withKey(db);
    const { id } = await guest.key();
    const adding = only(await guest.claimed());
    await guest.confirm(id, "active");
    expect(await guest.told()).toEqual(["add_key delivered"]);
    expect(await settle(db, adding)).toMatchObject({ state: "delivered" });
    expect(await fail(db, adding, true)).toMatchObject({ state: "delivered" });
    expect(await alarms(db, adding.id)).toEqual([]);
  });

  test("a message that could not be sent need not be: its alarm closes", async ({ db }) => {
    const guest = await Guest.withKey(db);
    const { id } = await guest.key();
    const adding = only(await guest.claimed());
    await fail(db, adding, true);
    expect(await alarms(db, adding.id)).toHaveLength(1);
    await guest.confirm(id, "active");
    expect(await alarms(db, adding.id)).toEqual([]);
    expect(await guest.told()).toEqual(["add_key canceled"]);
  });

  test("a message that retention has dropped is not missed", async ({ db }) => {
    const guest = await Guest.withKey(db);
    const { id } = await guest.key();
    await settle(db, only(await guest.claimed()));
    // Paid for longer than messages are kept.
    await guest.pay();
    await advance(db, "36 days");
    await call(db, "messages.outbox_expire", { batch: 1000 });
    expect(await guest.told()).toEqual([]);
    await guest.confirm(id, "active");
    await guest.end();
    expect(await guest.told()).toEqual(["remove_key queued"]);
  });

  test("D18 while the key is revoked: it ends revoked, and each message is settled once", async ({ db }) => {
    for (let round = 0; round < 10; round += 1) {
      const guest = await Guest.withKey(db);
      const { id } = await guest.key();
      const outcomes = await race(20, (i) => {
        if (i === round) return outcome(guest.end());
        return outcome(guest.confirm(id, i % 2 === 0 ? "active" : "removed"));
      });
      expect(Object.keys(tally(outcomes)).filter((what) => !["done", "key_moved_on"].includes(what))).toEqual([]);
      const { state } = only(await guest.keys());
      expect(["removing", "removed"]).toContain(state);
      expect(await guest.told()).toEqual([
        "add_key canceled",
        state === "removed" ? "remove_key canceled" : "remove_key queued",
      ]);
    }
  });
});
