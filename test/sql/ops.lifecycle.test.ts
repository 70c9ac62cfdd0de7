import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { withClient } from "../world/roles.ts";
import { Account, outcome, refusal, rows } from "../support/scenario.ts";
import { test } from "../support/sql.ts";

const states = ["held", "settled", "released", "expired", "lost"];
/** What ended_at must be in a state. */
const ended = (state: string) => (state === "held" ? "null" : "ops.now()");

const allowed = new Set(["held>settled", "held>released", "held>expired"]);

describe("C9 a hold moves only as ops.transition says, whoever writes", () => {
  const moves = states.flatMap((from) => [...states, ""].map((to) => [from, to] as const));
  const real = moves.filter(([from, to]) => from !== to);
  test.for(real)("from %o to %o", async ([from, to], { db }) => {
    const connection = await db.connect();
    try {
      await connection.query("begin");
      const account = new Account(connection);
      await account.grant(1);
      const { id } = await account.hold(1);
      if (from !== "held") {
        // Past the trigger, as no role but the owner could.
        await connection.query("alter table ledger.hold disable trigger hold_lifecycle");
        await connection.query(
          `update ledger.hold set state = $1, ended_at = ${ended(from)}, version = 2 where id = $2`,
          [from, id],
        );
        await connection.query("alter table ledger.hold enable trigger hold_lifecycle");
      }
      const move = outcome(
        connection.query(`update ledger.hold set state = $1, ended_at = ${ended(to)} where id = $2`, [to, id]),
      );
      expect(await move).toBe(allowed.has(`${from}>${to}`) ? "done" : "TG003");
    } finally {
      connection.release(true);
    }
  });

  test("every update steps the version by one, whatever it says itself", async ({ db }) => {
    const connection = await db.connect();
    try {
      await connection.query("begin");
      const account = new Account(connection);
      await account.grant(1);
      const { id } = await account.hold(1);
      for (const [version, change] of [
        [2, "reason = 'a'"],
        [3, "version = 40"],
        [4, "version = version"],
        [5, "state = 'settled', ended_at = ops.now(), settled = 1, version = 1"],
        [6, "reason = 'b'"],
      ] as const) {
        await connection.query(`update ledger.hold set ${change} where id = $1`, [id]);
        expect(await account.holdRow(id)).toMatchObject({ version });
      }
    } finally {
      connection.release(true);
    }
  });

  test("a row is born held, with version 1", async ({ db }) => {
    const connection = await db.connect();
    try {
      const born = (state: string) =>
        connection.query(
          `insert into ledger.hold (owner_id, id, unit, state, version, amount, lots, lot_amounts, expires_at, ended_at, created_at)
           values ($1, $2, 'credit', $3, 7, 1, '{}', '{}', ops.now(), case when $3 = 'held' then null else ops.now() end, ops.now())
           returning version`,
          [randomUUID(), randomUUID(), state],
        );
      for (const state of ["settled", "released", "expired", "lost", ""]) {
        expect(await outcome(born(state))).toBe("TG003");
      }
      await connection.query("begin");
      expect((await born("held")).rows).toEqual([{ version: 1 }]);
    } finally {
      connection.release(true);
    }
  });

  test("there are no other moves", async ({ db }) => {
    const found = await rows<{ move: string }>(
      db,
      "select from_state || '>' || to_state as move from ops.transition where machine = 'ledger.hold'",
    );
    expect(new Set(found.map(({ move }) => move))).toEqual(new Set([">held", ...allowed]));
  });
});

describe("append-only, for the owner and everybody else", () => {
  const changes = ["update %t set created_at = created_at", "update %t set created_at = created_at where false"];
  const removals = ["delete from %t", "delete from %t where false", "truncate %t", "truncate %t cascade"];
  const merges = [
    "merge into %t t using (select) x on true when matched then delete",
    "merge into %t t using (select) x on true when matched then update set created_at = created_at",
  ];
  const attempts = ["ops.audit", "ledger.transaction"].flatMap((table) =>
    [...changes, ...removals, ...merges].map((statement) => statement.replace("%t", table)),
  );

  test.for(attempts)("B9 %s", async (statement, { db, database, account }) => {
    await account.adjust(5);
    const before = await rows(
      db,
      "select count(*) as n from ops.audit union all select count(*) from ledger.transaction",
    );
    expect(await outcome(db.query(statement))).toBe("TG002");
    const worker = withClient(database.workerUrl, (client) => client.query(statement));
    expect(await outcome(worker)).toBe("42501");
    const superuser = withClient(database.superuserUrl, (client) => client.query(statement));
    expect(await outcome(superuser)).toBe("TG002");
    expect(
      await rows(db, "select count(*) as n from ops.audit union all select count(*) from ledger.transaction"),
    ).toEqual(before);
  });

  test("B9 an upsert cannot change a row either", async ({ db, account }) => {
    const { transaction_id } = await account.adjust(5);
    const upsert = `insert into ledger.transaction select * from ledger.transaction where id = $1
      on conflict on constraint transaction_key_once do update set reason = 'another'`;
    expect(await outcome(rows(db, upsert, [transaction_id]))).toBe("TG002");
  });

  test("B9 each administrative routine writes its audit row in its own statement", async ({ db, door, account }) => {
    const workspace = await door.workspace();
    const { id } = await door.key({ workspace, scopes: ["credits:read"] });
    for (let again = 0; again < 2; again += 1) {
      await rows(db, "select people.revoke_api_key(id => $1, caused_by => 'admin')", [id]);
    }
    const owner = new Account(db, { owner: workspace });
    const { transaction_id } = await owner.adjust(3);
    await owner.reverse(transaction_id);
    await refusal(account.reverse(transaction_id));
    const found = await rows<{ action: string; actor: string; subject: string }>(
      db,
      "select action, actor, subject from ops.audit where workspace_id = $1 order by id",
      [workspace],
    );
    expect(found).toEqual([
      { action: "workspace.create", actor: "test", subject: `workspace:${workspace}` },
      { action: "api_key.create", actor: "test", subject: `api_key:${id}` },
      { action: "api_key.revoke", actor: "admin", subject: `api_key:${id}` },
      { action: "ledger.adjust", actor: "test", subject: `transaction:${transaction_id}` },
      { action: "ledger.reverse", actor: "test", subject: `transaction:${transaction_id}` },
    ]);
  });
});
