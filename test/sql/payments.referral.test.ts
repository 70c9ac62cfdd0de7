import type { Pool } from "pg";
import { expect } from "vitest";
import { race, tally } from "../support/barrier.ts";
import { Account, advance, call, outcome, refusal, rows } from "../support/scenario.ts";
import { Scheme } from "../support/scheme.ts";
import { test } from "../support/sql.ts";

test("D1 a referrer gets its part of an invoice with the payment, rounded down, of the first alone", async ({ db }) => {
  const scheme = await Scheme.open(db, { percent: 10 });
  await scheme.pay({ amount: 1999 });
  await scheme.pay({ amount: 5000 });
  expect(
    await rows(db, "select sides, amounts, idempotency_key from ledger.transaction where owner_id = $1", [
      scheme.referrer,
    ]),
  ).toEqual([
    { sides: ["referral", "available"], amounts: [-199, 199], idempotency_key: expect.stringMatching(/^tg:referral:/) },
  ]);
  expect(await scheme.rewards()).toEqual([199]);
});

test("D1 where the policy is recurring, each payment is rewarded", async ({ db }) => {
  const scheme = await Scheme.open(db, { percent: 10, recurring: true });
  for (const amount of [1999, 5000, 10]) await scheme.pay({ amount });
  expect(await scheme.rewards()).toEqual([199, 500, 1]);
  expect(await scheme.balance()).toBe(700);
});

test("D1 money that comes by hand for a balance is rewarded with it, and what is paid from the balance is not again", async ({
  db,
}) => {
  const scheme = await Scheme.open(db, { percent: 10, recurring: true });
  const of = { workspace_id: scheme.payer.workspace, currency: "eur", caused_by: "test" };
  const pack = await scheme.till.pack(100, { amount: 1000 });
  const topup = () =>
    call(db, "payments.record_topup", { ...of, amount_minor: 2550, reference: scheme.payer.customer });
  await race(20, topup);
  const bought = { ...of, pack_code: pack.code, quantity: 1 };
  const { payment_id } = await call<{ payment_id: string }>(db, "payments.buy_from_balance", bought);
  expect([await scheme.rewards(), await scheme.balance()]).toEqual([[255], 255]);
  await call(db, "payments.refund_payment", { ...refundOf(scheme, payment_id), amount_minor: 1000 });
  expect(await scheme.balance()).toBe(255);
  const [first] = await rows<{ id: string }>(
    db,
    "select id from payments.payment where workspace_id = $1 and provider = 'manual'",
    [scheme.payer.workspace],
  );
  await call(db, "payments.refund_payment", { ...refundOf(scheme, first?.id), amount_minor: 1275 });
  expect(await scheme.balance()).toBe(128);
});

test("D3 50 tellers of one payment at once: one reward", async ({ db }) => {
  const scheme = await Scheme.open(db, { percent: 10, recurring: true });
  const invoice = scheme.invoice({ amount: 1000 });
  const told = await race(50, () => scheme.tell(invoice));
  expect(tally(told)).toEqual({ applied: 50 });
  expect(await scheme.rewards()).toEqual([100]);
  const payment = await scheme.payment(invoice);
  await race(10, () => scheme.reward(payment));
  expect([await scheme.rewards(), await scheme.balance()]).toEqual([[100], 100]);
});

test("D6 whatever fails of a reward, nothing of the payment is left; told again, all of it is there", async ({
  db,
}) => {
  const referrers = "new.owner_id in (select r.referrer_id from payments.referral r)";
  for (const [table, when] of [
    ["payments.reward", "true"],
    ["ledger.account", referrers],
    ["ledger.lot", referrers],
    ["ledger.transaction", referrers],
  ]) {
    const scheme = await Scheme.open(db, { percent: 10 });
    await db.query(`create function public.fail() returns trigger language plpgsql as
      $$begin if ${when} then raise exception 'on purpose'; end if; return new; end$$`);
    await db.query(`create trigger fail before insert on ${table} for each row execute function public.fail()`);
    const event = scheme.till.event("invoice.paid", scheme.invoice({ amount: 1000 }));
    expect((await scheme.till.deliver(event)).state).toBe("failed");
    expect(await scheme.till.errorOf(event)).toMatch("on purpose");
    expect(await rows(db, "select from payments.payment where workspace_id = $1", [scheme.payer.workspace])).toEqual(
      [],
    );
    expect([await scheme.rewards(), await scheme.balance(), await scheme.credits()]).toEqual([[], 0, {}]);
    await db.query(`drop trigger fail on ${table}`);
    await db.query("drop function public.fail()");
    await call(db, "ops.replay_event", { provider: "stripe", id: event.id, caused_by: "test" });
    expect([await scheme.rewards(), await scheme.balance(), await scheme.credits()]).toEqual([
      [100],
      100,
      { subscription: 20 },
    ]);
  }
});

test("what is no reward: no referrer, no percentage, less than a cent, nothing paid, from a balance, unsettled", async ({
  db,
}) => {
  const none = await Scheme.open(db, { percent: 0 });
  await none.pay({ amount: 1000 });
  const scheme = await Scheme.open(db, { percent: 10 });
  for (const amount of [9, 0]) await scheme.pay({ amount });
  const payment = async (of: { provider?: string; unsettled?: boolean }) => {
    const [row] = await rows<{ id: string }>(
      db,
      `insert into payments.payment (id, workspace_id, provider, reference, amount_minor, currency, paid_at, created_at,
         unsettled_at, purchase_id) values (uuidv7(), $1, $2, uuidv7()::text, 1000, 'eur', ops.now(), ops.now(), $3, uuidv7())
       returning id`,
      [scheme.payer.workspace, of.provider ?? "manual", of.unsettled === true ? "2026-01-01T00:00:00Z" : null],
    );
    return row?.id ?? "";
  };
  await scheme.reward(await payment({ provider: "balance" }));
  const unsettled = await payment({ unsettled: true });
  await scheme.reward(unsettled);
  expect([await scheme.rewards(), await scheme.balance()]).toEqual([[], 0]);
  await db.query("update payments.payment set unsettled_at = null where id = $1", [unsettled]);
  await scheme.reward(unsettled);
  expect([await scheme.rewards(), await scheme.balance()]).toEqual([[100], 100]);
  const alone = await scheme.till.customer();
  await scheme.pay({ amount: 1000, of: alone });
  expect(await rows(db, "select from payments.reward where workspace_id = $1", [alone.workspace])).toEqual([]);
});

test("a payment that is told again is not measured by a policy that came later", async ({ db }) => {
  const scheme = await Scheme.open(db, { percent: 0 });
  const invoice = scheme.invoice({ amount: 1000 });
  await scheme.tell(invoice);
  await scheme.policy({ percent: 50 });
  await scheme.tell(invoice);
  expect(await scheme.rewards()).toEqual([]);
});

test("an amount that comes to be known later is rewarded where there was none, and leaves a reward as it is", async ({
  db,
}) => {
  const scheme = await Scheme.open(db, { percent: 10, recurring: true });
  for (const before of [0, 500]) {
    const invoice = scheme.invoice({ amount: before });
    await scheme.tell(invoice);
    await scheme.tell({ ...invoice, amount_paid: 1000 });
  }
  expect(await scheme.rewards()).toEqual([100, 50]);
});

test("a refund takes the reward back in proportion, before or after it; a dispute that is won gives it again", async ({
  db,
}) => {
  const scheme = await Scheme.open(db, { percent: 10, recurring: true });
  const [first, late] = [scheme.invoice({ amount: 1000 }), scheme.invoice({ amount: 1000 })];
  await scheme.tell(first);
  await scheme.refund(first, 333);
  expect(await scheme.balance()).toBe(100 - 33);
  await scheme.refund(first, 333);
  expect(await scheme.balance()).toBe(100 - 66);
  await scheme.dispute(first, 1000, "needs_response");
  expect(await scheme.balance()).toBe(0);
  await scheme.dispute(first, 1000, "won");
  expect(await scheme.balance()).toBe(100 - 66);
  await scheme.refund(late, 250);
  await scheme.tell(late);
  expect(await scheme.balance()).toBe(34 + 75);
  await scheme.refund(late, 750);
  expect([await scheme.balance(), await scheme.rewards()]).toEqual([34, [100, 100]]);
});

test("a reward that was spent and is taken back is owed, or forgiven; and nobody is frozen for another's refund", async ({
  db,
}) => {
  for (const [shortfall, after, again] of [
    ["debt", -80, 0],
    ["freeze", -80, 0],
    ["clamp", 0, 20],
  ] as const) {
    await call(db, "billing.set_policy", { after_end: "open", shortfall, caused_by: "test" });
    const scheme = await Scheme.open(db, { percent: 10 });
    const invoice = scheme.invoice({ amount: 1000 });
    await scheme.tell(invoice);
    await scheme.spend(80);
    await scheme.dispute(invoice, 1000, "needs_response");
    expect([shortfall, await scheme.balance()]).toEqual([shortfall, after]);
    expect(await rows(db, "select from people.workspace where frozen_at is not null")).toEqual([]);
    await scheme.dispute(invoice, 1000, "won");
    expect([shortfall, await scheme.balance()]).toEqual([shortfall, 20]);
    expect(after + again).toBeLessThanOrEqual(20);
  }
  await call(db, "billing.set_policy", { after_end: "open", shortfall: "debt", caused_by: "test" });
});

test("a payment does not wait for an account that is full: the reward is not given, under an alarm", async ({ db }) => {
  const scheme = await Scheme.open(db, { percent: 10 });
  await new Account(db, { owner: scheme.referrer, unit: "eur" }).grant(Number.MAX_SAFE_INTEGER - 99, {
    pool: "balance",
  });
  const invoice = scheme.invoice({ amount: 1000 });
  expect(await scheme.tell(invoice)).toBe("applied");
  expect(await scheme.rewards()).toEqual([]);
  expect(
    await rows(db, "select detail from ops.alarm where code = 'reward_does_not_fit' and subject = $1", [
      `payment:${await scheme.payment(invoice)}`,
    ]),
  ).toEqual([{ detail: { referrer_id: scheme.referrer, amount_minor: 100, currency: "eur" } }]);
});

test("a referrer is said once for ever: the same again answers the same, another is refused", async ({ db }) => {
  const [a, b, c] = await workspaces(db, 3);
  const first = await set(db, b, a);
  expect(first).toMatchObject({ workspace_id: b, referrer_id: a });
  expect(await set(db, b, a)).toEqual(first);
  expect(await refusal(set(db, b, c))).toEqual({ code: "referrer_fixed", referrer_id: a });
  expect(
    await rows(db, "select actor, action, detail from ops.audit where workspace_id = $1 and action = 'referrer.set'", [
      b,
    ]),
  ).toEqual([{ actor: "test", action: "referrer.set", detail: { referrer_id: a } }]);
});

test("nobody is its own referrer, nor brought by whom it brought, however far down", async ({ db }) => {
  const chain = await workspaces(db, 5);
  const [first] = chain;
  expect(await outcome(set(db, first, first))).toBe("referral_self");
  for (const [i, below] of chain.entries()) {
    if (i === 0) continue;
    await set(db, below, chain[i - 1]);
    expect(await outcome(set(db, first, below))).toBe("referral_cycle");
  }
  expect(await outcome(set(db, first, crypto.randomUUID()))).toBe("referrer_unknown");
  expect(await outcome(set(db, crypto.randomUUID(), first))).toBe("not_found");
});

test("a chain is 10,000 long at most", async ({ db }) => {
  const [below, above] = await workspaces(db, 2);
  const rung = (i: string) => `md5($2 || ${i})::uuid`;
  await db.query(
    `insert into payments.referral (workspace_id, referrer_id, created_at)
     select case i when 0 then $1::uuid else ${rung("i")} end, ${rung("i + 1")}, ops.now() from generate_series(0, 9999) i`,
    [above, below],
  );
  expect(await refusal(set(db, below, above))).toEqual({ code: "referral_too_deep", limit: 10_000 });
  await db.query(`delete from payments.referral where workspace_id = ${rung("9999").replace("$2", "$1")}`, [below]);
  await set(db, below, above);
  // The invariant walks up from each of them.
  await db.query(
    `delete from payments.referral r where not exists (select from people.workspace w where w.id = r.referrer_id)`,
  );
});

test("who has paid already is brought by nobody; from its balance it may have", async ({ db }) => {
  const scheme = await Scheme.open(db, { percent: 10 });
  const [paid, referrer] = [await scheme.till.customer(), scheme.referrer];
  await scheme.pay({ amount: 0, of: paid });
  await db.query(
    `insert into payments.payment (id, workspace_id, provider, reference, amount_minor, currency, paid_at, created_at,
       purchase_id) values (uuidv7(), $1, 'balance', uuidv7()::text, 1000, 'eur', ops.now(), ops.now(), uuidv7())`,
    [paid.workspace],
  );
  await set(db, paid.workspace, referrer);
  const other = await scheme.till.customer();
  await scheme.pay({ amount: 1, of: other });
  expect(await outcome(set(db, other.workspace, referrer))).toBe("referral_late");
});

test("who sets the policy is in the audit, and a percentage is one", async ({ db }) => {
  const policy = { percent: 15, recurring: true };
  expect(await call(db, "payments.set_referral_policy", { ...policy, caused_by: "key:1" })).toEqual(policy);
  expect(
    await rows(
      db,
      "select actor, workspace_id, detail from ops.audit where action = 'referral_policy.set' order by id desc limit 1",
    ),
  ).toEqual([{ actor: "key:1", workspace_id: null, detail: policy }]);
  const wrong = call(db, "payments.set_referral_policy", { percent: 101, recurring: true, caused_by: "key:1" });
  expect(await refusal(wrong)).toMatchObject({ constraint: "referral_policy_percent_within" });
});

// Last: it moves the clock.
test("a referrer that could not pay its period is asked again once it was rewarded", async ({ db }) => {
  const scheme = await Scheme.open(db, { percent: 50 });
  const { id } = await scheme.till.plan({ amount: 300, included_credits: 0 });
  await db.query(
    `select case when people.lock_workspace($1)
       then billing.pay_period($1, (select r.id from billing.price r where r.plan_id = $2), 1, true, null, 'test') end`,
    [scheme.referrer, id],
  );
  const state = async () => {
    await db.query("select billing.auto_renew(100)");
    const [row] = await rows<{ state: string }>(db, "select state from billing.subscription where workspace_id = $1", [
      scheme.referrer,
    ]);
    return row?.state;
  };
  await advance(db, "32 days");
  expect(await state()).toBe("past_due");
  await scheme.pay({ amount: 1000 });
  expect([await state(), await scheme.balance()]).toEqual(["active", 200]);
});

const refundOf = ({ payer }: Scheme, payment_id: string | undefined) => ({
  workspace_id: payer.workspace,
  payment_id,
  reason: "test",
  caused_by: "test",
});

async function workspaces(db: Pool, n: number): Promise<string[]> {
  const made = Array.from({ length: n }, () =>
    call<{ id: string }>(db, "people.create_workspace", { name: "Acme", caused_by: "test" }),
  );
  return (await Promise.all(made)).map(({ id }) => id);
}

const set = (db: Pool, workspace_id: string | undefined, referrer_id: string | undefined) =>
  call<{ created_at: string }>(db, "payments.set_referrer", { workspace_id, referrer_id, caused_by: "test" });
