import { describe, expect } from "vitest";
import { Guest } from "../support/guest.ts";
import type { GuestWish } from "../support/guest.ts";
import { advance, call } from "../support/scenario.ts";
import type { Db } from "../support/scenario.ts";
import { test } from "../support/sql.ts";

// A key's life through the routines of billing: what is paid for, and what sweeps find.

/** Runs the sweeps that begin and end periods, until they have nothing to do. */
async function sweep(db: Db): Promise<void> {
  for (const name of ["auto_renew", "expire", "trial_expire"]) {
    for (let more = true; more;) {
      const ran = await call<{ failed: number; more: boolean }>(db, `billing.${name}`, { batch: 100 });
      expect(ran.failed).toBe(0);
      ({ more } = ran);
    }
  }
}

test("D19 twelve renewals keep the key, and the provisioner is told of it once", async ({ db }) => {
  const guest = await Guest.of(db, { balance: 12 * 500, included_credits: 3 });
  await guest.pay({ auto_renew: true });
  const first = await guest.key();
  await guest.confirm(first.id, "active");
  for (let month = 0; month < 12; month += 1) {
    await guest.toEnd("1 hour");
    expect(await guest.isLetIn()).toBe(true);
    await sweep(db);
    expect(await guest.isLetIn()).toBe(true);
  }
  expect(await guest.subscription()).toMatchObject({ state: "active" });
  expect(await guest.keys()).toMatchObject([{ id: first.id, key: first.key, state: "active" }]);
  await guest.toEnd();
  await sweep(db);
  expect(await guest.isLetIn()).toBe(false);
  expect((await guest.told()).filter((told) => !told.startsWith("add_key"))).toEqual(["remove_key queued"]);
});

test("D18 D19 one key from trial to paid to past due and back; none when it is over; another when it is bought again", async ({
  db,
}) => {
  const guest = await Guest.of(db, { trial_days: 7, grace_days: 3 });
  await guest.tryOut();
  const first = await guest.key();
  expect([first.state, await guest.isLetIn()]).toEqual(["pending", true]);
  await guest.confirm(first.id, "active");

  await guest.pay({ auto_renew: true });
  expect(await guest.subscription()).toMatchObject({ state: "active" });
  await advance(db, "8 days");
  await sweep(db);
  expect([await guest.keys(), await guest.isLetIn()]).toMatchObject([[{ id: first.id, state: "active" }], true]);

  await guest.toEnd();
  await sweep(db);
  expect(await guest.subscription()).toMatchObject({ state: "past_due" });
  expect([await guest.keys(), await guest.isLetIn()]).toMatchObject([[{ id: first.id, state: "active" }], true]);

  await guest.topUp(500);
  await call(db, "billing.wake_renewal", { workspace_id: guest.workspace });
  await sweep(db);
  expect(await guest.subscription()).toMatchObject({ state: "active" });
  expect([await guest.keys(), await guest.isLetIn()]).toMatchObject([[{ id: first.id, state: "active" }], true]);

  await guest.toEnd();
  await sweep(db);
  await guest.toEnd("0", "expire_at");
  expect(await guest.isLetIn()).toBe(false);
  expect(await guest.key()).toMatchObject({ id: first.id, state: "active" });
  await sweep(db);
  expect(await guest.subscription()).toMatchObject({ state: "canceled", ended_reason: "unpaid" });
  expect(await guest.keys()).toMatchObject([{ id: first.id, state: "removing" }]);
  await sweep(db);
  expect((await guest.told()).filter((told) => told.startsWith("remove_key"))).toEqual(["remove_key queued"]);

  await guest.pay();
  const [old, fresh] = await guest.keys();
  expect([old?.state, fresh?.state, await guest.isLetIn()]).toEqual(["removing", "pending", true]);
  expect(fresh?.key).not.toBe(first.key);
  await guest.confirm(first.id, "removed");
  expect(await guest.keys()).toMatchObject([{ state: "removed" }, { state: "pending" }]);
});

test("D8 a trial's end does not revoke the key that was paid for meanwhile", async ({ db }) => {
  const guest = await Guest.of(db, { trial_days: 7 });
  await guest.tryOut();
  const { id } = await guest.key();
  await advance(db, "6 days 23 hours");
  await guest.pay();
  await advance(db, "2 hours");
  await sweep(db);
  expect([await guest.keys(), await guest.isLetIn()]).toMatchObject([[{ id, state: "pending" }], true]);
});

describe("D18 the door says before the sweeps what it says after them", () => {
  type Life = GuestWish & { trial?: boolean; auto_renew?: boolean };
  const lives: Record<string, Life> = {
    "paid once": {},
    "paid once, with grace": { grace_days: 3 },
    "renewed, the money is there": { auto_renew: true, balance: 500 },
    "renewed, the money is there, with grace": { auto_renew: true, balance: 500, grace_days: 3 },
    "renewed, no money": { auto_renew: true },
    "renewed, no money, with grace": { auto_renew: true, grace_days: 3 },
    "renewed, a cent short, with grace": { auto_renew: true, grace_days: 3, balance: 499 },
    "a trial": { trial: true, trial_days: 28, grace_days: 3 },
    "a trial that is renewed, the money is there": { trial: true, trial_days: 28, auto_renew: true, balance: 500 },
    "a trial that is renewed, no money": { trial: true, trial_days: 28, auto_renew: true, grace_days: 3 },
  };
  /** From the period's end. */
  const instants = ["-1 minute", "0", "1 minute", "23 hours", "25 hours", "71 hours", "73 hours", "40 days"];

  test.for(Object.entries(lives))("%s", async ([, { trial = false, auto_renew = false, ...wish }], { db }) => {
    const said: [string, boolean, boolean][] = [];
    for (const instant of instants) {
      const connection = await db.connect();
      try {
        await connection.query("begin");
        const guest = await Guest.of(connection, wish);
        await (trial ? guest.tryOut({ auto_renew }) : guest.pay({ auto_renew }));
        await guest.toEnd(instant);
        const before = await guest.isLetIn();
        await sweep(connection);
        const after = await guest.isLetIn();
        said.push([instant, before, after]);
        const keys = (await guest.keys()).map(({ state }) => state);
        expect(keys, instant).toEqual([(await guest.subscription()).state === "canceled" ? "removing" : "pending"]);
      } finally {
        connection.release(true);
      }
    }
    expect(said).toEqual(said.map(([instant, before]) => [instant, before, before]));
    expect(said[0]).toEqual(["-1 minute", true, true]);
    expect(said.at(-1)).toEqual(["40 days", false, false]);
  });
});
