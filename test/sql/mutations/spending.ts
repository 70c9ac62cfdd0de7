import { expect } from "vitest";
import { besideOpen, blockedBackends, race } from "../../support/barrier.ts";
import { advance, outcome, refusal } from "../../support/scenario.ts";
import type { Lab, Mutation } from "./lab.ts";

/** 5, of which all has expired, though no sweep ran. */
async function expired(lab: Lab) {
  const account = lab.account();
  await account.grant(5, { pool: "promo", expires_in: "1 minute" });
  await advance(lab.db, "2 minutes");
  return account;
}

const tooMuch = (take: "spend" | "hold") => async (lab: Lab) => {
  const account = await lab.credited(5);
  expect(await refusal(account[take](6))).toEqual({ code: "insufficient_credits", available: 5 });
};

const tooLate = (take: "spend" | "hold") => async (lab: Lab) => {
  const account = await expired(lab);
  expect(await outcome(account[take](1))).toBe("insufficient_credits");
};

export const spending: Mutation[] = [
  {
    guard: "A12 a spend's first guard on the account's row",
    routine: "ledger.spend",
    changes: [["and a.available >= spend.amount\n     and (a.next_expiry", "and (a.next_expiry"]],
    probe: tooMuch("spend"),
  },
  {
    guard: "A12 a spend's second guard, after the row was made exact",
    routine: "ledger.spend",
    changes: [
      [
        "and a.unit = spend.unit and a.available >= spend.amount\n    returning",
        "and a.unit = spend.unit\n    returning",
      ],
    ],
    probe: tooMuch("spend"),
  },
  {
    guard: "A12 a hold's first guard on the account's row",
    routine: "ledger.hold",
    changes: [["and a.available >= hold.amount\n     and (a.next_expiry", "and (a.next_expiry"]],
    probe: tooMuch("hold"),
  },
  {
    guard: "A12 a hold's second guard, after the row was made exact",
    routine: "ledger.hold",
    changes: [
      ["and a.unit = hold.unit and a.available >= hold.amount\n    returning", "and a.unit = hold.unit\n    returning"],
    ],
    probe: tooMuch("hold"),
  },
  {
    guard: "A2 the guard stands on the row: read before the lock wait it would be stale",
    routine: "ledger.spend",
    changes: [
      [
        "begin\n  update ledger.account a",
        "begin\n  select a.available into v_rest from ledger.account a\n   where a.owner_id = spend.owner_id and a.unit = spend.unit;\n  if v_rest < spend.amount then\n    perform ops.refuse('insufficient_credits');\n  end if;\n  v_rest := spend.amount;\n  update ledger.account a",
      ],
      ["and a.available >= spend.amount\n     and (a.next_expiry", "and (a.next_expiry"],
    ],
    probe: async (lab) => {
      const account = await lab.credited(5);
      const second = await besideOpen(
        lab.db,
        (gate) => account.on(gate).spend(3),
        () => outcome(account.spend(3)),
      );
      expect(second).toBe("insufficient_credits");
    },
  },
  {
    guard: "A12 what has expired is not spent, though no sweep ran",
    routine: "ledger.spend",
    changes: [["(a.next_expiry is null or a.next_expiry > ops.now())", "true"]],
    probe: tooLate("spend"),
  },
  {
    guard: "A12 what has expired is not held, though no sweep ran",
    routine: "ledger.hold",
    changes: [["(a.next_expiry is null or a.next_expiry > ops.now())", "true"]],
    probe: tooLate("hold"),
  },
  {
    guard: "A12 what has expired leaves the account with its lock",
    routine: "ledger.lock_account",
    changes: [["if v_next <= ops.now() then", "if false then"]],
    probe: async (lab) => {
      const account = await expired(lab);
      expect(await outcome(account.adjust(-1))).toBe("insufficient_credits");
    },
  },
  {
    guard: "an account knows its soonest expiry when it is given a lot",
    routine: "ledger.add_lot",
    changes: [["least(a.next_expiry, add_lot.expires_at)", "a.next_expiry"]],
    probe: tooLate("spend"),
  },
  {
    guard: "an account knows its soonest expiry when a lot is filled again",
    routine: "ledger.put_back",
    changes: [["least(a.next_expiry, v_lot.expires_at)", "a.next_expiry"]],
    probe: async (lab) => {
      const account = lab.account();
      await account.grant(5, { pool: "promo", expires_in: "10 minutes" });
      const { id } = await account.hold(5, { expires_in: "1 day" });
      await account.grant(1, { pool: "promo", expires_in: "1 minute" });
      await advance(lab.db, "2 minutes");
      // This one finds the lot empty, and forgets its expiry.
      expect(await outcome(account.spend(1))).toBe("insufficient_credits");
      await account.adjust(1);
      await account.adjust(-1);
      await lab.db.query("select ledger.lots_expire(100)");
      await account.release(id);
      await advance(lab.db, "10 minutes");
      expect(await outcome(account.spend(1))).toBe("insufficient_credits");
    },
  },
  {
    guard: "a balance does not count what has expired",
    routine: "ledger.balance_of",
    changes: [["and (l.expires_at is null or l.expires_at > (select ops.now()))", ""]],
    probe: async (lab) => expect(await (await expired(lab)).sums()).toEqual([0, 0, 0]),
  },
  {
    guard: "A4 lots drain subscription first",
    routine: "ledger.spend",
    changes: [["order by l.drain_order, l.expires_at, l.id", "order by l.expires_at, l.id"]],
    probe: async (lab) => {
      const account = await lab.credited(5);
      await account.grant(5, { pool: "subscription" });
      expect(await account.spend(3)).toMatchObject({ drawn_pools: ["subscription"] });
    },
  },
  {
    guard: "A4 lots drain by soonest expiry",
    routine: "ledger.take",
    changes: [["order by l.drain_order, l.expires_at, l.id", "order by l.drain_order, l.id"]],
    probe: async (lab) => {
      const account = await lab.credited(5);
      await account.grant(5, { pool: "promo", expires_in: "1 day" });
      await account.hold(5);
      expect(await account.pools()).toEqual({ bulk: 5 });
    },
  },
  {
    guard: "an empty lot leaves the index of lots to drain",
    constraint: { table: "ledger.lot", name: "lot_empty_when_nothing_left" },
    probe: async (lab) => {
      const account = await lab.credited(2);
      const lie = lab.db.query("update ledger.lot set empty = true where owner_id = $1", [account.owner]);
      expect(await refusal(lie)).toMatchObject({ constraint: "lot_empty_when_nothing_left" });
    },
  },
  {
    guard: "A2 the account's row is locked before it is read",
    routine: "ledger.lock_account",
    changes: [["\n     for no key update", ""]],
    probe: async (lab) => {
      const account = await lab.credited(10);
      const batch = () => outcome(account.spendMany([{ key: `b-${account.owner}`, amount: 3 }]));
      await besideOpen(lab.db, (gate) => account.on(gate).spend(5), batch);
      await lab.stands();
      expect(await account.sums()).toEqual([2, 0, 0]);
    },
  },
  {
    guard: "A12 an item of a batch is held against what the items before it left",
    routine: "ledger.spend_many",
    changes: [["if v_item.amount > v_left then", "if v_item.amount > v_account.available then"]],
    probe: async (lab) => {
      const account = await lab.credited(5);
      const items = [4, 4].map((amount, i) => ({ key: `${i}-${account.owner}`, amount }));
      expect(await account.spendMany(items)).toMatchObject({ outcomes: ["spent", "refused"] });
    },
  },
  {
    guard: "B14 the batches of one owner go one after another",
    routine: "ledger.spend_many",
    changes: [["perform pg_advisory_xact_lock", "perform hashtextextended('', 0) where false; -- "]],
    probe: async (lab) => {
      const account = await lab.credited(10);
      const seats = account.in("seat");
      await seats.grant(10);
      const gate = await lab.db.connect();
      try {
        await gate.query("begin");
        // Both batches stop at this key, each with one that the other wants next.
        await account.in("other").on(gate).grant(1, { key: "middle" });
        const keys = ["left", "middle", "right"].map((key) => ({ key, amount: 1 }));
        const batches = race(2, (i) =>
          outcome((i === 0 ? account : seats).spendMany(i === 0 ? keys : keys.toReversed())),
        );
        await blockedBackends(lab.db, 2);
        await gate.query("rollback");
        expect(await batches).toEqual(["done", "done"]);
      } finally {
        gate.release(true);
      }
    },
  },
  {
    guard: "A12 no amount is below zero or past 2^53 - 1",
    ddl: {
      apply: "alter domain ledger.amount drop constraint amount_within",
      undo: "alter domain ledger.amount add constraint amount_within check (value between 0 and 9007199254740991)",
    },
    probe: async (lab) => {
      const account = await lab.credited(Number.MAX_SAFE_INTEGER);
      expect(await refusal(account.adjust(1))).toMatchObject({ constraint: "amount_within" });
      const { owner } = await lab.credited(1);
      const below = lab.db.query("update ledger.account set available = -1 where owner_id = $1", [owner]);
      expect(await refusal(below)).toMatchObject({ constraint: "amount_within" });
    },
  },
  {
    guard: "what is held counts towards 2^53 - 1, so that it can return",
    routine: "ledger.add_lot",
    changes: [["if v_total > 9007199254740991 then", "if false then"]],
    probe: async (lab) => {
      const account = await lab.credited(Number.MAX_SAFE_INTEGER);
      const { id } = await account.hold(10);
      await refusal(account.grant(10)).catch(() => undefined);
      expect(await outcome(account.release(id))).toBe("done");
    },
  },
  {
    guard: "a grant's expiry lies ahead",
    routine: "ledger.add_lot",
    changes: [["if add_lot.expires_at <= v_now then", "if false then"]],
    probe: async (lab) => {
      expect(await outcome(lab.account().grant(1, { expires_in: "-1 second" }))).toBe("expires_in_past");
    },
  },
];
