import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { race } from "../support/barrier.ts";
import { Guest } from "../support/guest.ts";
import { advance, call, rows } from "../support/scenario.ts";
import { test as inSql } from "../support/sql.ts";

const test = inSql.extend("owing", ({ db }) => async (grace_days: number) => {
  const guest = await Guest.withKey(db, { grace_days });
  // As Stripe's word would leave it: it collects, was not paid, and goes on trying.
  await db.query(
    `update billing.subscription
        set collection = 'stripe', provider_id = $2, state = 'past_due', past_due_since = ops.now(), auto_renew = null, renew_at = null,
            expire_at = null, notice_at = null, anchor = null, anchor_number = null, period_number = null
      where workspace_id = $1`,
    [guest.workspace, `sub_${randomUUID().replaceAll("-", "")}`],
  );
  return guest;
});

const lapse = (db: Parameters<typeof call>[0]) => call<{ processed: number }>(db, "billing.lapse", { batch: 100 });

test("D18 who owes a provider keeps his key for the grace, and then it goes, once, whoever sweeps", async ({
  db,
  owing,
}) => {
  const guest = await owing(3);
  await advance(db, "2 days 23 hours");
  await lapse(db);
  expect(await guest.key()).toMatchObject({ state: "pending" });
  await advance(db, "1 hour 1 second");
  await race(8, () => lapse(db));
  await lapse(db);
  expect(await guest.key()).toMatchObject({ state: "removing" });
  expect(
    await rows(
      db,
      "select kind, state from messages.outbox where workspace_id = $1 and channel = 'provisioner' order by id",
      [guest.workspace],
    ),
  ).toEqual([
    { kind: "add_key", state: "canceled" },
    { kind: "remove_key", state: "queued" },
  ]);
  expect(await lapse(db)).toMatchObject({ processed: 0 });
});

test("D18 who pays within the grace keeps his key, and who pays after it has another", async ({ db, owing }) => {
  const [early, late] = [await owing(3), await owing(3)];
  const pays = async (guest: Guest) => {
    await db.query("update billing.subscription set state = 'active', past_due_since = null where workspace_id = $1", [
      guest.workspace,
    ]);
    await db.query("select billing.follow($1)", [guest.workspace]);
  };
  const keys = async (guest: Guest) =>
    (
      await rows<{ state: string }>(db, "select state from access.key where workspace_id = $1 order by id", [
        guest.workspace,
      ])
    ).map(({ state }) => state);
  await advance(db, "2 days");
  await pays(early);
  await advance(db, "2 days");
  await lapse(db);
  expect(await keys(early)).toEqual(["pending"]);
  await pays(late);
  expect(await keys(late)).toEqual(["removing", "pending"]);
});
