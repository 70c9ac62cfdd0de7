import type { Pool } from "pg";
import { describe, expect } from "vitest";
import { besideOpen, race, tally } from "../support/barrier.ts";
import { Guest } from "../support/guest.ts";
import { advance, call, outcome } from "../support/scenario.ts";
import type { Db } from "../support/scenario.ts";
import { testRoutines as test, times } from "./arena.ts";

// D23: what begins a period against what ends one. Whoever pays is let in afterwards, by one key; whoever did not pay is not.

const run = (db: Db, sweep: string) =>
  call<{ processed: number; failed: number }>(db, `billing.${sweep}`, { batch: 100 });

/** Lets a sweep run until nothing is left to do: what it skipped because somebody held it, too. */
async function finish(db: Pool, sweep: string): Promise<void> {
  while ((await run(db, sweep)).processed > 0);
}

/** The states of a guest's keys, the first one first; and whether it is let in. */
const seen = async (guest: Guest) => ({
  keys: (await guest.keys()).map(({ state }) => state),
  isLetIn: await guest.isLetIn(),
});

const kept = { keys: ["pending"], isLetIn: true };
const anew = { keys: ["removing", "pending"], isLetIn: true };
const over = { keys: ["removing"], isLetIn: false };

/** A guest whose trial is over this moment, and nobody has ended it yet. */
async function afterTrial(db: Pool): Promise<Guest> {
  const guest = await Guest.of(db, { trial_days: 1 });
  await guest.tryOut();
  await advance(db, "1 day");
  return guest;
}

/** A guest who owes a period, has the money by now, and whose grace ends in a minute. */
async function owing(db: Pool): Promise<Guest> {
  const guest = await Guest.of(db, { grace_days: 1 });
  await guest.pay({ auto_renew: true });
  await guest.toEnd();
  await finish(db, "auto_renew");
  expect(await guest.subscription()).toMatchObject({ state: "past_due" });
  await guest.toEnd("-1 minute", "expire_at");
  // Others of this file whose time came meanwhile.
  await finish(db, "expire");
  await guest.topUp(500);
  await call(db, "billing.wake_renewal", { workspace_id: guest.workspace });
  return guest;
}

describe("a purchase during a trial's expiry", () => {
  test("D23 that comes first goes on with the trial's key; the sweep passes it by", async ({ db }) => {
    const guest = await afterTrial(db);
    const swept = await besideOpen(
      db,
      (connection) => guest.on(connection).pay(),
      () => run(db, "trial_expire"),
    );
    expect(swept).toMatchObject({ processed: 0, failed: 0 });
    await finish(db, "trial_expire");
    expect(await seen(guest)).toEqual(kept);
  });

  test("D23 that comes second waits, and begins anew with another key", async ({ db }) => {
    const guest = await afterTrial(db);
    await besideOpen(
      db,
      (connection) => run(connection, "trial_expire"),
      () => guest.pay(),
    );
    expect(await seen(guest)).toEqual(anew);
    expect(await guest.told()).toEqual(["add_key canceled", "remove_key queued", "add_key queued"]);
  });

  test("D23 at the same moment: 12 who pay and 4 who do not, 8 sweeps", async ({ db }) => {
    for (const round of times(4)) {
      const guests = await race(16, () => Guest.of(db, { trial_days: 1 }));
      await race(16, (i) => guests[i]?.tryOut() ?? Promise.reject(new Error("nobody")));
      await advance(db, "1 day");
      const outcomes = await race(20, (i) => {
        const guest = i < 12 ? guests[(i + round) % 16] : undefined;
        return outcome(guest === undefined ? run(db, "trial_expire") : guest.pay());
      });
      expect(tally(outcomes)).toEqual({ done: 20 });
      await finish(db, "trial_expire");
      for (const [i, guest] of guests.entries()) {
        const paid = (i - round + 16) % 16 < 12;
        expect(paid ? [kept, anew] : [over]).toContainEqual(await seen(guest));
      }
    }
  });
});

describe("a renewal during expiry", () => {
  test("D23 that comes first keeps the key, though its time passes meanwhile", async ({ db }) => {
    const guest = await owing(db);
    const swept = await besideOpen(
      db,
      (connection) => run(connection, "auto_renew"),
      async () => {
        await advance(db, "2 minutes");
        return run(db, "expire");
      },
    );
    expect(swept).toMatchObject({ processed: 0, failed: 0 });
    await finish(db, "expire");
    expect(await seen(guest)).toEqual(kept);
  });

  test("D23 that comes second finds nothing to renew, and takes no money", async ({ db }) => {
    const guest = await owing(db);
    await advance(db, "2 minutes");
    const renewed = await besideOpen(
      db,
      (connection) => run(connection, "expire"),
      () => run(db, "auto_renew"),
    );
    expect(renewed).toMatchObject({ processed: 0, failed: 0 });
    await finish(db, "auto_renew");
    expect(await seen(guest)).toEqual(over);
    expect(await call(db, "ledger.balance_of", { owner_id: guest.workspace, unit: "eur" })).toMatchObject({
      available: 500,
    });
  });

  test("D23 a purchase that waited for the expiry begins anew; one before it is passed by", async ({ db }) => {
    const late = await owing(db);
    await advance(db, "2 minutes");
    await besideOpen(
      db,
      (connection) => run(connection, "expire"),
      () => late.pay(),
    );
    expect(await seen(late)).toEqual(anew);

    const early = await owing(db);
    await advance(db, "2 minutes");
    await besideOpen(
      db,
      (connection) => early.on(connection).pay(),
      () => run(db, "expire"),
    );
    await finish(db, "expire");
    expect(await seen(early)).toEqual(kept);
  });

  test("D23 at the same moment: 8 who owe, their time running out, sweeps of both kinds", async ({ db }) => {
    for (const round of times(3)) {
      const guests: Guest[] = [];
      for (let i = 0; i < 8; i += 1) guests.push(await Guest.of(db, { grace_days: 1, balance: 500 }));
      await race(8, (i) => guests[i]?.pay({ auto_renew: true }) ?? Promise.reject(new Error("nobody")));
      // Their renewals are due for an hour more.
      await guests[0]?.toEnd("-1 hour", "expire_at");
      const outcomes = await race(17, (i) => {
        if (i === 8 + round) return outcome(advance(db, "2 hours"));
        return outcome(run(db, i % 2 === 0 ? "auto_renew" : "expire"));
      });
      expect(tally(outcomes)).toEqual({ done: 17 });
      await finish(db, "auto_renew");
      await finish(db, "expire");
      for (const guest of guests) {
        const { state } = await guest.subscription();
        const { available } = await call<{ available: number }>(db, "ledger.balance_of", {
          owner_id: guest.workspace,
          unit: "eur",
        });
        // Renewed and paid, or over and not paid; nothing between.
        expect([state, available, (await guest.keys()).map((key) => key.state)]).toEqual(
          state === "active" ? ["active", 0, ["pending"]] : ["canceled", 500, ["removing"]],
        );
      }
    }
  });
});
