import type { Pool } from "pg";
import { describe, expect } from "vitest";
import { race } from "../support/barrier.ts";
import { advance, call, outcome, rows } from "../support/scenario.ts";
import { Till, invoiceFact } from "../support/till.ts";
import type { Received } from "../support/till.ts";
import { test } from "../support/sql.ts";

const receive = (db: Pool, id: string, more: Record<string, unknown> = {}) =>
  call<Received>(db, "ops.receive_event", {
    provider: "stripe",
    id,
    type: "invoice.paid",
    subject: `in_of_${id}`,
    occurred_at: "2026-01-01T00:00:00Z",
    fact: null,
    payload: "{}",
    ...more,
  });

const fetched = (db: Pool, id: string, fact: unknown, fault: string | null = null) =>
  call<{ state: string; outcome: string | null }>(db, "ops.apply_fetched", {
    provider: "stripe",
    id,
    fact: fact === null ? null : JSON.stringify(fact),
    fault,
  });

const claim = (db: Pool, batch = 100) =>
  call<{ ids: string[]; types: string[]; subjects: (string | null)[] }>(db, "ops.claim_fetches", {
    provider: "stripe",
    batch,
    lease: "2 minutes",
  });

const replay = (db: Pool, id: string) =>
  call<{ state: string }>(db, "ops.replay_event", { provider: "stripe", id, caused_by: "test" });

const states = async (db: Pool, prefix: string) =>
  (
    await rows<{ id: string; state: string }>(db, "select id, state from ops.event where id like $1 order by id", [
      `${prefix}%`,
    ])
  ).map(({ id, state }) => `${id} ${state}`);

const openAlarms = (db: Pool, code: string) =>
  rows<{ subject: string; times: number }>(
    db,
    "select subject, times from ops.alarm where code = $1 and closed_at is null order by subject",
    [code],
  );

describe("what is not applied", () => {
  test("an event of another mode or account is stored without effect, under one alarm, and is never replayed", async ({
    db,
  }) => {
    const till = new Till(db);
    const [plan, customer] = [await till.plan(), await till.customer()];
    const fact = JSON.stringify(invoiceFact(customer, "sub_foreign", plan.price));
    for (const id of ["evt_foreign_1", "evt_foreign_2"]) {
      expect(await receive(db, id, { fact, foreign_because: "livemode" })).toEqual({
        state: "foreign",
        outcome: "livemode",
        duplicate: false,
      });
    }
    expect(await receive(db, "evt_foreign_1", { fact })).toMatchObject({ state: "foreign", duplicate: true });
    expect(await till.credits(customer.workspace)).toEqual({});
    expect(await openAlarms(db, "event_foreign")).toEqual([{ subject: "stripe", times: 2 }]);
    // By a key that was mended meanwhile it may be ours: what it tells is fetched with that one.
    expect(await replay(db, "evt_foreign_1")).toMatchObject({ state: "fetching" });
    expect(await fetched(db, "evt_foreign_1", null)).toMatchObject({ state: "ignored" });
    expect(await replay(db, "evt_foreign_2")).toMatchObject({ state: "fetching" });
    expect(await fetched(db, "evt_foreign_2", JSON.parse(fact))).toMatchObject({ state: "applied" });
    expect(await till.credits(customer.workspace)).toEqual({ subscription: 20 });
  });

  test("an event of a type that concerns nothing is ignored, and stays so when it is replayed", async ({ db }) => {
    expect(await receive(db, "evt_ignored")).toEqual({ state: "ignored", outcome: null, duplicate: false });
    expect(await replay(db, "evt_ignored")).toMatchObject({ state: "ignored" });
  });

  test("an event that could not be read is stored with why; replayed, it is fetched", async ({ db }) => {
    expect(await receive(db, "evt_fault", { fault: "amount_paid: expected a number" })).toMatchObject({
      state: "failed",
    });
    const [row] = await rows(db, "select error, attempts from ops.event where id = 'evt_fault'");
    expect(row).toEqual({ error: "amount_paid: expected a number", attempts: 1 });
    expect(await replay(db, "evt_fault")).toMatchObject({ state: "fetching" });
    expect(await claim(db)).toMatchObject({ ids: ["evt_fault"], subjects: ["in_of_evt_fault"] });
    expect(await fetched(db, "evt_fault", null)).toEqual({ state: "ignored", outcome: null });
  });
});

describe("an event whose object is fetched", () => {
  test("is claimed by one Worker until its lease has passed, and then by the next, each time later", async ({ db }) => {
    for (const id of ["evt_lease_1", "evt_lease_2", "evt_lease_3"]) {
      expect(await receive(db, id, { fetch_because: "api_version" })).toMatchObject({ state: "fetching" });
    }
    const claims = await race(8, () => claim(db, 2));
    expect(claims.flatMap(({ ids }) => ids).toSorted()).toEqual(["evt_lease_1", "evt_lease_2", "evt_lease_3"]);
    expect((await claim(db)).ids).toEqual([]);
    for (const wait of ["2 minutes", "2 minutes", "4 minutes", "8 minutes"]) {
      await advance(db, wait);
      expect((await claim(db)).ids).toHaveLength(3);
      expect((await claim(db)).ids).toEqual([]);
    }
    for (const id of ["evt_lease_1", "evt_lease_2", "evt_lease_3"]) await fetched(db, id, null);
    expect(await states(db, "evt_lease")).toEqual([
      "evt_lease_1 ignored",
      "evt_lease_2 ignored",
      "evt_lease_3 ignored",
    ]);
  });

  test("is applied once, whoever fetched it how often", async ({ db }) => {
    const till = new Till(db);
    const [plan, customer] = [await till.plan({ included_credits: 4 }), await till.customer()];
    await receive(db, "evt_fetched", { fetch_because: "api_version" });
    await claim(db);
    const fact = invoiceFact(customer, "sub_fetched", plan.price);
    const answers = await race(10, () => fetched(db, "evt_fetched", fact));
    expect(answers).toEqual(Array.from({ length: 10 }, () => ({ state: "applied", outcome: "given" })));
    expect(await till.credits(customer.workspace)).toEqual({ subscription: 4 });
    expect(await rows(db, "select attempts from ops.event where id = 'evt_fetched'")).toEqual([{ attempts: 2 }]);
    expect(await outcome(fetched(db, "evt_none", fact))).toBe("not_found");
  });

  test("is kept with its fact when it cannot be applied yet, and a sweep applies it later", async ({ db }) => {
    const till = new Till(db);
    const plan = await till.plan({ included_credits: 4 });
    const customer = await till.customer();
    await receive(db, "evt_parked", { fetch_because: "api_version" });
    await claim(db);
    const fact = invoiceFact(customer, "sub_parked", "price_parked");
    expect(await fetched(db, "evt_parked", fact)).toEqual({ state: "parked", outcome: null });
    await till.publish(`tollgate_${plan.code}_${plan.number}_eur_1month`, "price_parked");
    expect(await call(db, "ops.events_retry", { batch: 100 })).toEqual({ processed: 1, failed: 0, more: true });
    expect(await states(db, "evt_parked")).toEqual(["evt_parked applied"]);
  });

  test("is dead after 14 tries; replayed and fetched, its alarm closes", async ({ db }) => {
    const till = new Till(db);
    const [plan, customer] = [await till.plan(), await till.customer()];
    for (const id of ["evt_dead_1", "evt_dead_2"]) await receive(db, id, { fetch_because: "api_version" });
    await db.query("update ops.event set attempts = 13 where id like 'evt_dead%'");
    expect((await claim(db)).ids).toHaveLength(2);
    await advance(db, "12 hours");
    expect((await claim(db)).ids).toEqual([]);
    expect(await states(db, "evt_dead")).toEqual(["evt_dead_1 dead", "evt_dead_2 dead"]);
    expect(await openAlarms(db, "event_dead")).toHaveLength(2);
    expect(await fetched(db, "evt_dead_1", invoiceFact(customer, "sub_dead", plan.price))).toMatchObject({
      state: "dead",
    });
    for (const id of ["evt_dead_1", "evt_dead_2"]) expect(await replay(db, id)).toMatchObject({ state: "fetching" });
    expect((await claim(db)).ids).toHaveLength(2);
    // Asked for once more meanwhile: due at once.
    await replay(db, "evt_dead_2");
    expect((await claim(db)).ids).toEqual(["evt_dead_2"]);
    expect(await fetched(db, "evt_dead_1", invoiceFact(customer, "sub_dead", plan.price))).toMatchObject({
      state: "applied",
    });
    expect(await fetched(db, "evt_dead_2", null)).toMatchObject({ state: "ignored" });
    expect(await openAlarms(db, "event_dead")).toEqual([]);
  });
});

describe("retention", () => {
  test("events_expire drops what is over after 35 days, and nothing that is open", async ({ db }) => {
    const till = new Till(db);
    const [plan, customer] = [await till.plan(), await till.customer()];
    const fact = (price: string) => JSON.stringify(invoiceFact(customer, "sub_kept", price));
    await receive(db, "evt_old_applied", { fact: fact(plan.price) });
    await receive(db, "evt_old_dead", { fault: "x" });
    await receive(db, "evt_old_failed", { fault: "x" });
    await receive(db, "evt_old_fetching", { fetch_because: "x" });
    await receive(db, "evt_old_foreign", { foreign_because: "x" });
    await receive(db, "evt_old_ignored");
    await receive(db, "evt_old_parked", { fact: fact("price_none") });
    await db.query("update ops.event set state = 'dead', next_attempt_at = null where id = 'evt_old_dead'");
    await advance(db, "34 days");
    await receive(db, "evt_old_young");
    const expire = () => call(db, "ops.events_expire", { batch: 1000 });
    expect(await expire()).toMatchObject({ failed: 0, more: false });
    expect(await states(db, "evt_old")).toHaveLength(8);
    await advance(db, "25 hours");
    await expire();
    expect(await states(db, "evt_old")).toEqual([
      "evt_old_dead dead",
      "evt_old_failed failed",
      "evt_old_fetching fetching",
      "evt_old_parked parked",
      "evt_old_young ignored",
    ]);
    // What it did has a key of its own: told again, it is known.
    expect(await receive(db, "evt_old_applied", { fact: fact(plan.price) })).toMatchObject({ duplicate: false });
    await db.query("delete from ops.event where id like 'evt_old%'");
  });

  test("missing_events names those that the inbox lacks, in the order that was asked", async ({ db }) => {
    await receive(db, "evt_there");
    const ids = ["evt_z", "evt_there", "evt_a", "evt_z"];
    expect(await call(db, "ops.missing_events", { provider: "stripe", ids })).toMatchObject({
      ids: ["evt_z", "evt_a", "evt_z"],
    });
    expect(await call(db, "ops.missing_events", { provider: "other", ids: ["evt_there"] })).toMatchObject({
      ids: ["evt_there"],
    });
  });
});

describe("how far a list was read", () => {
  const open = (db: Pool, name: string) =>
    call<{ since: string; until: string; position: string | null }>(db, "ops.open_cursor", {
      name,
      overlap: "1 hour",
      furthest: "30 days",
    });
  // By place: `position` is a word of Postgres's own.
  const move = (db: Pool, name: string, position: string | null, done: boolean, until: string) =>
    db.query("select since from ops.move_cursor($1, $2, $3, $4)", [name, position, done, until]);

  test("a pass goes on where it was, and the next begins where it began", async ({ db }) => {
    const first = await open(db, "list");
    expect(first.position).toBeNull();
    await move(db, "list", "evt_5", false, first.until);
    await advance(db, "1 minute");
    expect(await open(db, "list")).toMatchObject({ until: first.until, position: "evt_5" });
    await move(db, "list", null, true, first.until);
    const next = await open(db, "list");
    expect(next.position).toBeNull();
    const [gap] = await rows(db, "select $1::timestamptz - $2::timestamptz = interval '1 hour' as is_overlap", [
      first.until,
      next.since,
    ]);
    expect(gap).toEqual({ is_overlap: true });
  });

  test("one that comes late, when the pass is over, leaves no position to the next", async ({ db }) => {
    const [first, same] = [await open(db, "late"), await open(db, "late")];
    expect(same.until).toBe(first.until);
    await move(db, "late", null, true, first.until);
    await move(db, "late", "evt_old", false, first.until);
    const next = await open(db, "late");
    expect(next.position).toBeNull();
    // Nor does it end that one, or set it back.
    await move(db, "late", "evt_new", false, next.until);
    await move(db, "late", "evt_old", false, first.until);
    await move(db, "late", null, true, first.until);
    expect(await open(db, "late")).toMatchObject({ until: next.until, position: "evt_new" });
  });

  test("after an outage of months, no further back than what the outside keeps", async ({ db }) => {
    const { until } = await open(db, "outage");
    await move(db, "outage", null, true, until);
    await advance(db, "90 days");
    const { since } = await open(db, "outage");
    const [age] = await rows(db, "select ops.now() - $1::timestamptz < interval '30 days 2 hours' as is_near", [since]);
    expect(age).toEqual({ is_near: true });
  });
});
