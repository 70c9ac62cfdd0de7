import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { blockedBackends, race, tally } from "../support/barrier.ts";
import { granting, spending } from "../support/door.ts";
import { Account, advance, call, outcome, refusal, rows } from "../support/scenario.ts";
import { test } from "../support/sql.ts";

const spend = (workspace: string, amount: number, key: string) => ({
  routine: "ledger.spend",
  args: spending(amount),
  workspace,
  key,
});

describe("who is let in", () => {
  test("a key that is unknown, revoked or expired is one: unauthenticated, from the next statement on", async ({
    db,
    door,
  }) => {
    const workspace = await door.workspace(10);
    const ask = (credential: string) => outcome(door.write({ ...spend(workspace, 1, randomUUID()), credential }));
    const read = (key_hash: string) => outcome(call(db, "ops.permit", { key_hash, scope: "credits:read", workspace }));
    const [revoked, expiring] = [await door.key(), await door.key({ expires_in: "1 hour" })];
    for (const { hash } of [revoked, expiring]) expect([await ask(hash), await read(hash)]).toEqual(["done", "done"]);
    await call(db, "people.revoke_api_key", { id: revoked.id, caused_by: "test" });
    await advance(db, "1 hour");
    for (const hash of [revoked.hash, expiring.hash, "0".repeat(64), ""]) {
      expect([await ask(hash), await read(hash)]).toEqual(["unauthenticated", "unauthenticated"]);
    }
    expect(await new Account(db, { owner: workspace }).sums()).toEqual([8, 0, 0]);
  });

  test("a key that lacks the scope is told which", async ({ db, door }) => {
    const workspace = await door.workspace(10);
    const { hash } = await door.key({ scopes: ["credits:read"], workspace });
    expect(await refusal(door.write({ ...spend(workspace, 1, "k"), credential: hash }))).toEqual({
      code: "forbidden",
      scope: "credits:write",
    });
    const permit = { key_hash: hash, scope: "credits:read", workspace };
    expect(await call(db, "ops.permit", permit)).toMatchObject({ workspace_id: workspace });
  });

  test("to a workspace's key, another workspace and a missing one are one: not found", async ({ db, door }) => {
    const [own, foreign] = [await door.workspace(10), await door.workspace(10)];
    const { hash } = await door.key({ scopes: ["credits:write", "credits:read"], workspace: own });
    for (const workspace of [foreign, randomUUID()]) {
      expect(await refusal(door.write({ ...spend(workspace, 1, "k"), credential: hash }))).toEqual({
        code: "not_found",
      });
      const permit = { key_hash: hash, scope: "credits:read", workspace };
      expect(await refusal(call(db, "ops.permit", permit))).toEqual({ code: "not_found" });
    }
    expect(await outcome(door.write({ ...spend(own, 1, "k"), credential: hash }))).toBe("done");
    expect(await new Account(db, { owner: foreign }).sums()).toEqual([10, 0, 0]);
  });

  test("an operator is told that a workspace is missing, and only an operator may do without one", async ({
    db,
    door,
  }) => {
    const workspace = await door.workspace();
    expect(await refusal(door.write(spend(randomUUID(), 1, "k")))).toEqual({ code: "not_found" });
    const { hash } = await door.key({ scopes: ["workspaces:read"], workspace });
    const permit = { key_hash: hash, scope: "workspaces:read", workspace: null };
    expect(await refusal(call(db, "ops.permit", permit))).toEqual({ code: "operator_key_required" });
    expect(await call(db, "ops.permit", { ...permit, key_hash: door.operator })).toMatchObject({ workspace_id: null });
  });

  test("the cause of what is done is the key's id", async ({ db, door }) => {
    const workspace = await door.workspace(10);
    const { id, hash } = await door.key({ workspace, scopes: ["credits:write"] });
    await door.write({ ...spend(workspace, 1, "k"), credential: hash });
    const found = await rows(db, "select caused_by from ledger.transaction where owner_id = $1 and kind = 'spend'", [
      workspace,
    ]);
    expect(found).toEqual([{ caused_by: `key:${id}` }]);
  });
});

describe("A11 a key has one effect", () => {
  test("executions are counted by entries, not by answers: a replay runs nothing", async ({ db, door }) => {
    const workspace = await door.workspace(10);
    const account = new Account(db, { owner: workspace });
    const first = await door.write(spend(workspace, 3, "once"));
    for (let i = 0; i < 5; i += 1) {
      expect(await door.write(spend(workspace, 3, "once"))).toEqual({ replayed: true, answer: first.answer });
    }
    expect(first.replayed).toBe(false);
    expect(await account.kinds()).toEqual({ grant: 1, spend: 1 });
    const entries = await rows(db, "select from ledger.entry where owner_id = $1 and side = 'spent'", [workspace]);
    expect(entries).toHaveLength(1);
  });

  test("the repeat of a request whose outcome was unknown is no client's replay", async ({ door }) => {
    const workspace = await door.workspace(10);
    const request = { ...spend(workspace, 3, "lost"), request_id: randomUUID() };
    const first = await door.write(request);
    expect(await door.write(request)).toEqual({ replayed: false, answer: first.answer });
  });

  test("without a key the request's id is the key", async ({ db, door }) => {
    const workspace = await door.workspace(10);
    const request = { ...spend(workspace, 3, ""), key: null, request_id: randomUUID() };
    await door.write(request);
    await door.write(request);
    await door.write({ ...request, request_id: randomUUID() });
    expect(await new Account(db, { owner: workspace }).kinds()).toEqual({ grant: 1, spend: 2 });
    const kept = await rows(db, "select from ops.request where idempotency_key = $1", [
      `tg:request:${request.request_id}`,
    ]);
    expect(kept).toHaveLength(1);
  });

  test("another request under the key is refused, and nothing runs", async ({ db, door }) => {
    const workspace = await door.workspace(10);
    await door.write({ ...spend(workspace, 3, "k"), fingerprint: "aa" });
    expect(await refusal(door.write({ ...spend(workspace, 3, "k"), fingerprint: "ab" }))).toEqual({
      code: "idempotency_key_reused",
    });
    expect(await new Account(db, { owner: workspace }).sums()).toEqual([7, 0, 0]);
  });

  test("a key belongs to its workspace; the operator's own calls are a space of theirs", async ({ db, door }) => {
    const [one, two] = [await door.workspace(10), await door.workspace(10)];
    await door.write(spend(one, 3, "k"));
    expect(await door.write(spend(two, 4, "k"))).toMatchObject({ replayed: false });
    const make = {
      routine: "people.create_workspace",
      args: { name: "B" },
      workspace: null,
      scope: "workspaces:write",
    };
    const made = await door.write({ ...make, key: "k" });
    expect(await door.write({ ...make, key: "k" })).toEqual({ replayed: true, answer: made.answer });
    const kept = await rows(
      db,
      "select workspace_id from ops.request where idempotency_key = 'k' and workspace_id is null",
    );
    expect(kept).toHaveLength(1);
  });

  test("a refusal leaves nothing, not even its key: the same key may succeed later", async ({ db, door }) => {
    const workspace = await door.workspace();
    const counts = () =>
      rows(
        db,
        "select (select count(*) from ops.request) as requests, (select count(*) from ledger.account) as accounts",
      );
    const before = await counts();
    expect(await refusal(door.write(spend(workspace, 3, "k")))).toMatchObject({ code: "insufficient_credits" });
    expect(await counts()).toEqual(before);
    await new Account(db, { owner: workspace }).grant(3);
    expect(await door.write({ ...spend(workspace, 3, "k"), fingerprint: "bb" })).toMatchObject({ replayed: false });
  });

  test("after 35 days the answer is gone, and the key still stands on its transaction", async ({ db, door }) => {
    const workspace = await door.workspace(10);
    await door.write(spend(workspace, 3, "k"));
    await advance(db, "34 days 23 hours");
    await rows(db, "select ops.requests_expire(1000)");
    expect(await door.write(spend(workspace, 3, "k"))).toMatchObject({ replayed: true });
    await advance(db, "1 hour");
    await rows(db, "select ops.requests_expire(1000)");
    expect(await refusal(door.write(spend(workspace, 3, "k")))).toMatchObject({ code: "idempotency_key_expired" });
    expect(await new Account(db, { owner: workspace }).sums()).toEqual([7, 0, 0]);
  });
});

describe("A11 two calls with one key at once", () => {
  test("the second waits for the first and replays it; it never runs", async ({ db, door }) => {
    const workspace = await door.workspace(10);
    const gate = await db.connect();
    try {
      await gate.query("begin");
      const first = await door.write(spend(workspace, 3, "k"), gate);
      const others = race(5, () => door.write(spend(workspace, 3, "k")));
      await blockedBackends(db, 5);
      await gate.query("commit");
      for (const other of await others) expect(other).toEqual({ replayed: true, answer: first.answer });
    } finally {
      gate.release(true);
    }
    expect(await new Account(db, { owner: workspace }).kinds()).toEqual({ grant: 1, spend: 1 });
  });

  test("when the first rolls back, exactly one of those who waited runs", async ({ db, door }) => {
    const workspace = await door.workspace(10);
    const gate = await db.connect();
    try {
      await gate.query("begin");
      await door.write(spend(workspace, 3, "k"), gate);
      const others = race(6, () => door.write(spend(workspace, 3, "k")));
      await blockedBackends(db, 6);
      await gate.query("rollback");
      expect(tally((await others).map(({ replayed }) => String(replayed)))).toEqual({ false: 1, true: 5 });
    } finally {
      gate.release(true);
    }
    expect(await new Account(db, { owner: workspace }).kinds()).toEqual({ grant: 1, spend: 1 });
  });

  test("many rounds of two kinds: one effect a key, all answers alike", async ({ db, door }) => {
    const workspace = await door.workspace(1000);
    for (let round = 0; round < 25; round += 1) {
      const request =
        round % 2 === 0
          ? spend(workspace, 3, `round-${round}`)
          : { routine: "ledger.grant", args: granting(3), workspace, key: `round-${round}` };
      const answers = await race(4, () => door.write(request));
      expect(tally(answers.map(({ replayed }) => String(replayed)))).toEqual({ false: 1, true: 3 });
      expect(new Set(answers.map(({ answer }) => JSON.stringify(answer))).size).toBe(1);
    }
    expect(await new Account(db, { owner: workspace }).kinds()).toEqual({ grant: 13, spend: 13 });
  });
});

const remember = (answer: string | null, key: string) => ({
  workspace_id: null,
  idempotency_key: key,
  fingerprint: "00",
  request_id: randomUUID(),
  answer,
});

describe("remember", () => {
  test("a null answer is refused, and stored as nothing", async ({ db }) => {
    expect(await refusal(call(db, "ops.remember", remember(null, "null")))).toMatchObject({ sqlstate: "22004" });
    expect(await rows(db, "select from ops.request where idempotency_key = 'null'")).toEqual([]);
  });

  test("one answer a key by constraint, whatever ops.admit let pass", async ({ db }) => {
    await call(db, "ops.remember", remember("{}", "twice"));
    expect(await refusal(call(db, "ops.remember", remember("{}", "twice")))).toEqual({
      sqlstate: "23505",
      constraint: "request_once",
    });
  });
});
