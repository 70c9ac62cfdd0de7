import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { call } from "../../support/scenario.ts";
import type { Lab, Mutation } from "./lab.ts";

const takeBackForgiving = (lab: Lab, owner_id: string, payment_id: string, refunded: number) =>
  call(lab.db, "ledger.take_back", {
    owner_id,
    payment_id,
    refunded,
    lost: 0,
    paid: 100,
    idempotency_key: randomUUID(),
    caused_by: "test",
    forgive: true,
  });

const rollOver = (lab: Lab, owner: string, cap: number) =>
  lab.db.query("select ledger.roll_over($1, 'credit', 'subscription', $2, null, $3, 'test')", [
    owner,
    cap,
    randomUUID(),
  ]);

/** What a take-back forgives by policy, and what it finds of credits that rolled over. */
export const takeBacks: Mutation[] = [
  {
    guard: "policy clamp: nobody owes",
    routine: "ledger.recover",
    changes: [["if recover.forgive then", "if false then"]],
    probe: async (lab) => {
      const account = await lab.credited(2);
      const payment = randomUUID();
      await account.grant(10, { payment });
      await account.spend(12);
      await takeBackForgiving(lab, account.owner, payment, 100);
      expect(await account.sums()).toEqual([0, 0, 0]);
    },
  },
  {
    guard: "policy clamp: what was forgiven stays so",
    routine: "ledger.take_back",
    changes: [["v_target := v_target - least(v_target, v_lot.forgiven);", ""]],
    probe: async (lab) => {
      const account = lab.account();
      const payment = randomUUID();
      await account.grant(10, { payment });
      await account.spend(10);
      await takeBackForgiving(lab, account.owner, payment, 100);
      await account.grant(10);
      await takeBackForgiving(lab, account.owner, payment, 100);
      expect(await account.sums()).toEqual([10, 0, 0]);
    },
  },
  {
    guard: "a refund still finds what rolled over",
    routine: "ledger.roll_over",
    changes: [["v_lot.payment_id);", "null);"]],
    probe: async (lab) => {
      const account = lab.account();
      const payment = randomUUID();
      await account.grant(10, { payment, pool: "subscription" });
      await rollOver(lab, account.owner, 100);
      await account.takeBack(payment, { refunded: 100 });
      expect(await account.sums()).toEqual([0, 0, 0]);
    },
  },
  {
    guard: "no more rolls over than the cap",
    routine: "ledger.roll_over",
    changes: [["v_part := least(v_lot.available, v_room);", "v_part := v_lot.available;"]],
    probe: async (lab) => {
      const account = lab.account();
      await account.grant(10, { pool: "subscription" });
      await rollOver(lab, account.owner, 4);
      expect(await account.pools()).toEqual({ subscription: 6, rollover: 4 });
    },
  },
];
