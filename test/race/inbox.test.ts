import type { Pool, PoolClient } from "pg";
import { describe, expect } from "vitest";
import { besideOpen, blockedBackends, race, tally } from "../support/barrier.ts";
import { Account, call, outcome, rows } from "../support/scenario.ts";
import { Till, checkoutFact, invoiceFact } from "../support/till.ts";
import type { TillEvent } from "../support/till.ts";
import { testRoutines as test, times } from "./arena.ts";

/** A paid pack of 50: its event, and the account that it is for. */
async function paidPack(db: Pool): Promise<{ till: Till; event: TillEvent; account: Account }> {
  const till = new Till(db);
  const [pack, customer] = [await till.pack(50), await till.customer()];
  const checkout = await till.checkout(customer, { pack });
  const fact = checkoutFact(customer, checkout, { payment_intent: `pi_${checkout.session}` });
  const event = till.event("checkout.session.completed", fact);
  return { till, event, account: new Account(db, { owner: customer.workspace }) };
}

/** How many rows the inbox has of an event, and what stands in them. */
const stored = (db: Pool, { id }: TillEvent) =>
  rows<{ state: string; attempts: number }>(db, "select state, attempts from ops.event where id = $1", [id]);

describe("one event, delivered 50 times at once", () => {
  test("A1 has one effect and 50 answers, of which one is not a duplicate", async ({ db }) => {
    for (const round of times(12)) {
      const { till, event, account } = await paidPack(db);
      const answers = await race(50, () => till.deliver(event));
      expect(tally(answers.map(({ duplicate }) => String(duplicate))), `round ${round}`).toEqual({
        false: 1,
        true: 49,
      });
      expect(tally(answers.map(({ state, outcome: what }) => `${state} ${what}`))).toEqual({ "applied paid": 50 });
      expect(await account.kinds()).toEqual({ grant: 1 });
      expect(await account.sums()).toEqual([50, 0, 0]);
      expect(await stored(db, event)).toEqual([{ state: "applied", attempts: 1 }]);
    }
  });

  test("A1 and each told by another event's id: one effect, 50 stored", async ({ db }) => {
    const { till, event, account } = await paidPack(db);
    const answers = await race(50, () => till.send(event.type, event.fact));
    expect(tally(answers.map(({ state, outcome: what }) => `${state} ${what}`))).toEqual({
      "applied paid": 1,
      "applied known": 49,
    });
    expect(await account.kinds()).toEqual({ grant: 1 });
  });

  test("A1 an invoice and its checkout, 25 times each: one period is given", async ({ db }) => {
    const till = new Till(db);
    const [plan, customer] = [await till.plan({ included_credits: 20 }), await till.customer()];
    const checkout = await till.checkout(customer, { plan });
    const invoice = invoiceFact(customer, "sub_both", plan.price, { billing_reason: "subscription_create" });
    const session = checkoutFact(customer, checkout, {
      mode: "subscription",
      subscription: "sub_both",
      invoice: invoice.invoice,
    });
    await race(50, (i) => (i % 2 === 0 ? till.send("invoice.paid", invoice) : till.send("checkout", session)));
    expect(await till.credits(customer.workspace)).toEqual({ subscription: 20 });
    expect(await new Account(db, { owner: customer.workspace }).kinds()).toEqual({ reset: 1 });
  });

  test("A1 while an operator has it applied again and a sweep tries it too", async ({ db }) => {
    const { till, event, account } = await paidPack(db);
    await till.deliver(event);
    await race(40, (i) => {
      if (i % 4 === 0) return call(db, "ops.events_retry", { batch: 100 });
      if (i % 4 === 1) return till.deliver(event);
      return call(db, "ops.replay_event", { provider: "stripe", id: event.id, caused_by: "test" });
    });
    expect(await account.kinds()).toEqual({ grant: 1 });
    const replays = await rows(db, "select from ops.audit where subject = $1", [`event:${event.id}`]);
    expect(replays).toHaveLength(20);
  });
});

describe("an event and its effect", () => {
  /** Delivers on a connection that waits for a row which somebody has, and does `meanwhile` to it; then lets go. */
  async function cut(db: Pool, event: TillEvent, till: Till, gate: string, meanwhile: Meanwhile): Promise<string> {
    const [holder, sender] = [await db.connect(), await db.connect()];
    // It is ended on purpose; its next use tells.
    sender.on("error", () => undefined);
    try {
      await holder.query("begin");
      await holder.query(gate);
      const { rows: pids } = await sender.query<{ pid: number }>("select pg_backend_pid() as pid");
      await sender.query("set lock_timeout = '0'");
      const sent = outcome(till.deliver(event, sender).catch(disconnected));
      await blockedBackends(db, 1);
      await meanwhile(pids[0]?.pid ?? 0, db);
      return await sent;
    } finally {
      holder.release(true);
      sender.release(true);
    }
  }

  type Meanwhile = (pid: number, db: Pool) => Promise<unknown>;

  /** What a client hears whose backend ended: not always the server's own words. */
  const disconnected = (error: Error): Promise<never> => {
    if ("code" in error && error.code !== undefined) throw error;
    throw Object.assign(error, { code: "57P01" });
  };

  const gates: [what: string, gate: (account: Account) => string][] = [
    ["waits for its workspace", ({ owner }) => `select from people.workspace where id = '${owner}' for update`],
    [
      "waits for its purchase",
      ({ owner }) => `select from payments.purchase where workspace_id = '${owner}' for update`,
    ],
    ["waits for its account", ({ owner }) => `select from ledger.account where owner_id = '${owner}' for update`],
    ["would be told to the ledger", () => "lock table ledger.transaction in exclusive mode"],
  ];

  test.for(gates)("A10 are neither there when the backend is killed while it %s", async ([, gate], { db }) => {
    const { till, event, account } = await paidPack(db);
    await account.grant(1);
    await cut(db, event, till, gate(account), (pid) => db.query("select pg_terminate_backend($1)", [pid])).catch(
      () => undefined,
    );
    expect(await stored(db, event)).toEqual([]);
    expect(await account.sums()).toEqual([1, 0, 0]);
    expect(await rows(db, "select from payments.payment where workspace_id = $1", [account.owner])).toEqual([]);
    expect(await till.deliver(event)).toEqual({ state: "applied", outcome: "paid", duplicate: false });
    expect(await account.sums()).toEqual([51, 0, 0]);
  });

  test.for(gates)("A10 are neither there when the statement is cut while it %s", async ([, gate], { db }) => {
    const { till, event, account } = await paidPack(db);
    await account.grant(1);
    const cancel: Meanwhile = (pid) => db.query("select pg_cancel_backend($1)", [pid]);
    expect(await cut(db, event, till, gate(account), cancel)).toBe("57014");
    expect(await stored(db, event)).toEqual([]);
    expect(await account.sums()).toEqual([1, 0, 0]);
    expect(await till.deliver(event)).toMatchObject({ state: "applied", duplicate: false });
  });

  test("A10 are neither there when whoever sent it rolls back: the one that waited does it", async ({ db }) => {
    const { till, event, account } = await paidPack(db);
    const gate = await db.connect();
    try {
      await gate.query("begin");
      await till.deliver(event, gate);
      const waiting = till.deliver(event);
      await blockedBackends(db, 1);
      await gate.query("rollback");
      expect(await waiting).toEqual({ state: "applied", outcome: "paid", duplicate: false });
    } finally {
      gate.release(true);
    }
    expect(await account.kinds()).toEqual({ grant: 1 });
  });

  test("A10 are both there for whoever waited: it hears what the first did", async ({ db }) => {
    const { till, event } = await paidPack(db);
    const waited = await besideOpen(
      db,
      (gate: PoolClient) => till.deliver(event, gate),
      () => till.deliver(event),
    );
    expect(waited).toEqual({ state: "applied", outcome: "paid", duplicate: true });
  });

  test("A10 an error of the moment is raised, and leaves no row", async ({ db }) => {
    const { till, event, account } = await paidPack(db);
    const [gate, hasty] = [await db.connect(), await db.connect()];
    try {
      await gate.query("begin");
      await gate.query("select from people.workspace where id = $1 for update", [account.owner]);
      await hasty.query("set lock_timeout = '20ms'");
      expect(await outcome(till.deliver(event, hasty))).toBe("55P03");
      await hasty.query("set lock_timeout = '0'; set statement_timeout = '50ms'");
      expect(await outcome(till.deliver(event, hasty))).toBe("57014");
    } finally {
      gate.release(true);
      hasty.release(true);
    }
    expect(await stored(db, event)).toEqual([]);
    await db.query(`create function payments.fail() returns trigger language plpgsql as
      $$ begin raise exception using errcode = '40P01'; end $$`);
    await db.query(
      "create trigger fail before insert on payments.payment for each row execute function payments.fail()",
    );
    try {
      expect(await outcome(till.deliver(event))).toBe("40P01");
      expect(await stored(db, event)).toEqual([]);
    } finally {
      await db.query("drop function payments.fail() cascade");
    }
    expect(await till.deliver(event)).toMatchObject({ state: "applied" });
  });
});

describe("sweeps of events", () => {
  test("A1 many at once over the same parked events, while their customers come to be known", async ({ db }) => {
    const till = new Till(db);
    const plan = await till.plan({ included_credits: 7 });
    const owners = await race(6, () =>
      call<{ id: string }>(db, "people.create_workspace", { name: "A", caused_by: "test" }),
    );
    const events = owners.flatMap(({ id }, i) =>
      times(3).map((n) =>
        till.event(
          "invoice.paid",
          invoiceFact({ workspace: id, customer: `cus_late_${i}` }, `sub_late_${i}`, plan.price, {
            starts_at: 1_790_000_000 + n * 2_592_000,
            ends_at: 1_792_592_000 + n * 2_592_000,
          }),
        ),
      ),
    );
    const parked = await race(events.length, (i) => till.deliver(events[i] ?? till.event("none", null)));
    expect(tally(parked.map(({ state }) => state))).toEqual({ parked: 18 });
    for (const { id } of owners) {
      await db.query(
        `insert into payments.customer (workspace_id, provider, number, lease_token, claimed_at)
         values ($1, 'stripe', 1, $1, ops.now())`,
        [id],
      );
    }
    await race(48, (i) => {
      const owner = owners[i % 6]?.id ?? "";
      if (i < 6) {
        const args = { workspace_id: owner, number: 1, token: owner, customer: `cus_late_${i}` };
        return call(db, "payments.record_customer", args);
      }
      return call(db, "ops.events_retry", { batch: 100 });
    });
    while ((await call<{ more: boolean }>(db, "ops.events_retry", { batch: 100 })).more);
    for (const { id } of owners) expect(await till.credits(id)).toEqual({ subscription: 7 });
    const states = await rows<{ state: string }>(db, "select state from ops.event where id = any($1)", [
      events.map(({ id }) => id),
    ]);
    expect(tally(states.map(({ state }) => state))).toEqual({ applied: 18 });
  });
});
