import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { besideOpen, blockedBackends, race } from "../../support/barrier.ts";
import { Account, advance, call, outcome, rows } from "../../support/scenario.ts";
import type { Db } from "../../support/scenario.ts";
import type { Lab, Mutation } from "./lab.ts";

interface Item {
  account: Account;
  amount: number | null;
  key: string | null;
}

const item = (account: Account, amount: number | null, key: string | null = randomUUID()): Item => ({
  account,
  amount,
  key,
});

const chargeMany = (db: Db, ...items: Item[]) =>
  call<{ charged: boolean[] }>(db, "ledger.charge_many", {
    owner_ids: items.map(({ account }) => account.owner),
    units: items.map(({ account }) => account.unit),
    amounts: items.map(({ amount }) => amount),
    idempotency_keys: items.map(({ key }) => key),
    side: "revenue",
    caused_by: "test",
  });

/** A connection whose wait for a lock ends with an error, so that a probe can say that nobody waits. */
async function impatient<Result>(lab: Lab, work: (connection: Db) => Promise<Result>): Promise<Result> {
  const connection = await lab.db.connect();
  try {
    await connection.query("set lock_timeout = '1s'");
    return await work(connection);
  } finally {
    connection.release(true);
  }
}

/** Refused as a fault of ours, whoever else is in the call. */
const senseless = (items: (account: Account) => Item[]) => async (lab: Lab) => {
  const account = await lab.credited(5);
  expect(await outcome(chargeMany(lab.db, ...items(account)))).toBe("TG011");
};

export const charging: Mutation[] = [
  {
    guard: "A12 of many, those who have too little are not charged",
    routine: "ledger.charge_many",
    changes: [[" and a.available >= i.amount\n", "\n"]],
    probe: async (lab) => {
      const [poor, rich] = [await lab.credited(5), await lab.credited(6)];
      expect(await chargeMany(lab.db, item(poor, 6), item(rich, 6))).toMatchObject({ charged: [false, true] });
    },
  },
  {
    guard: "A12 of many, those whose lots are over pay nothing with them",
    routine: "ledger.charge_many",
    changes: [["and (a.next_expiry is null or a.next_expiry > v_now)", ""]],
    probe: async (lab) => {
      const account = lab.account();
      await account.grant(5, { pool: "promo", expires_in: "1 minute" });
      await advance(lab.db, "2 minutes");
      expect(await chargeMany(lab.db, item(account, 5))).toMatchObject({ charged: [false] });
    },
  },
  {
    guard: "of those who are not charged nothing changes",
    routine: "ledger.charge_many",
    changes: [["and i.amount <= (", "and i.amount is distinct from ("]],
    probe: async (lab) => {
      const account = lab.account();
      await account.grant(5, { pool: "promo", expires_in: "1 minute" });
      await account.grant(5);
      await advance(lab.db, "2 minutes");
      await chargeMany(lab.db, item(account, 6));
      expect(await account.kinds()).toEqual({ grant: 2 });
    },
  },
  {
    guard: "A12 what has expired is closed before many are charged",
    routine: "ledger.charge_many",
    changes: [["perform ledger.expire_due(v_due.owner_id, v_due.unit);", "null;"]],
    probe: async (lab) => {
      const account = lab.account();
      await account.grant(5, { pool: "promo", expires_in: "1 minute" });
      await account.grant(5);
      await advance(lab.db, "2 minutes");
      expect(await chargeMany(lab.db, item(account, 5))).toMatchObject({ charged: [true] });
    },
  },
  {
    guard: "A12 many accounts are locked before their lots are read",
    routine: "ledger.charge_many",
    changes: [["       for no key update\n", ""]],
    probe: async (lab) => {
      const account = await lab.credited(5);
      await account.grant(5);
      const charged = await besideOpen(
        lab.db,
        (open) => account.on(open).spend(3),
        () => outcome(chargeMany(lab.db, item(account, 6))),
      );
      expect(charged).toBe("done");
    },
  },
  {
    guard: "B14 many accounts are locked in one order, whatever order a call names them in",
    routine: "ledger.charge_many",
    // Without an order, one query plan or another would still have it.
    changes: [["order by a.owner_id, a.unit\n", "order by a.owner_id desc, a.unit desc\n"]],
    probe: async (lab) => {
      const [first, last] = [await lab.credited(5), await lab.credited(5)].toSorted((a, b) =>
        a.owner < b.owner ? -1 : 1,
      );
      if (first === undefined || last === undefined) throw new Error("there are two");
      const gate = await lab.db.connect();
      try {
        await gate.query("begin");
        await gate.query(last.lock);
        const running = chargeMany(lab.db, item(last, 1), item(first, 1));
        // Awaited below; until then an early failure must not count as unhandled.
        running.catch(() => undefined);
        await blockedBackends(lab.db, 1);
        const free = await rows(gate, "select from ledger.account where owner_id = $1 for no key update skip locked", [
          first.owner,
        ]);
        await gate.query("rollback");
        await running;
        expect(free).toEqual([]);
      } finally {
        gate.release(true);
      }
    },
  },
  {
    guard: "B14 keys are used in one order, whatever order a call names them in",
    routine: "ledger.charge_many",
    changes: [["order by d.owner_id, d.key\n", "order by d.owner_id desc, d.key desc\n"]],
    probe: async (lab) => {
      const account = await lab.credited(5);
      for (const unit of ["a_unit", "b_unit", "c_unit"]) await account.in(unit).grant(5);
      const gate = await lab.db.connect();
      try {
        await gate.query("begin");
        await account.on(gate).spend(1, { key: "key-a" });
        const running = outcome(
          chargeMany(lab.db, item(account.in("a_unit"), 1, "key-b"), item(account.in("b_unit"), 1, "key-a")),
        );
        await blockedBackends(lab.db, 1);
        // It waits for key-a, and has not used key-b before.
        const other = await impatient(lab, (db) => outcome(account.in("c_unit").on(db).spend(1, { key: "key-b" })));
        await gate.query("rollback");
        await running;
        expect(other).toBe("done");
      } finally {
        gate.release(true);
      }
    },
  },
  {
    guard: "A12 lots are drained in the order of a single charge",
    routine: "ledger.charge_many",
    changes: [["window drain as (order by l.drain_order, l.expires_at, l.id", "window drain as (order by l.id"]],
    probe: async (lab) => {
      const account = await lab.credited(5);
      await account.grant(5, { pool: "promo", expires_in: "1 day" });
      await account.grant(5, { pool: "subscription" });
      await chargeMany(lab.db, item(account, 7));
      expect(await account.pools()).toEqual({ bulk: 5, promo: 3 });
    },
  },
  {
    guard: "lots that have less than their account says are a fault, for many as for one",
    routine: "ledger.charge_many",
    changes: [["v_done.whole is not true", "false"]],
    probe: async (lab) => {
      const account = await lab.credited(5);
      const connection = await lab.db.connect();
      try {
        await connection.query("begin");
        await connection.query("update ledger.account set available = 9 where owner_id = $1", [account.owner]);
        expect(await outcome(chargeMany(connection, item(account, 6)))).toBe("TG004");
        await connection.query("rollback");
      } finally {
        connection.release(true);
      }
    },
  },
  {
    guard: "a lot that was changed past its account's lock is a fault",
    routine: "ledger.charge_many",
    changes: [["v_done.whole is not true", "false"]],
    probe: async (lab) => {
      const account = await lab.credited(5);
      const charged = await besideOpen(
        lab.db,
        (open) => open.query("update ledger.lot set forgiven = forgiven where owner_id = $1", [account.owner]),
        () => outcome(chargeMany(lab.db, item(account, 5))),
      );
      expect(charged).toBe("TG004");
    },
  },
  {
    guard: "a key is used once, by one or by many",
    routine: "ledger.charge_many",
    changes: [["elsif not v_done.all_posted then", "elsif false then"]],
    probe: async (lab) => {
      const account = await lab.credited(5);
      await account.spend(1, { key: "used" });
      expect(await outcome(chargeMany(lab.db, item(account, 1, "used")))).toBe("idempotency_key_reused");
    },
  },
  {
    guard: "an account is charged once in a call",
    routine: "ledger.charge_many",
    changes: [["having count(*) > 1 or", "having"]],
    probe: senseless((account) => [item(account, 1), item(account, 1)]),
  },
  {
    guard: "nobody is charged less than nothing",
    routine: "ledger.charge_many",
    changes: [["not bool_and(coalesce(i.amount > 0, false)) or", ""]],
    probe: senseless((account) => [item(account, -1)]),
  },
  {
    guard: "who is charged is named with a key",
    routine: "ledger.charge_many",
    changes: [["or bool_or(num_nulls(i.owner_id, i.unit, i.key) > 0)", ""]],
    probe: senseless((account) => [item(account, 1, null)]),
  },
  {
    guard: "B14 many messages are enqueued in one order",
    routine: "messages.enqueue_many",
    changes: [["order by i.dedupe_key", "order by i.dedupe_key desc"]],
    probe: async (lab) => {
      const channel = randomUUID();
      const enqueue = (db: Db, ...keys: string[]) =>
        db.query("select messages.enqueue_many($1, 'renewed', $2, $3, $4)", [
          channel,
          keys.map(() => null),
          keys,
          keys.map(() => "{}"),
        ]);
      const gate = await lab.db.connect();
      try {
        await gate.query("begin");
        await enqueue(gate, "a");
        const beside = enqueue(lab.db, "b", "a");
        beside.catch(() => undefined);
        await blockedBackends(lab.db, 1);
        const other = await impatient(lab, (db) => outcome(enqueue(db, "b")));
        await gate.query("rollback");
        await beside;
        expect(other).toBe("done");
      } finally {
        gate.release(true);
      }
    },
  },
  {
    guard: "of many messages each is there once",
    routine: "messages.enqueue_many",
    changes: [["on conflict on constraint outbox_dedupe_once do nothing", ""]],
    probe: async (lab) => {
      const enqueue = lab.db.query("select messages.enqueue_many($1, 'renewed', '{null,null}', '{a,a}', $2)", [
        randomUUID(),
        ["{}", "{}"],
      ]);
      expect(await outcome(enqueue)).toBe("done");
    },
  },
  {
    guard: "of many messages none is about nobody by mistake",
    routine: "messages.enqueue_many",
    changes: [["is distinct from (cardinality", "= (null, cardinality"]],
    probe: async (lab) => {
      const enqueue = lab.db.query("select messages.enqueue_many($1, 'renewed', '{null}', '{a,b}', $2)", [
        randomUUID(),
        ["{}", "{}"],
      ]);
      expect(await outcome(enqueue)).toBe("TG011");
    },
  },
  {
    guard: "the lag is that of the channel that is delivered",
    routine: "messages.lag_seconds",
    changes: [["where o.channel = c.name and ", "where "]],
    probe: async (lab) => {
      await lab.db.query("select messages.claim('elsewhere', 1, '1 minute')");
      await lab.db.query("select messages.enqueue('notice', 'renewed', null, $1, '{}')", [randomUUID()]);
      await advance(lab.db, "1 hour");
      expect(await rows(lab.db, "select messages.lag_seconds() as lag")).toEqual([{ lag: 0 }]);
    },
  },
  {
    guard: "workspaces are claimed without waiting",
    routine: "people.claim_workspaces",
    changes: [["for no key update skip locked", "for no key update"]],
    probe: async (lab) => {
      const { id } = await call<{ id: string }>(lab.db, "people.create_workspace", { name: "A", caused_by: "test" });
      const gate = await lab.db.connect();
      try {
        await gate.query("begin");
        await gate.query("select people.lock_workspace($1)", [id]);
        const claim = (db: Db) => rows<{ ids: string[] }>(db, "select people.claim_workspaces($1) as ids", [[id]]);
        expect(await impatient(lab, claim)).toEqual([{ ids: [] }]);
      } finally {
        gate.release(true);
      }
    },
  },
  {
    guard: "a workspace is claimed by one of many",
    routine: "people.claim_workspaces",
    changes: [["       for no key update skip locked\n", ""]],
    probe: async (lab) => {
      const { id } = await call<{ id: string }>(lab.db, "people.create_workspace", { name: "A", caused_by: "test" });
      const holders = await Promise.all([lab.db.connect(), lab.db.connect()]);
      try {
        const claims = await race(2, async (i) => {
          await holders[i]?.query("begin");
          return holders[i]?.query<{ ids: string[] }>("select people.claim_workspaces($1) as ids", [[id]]);
        });
        expect(claims.flatMap((claim) => claim?.rows[0]?.ids ?? [])).toEqual([id]);
      } finally {
        for (const holder of holders) holder.release(true);
      }
    },
  },
];
