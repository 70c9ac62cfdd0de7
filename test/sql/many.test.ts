import { randomUUID } from "node:crypto";
import type { Pool } from "pg";
import { describe, expect } from "vitest";
import { race } from "../support/barrier.ts";
import { advance, call, refusal, rows } from "../support/scenario.ts";
import { test } from "../support/sql.ts";

// The routines that do for many, in a few statements, what their namesakes do for one.

describe("messages.enqueue_many", () => {
  const enqueueMany = (db: Pool, channel: string, workspaces: (string | null)[], keys: (string | null)[]) =>
    db.query("select messages.enqueue_many($1, 'renewed', $2, $3, $4)", [
      channel,
      workspaces,
      keys,
      workspaces.map((workspace) => JSON.stringify({ workspace })),
    ]);
  const found = (db: Pool, channel: string) =>
    rows<{ workspace_id: string; dedupe_key: string; body: unknown; state: string }>(
      db,
      "select workspace_id, dedupe_key, body, kind, state from messages.outbox where channel = $1 order by dedupe_key",
      [channel],
    );

  test("each message is there once for its key, whoever enqueues it and however often, in any order", async ({
    db,
  }) => {
    const channel = `channel ${randomUUID()}`;
    const workspaces = Array.from({ length: 20 }, () => randomUUID());
    const keys = workspaces.map((_, i) => `renewed:${String(i).padStart(2, "0")}`);
    await db.query("select messages.enqueue($1, 'renewed', $2, $3, $4)", [
      channel,
      workspaces[3],
      keys[3],
      JSON.stringify({ workspace: workspaces[3] }),
    ]);
    await race(8, (i) =>
      i % 2 === 0
        ? enqueueMany(db, channel, workspaces, keys)
        : enqueueMany(db, channel, workspaces.toReversed(), keys.toReversed()),
    );
    await enqueueMany(db, channel, [...workspaces, ...workspaces], [...keys, ...keys]);
    await enqueueMany(db, channel, [], []);
    expect(await found(db, channel)).toEqual(
      workspaces.map((workspace, i) => ({
        workspace_id: workspace,
        dedupe_key: keys[i],
        body: { workspace },
        kind: "renewed",
        state: "queued",
      })),
    );
    const claimed = await call<{ ids: string[] }>(db, "messages.claim", { channel, batch: 100, lease: "1 minute" });
    expect(claimed.ids).toHaveLength(20);
  });

  test("lists that are not of one length are refused, and nothing is enqueued", async ({ db }) => {
    const channel = `channel ${randomUUID()}`;
    expect(await refusal(enqueueMany(db, channel, [randomUUID()], ["a", "b"]))).toMatchObject({ sqlstate: "TG011" });
    expect(await refusal(enqueueMany(db, channel, [null, null], ["a"]))).toMatchObject({ sqlstate: "TG011" });
    expect(await found(db, channel)).toEqual([]);
  });

  test("the lag is that of the channel that is delivered; what the operator reads himself is never late", async ({
    db,
  }) => {
    const lag = async () => {
      const [row] = await rows<{ lag: number }>(db, "select messages.lag_seconds() as lag");
      return row?.lag ?? -1;
    };
    await db.query("delete from messages.channel");
    await db.query("delete from messages.outbox");
    await call(db, "messages.claim", { channel: "stripe", batch: 1, lease: "1 minute" });
    for (const channel of ["provisioner", "notice"]) await enqueueMany(db, channel, [null], ["one"]);
    await advance(db, "1 hour");
    expect(await lag()).toBe(0);
    await enqueueMany(db, "stripe", [null], ["one"]);
    await advance(db, "10 minutes");
    expect(await lag()).toBeGreaterThanOrEqual(600);
    expect(await lag()).toBeLessThan(3600);
  });
});

describe("people.claim_workspaces", () => {
  const claim = async (db: Pick<Pool, "query">, ids: string[]): Promise<string[]> => {
    const { rows: found } = await db.query<{ ids: string[] }>("select people.claim_workspaces($1) as ids", [ids]);
    return found[0]?.ids ?? [];
  };
  const workspaces = async (db: Pool, n: number): Promise<string[]> => {
    const made = Array.from({ length: n }, () =>
      call<{ id: string }>(db, "people.create_workspace", { name: "A", caused_by: "test" }),
    );
    return (await Promise.all(made)).map(({ id }) => id).toSorted();
  };

  test("answers those that nobody has, in order, and never waits; strangers are not there", async ({ db }) => {
    const ids = await workspaces(db, 6);
    const [first, second] = [await db.connect(), await db.connect()];
    try {
      await first.query("begin");
      await second.query("begin");
      expect(await claim(first, [...ids.slice(1, 3), randomUUID()].toReversed())).toEqual(ids.slice(1, 3));
      expect(await claim(second, ids.toReversed())).toEqual([ids[0], ...ids.slice(3)]);
      expect(await claim(db, ids)).toEqual([]);
      // What belongs to the workspace may be made meanwhile: its key is not locked.
      await db.query(
        `select people.create_api_key(workspace_id => $1, name => 'a', scopes => '{credits:write}', hash => $2, prefix => 'tg_',
           expires_in => null, caused_by => 'test')`,
        [ids[1], "0".repeat(64)],
      );
      await first.query("commit");
      expect(await claim(db, ids)).toEqual(ids.slice(1, 3));
      await second.query("commit");
      expect(await claim(db, ids)).toEqual(ids);
      expect(await claim(db, [])).toEqual([]);
    } finally {
      first.release(true);
      second.release(true);
    }
  });
});
