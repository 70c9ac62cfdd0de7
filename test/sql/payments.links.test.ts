import type { Pool } from "pg";
import { describe, expect } from "vitest";
import { race } from "../support/barrier.ts";
import { paymentOf, purchaseOf } from "../support/buying.ts";
import { advance, call, rows } from "../support/scenario.ts";
import { Till, checkoutFact, invoiceFact } from "../support/till.ts";
import type { Fact } from "../support/till.ts";
import { test } from "../support/sql.ts";

const ofIntent = (intent: string, name: string) => ({
  [name]: `${name}_${intent}`,
  payment_intent: intent,
  charge: "ch",
});

const refund = (intent: string, amount: number, status = "succeeded", id = "re"): Fact => ({
  ...ofIntent(intent, "refund"),
  kind: "refund",
  refund: `${id}_${intent}`,
  amount,
  status,
  created: 1,
});

const dispute = (intent: string, amount: number, status: string): Fact => ({
  ...ofIntent(intent, "dispute"),
  kind: "dispute",
  amount,
  status,
  created: 1,
});

const charge = (intent: string, amount_refunded: number): Fact => ({
  kind: "charge",
  charge: "ch",
  payment_intent: intent,
  customer: null,
  amount: 1000,
  amount_refunded,
});

const sync = (
  db: Pool,
  id: string,
  { reference = null as string | null, refunds = [] as Fact[], disputes = [] as Fact[] },
) =>
  call<{ id: string; linked: boolean }>(db, "payments.sync_intent", {
    provider: "stripe",
    id,
    reference,
    refunds: JSON.stringify(refunds),
    disputes: JSON.stringify(disputes),
  });

const claim = async (db: Pool) =>
  (
    await call<{ ids: string[]; payment_ids: (string | null)[] }>(db, "payments.claim_links", {
      batch: 100,
      lease: "5 minutes",
    })
  ).ids;

const isDue = async (db: Pool, id: string) =>
  (
    await rows<{ due: boolean }>(
      db,
      "select coalesce(link_due_at <= ops.now(), false) as due from payments.intent where id = $1",
      [id],
    )
  )[0]?.due;

const now = async (db: Pool) =>
  (await rows<{ at: number }>(db, "select floor(extract(epoch from ops.now()))::int as at"))[0]?.at ?? 0;

/** A pack of 100 for 10.00, paid through an intent. */
async function bought(till: Till) {
  const [pack, customer] = [await till.pack(100), await till.customer()];
  const it = await till.checkout(customer, { pack });
  const intent = `pi_${it.session}`;
  await till.send("checkout.session.completed", checkoutFact(customer, it, { payment_intent: intent }));
  return { ...it, intent, credits: () => till.credits(customer.workspace) };
}

describe("an intent that nobody has told of", () => {
  test("is asked for by one Worker, until its lease has passed, and again later each time, for some days", async ({
    db,
  }) => {
    const till = new Till(db);
    await till.send("refund.created", refund("pi_alone", 100));
    expect(await claim(db)).toEqual([]);
    await advance(db, "61 seconds");
    expect((await race(6, () => claim(db))).flat()).toEqual(["pi_alone"]);
    expect(await sync(db, "pi_alone", { refunds: [refund("pi_alone", 100)] })).toMatchObject({ linked: false });
    let tries = 1;
    for (let hours = 0; hours < 24 * 10; hours += 6) {
      await advance(db, "6 hours");
      tries += (await claim(db)).length;
    }
    expect(tries).toBe(14);
  });

  test("is linked to the invoice that the provider names, and what was refunded is taken back", async ({ db }) => {
    const till = new Till(db);
    const [plan, customer] = [await till.plan({ included_credits: 40 }), await till.customer()];
    await till.send("refund.created", refund("pi_named", 500));
    const invoice = invoiceFact(customer, "sub_named", plan.price);
    expect(
      await sync(db, "pi_named", { reference: invoice.invoice, refunds: [refund("pi_named", 500)] }),
    ).toMatchObject({
      linked: false,
    });
    await till.send("invoice.paid", invoice);
    expect(await till.credits(customer.workspace)).toEqual({ subscription: 40 });
    expect(
      await sync(db, "pi_named", { reference: invoice.invoice, refunds: [refund("pi_named", 500)] }),
    ).toMatchObject({
      linked: true,
    });
    expect(await till.credits(customer.workspace)).toEqual({ subscription: 30 });
    expect(await isDue(db, "pi_named")).toBe(false);
  });
});

describe("an answer that is older than an event", () => {
  test("does not undo what the charge told while it was asked for: it is asked for again", async ({ db }) => {
    const till = new Till(db);
    const { intent, session, credits } = await bought(till);
    await till.send("charge.refunded", charge(intent, 300));
    expect(await claim(db)).toEqual([intent]);
    await till.send("charge.refunded", charge(intent, 700));
    await sync(db, intent, { reference: session, refunds: [refund(intent, 300)] });
    expect(await paymentOf(db, session)).toMatchObject({ refunded: 700 });
    expect(await claim(db)).toEqual([intent]);
    await sync(db, intent, {
      reference: session,
      refunds: [refund(intent, 300), refund(intent, 400, "succeeded", "re2")],
    });
    expect(await paymentOf(db, session)).toMatchObject({ refunded: 700 });
    expect(await credits()).toEqual({ bulk: 30 });
    expect(await isDue(db, intent)).toBe(false);
  });

  test("what the charge told wrongly is mended by the whole list", async ({ db }) => {
    const till = new Till(db);
    const { intent, session, purchase } = await bought(till);
    await till.send("charge.refunded", charge(intent, 1000));
    expect(await purchaseOf(db, purchase)).toMatchObject({ state: "refunded" });
    expect(await claim(db)).toEqual([intent]);
    await sync(db, intent, { reference: session, refunds: [refund(intent, 200)] });
    expect(await paymentOf(db, session)).toMatchObject({ refunded: 200 });
    expect(await purchaseOf(db, purchase)).toMatchObject({ state: "partly_refunded" });
  });

  test("does not open a dispute again that was won meanwhile, and the next answer agrees", async ({ db }) => {
    const till = new Till(db);
    const { intent, session, credits } = await bought(till);
    const at = await now(db);
    await till.send("charge.dispute.created", dispute(intent, 1000, "needs_response"), at - 100);
    await till.send("charge.refunded", charge(intent, 10));
    expect(await claim(db)).toEqual([intent]);
    await till.send("charge.dispute.closed", dispute(intent, 1000, "won"), (await now(db)) + 1);
    await sync(db, intent, { reference: session, disputes: [dispute(intent, 1000, "needs_response")] });
    expect(await paymentOf(db, session)).toMatchObject({ disputed: 0 });
    await advance(db, "1 minute");
    expect(await claim(db)).toEqual([intent]);
    await sync(db, intent, { reference: session, disputes: [dispute(intent, 1000, "won")] });
    expect(await paymentOf(db, session)).toMatchObject({ disputed: 0 });
    expect(await credits()).toEqual({ bulk: 100 });
    expect(await isDue(db, intent)).toBe(false);
  });

  test("an event of a moment before the answer that says otherwise is in doubt, and asked for", async ({ db }) => {
    const till = new Till(db);
    const { intent, session } = await bought(till);
    await till.send("charge.refunded", charge(intent, 10));
    const before = await now(db);
    await claim(db);
    await sync(db, intent, { reference: session, disputes: [dispute(intent, 1000, "needs_response")] });
    expect(await isDue(db, intent)).toBe(false);
    await till.send("charge.dispute.closed", dispute(intent, 1000, "won"), before - 2);
    expect(await paymentOf(db, session)).toMatchObject({ disputed: 1000 });
    expect(await claim(db)).toEqual([intent]);
    await sync(db, intent, { reference: session, disputes: [dispute(intent, 1000, "won")] });
    expect(await paymentOf(db, session)).toMatchObject({ disputed: 0 });
  });

  test("two ends of a dispute within one second are in doubt, also of an intent that is linked later", async ({
    db,
  }) => {
    const till = new Till(db);
    const [pack, customer] = [await till.pack(100), await till.customer()];
    const it = await till.checkout(customer, { pack });
    const intent = `pi_${it.session}`;
    for (const status of ["needs_response", "lost", "won", "needs_response"]) {
      await till.send("charge.dispute", dispute(intent, 1000, status), 1_790_000_000);
    }
    expect(await isDue(db, intent)).toBe(true);
    await till.send("checkout.session.completed", checkoutFact(customer, it, { payment_intent: intent }));
    expect(await claim(db)).toEqual([intent]);
    await sync(db, intent, { disputes: [dispute(intent, 1000, "won")] });
    expect(await till.credits(customer.workspace)).toEqual({ bulk: 100 });
  });
});
