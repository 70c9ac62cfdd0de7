import { describe, expect } from "vitest";
import { idOf } from "../support/api.ts";
import { race, tally } from "../support/barrier.ts";
import { Account, advance, call, outcome } from "../support/scenario.ts";
import { test, testRoutines, times, word } from "./arena.ts";

describe("through the Worker", () => {
  test("C1 a hold that everybody ends at once ends once, and everybody else hears how; twenty rounds", async ({
    api,
    db,
    world,
  }) => {
    const { id, credits } = await api.workspace({ subscription: 30, bulk: 70 });
    for (const round of times(20)) {
      const hold = idOf(await api.post(`${credits}/holds`, { amount: 5, expires_in: 3_600 }));
      const due = round % 2 === 0;
      if (due) await advance(db, "1 hour");
      const before = (await api.get(credits)).body;
      const answers = await race(20, async (i) => {
        if (i === 7) await world.tick();
        if (i % 2 === 0) return api.post(`${credits}/holds/${hold}/settle`, { amount: 1 + (i % 5) });
        return api.post(`${credits}/holds/${hold}/release`);
      });
      const ended = answers.filter(({ status }) => status === 200);
      const refused = answers.filter(({ body }) => body["code"] === "hold_ended");
      expect(ended.length + refused.length).toBe(20);
      expect(ended.length, `round ${round}`).toBeLessThanOrEqual(1);
      const { rows } = await db.query<{ state: string; settled: number; ends: number }>(
        `select h.state, h.settled::int as settled,
                (select count(*)::int from ledger.transaction t
                  where t.owner_id = h.owner_id and t.hold_id = h.id and t.kind <> 'hold') as ends
           from ledger.hold h where h.owner_id = $1 and h.id = $2`,
        [id, hold],
      );
      const [state = "expired", settled = 0] = [ended[0]?.body["state"], ended[0]?.body["settled"]];
      expect(rows).toEqual([{ state, settled, ends: 1 }]);
      for (const { body } of refused) expect(body["state"]).toBe(state);
      if (!due) expect(ended).toHaveLength(1);
      const after = (await api.get(credits)).body;
      expect([after["available"], after["held"]]).toEqual([Number(before["available"]) + 5 - Number(settled), 0]);
    }
  });

  test("A11 twenty holds of one workspace, each settled, released and swept at once", async ({ api, db, world }) => {
    const { credits } = await api.workspace({ subscription: 40, bulk: 60 });
    for (const _ of times(3)) {
      const holds = await race(20, async () => idOf(await api.post(`${credits}/holds`, { amount: 2, expires_in: 1 })));
      await advance(db, "2 seconds");
      const answers = await race(44, async (i) => {
        if (i % 11 === 10) {
          await world.tick();
          return "swept";
        }
        const hold = holds[i % 20];
        return word(await api.post(`${credits}/holds/${hold}/${i < 22 ? "release" : "settle"}`));
      });
      const { 200: ended = 0, "409 hold_ended": refused = 0, swept } = tally(answers);
      expect([ended + refused, swept]).toEqual([40, 4]);
      expect((await api.get(credits)).body["held"]).toBe(0);
    }
  });
});

describe("the routines themselves", () => {
  testRoutines("C1 settle, release and two sweeps of one hold: exactly one ends it; fifty rounds", async ({ db }) => {
    const account = new Account(db);
    await account.grant(1000, { pool: "subscription", expires_in: "1 day" });
    await account.grant(1000);
    for (const round of times(50)) {
      const { id } = await account.hold(3, { expires_in: "1 second" });
      await advance(db, "2 seconds");
      const sweep = async () => {
        const { processed } = await call<{ processed: number }>(db, "ledger.holds_expire", { batch: 100 });
        return processed === 1 ? "done" : "hold_ended";
      };
      const outcomes = await race(8, (i) => {
        if (i < 2) return sweep();
        return outcome(i < 5 ? account.settle(id, 1 + (i % 3)) : account.release(id));
      });
      const { done, hold_ended } = tally(outcomes);
      expect([done, hold_ended], `round ${round}`).toEqual([1, 7]);
      expect(await account.holdRow(id)).toMatchObject({ version: 2 });
    }
  });

  testRoutines("C1 a hold is made and ended while its lots expire, are reset and are refunded", async ({ db }) => {
    for (const round of times(30)) {
      const account = new Account(db);
      const payment = account.owner;
      await account.grant(10, { pool: "subscription", expires_in: "1 minute", payment });
      await account.grant(10, { payment });
      await account.grant(5, { expires_in: "5 minutes" });
      const holds = [await account.hold(12), await account.hold(6)];
      const outcomes = await race(9, (i) => {
        const id = holds[i % 2]?.id ?? "";
        if (i < 2) return outcome(account.settle(id, 2));
        if (i < 4) return outcome(account.release(id));
        if (i === 4) return outcome(account.reset(7));
        if (i === 5) return outcome(account.takeBack(payment, { refunded: 10 * (round % 10) }));
        if (i === 6) return outcome(advance(db, "2 minutes"));
        if (i === 7) return outcome(call(db, "ledger.lots_expire", { batch: 100 }));
        return outcome(account.takeBack(payment, { refunded: 10 * ((round + 5) % 10) }));
      });
      expect(tally(outcomes), `round ${round}`).toEqual({ done: 7, hold_ended: 2 });
      expect((await account.sums())[1]).toBe(0);
    }
  });
});
