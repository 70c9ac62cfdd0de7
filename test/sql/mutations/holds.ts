import { expect } from "vitest";
import { advance, outcome, refusal, rows } from "../../support/scenario.ts";
import type { Account } from "../../support/scenario.ts";
import { Planned } from "../../support/plans.ts";
import { withClient } from "../../world/roles.ts";
import type { Lab, Mutation } from "./lab.ts";

const sweep = async (lab: Lab, name: string) =>
  (await rows<{ processed: number; failed: number }>(lab.db, `select processed, failed from ledger.${name}(100)`))[0];

/** A hold of 5 whose time has passed, in an account that has 5 more. */
async function dueHold(lab: Lab) {
  const account = await lab.credited(10);
  const { id } = await account.hold(5, { expires_in: "1 minute" });
  await advance(lab.db, "2 minutes");
  return { account, id };
}

/** Runs a sweep while somebody else has a row that it wants: it must not wait. */
async function passesBy(lab: Lab, name: string, first: (account: Account) => Promise<unknown>, account: Account) {
  const [gate, sweeper] = [await lab.db.connect(), await lab.db.connect()];
  try {
    await gate.query("begin");
    await first(account.on(gate));
    await sweeper.query("set lock_timeout = '200ms'");
    return await outcome(sweeper.query(`select ledger.${name}(100)`));
  } finally {
    gate.release(true);
    sweeper.release(true);
  }
}

/** A hold whose end a constraint of the test's refuses. */
async function poisoned(lab: Lab, work: (account: Account, id: string) => Promise<void>): Promise<void> {
  const { account, id } = await dueHold(lab);
  await lab.db.query(
    `alter table ledger.hold add constraint poison check (owner_id <> '${account.owner}' or state = 'held') not valid`,
  );
  try {
    await work(account, id);
  } finally {
    await lab.db.query("alter table ledger.hold drop constraint if exists poison");
    await advance(lab.db, "2 minutes");
    await sweep(lab, "holds_expire");
  }
}

export const holds: Mutation[] = [
  {
    guard: "A12 a hold ends once",
    routine: "ledger.end_hold",
    changes: [["and h.state = 'held'\n", "\n"]],
    probe: async (lab) => {
      const account = await lab.credited(10);
      const [one] = [await account.hold(5), await account.hold(5)];
      await account.settle(one.id);
      expect(await outcome(account.settle(one.id))).toBe("hold_ended");
      await lab.stands();
    },
  },
  {
    guard: "A12 no more is settled than is held",
    routine: "ledger.end_hold",
    changes: [["\n     and coalesce(end_hold.settle_amount, h.amount) <= h.amount", ""]],
    probe: async (lab) => {
      const account = await lab.credited(10);
      const { id } = await account.hold(5);
      expect(await refusal(account.settle(id, 6))).toEqual({ code: "amount_exceeds_hold", amount: 5 });
    },
  },
  {
    guard: "A12 no more is settled than is held, by constraint",
    constraint: { table: "ledger.hold", name: "hold_settled_within" },
    probe: async (lab) => {
      const account = await lab.credited(10);
      const { id } = await account.hold(5);
      const lie = lab.db.query("update ledger.hold set settled = 6 where id = $1", [id]);
      expect(await refusal(lie)).toMatchObject({ constraint: "hold_settled_within" });
    },
  },
  {
    guard: "another owner's hold is not found",
    routine: "ledger.end_hold",
    changes: [
      [
        "where h.owner_id = end_hold.owner_id and h.id = end_hold.hold_id and h.unit",
        "where h.id = end_hold.hold_id and h.unit",
      ],
    ],
    probe: async (lab) => {
      const { id } = await (await lab.credited(5)).hold(5);
      const stranger = await lab.credited(5);
      await stranger.hold(5);
      expect(await outcome(stranger.release(id))).toBe("not_found");
    },
  },
  {
    guard: "a late duplicate of an end hears of its key",
    routine: "ledger.end_hold",
    changes: [["perform ledger.refuse_used_key(end_hold.owner_id, end_hold.idempotency_key);", "null;"]],
    probe: async (lab) => {
      const account = await lab.credited(5);
      const { id } = await account.hold(5);
      await account.release(id, { key: "k" });
      await advance(lab.db, "35 days");
      expect(await outcome(account.release(id, { key: "k" }))).toBe("idempotency_key_expired");
    },
  },
  {
    guard: "C9 only the moves of ops.transition",
    trigger: { table: "ledger.hold", name: "hold_lifecycle" },
    probe: async (lab) => {
      const account = await lab.credited(5);
      const { id } = await account.hold(5);
      await account.release(id);
      const back = lab.db.query("update ledger.hold set state = 'settled' where id = $1", [id]);
      expect(await outcome(back)).toBe("TG003");
    },
  },
  {
    guard: "C9 a move that is not allowed is refused",
    routine: "ops.lifecycle",
    changes: [["if not exists (", "if false and not exists ("]],
    probe: async (lab) => {
      const account = await lab.credited(5);
      const { id } = await account.hold(5);
      await account.release(id);
      expect(await outcome(lab.db.query("update ledger.hold set state = 'settled' where id = $1", [id]))).toBe("TG003");
    },
  },
  {
    guard: "every update steps the version",
    routine: "ops.lifecycle",
    changes: [["new.version := old.version + 1;", ""]],
    probe: async (lab) => {
      const account = await lab.credited(5);
      const { id } = await account.hold(5);
      await lab.db.query("update ledger.hold set reason = 'x' where id = $1", [id]);
      expect(await account.holdRow(id)).toMatchObject({ version: 2 });
    },
  },
  {
    guard: "D23 the sweep of holds waits for nobody",
    routine: "ledger.holds_expire",
    changes: [["for no key update skip locked", "for no key update"]],
    probe: async (lab) => {
      const { account, id } = await dueHold(lab);
      expect(await passesBy(lab, "holds_expire", (one) => one.settle(id), account)).toBe("done");
    },
  },
  {
    guard: "the sweep of lots waits for nobody",
    routine: "ledger.lots_expire",
    changes: [["for no key update skip locked", "for no key update"]],
    probe: async (lab) => {
      const account = await lab.credited(5);
      await account.grant(5, { pool: "promo", expires_in: "1 minute" });
      await advance(lab.db, "2 minutes");
      expect(await passesBy(lab, "lots_expire", (one) => one.spend(1), account)).toBe("done");
    },
  },
  {
    guard: "D16 a sweep compares with one moment, so that the index serves it",
    routine: "ledger.holds_expire",
    changes: [["h.expires_at <= (select ops.now())", "h.expires_at <= ops.now()"]],
    probe: async (lab) => {
      await withClient(lab.database.superuserUrl, async (client) => {
        await client.query("set session_replication_role = replica");
        await client.query(
          `insert into ledger.hold (owner_id, id, unit, state, amount, lots, lot_amounts, expires_at, created_at)
           select gen_random_uuid(), gen_random_uuid(), 'credit', 'held', 1, '{}', '{}', now() + interval '1 day', now()
             from generate_series(1, 5000)`,
        );
        await client.query("analyze ledger.hold");
      });
      const planned = await Planned.open(lab.database);
      try {
        const read = await planned.readings("select ledger.holds_expire(100)");
        expect(read.filter(({ table }) => table === "hold").map(({ rows: looked }) => looked)).toEqual([0]);
      } finally {
        await planned.close();
        await lab.db.query("delete from ledger.hold");
      }
    },
  },
  {
    guard: "D9 the sweep ends only what is due",
    routine: "ledger.holds_expire",
    changes: [["and h.expires_at <= (select ops.now())", ""]],
    probe: async (lab) => {
      const account = await lab.credited(5);
      await account.hold(5);
      expect(await sweep(lab, "holds_expire")).toEqual({ processed: 0, failed: 0 });
    },
  },
  {
    guard: "an error of the moment parks nothing",
    routine: "ops.is_passing",
    changes: [["return left(", "return false and left("]],
    probe: async (lab) => {
      await dueHold(lab);
      await lab.db.query(`create function ledger.fail() returns trigger language plpgsql as
        $$ begin raise exception using errcode = '40P01'; end $$`);
      await lab.db.query(
        "create trigger fail before update on ledger.account for each row execute function ledger.fail()",
      );
      try {
        expect(await outcome(lab.db.query("select ledger.holds_expire(100)"))).toBe("40P01");
      } finally {
        await lab.db.query("drop function ledger.fail() cascade");
        await sweep(lab, "holds_expire");
      }
    },
  },
  {
    guard: "one bad row does not stop its batch",
    routine: "ledger.holds_expire",
    changes: [
      [
        "exception when others then\n    if ops.is_passing(sqlstate) then",
        "exception when others then\n    if true then",
      ],
    ],
    probe: (lab) =>
      poisoned(lab, async () => {
        await dueHold(lab);
        expect(await sweep(lab, "holds_expire")).toEqual({ processed: 1, failed: 1 });
      }),
  },
  {
    guard: "a parked row is left until its time",
    routine: "ledger.holds_expire",
    changes: [["and (h.parked_until is null or h.parked_until <= (select ops.now()))", ""]],
    probe: (lab) =>
      poisoned(lab, async () => {
        await sweep(lab, "holds_expire");
        expect(await sweep(lab, "holds_expire")).toEqual({ processed: 0, failed: 0 });
      }),
  },
  {
    guard: "a parked hold that ends is parked no longer",
    routine: "ledger.end_hold",
    changes: [["perform ops.unpark(", "perform concat("]],
    probe: async (lab) => {
      await poisoned(lab, async (account, id) => {
        await sweep(lab, "holds_expire");
        await lab.db.query("alter table ledger.hold drop constraint poison");
        await account.release(id);
        expect(await rows(lab.db, "select from ops.parked where subject = $1", [id])).toEqual([]);
      });
    },
  },
  {
    guard: "B8 a raised limit pays debt first",
    routine: "ledger.set_limit",
    changes: [["v_debt_paid := least(v_account.debt, v_change);", "v_debt_paid := 0;"]],
    probe: async (lab) => {
      const seats = lab.account("seat");
      await seats.setLimit(5);
      await seats.spend(5);
      await seats.setLimit(3);
      expect(await outcome(seats.setLimit(4))).toBe("done");
    },
  },
  {
    guard: "B8 a limit lowered below what is in use leaves a debt",
    routine: "ledger.set_limit",
    changes: [["v_debt_paid := v_change + v_from_lot + v_from_others;", "v_debt_paid := 0;"]],
    probe: async (lab) => {
      const seats = lab.account("seat");
      await seats.setLimit(5);
      await seats.spend(5);
      expect(await seats.setLimit(3)).toMatchObject({ debt: 2 });
    },
  },
  {
    guard: "B8 debt leaves nothing available, by constraint",
    constraint: { table: "ledger.account", name: "account_debt_leaves_nothing" },
    probe: async (lab) => {
      const { owner } = await lab.credited(5);
      const lie = lab.db.query("update ledger.account set debt = 1 where owner_id = $1", [owner]);
      expect(await refusal(lie)).toMatchObject({ constraint: "account_debt_leaves_nothing" });
    },
  },
];
