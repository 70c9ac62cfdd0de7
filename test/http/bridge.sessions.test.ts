import { expect } from "vitest";
import { z } from "zod";
import { ask, bridgeTo, running, test, waitingForLock } from "../support/bridge.ts";

test("a batch is one transaction with the isolation it asks for", async ({ sql, bridge, database }) => {
  const modes = sql`select current_setting('transaction_isolation') as isolation,
    current_setting('transaction_read_only') as read_only, current_setting('transaction_deferrable') as deferrable`;
  for (const [isolationLevel, isolation] of [
    ["ReadUncommitted", "read uncommitted"],
    ["ReadCommitted", "read committed"],
    ["RepeatableRead", "repeatable read"],
    ["Serializable", "serializable"],
  ] as const) {
    expect(await sql.transaction([modes], { isolationLevel })).toEqual([
      [{ isolation, read_only: "off", deferrable: "off" }],
    ]);
  }
  const options = { isolationLevel: "Serializable", readOnly: true, deferrable: true } as const;
  expect(await sql.transaction([modes], options)).toEqual([
    [{ isolation: "serializable", read_only: "on", deferrable: "on" }],
  ]);
  const [first, second] = await sql.transaction([sql`select txid_current() as id`, sql`select txid_current() as id`]);
  expect(first).toEqual(second);
  const headers = { "Neon-Batch-Isolation-Level": "RepeatableRead", "Neon-Batch-Read-Only": "true" };
  const echoed = await ask(
    bridge.url,
    database.superuserUrl,
    JSON.stringify({ queries: [{ query: "select 1" }] }),
    headers,
  );
  expect(echoed.headers.get("neon-batch-isolation-level")).toBe("RepeatableRead");
  expect(echoed.headers.get("neon-batch-read-only")).toBe("true");
  expect(echoed.headers.get("neon-batch-deferrable")).toBeNull();
});

test("a batch's first error rolls all of it back", async ({ sql }) => {
  await sql`create table whole (a int)`;
  const batch = sql.transaction([
    sql`insert into whole values (1)`,
    sql`select 1 / 0`,
    sql`insert into whole values (2)`,
  ]);
  await expect(batch).rejects.toMatchObject({ code: "22012" });
  await expect(sql.transaction([sql`insert into whole values (3)`], { readOnly: true })).rejects.toMatchObject({
    code: "25006",
  });
  expect(await sql`select * from whole`).toEqual([]);
});

test("an error at COMMIT is told like any other, and nothing stays", async ({ sql }) => {
  await sql`create table parent (id int primary key)`;
  await sql`create table child (id int references parent deferrable initially deferred)`;
  await expect(sql.transaction([sql`insert into child values (7)`])).rejects.toMatchObject({
    code: "23503",
    constraint: "child_id_fkey",
  });
  await expect(sql`insert into child values (8)`).rejects.toMatchObject({ code: "23503" });
  expect(await sql`select * from child`).toEqual([]);
});

test("a serialization failure comes as 40001", async ({ sql, database }) => {
  await sql`create table serial (id int primary key, n int)`;
  await sql`insert into serial values (1, 0), (2, 0)`;
  const other = await database.owner.connect();
  await sql`grant all on serial to public`;
  try {
    await other.query("begin isolation level repeatable read");
    await other.query("update serial set n = n + 1 where id = 1");
    const blocked = sql.transaction([sql`select * from serial`, sql`update serial set n = n + 1 where id = 1`], {
      isolationLevel: "RepeatableRead",
    });
    const outcome = expect(blocked).rejects.toMatchObject({ code: "40001" });
    await expect.poll(() => waitingForLock(database.owner, "update serial")).toBe(1);
    await other.query("commit");
    await outcome;
  } finally {
    other.release();
  }
});

test("no session state passes from one request to the next", async ({ database }) => {
  const narrow = await bridgeTo(database, { maxConnections: 1 });
  const post = async (query: string): Promise<{ [name: string]: unknown }> => {
    const answer = await ask(narrow.url, database.superuserUrl, JSON.stringify({ query }));
    expect(answer).toMatchObject({ status: 200 });
    return answer.body;
  };
  const look = `select pg_backend_pid() as pid, current_setting('search_path') as path, current_user::text as role,
    current_setting('statement_timeout') as timeout, to_regclass('pg_temp.leaked') as temporary,
    (select count(*)::int from pg_prepared_statements where name = 'leaked') as prepared,
    (select count(*)::int from pg_listening_channels()) as channels,
    (select count(*)::int from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks,
    (select count(*)::int from pg_cursors where name = 'leaked') as cursors`;
  try {
    const before = await post(look);
    for (const leak of [
      "set search_path = nowhere",
      "set statement_timeout = 1000",
      "create temporary table leaked (a int)",
      "prepare leaked as select 1",
      "listen leaked",
      "select pg_advisory_lock(4711)",
      "set role pg_monitor",
    ]) {
      await post(leak);
      expect((await post(look))["rows"], leak).toEqual(before["rows"]);
    }
    // A transaction that a request left open ends with its connection.
    await post("begin");
    const [after] = z.array(z.object({ pid: z.int(), locks: z.literal(0) })).parse((await post(look))["rows"]);
    expect(before["rows"]).not.toMatchObject([{ pid: after?.pid }]);
  } finally {
    await narrow.stop();
  }
});

test("a client that goes away has its query cancelled", async ({ sql, database, bridge, endless }) => {
  const { cancelled } = bridge.counters;
  const abort = new AbortController();
  const slow = sql.query(endless, [], { fetchOptions: { signal: abort.signal } });
  const outcome = expect(slow).rejects.toThrow(/abort/);
  await expect.poll(() => running(database.owner, endless)).toBe(1);
  abort.abort();
  await outcome;
  await expect.poll(() => running(database.owner, endless)).toBe(0);
  expect(bridge.counters.cancelled).toBe(cancelled + 1);
});

test("a client that goes away in a batch leaves nothing of it", async ({ sql, database, endless }) => {
  await sql`create table abandoned (a int)`;
  const abort = new AbortController();
  const batch = sql.transaction([sql`insert into abandoned values (1)`, sql.query(endless)], {
    fetchOptions: { signal: abort.signal },
  });
  const outcome = expect(batch).rejects.toThrow(/abort/);
  await expect.poll(() => running(database.owner, endless)).toBe(1);
  abort.abort();
  await outcome;
  await expect.poll(() => running(database.owner, endless)).toBe(0);
  expect(await sql`select * from abandoned`).toEqual([]);
});

test("a backend that is ended under a query is told as such, and the next query finds another", async ({
  sql,
  database,
  endless,
}) => {
  const slow = sql.query(endless);
  const outcome = expect(slow).rejects.toMatchObject({ code: "57P01", severity: "FATAL" });
  await expect.poll(() => running(database.owner, endless)).toBe(1);
  await sql`select pg_terminate_backend(pid) from pg_stat_activity where query = ${endless}`;
  await outcome;
  await expect(sql`select 1 as one`).resolves.toEqual([{ one: 1 }]);
});

test("requests beyond the pool's connections wait their turn, and those given up give up their place", async ({
  database,
  endless,
}) => {
  const small = await bridgeTo(database, { maxConnections: 2 });
  const post = (query: string, signal?: AbortSignal): Promise<Response> =>
    fetch(small.url, {
      method: "POST",
      headers: { "Neon-Connection-String": database.superuserUrl },
      body: JSON.stringify({ query }),
      ...(signal === undefined ? {} : { signal }),
    });
  try {
    const held = [new AbortController(), new AbortController()];
    const slow = held.map(({ signal }) => post(endless, signal).catch(() => "gone"));
    await expect.poll(() => running(database.owner, endless)).toBe(2);
    const waiting = Array.from({ length: 8 }, () => post("select 1"));
    for (const abort of held) {
      abort.abort();
    }
    expect(await Promise.all(slow)).toEqual(["gone", "gone"]);
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200));
  } finally {
    await small.stop();
  }
});
