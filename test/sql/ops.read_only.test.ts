import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import type { Pool } from "pg";
import { compose } from "../../src/db/write.ts";
import { Door, granting, spending } from "../support/door.ts";
import { Planned } from "../support/plans.ts";
import { Account, advance, call, outcome, refusal, rows } from "../support/scenario.ts";
import { test } from "../support/sql.ts";

/** A door for what a workspace that is read-only or frozen may not do. */
const strict = (db: Pool) => Door.open(db, (routine) => compose(routine, true));

const spend = (workspace: string, key: string | null = null) => ({
  routine: "ledger.spend",
  args: spending(1),
  workspace,
  key,
});

const freeze = (db: Pool, workspace_id: string) =>
  call(db, "people.freeze_workspace", { workspace_id, reason: "fraud", caused_by: "key:somebody" });
const unfreeze = (db: Pool, workspace_id: string) =>
  call(db, "people.unfreeze_workspace", { workspace_id, caused_by: "key:somebody" });

/** Read-only from `from` (an interval from now) on; null: not. */
async function readOnly(db: Pool, workspace: string, from: string | null): Promise<void> {
  await db.query("select people.set_read_only($1, ops.now() + $2::interval, $3)", [
    workspace,
    from,
    from === null ? null : "past_due",
  ]);
}

describe("a workspace that may not write", () => {
  test("is refused with the reason, nothing is written, and it may again when it has paid", async ({ db }) => {
    const door = await strict(db);
    const workspace = await door.workspace(10);
    await readOnly(db, workspace, "0");
    expect(await refusal(door.write(spend(workspace, "k")))).toEqual({
      code: "workspace_read_only",
      reason: "past_due",
    });
    expect(
      await rows(db, "select from ops.request where workspace_id = $1 and idempotency_key = 'k'", [workspace]),
    ).toEqual([]);
    expect(await new Account(db, { owner: workspace }).sums()).toEqual([10, 0, 0]);
    await readOnly(db, workspace, null);
    // The refusal has not used up its key.
    expect(await door.write(spend(workspace, "k"))).toMatchObject({ replayed: false });
    await door.assertReplays();
  });

  test("is not refused while its grace lasts, and is the moment it ends: no sweep is needed", async ({ db }) => {
    const door = await strict(db);
    const workspace = await door.workspace(10);
    await readOnly(db, workspace, "7 days");
    expect(await outcome(door.write(spend(workspace)))).toBe("done");
    await advance(db, "6 days 23 hours");
    expect(await outcome(door.write(spend(workspace)))).toBe("done");
    await advance(db, "1 hour");
    expect(await outcome(door.write(spend(workspace)))).toBe("workspace_read_only");
  });

  test("is told that it is frozen before it is told that it is read-only", async ({ db }) => {
    const door = await strict(db);
    const workspace = await door.workspace(10);
    await readOnly(db, workspace, "0");
    await freeze(db, workspace);
    expect(await refusal(door.write(spend(workspace)))).toEqual({ code: "workspace_frozen", reason: "fraud" });
    await unfreeze(db, workspace);
    expect(await outcome(door.write(spend(workspace)))).toBe("workspace_read_only");
  });

  test("is answered again what it was answered before", async ({ db }) => {
    const door = await strict(db);
    const workspace = await door.workspace(10);
    const request_id = randomUUID();
    const first = await door.write({ ...spend(workspace, "k"), request_id });
    await readOnly(db, workspace, "0");
    await freeze(db, workspace);
    expect(await door.write(spend(workspace, "k"))).toEqual({ replayed: true, answer: first.answer });
    // And so is the repeat of a request whose outcome was unknown.
    expect(await door.write({ ...spend(workspace, "k"), request_id })).toEqual({
      replayed: false,
      answer: first.answer,
    });
    expect(await outcome(door.write({ ...spend(workspace, "k"), fingerprint: "ff" }))).toBe("idempotency_key_reused");
    expect(await outcome(door.write(spend(workspace, "another")))).toBe("workspace_frozen");
  });

  test("may do what even such a one may do", async ({ db, door }) => {
    const workspace = await door.workspace(10);
    await readOnly(db, workspace, "0");
    await freeze(db, workspace);
    expect(await outcome(door.write(spend(workspace)))).toBe("done");
    const grant = { routine: "ledger.grant", args: granting(5), workspace };
    expect(await outcome(door.write(grant))).toBe("done");
  });

  test("hears first that its key is wrong", async ({ db }) => {
    const door = await strict(db);
    const workspace = await door.workspace(10);
    await freeze(db, workspace);
    expect(await outcome(door.write({ ...spend(workspace), credential: "0".repeat(64) }))).toBe("unauthenticated");
    const { hash } = await door.key({ workspace, scopes: ["credits:read"] });
    expect(await outcome(door.write({ ...spend(workspace), credential: hash }))).toBe("forbidden");
  });
});

test("who is let in anyway costs no query more", async ({ database, door }) => {
  const workspace = await door.workspace(1);
  const planned = await Planned.open(database);
  try {
    const tables = async (even_read_only: boolean | null) => {
      const flag = even_read_only === null ? "" : `, even_read_only => ${even_read_only}`;
      const read = await planned.readings(
        `select from ops.admit(key_hash => $1, scope => 'credits:write', workspace => $2, idempotency_key => null,
           fingerprint => '00', request_id => gen_random_uuid()${flag})`,
        [door.operator, workspace],
      );
      return read.map(({ table }) => table).toSorted();
    };
    const usual = await tables(null);
    expect(await tables(true)).toEqual(usual);
    expect(await tables(false)).toEqual([...usual, "workspace"].toSorted());
  } finally {
    await planned.close();
  }
});

test("B9 freezing and letting go are audited once each, however often they are asked for", async ({ db, door }) => {
  const workspace = await door.workspace();
  const frozen = await freeze(db, workspace);
  expect(await freeze(db, workspace)).toEqual(frozen);
  const again = { workspace_id: workspace, reason: "another", caused_by: "key:x" };
  expect(await call(db, "people.freeze_workspace", again)).toMatchObject({ reason: "fraud" });
  for (let i = 0; i < 2; i += 1)
    expect(await unfreeze(db, workspace)).toEqual({ workspace_id: workspace, frozen: false });
  const audit = await rows(
    db,
    "select actor, action, detail from ops.audit where workspace_id = $1 and action like '%freeze' order by id",
    [workspace],
  );
  expect(audit).toEqual([
    { actor: "key:somebody", action: "workspace.freeze", detail: { reason: "fraud" } },
    { actor: "key:somebody", action: "workspace.unfreeze", detail: {} },
  ]);
  expect(await outcome(freeze(db, randomUUID()))).toBe("not_found");
  expect(await outcome(unfreeze(db, randomUUID()))).toBe("not_found");
});
