import { randomUUID } from "node:crypto";
import type { Pool } from "pg";
import { describe, expect } from "vitest";
import { Account, advance, call, outcome, rows } from "../support/scenario.ts";
import { Till, checkoutFact, invoiceFact } from "../support/till.ts";
import type { Fact, Received } from "../support/till.ts";
import { test } from "../support/sql.ts";

interface Row {
  state: string;
  attempts: number;
  error: string | null;
  outcome: string | null;
  waits_for: string | null;
  /** Until it is tried again, to the next ten, so that it does not matter how long ago that was said; null when it is not. */
  seconds: number | null;
}

async function rowOf(db: Pool, { id }: { id: string }): Promise<Row | undefined> {
  const found = await rows<Row>(
    db,
    `select state, attempts, error, outcome, waits_for, ceil(extract(epoch from next_attempt_at - ops.now()) / 10)::int * 10 as seconds
       from ops.event where id = $1`,
    [id],
  );
  return found[0];
}

/** What the sweep did until it found nothing more that is due. */
async function retry(db: Pool): Promise<[processed: number, failed: number]> {
  const sums: [number, number] = [0, 0];
  for (let more = true; more;) {
    const done = await call<{ processed: number; failed: number; more: boolean }>(db, "ops.events_retry", {
      batch: 100,
    });
    sums[0] += done.processed;
    sums[1] += done.failed;
    more = done.more;
  }
  return sums;
}

const replay = (db: Pool, { id }: { id: string }) =>
  call<Row>(db, "ops.replay_event", { provider: "stripe", id, caused_by: "key:somebody" });

const alarms = (db: Pool, code: string, subject: string) =>
  rows<{ times: number; open: boolean }>(
    db,
    "select times, closed_at is null as open from ops.alarm where code = $1 and subject = $2 order by opened_at",
    [code, subject],
  );

/** An event of something that cannot be applied, for as long as `cause` stands; `mend` takes it away. */
async function poison(till: Till, cause: (account: Account) => string[], mend: (account: Account) => string[]) {
  const [pack, customer] = [await till.pack(50), await till.customer()];
  const account = new Account(till.db, { owner: customer.workspace });
  const fact = checkoutFact(customer, await till.checkout(customer, { pack }));
  const event = till.event("checkout.session.completed", fact);
  for (const statement of cause(account)) await till.db.query(statement);
  return {
    event,
    account,
    mend: async () => {
      for (const statement of mend(account)) await till.db.query(statement);
    },
  };
}

const constraint = (till: Till) =>
  poison(
    till,
    ({ owner }) => [`alter table ledger.lot add constraint poison check (owner_id <> '${owner}') not valid`],
    () => ["alter table ledger.lot drop constraint poison"],
  );

const deferred = (till: Till) =>
  poison(
    till,
    ({ owner }) => [
      `create function ledger.late() returns trigger language plpgsql as
        $$ begin if new.owner_id = '${owner}' then raise exception 'too late'; end if; return new; end $$`,
      `create constraint trigger late after insert on ledger.lot deferrable initially deferred
         for each row execute function ledger.late()`,
    ],
    () => ["drop function ledger.late() cascade"],
  );

const receive = (db: Pool, id: string, more: Record<string, unknown>) =>
  call<Received>(db, "ops.receive_event", {
    provider: "stripe",
    id,
    type: "invoice.paid",
    subject: "in_x",
    occurred_at: "2026-01-01T00:00:00Z",
    fact: null,
    payload: "{}",
    ...more,
  });

describe("a poison event", () => {
  test.for([
    ["a constraint", constraint, /^23514: /],
    ["a deferred constraint", deferred, /^P0001: too late$/],
  ] as const)(
    "A11 that breaks %s is stored with its error and leaves nothing else; mended, a sweep applies it",
    async ([, made, error], { db }) => {
      const till = new Till(db);
      const { event, account, mend } = await made(till);
      expect(await till.deliver(event)).toEqual({ state: "failed", outcome: null, duplicate: false });
      expect(await rowOf(db, event)).toMatchObject({ state: "failed", attempts: 1, seconds: 60 });
      expect((await rowOf(db, event))?.error).toMatch(error);
      expect(await account.kinds()).toEqual({});
      expect(await rows(db, "select from payments.payment where workspace_id = $1", [account.owner])).toEqual([]);
      expect(await till.deliver(event)).toEqual({ state: "failed", outcome: null, duplicate: true });
      expect(await retry(db)).toEqual([0, 0]);
      await mend();
      expect(await retry(db)).toEqual([0, 0]);
      await advance(db, "61 seconds");
      expect(await retry(db)).toEqual([1, 0]);
      expect(await rowOf(db, event)).toMatchObject({ state: "applied", attempts: 2, error: null, outcome: "paid" });
      expect(await account.sums()).toEqual([50, 0, 0]);
    },
  );

  test("of a kind that nobody knows is stored with its error", async ({ db }) => {
    const till = new Till(db);
    const event = till.event("something.new", { kind: "something" });
    expect(await till.deliver(event)).toMatchObject({ state: "failed" });
    expect(await rowOf(db, event)).toMatchObject({ error: "TG011: no effect is known of 'something'" });
    await db.query("delete from ops.event where id = $1", [event.id]);
  });

  test("is tried after 1, 2, 4 … minutes, 12 hours at most, and is dead after 14 tries, under an alarm", async ({
    db,
  }) => {
    const till = new Till(db);
    const { event, account, mend } = await constraint(till);
    await till.deliver(event);
    const waits: (number | null)[] = [];
    for (let row = await rowOf(db, event); row?.state === "failed"; row = await rowOf(db, event)) {
      waits.push(row.seconds);
      await advance(db, `${row.seconds} seconds`);
      expect(await retry(db)).toEqual([0, 1]);
    }
    expect(waits).toEqual([...Array.from({ length: 10 }, (_, i) => 60 * 2 ** i), 43_200, 43_200, 43_200]);
    expect(await rowOf(db, event)).toMatchObject({ state: "dead", attempts: 14, seconds: null });
    expect(await alarms(db, "event_dead", `stripe:${event.id}`)).toEqual([{ times: 1, open: true }]);
    await advance(db, "10 days");
    expect(await retry(db)).toEqual([0, 0]);

    // An operator tries before the cause is mended: it begins anew, and the alarm stays.
    expect(await replay(db, event)).toMatchObject({ state: "failed" });
    expect(await rowOf(db, event)).toMatchObject({ attempts: 1, seconds: 60 });
    expect(await alarms(db, "event_dead", `stripe:${event.id}`)).toEqual([{ times: 1, open: true }]);
    await mend();
    await advance(db, "1 minute");
    expect(await retry(db)).toEqual([1, 0]);
    expect(await alarms(db, "event_dead", `stripe:${event.id}`)).toEqual([{ times: 1, open: false }]);
    expect(await account.sums()).toEqual([50, 0, 0]);
  });

  test("B9 that is dead is replayed when its cause is mended: applied, its alarm closed, an audit row", async ({
    db,
  }) => {
    const till = new Till(db);
    const { event, account, mend } = await constraint(till);
    await till.deliver(event);
    await db.query("update ops.event set attempts = 13 where id = $1", [event.id]);
    await advance(db, "1 minute");
    expect(await retry(db)).toEqual([0, 1]);
    expect(await rowOf(db, event)).toMatchObject({ state: "dead" });
    await mend();
    expect(await replay(db, event)).toMatchObject({ state: "applied", outcome: "paid", error: null });
    expect(await alarms(db, "event_dead", `stripe:${event.id}`)).toEqual([{ times: 1, open: false }]);
    expect(await replay(db, event)).toMatchObject({ state: "applied", outcome: "known" });
    expect(await account.kinds()).toEqual({ grant: 1 });
    const audit = await rows(db, "select actor, action, detail from ops.audit where subject = $1 order by id", [
      `event:${event.id}`,
    ]);
    expect(audit).toEqual([
      { actor: "key:somebody", action: "event.replay", detail: { state: "dead" } },
      { actor: "key:somebody", action: "event.replay", detail: { state: "applied" } },
    ]);
  });

  test("stands in nobody's way, nor does one that meets an error of the moment each time", async ({ db }) => {
    const till = new Till(db);
    const { event: bad, mend } = await constraint(till);
    const { event: unlucky, account } = await (async () => {
      const customer = await till.customer();
      const pack = await till.pack(5);
      const fact = checkoutFact(customer, await till.checkout(customer, { pack }));
      return { event: till.event("x", fact), account: new Account(db, { owner: customer.workspace }) };
    })();
    const plan = await till.plan({ included_credits: 3 });
    const customer = await till.customer();
    const good = till.event("invoice.paid", invoiceFact({ ...customer, customer: "cus_none" }, "sub_g", plan.price));
    for (const event of [bad, good]) await till.deliver(event);
    await receive(db, unlucky.id, { fault: "not read" });
    await db.query("update ops.event set fact = $2, next_attempt_at = ops.now() where id = $1", [
      unlucky.id,
      unlucky.fact,
    ]);
    await db.query("update payments.customer set provider_id = 'cus_none' where workspace_id = $1", [
      customer.workspace,
    ]);
    const gate = await db.connect();
    const hasty = await db.connect();
    try {
      await gate.query("begin");
      await gate.query("select from people.workspace where id = $1 for update", [account.owner]);
      await hasty.query("set lock_timeout = '20ms'");
      await advance(db, "61 seconds");
      const done = [];
      for (let more = true; more;) {
        const one = await call<{ processed: number; failed: number; more: boolean }>(hasty, "ops.events_retry", {
          batch: 1,
        });
        done.push(`${one.processed} ${one.failed}`);
        more = one.more;
      }
      expect(done.toSorted()).toEqual(["0 0", "0 1", "0 1", "1 0"]);
    } finally {
      gate.release(true);
      hasty.release(true);
    }
    expect(await rowOf(db, unlucky)).toMatchObject({ state: "failed", attempts: 1, seconds: 60 });
    expect(await till.credits(customer.workspace)).toEqual({ subscription: 3 });
    await mend();
    await advance(db, "5 minutes");
    expect(await retry(db)).toEqual([2, 0]);
  });
});

describe("an event that came too early", () => {
  test("is parked for its customer, and applied when the customer exists", async ({ db }) => {
    const till = new Till(db);
    const plan = await till.plan({ included_credits: 9 });
    const { id } = await call<{ id: string }>(db, "people.create_workspace", { name: "A", caused_by: "test" });
    const fact = invoiceFact({ workspace: id, customer: "cus_early" }, "sub_early", plan.price);
    const event = till.event("invoice.paid", fact);
    expect(await till.deliver(event)).toMatchObject({ state: "parked" });
    expect(await rowOf(db, event)).toMatchObject({ waits_for: "customer:cus_early", error: null, seconds: 60 });
    const token = randomUUID();
    await db.query(
      "insert into payments.customer (workspace_id, provider, number, lease_token, claimed_at) values ($1, 'stripe', 1, $2, ops.now())",
      [id, token],
    );
    await call(db, "payments.record_customer", { workspace_id: id, number: 1, token, customer: "cus_early" });
    expect(await rowOf(db, event)).toMatchObject({ seconds: 0 });
    expect(await retry(db)).toEqual([1, 0]);
    expect(await rowOf(db, event)).toMatchObject({ state: "applied", waits_for: null });
    expect(await till.credits(id)).toEqual({ subscription: 9 });
  });

  test("is parked for its price, and applied when the price is published", async ({ db }) => {
    const till = new Till(db);
    const plan = await till.plan({ included_credits: 9 });
    const customer = await till.customer();
    const event = till.event("invoice.paid", invoiceFact(customer, "sub_priced", "price_early"));
    expect(await till.deliver(event)).toMatchObject({ state: "parked" });
    expect(await rows(db, "select from payments.payment where workspace_id = $1", [customer.workspace])).toEqual([]);
    await till.publish(`tollgate_${plan.code}_${plan.number}_eur_1month`, "price_early");
    expect(await retry(db)).toEqual([1, 0]);
    expect(await till.credits(customer.workspace)).toEqual({ subscription: 9 });
  });

  test("is dead when what it refers to never comes, and says what that is", async ({ db }) => {
    const till = new Till(db);
    const fact: Fact = invoiceFact({ workspace: "", customer: "cus_never" }, "sub_never", "price_never");
    const event = till.event("invoice.paid", fact);
    await till.deliver(event);
    await db.query("update ops.event set attempts = 13 where id = $1", [event.id]);
    await advance(db, "1 minute");
    expect(await retry(db)).toEqual([0, 1]);
    expect(await rowOf(db, event)).toMatchObject({
      state: "dead",
      error: "it refers to what never came: customer:cus_never",
      waits_for: "customer:cus_never",
    });
    // Another of the same stranger's is the same matter; and once it is known whose it is, all of them are tried again.
    const more = till.event("invoice.paid", { ...fact, invoice: "in_more" });
    await till.deliver(more);
    await db.query("update ops.event set attempts = 13 where id = $1", [more.id]);
    await advance(db, "1 minute");
    await retry(db);
    expect(await alarms(db, "event_dead", "customer:cus_never")).toEqual([{ times: 2, open: true }]);
    await db.query("select ops.wake_events('customer:cus_never')");
    expect(await alarms(db, "event_dead", "customer:cus_never")).toEqual([{ times: 2, open: false }]);
    for (const each of [event, more]) expect(await rowOf(db, each)).toMatchObject({ state: "parked", attempts: 0 });
    expect(await outcome(replay(db, { id: "evt_none" }))).toBe("not_found");
    await db.query("delete from ops.event where id = any ($1)", [[event.id, more.id]]);
  });
});
