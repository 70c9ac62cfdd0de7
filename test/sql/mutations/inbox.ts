import { expect } from "vitest";
import { advance, call, outcome, rows } from "../../support/scenario.ts";
import { Till, checkoutFact, invoiceFact } from "../../support/till.ts";
import type { TillEvent } from "../../support/till.ts";
import type { Lab, Mutation } from "./lab.ts";

/** A paid pack of 50: its event, and whose it is. */
async function paidPack(lab: Lab) {
  const till = new Till(lab.db);
  const [pack, customer] = [await till.pack(50), await till.customer()];
  const event = till.event("x", checkoutFact(customer, await till.checkout(customer, { pack })));
  return { till, event, owner: customer.workspace };
}

/** Runs while each new lot of this owner fails with this error; `late`: only when the transaction ends. */
async function failing(lab: Lab, owner: string, error: string, work: () => Promise<void>, late = false): Promise<void> {
  await lab.db.query(`create function ledger.fail() returns trigger language plpgsql as
    $$ begin if new.owner_id = '${owner}' then raise exception using errcode = '${error}'; end if; return new; end $$`);
  const when = late
    ? "constraint trigger fail after insert on ledger.lot deferrable initially deferred"
    : "trigger fail before insert on ledger.lot";
  await lab.db.query(`create ${when} for each row execute function ledger.fail()`);
  try {
    await work();
  } finally {
    await lab.db.query("drop function ledger.fail() cascade");
  }
}

const rowOf = async (lab: Lab, { id }: { id: string }) =>
  (
    await rows<{ state: string; attempts: number; outcome: string | null; is_put_off: boolean }>(
      lab.db,
      "select state, attempts, outcome, next_attempt_at > ops.now() + interval '50 seconds' as is_put_off from ops.event where id = $1",
      [id],
    )
  )[0];

const retry = (lab: Lab) => call<{ more: boolean }>(lab.db, "ops.events_retry", { batch: 100 });
const replay = (lab: Lab, { id }: { id: string }) =>
  call(lab.db, "ops.replay_event", { provider: "stripe", id, caused_by: "test" });

/** An event that is fetched, by a name of its own. */
async function fetching(
  lab: Lab,
  more: Record<string, unknown> = { fetch_because: "api_version" },
): Promise<TillEvent> {
  const event = new Till(lab.db).event("invoice.paid", null);
  await call(lab.db, "ops.receive_event", {
    provider: "stripe",
    id: event.id,
    type: event.type,
    subject: "in_x",
    occurred_at: "2026-01-01T00:00:00Z",
    fact: null,
    payload: "{}",
    ...more,
  });
  return event;
}

const claimed = async (lab: Lab, { id }: TillEvent) =>
  (
    await call<{ ids: string[] }>(lab.db, "ops.claim_fetches", { provider: "stripe", batch: 100, lease: "1 minute" })
  ).ids.includes(id);

export const inbox: Mutation[] = [
  {
    guard: "A1 a second delivery changes nothing",
    routine: "ops.receive_event",
    changes: [["if receive_event.duplicate then", "if false then"]],
    probe: async (lab) => {
      const { till, event } = await paidPack(lab);
      await till.deliver(event);
      await till.deliver(event);
      expect(await rowOf(lab, event)).toMatchObject({ attempts: 1 });
    },
  },
  {
    guard: "an event that is not ours has no effect",
    routine: "ops.receive_event",
    changes: [["when receive_event.foreign_because is not null then 'foreign'", ""]],
    probe: async (lab) => {
      const { till, event, owner } = await paidPack(lab);
      await fetching(lab, { id: event.id, fact: JSON.stringify(event.fact), foreign_because: "livemode" });
      expect(await till.credits(owner)).toEqual({});
    },
  },
  {
    guard: "A10 a deferred constraint is the effect's own",
    routine: "ops.attempt_event",
    changes: [["set constraints all immediate;", ""]],
    probe: async (lab) => {
      const { till, event, owner } = await paidPack(lab);
      await failing(
        lab,
        owner,
        "P0001",
        async () => expect(await till.deliver(event)).toMatchObject({ state: "failed" }),
        true,
      );
    },
  },
  {
    guard: "an event that failed keeps no outcome",
    routine: "ops.attempt_event",
    changes: [["v_outcome := null;", ""]],
    probe: async (lab) => {
      const { till, event, owner } = await paidPack(lab);
      await failing(
        lab,
        owner,
        "P0001",
        async () => expect(await till.deliver(event)).toMatchObject({ outcome: null }),
        true,
      );
    },
  },
  {
    guard: "A10 an error of the moment leaves no row",
    routine: "ops.attempt_event",
    changes: [["if ops.is_passing(v_sqlstate) then", "if false then"]],
    probe: async (lab) => {
      const { till, event, owner } = await paidPack(lab);
      await failing(lab, owner, "40P01", async () => expect(await outcome(till.deliver(event))).toBe("40P01"));
      expect(await rowOf(lab, event)).toBeUndefined();
    },
  },
  {
    guard: "what fails 14 times is dead",
    routine: "ops.attempt_event",
    changes: [["v_event.attempts >= 14", "false"]],
    probe: async (lab) => {
      const event = await fetching(lab, { fault: "x" });
      await lab.db.query("update ops.event set attempts = 13, next_attempt_at = ops.now() where id = $1", [event.id]);
      await retry(lab);
      expect(await rowOf(lab, event)).toMatchObject({ state: "dead" });
    },
  },
  {
    guard: "the alarm of a dead event closes, whoever has it tried again",
    routine: "ops.attempt_event",
    changes: [["(v_event.attempts > 1 or v_event.state <> 'failed')", "v_event.state = 'dead'"]],
    probe: async (lab) => {
      const { till, event, owner } = await paidPack(lab);
      await failing(lab, owner, "P0001", async () => {
        await till.deliver(event);
        await lab.db.query("update ops.event set attempts = 13, next_attempt_at = ops.now() where id = $1", [event.id]);
        await retry(lab);
        await replay(lab, event);
      });
      await advance(lab.db, "1 minute");
      await retry(lab);
      const open = "select from ops.alarm where code = 'event_dead' and subject = $1 and closed_at is null";
      expect(await rowOf(lab, event)).toMatchObject({ state: "applied" });
      expect(await rows(lab.db, open, [`stripe:${event.id}`])).toEqual([]);
    },
  },
  {
    guard: "the retry of events waits for nobody",
    routine: "ops.events_retry",
    changes: [["for no key update skip locked", "for no key update"]],
    probe: async (lab) => {
      const { id } = await fetching(lab, { fault: "x" });
      await lab.db.query("delete from ops.event where id <> $1", [id]);
      await advance(lab.db, "1 minute");
      const [gate, sweeper] = [await lab.db.connect(), await lab.db.connect()];
      try {
        await gate.query("begin");
        await gate.query("select from ops.event where id = $1 for update", [id]);
        await sweeper.query("set lock_timeout = '200ms'");
        expect(await outcome(sweeper.query("select ops.events_retry(100)"))).toBe("done");
      } finally {
        gate.release(true);
        sweeper.release(true);
      }
    },
  },
  {
    guard: "an event that meets an error of the moment stands in nobody's way",
    routine: "ops.events_retry",
    changes: [["set next_attempt_at = ops.now() + interval '1 minute'", "set next_attempt_at = e.next_attempt_at"]],
    probe: async (lab) => {
      const { till, event, owner } = await paidPack(lab);
      await failing(lab, owner, "P0001", async () => void (await till.deliver(event)));
      await lab.db.query("update ops.event set next_attempt_at = ops.now() where id = $1", [event.id]);
      await failing(lab, owner, "40P01", async () => void (await retry(lab)));
      expect(await rowOf(lab, event)).toMatchObject({ state: "failed", attempts: 1, is_put_off: true });
    },
  },
  {
    guard: "what waited is due at once when it exists",
    routine: "ops.wake_events",
    changes: [["next_attempt_at = ops.now(), attempts", "next_attempt_at = e.next_attempt_at, attempts"]],
    probe: async (lab) => {
      const till = new Till(lab.db);
      const [pack, customer] = [await till.pack(1), await till.customer()];
      const price = `price_of_${customer.workspace}`;
      const event = till.event("invoice.paid", invoiceFact(customer, `sub_${customer.workspace}`, price));
      await till.deliver(event);
      await till.publish(`tollgate_${pack.code}_1_eur`, price);
      expect(await rowOf(lab, event)).toMatchObject({ state: "parked", is_put_off: false });
    },
  },
  {
    guard: "an event is fetched by one Worker at a time",
    routine: "ops.claim_fetches",
    changes: [["e.next_attempt_at <= (select ops.now()) and", ""]],
    probe: async (lab) => {
      const event = await fetching(lab);
      expect([await claimed(lab, event), await claimed(lab, event)]).toEqual([true, false]);
    },
  },
  {
    guard: "what another Worker has done is left as it is",
    routine: "ops.apply_fetched",
    changes: [["if apply_fetched.state = 'fetching' then", "if true then"]],
    probe: async (lab) => {
      const { till, event } = await paidPack(lab);
      await till.deliver(event);
      await outcome(call(lab.db, "ops.apply_fetched", { provider: "stripe", id: event.id, fact: null, fault: "x" }));
      expect(await rowOf(lab, event)).toMatchObject({ state: "applied" });
    },
  },
  {
    guard: "retention keeps what is open",
    routine: "ops.events_expire",
    changes: [["and e.state in ('applied', 'ignored', 'foreign')", ""]],
    probe: async (lab) => {
      const event = await fetching(lab);
      await advance(lab.db, "36 days");
      await call(lab.db, "ops.events_expire", { batch: 100 });
      expect(await rowOf(lab, event)).toMatchObject({ state: "fetching" });
    },
  },
  {
    guard: "B9 a replay leaves its audit row",
    routine: "ops.replay_event",
    changes: [[/perform ops\.record_change\([^;]*;/g, "null;"]],
    probe: async (lab) => {
      const { till, event } = await paidPack(lab);
      await till.deliver(event);
      await replay(lab, event);
      expect(await rows(lab.db, "select from ops.audit where subject = $1", [`event:${event.id}`])).toHaveLength(1);
    },
  },
  {
    guard: "C9 an event moves only as ops.transition allows",
    trigger: { table: "ops.event", name: "event_lifecycle" },
    probe: async (lab) => {
      const { till, event } = await paidPack(lab);
      await till.deliver(event);
      expect(await outcome(lab.db.query("update ops.event set state = 'dead' where id = $1", [event.id]))).toBe(
        "TG003",
      );
    },
  },
  {
    guard: "who comes late, when a pass is over, does not set the next one back",
    routine: "ops.move_cursor",
    changes: [["and c.until = move_cursor.until", ""]],
    probe: async (lab) => {
      const name = `list of ${new Till(lab.db).event("x", null).id}`;
      const open = async () =>
        (
          await rows<{ until: string; position: string | null }>(
            lab.db,
            "select until, position from ops.open_cursor($1, '1 hour', '30 days')",
            [name],
          )
        )[0];
      const move = (position: string | null, done: boolean, until: string | undefined) =>
        lab.db.query("select ops.move_cursor($1, $2, $3, $4)", [name, position, done, until]);
      const first = await open();
      await move(null, true, first?.until);
      await open();
      await move("evt_old", false, first?.until);
      expect(await open()).toMatchObject({ position: null });
    },
  },
];
