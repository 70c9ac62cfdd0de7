import { expect } from "vitest";
import { rows } from "../support/scenario.ts";
import { test } from "../support/sql.ts";
import { Till, invoiceFact } from "../support/till.ts";

test("D1 an invoice's referrer gets its part in the statement that keeps the payment, of the first only", async ({
  db,
}) => {
  const till = new Till(db);
  const [payer, referrer, plan] = [await till.customer(), await till.customer(), await till.plan()];
  await db.query("insert into payments.referral (workspace_id, referrer_id, created_at) values ($1, $2, ops.now())", [
    payer.workspace,
    referrer.workspace,
  ]);
  await db.query("update payments.referral_policy set percent = 10");
  const first = invoiceFact(payer, "sub_1", plan.price, { amount_paid: 1999 });
  await till.send("invoice.paid", first);
  await till.send("invoice.paid", first);
  await till.send("invoice.paid", invoiceFact(payer, "sub_1", plan.price));
  expect(
    await rows(db, "select sides, amounts from ledger.transaction where owner_id = $1", [referrer.workspace]),
  ).toEqual([{ sides: ["referral", "available"], amounts: [-199, 199] }]);
});
