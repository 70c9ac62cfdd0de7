import { expect } from "vitest";
import { besideOpen, race, tally } from "../support/barrier.ts";
import { Counter } from "../support/counter.ts";
import { advance, call, outcome, refusal, rows } from "../support/scenario.ts";
import type { Db } from "../support/scenario.ts";
import { test } from "../support/sql.ts";
import { checkoutFact } from "../support/till.ts";

/** A counter with a pack of 100 credits at 10 €, a plan at 20 € a month, and a workspace. */
async function shop(db: Db) {
  const counter = new Counter(db);
  const [pack, plan] = [await counter.till.pack(100), await counter.till.plan({ included_credits: 0 })];
  return { counter, pack, plan, workspace: await counter.workspace() };
}

test("D1 a top-up with a code is paid, delivered, redeemed and told in one; the same money again changes nothing", async ({
  db,
}) => {
  const { counter, workspace } = await shop(db);
  const promo = await counter.promo({ percent: 25, max_redemptions: 3 });
  const bought = await counter.start(workspace, { topup: 2000, promo: promo.code });
  expect(bought).toMatchObject({ state: "pending", list_minor: 2000, discount_minor: 500, amount_minor: 1500 });
  expect(await counter.redemption(bought.id)).toEqual({ state: "held", attempt: 1, left: 2 });
  const first = await counter.confirm(workspace, bought, { reference: `bank-${bought.id}` });
  expect(first).toMatchObject({ outcome: "paid", state: "paid", available: 2000 });
  expect(await counter.confirm(workspace, bought, { reference: `bank-${bought.id}` })).toEqual(first);
  expect(await counter.redemption(bought.id)).toEqual({ state: "redeemed", attempt: 1, left: 2 });
  expect(await rows(db, "select sides, amounts from ledger.transaction where owner_id = $1", [workspace])).toEqual([
    { sides: ["payments", "promo", "available"], amounts: [-1500, -500, 2000] },
  ]);
  expect(await counter.refund(workspace, first.payment_id, 750)).toMatchObject({ available: 1000 });
});

test("D2 a plan's period by hand, from the balance and at Stripe begins a subscription, with its payment", async ({
  db,
}) => {
  const { counter, plan } = await shop(db);
  const [a, b] = [await counter.workspace(), await counter.workspace()];
  const by_hand = await counter.start(a, { plan });
  expect(await counter.start(a, { plan })).toMatchObject({ id: by_hand.id });
  expect(await counter.confirm(a, by_hand)).toMatchObject({ outcome: "paid", subscription_id: expect.any(String) });
  await counter.topup(b, 2500);
  expect(await counter.buy(b, { plan })).toMatchObject({
    state: "paid",
    subscription_id: expect.any(String),
    available: 500,
  });
  const customer = await counter.till.customer();
  const purchase = await counter.checkout(customer.workspace, { plan });
  expect(purchase).toMatchObject({
    mode: "payment",
    discounted: true,
    name: plan.code,
    amount_minor: 2000,
    trial_days: 0,
  });
  const fact = checkoutFact(customer, { purchase: purchase.id, session: `cs_${purchase.id}` }, { amount_total: 2000 });
  expect(await counter.till.send("x", fact)).toMatchObject({ outcome: "paid" });
  expect(await counter.purchase(purchase.id)).toMatchObject({ state: "paid", subscription_id: expect.any(String) });
});

test("money that does not fit is kept, and settled by the operator: to the balance, or for what it was paid for", async ({
  db,
}) => {
  const { counter, pack, workspace } = await shop(db);
  const bought = await counter.start(workspace, { pack });
  for (const [amount_minor, currency] of [
    [999, "eur"],
    [1001, "eur"],
    [0, "eur"],
    [1000, "usd"],
  ] as const) {
    expect(await counter.confirm(workspace, { id: bought.id, amount_minor }, { currency })).toMatchObject({
      outcome: "does_not_fit",
      state: "pending",
      available: 0,
    });
  }
  const paid = await counter.confirm(workspace, bought);
  expect(paid).toMatchObject({ outcome: "paid" });
  const twice = await counter.confirm(workspace, bought);
  expect(twice).toMatchObject({ outcome: "does_not_fit", state: "paid" });
  expect(await refusal(counter.settle(workspace, twice.payment_id, "purchase"))).toEqual({
    code: "purchase_paid",
    payment_id: paid.payment_id,
  });
  expect(await counter.settle(workspace, twice.payment_id, "balance")).toMatchObject({
    available: 1000,
    state: "paid",
  });
  expect(await outcome(counter.settle(workspace, twice.payment_id, "balance"))).toBe("payment_settled");
  expect(await counter.alarms(bought.id)).toBe(1);
});

test("purchases by hand whose time has passed end, and can be paid late", async ({ db }) => {
  const { counter, pack, workspace } = await shop(db);
  const promo = await counter.promo({ max_redemptions: 1 });
  const bought = await counter.start(workspace, { pack, promo: promo.code }, "1 microsecond");
  expect(await counter.expire()).toMatchObject({ processed: 1, failed: 0, more: false });
  expect(await counter.redemption(bought.id)).toEqual({ state: "released", attempt: 1, left: 1 });
  expect(await counter.confirm(workspace, bought)).toMatchObject({ outcome: "paid" });
  expect(await counter.redemption(bought.id)).toEqual({ state: "redeemed", attempt: 2, left: 0 });
});

/** Everything that a finalization writes, as one text. */
async function written(db: Db): Promise<unknown[]> {
  return rows(
    db,
    `select 'purchase' as what, to_jsonb(p) as row from payments.purchase p union all
     select 'payment', to_jsonb(p) from payments.payment p union all
     select 'redemption', to_jsonb(r) from payments.redemption r union all
     select 'reward', to_jsonb(r) from payments.reward r union all
     select 'account', to_jsonb(a) from ledger.account a union all
     select 'lot', to_jsonb(l) from ledger.lot l union all
     select 'transaction', to_jsonb(t) from ledger.transaction t union all
     select 'hold', to_jsonb(h) from ledger.hold h union all
     select 'subscription', to_jsonb(s) from billing.subscription s union all
     select 'message', to_jsonb(o) from messages.outbox o union all
     select 'audit', to_jsonb(a) from ops.audit a
     order by 1, 2`,
  );
}

/** Every write of a finalization; whatever fails at one of them leaves nothing. */
const steps = [
  ["payments.payment", "insert"],
  ["payments.payment", "update"],
  ["payments.purchase", "update"],
  ["payments.redemption", "update"],
  ["payments.reward", "insert"],
  ["ledger.hold", "update"],
  ["ledger.lot", "insert"],
  ["ledger.transaction", "insert"],
  ["messages.outbox", "insert"],
  ["ops.audit", "insert"],
] as const;

test("D6 D1 whatever fails in a finalization leaves nothing of it: top-up, redemption, reward and notice in one", async ({
  db,
}) => {
  const { counter, plan } = await shop(db);
  const [workspace, referrer] = [await counter.workspace(), await counter.workspace()];
  await call(db, "payments.set_referral_policy", { percent: 10, recurring: true, caused_by: "test" });
  await call(db, "payments.set_referrer", { workspace_id: workspace, referrer_id: referrer, caused_by: "test" });
  const promo = await counter.promo({ percent: 50, max_redemptions: 5 });
  await db.query(
    `create function public.fail() returns trigger language plpgsql as $$ begin raise exception 'it fails here'; end $$`,
  );
  const topup = await counter.start(workspace, { topup: 2000, promo: promo.code });
  const period = await counter.start(workspace, { plan, promo: promo.code });
  for (const [bought, more] of [
    [topup, []],
    [period, [["billing.subscription", "insert"]]],
  ] as const) {
    const before = await written(db);
    for (const [table, event] of [...steps, ...more]) {
      // A period of a plan without credits gives no lot but the referrer's.
      await db.query(`create trigger zz_fail before ${event} on ${table} for each row execute function public.fail()`);
      expect([table, event, await outcome(counter.confirm(workspace, bought))]).toEqual([table, event, "P0001"]);
      await db.query(`drop trigger zz_fail on ${table}`);
      expect([table, event, await written(db)]).toEqual([table, event, before]);
    }
    expect(await counter.confirm(workspace, bought)).toMatchObject({ outcome: "paid" });
  }
  expect([await counter.balance(workspace), await counter.balance(referrer)]).toEqual([2000, 200]);
  expect(
    await rows(db, "select kind from messages.outbox where workspace_id = $1 and kind = 'purchase_paid'", [workspace]),
  ).toHaveLength(2);
  await call(db, "payments.set_referral_policy", { percent: 0, recurring: false, caused_by: "test" });
});

test("D3 50 tellers of one purchase's money at once: one effect; of 50 references, one buys it and the others are kept", async ({
  db,
}) => {
  const { counter, workspace } = await shop(db);
  const first = await counter.start(workspace, { topup: 500 });
  const told = await race(50, () => counter.confirm(workspace, first, { reference: `once-${first.id}` }));
  expect(new Set(told.map(({ payment_id }) => payment_id)).size).toBe(1);
  expect(await counter.balance(workspace)).toBe(500);
  const second = await counter.start(workspace, { topup: 300 });
  const outcomes = await race(50, async () => (await counter.confirm(workspace, second)).outcome);
  expect(tally(outcomes)).toEqual({ paid: 1, does_not_fit: 49 });
  expect(await counter.balance(workspace)).toBe(800);
  // 50 of Stripe's, which is told again and again.
  const customer = await counter.till.customer();
  const { id } = await counter.checkout(customer.workspace, { topup: 700 });
  const fact = checkoutFact(customer, { purchase: id, session: `cs_${id}` }, { amount_total: 700 });
  const sent = await race(50, async () => (await counter.till.send("x", fact)).outcome ?? "");
  expect(tally(sent)).toEqual({ paid: 1, known: 49 });
  expect(await counter.balance(customer.workspace)).toBe(700);
});

test("D7 a period bought from the balance is charged and begun together, or neither: 10 buyers, money for one", async ({
  db,
}) => {
  const { counter, plan } = await shop(db);
  const workspace = await counter.workspace();
  await counter.topup(workspace, 2500);
  const outcomes = await race(10, () => outcome(counter.buy(workspace, { plan })));
  expect(tally(outcomes)).toEqual({ done: 1, insufficient_balance: 9 });
  expect(await counter.balance(workspace)).toBe(500);
  const periods = await rows(
    db,
    `select s.period_number, p.amount_minor::bigint from billing.subscription s
       join payments.payment p on p.subscription_id = s.id where s.workspace_id = $1`,
    [workspace],
  );
  expect(periods).toEqual([{ period_number: 1, amount_minor: 2000 }]);
  // Where the period cannot begin, nothing was charged.
  await counter.topup(workspace, 2000);
  await db.query(
    `create function public.fail_period() returns trigger language plpgsql as $$ begin raise exception 'it fails here'; end $$`,
  );
  await db.query(
    "create trigger zz_fail before update on billing.subscription for each row execute function public.fail_period()",
  );
  expect(await outcome(counter.buy(workspace, { plan }))).toBe("P0001");
  await db.query("drop trigger zz_fail on billing.subscription");
  expect(await counter.balance(workspace)).toBe(2500);
});

test("D20 a reference is one payment for ever, of one purchase, one amount and one workspace, whichever way it came", async ({
  db,
}) => {
  const { counter, pack, workspace } = await shop(db);
  const [one, two] = [await counter.start(workspace, { pack }), await counter.start(workspace, { pack })];
  const reference = `bank-of-${one.id}`;
  await counter.confirm(workspace, one, { reference });
  const used = { code: "reference_used", purchase_id: one.id };
  expect(await refusal(counter.confirm(workspace, two, { reference }))).toEqual(used);
  expect(await refusal(counter.confirm(workspace, { ...one, amount_minor: 999 }, { reference }))).toEqual(used);
  expect(await refusal(counter.confirm(workspace, one, { reference, currency: "usd" }))).toEqual(used);
  expect(await refusal(counter.topup(workspace, 1000, reference))).toEqual(used);
  const stranger = await counter.workspace();
  expect(await outcome(counter.confirm(stranger, one, { reference }))).toBe("not_found");
  const by_topup = await counter.topup(workspace, 1000, `topup-${one.id}`);
  expect(await refusal(counter.confirm(workspace, two, { reference: `topup-${one.id}` }))).toEqual({
    code: "reference_used",
    purchase_id: by_topup.id,
  });
  // Two workspaces at once, one reference: it is one's money.
  const other = await counter.start(stranger, { pack });
  const both = await besideOpen(
    db,
    (connection) => new Counter(connection).confirm(workspace, two, { reference: `race-${one.id}` }),
    () => outcome(counter.confirm(stranger, other, { reference: `race-${one.id}` })),
  );
  expect(both).toBe("reference_used");
  expect(await counter.purchase(other.id)).toMatchObject({ state: "pending" });
  const customer = await counter.till.customer();
  const at_stripe = await counter.checkout(customer.workspace, { topup: 100 });
  expect(await outcome(counter.confirm(customer.workspace, at_stripe))).toBe("not_found");
});

test("money that came after a purchase's end buys it, if it can still be had; else it is kept until the operator settles it", async ({
  db,
}) => {
  const { counter, plan } = await shop(db);
  const other = await counter.till.plan({ included_credits: 5 });
  const workspace = await counter.workspace();
  const canceled = await counter.start(workspace, { plan });
  await counter.cancel(workspace, canceled.id);
  expect(await counter.confirm(workspace, canceled)).toMatchObject({ outcome: "paid", state: "paid" });
  const elsewhere = await counter.workspace();
  const late = await counter.start(elsewhere, { plan });
  await counter.cancel(elsewhere, late.id);
  const now = await counter.start(elsewhere, { plan: other });
  expect(await counter.confirm(elsewhere, now)).toMatchObject({ outcome: "paid" });
  const kept = await counter.confirm(elsewhere, late);
  expect(kept).toMatchObject({ outcome: "does_not_fit", state: "canceled", subscription_id: null });
  expect(await refusal(counter.settle(elsewhere, kept.payment_id, "purchase"))).toMatchObject({
    code: "subscription_exists",
    state: "active",
  });
  const stranger = await counter.workspace();
  expect(await outcome(counter.settle(stranger, kept.payment_id, "balance"))).toBe("not_found");
  expect(await counter.settle(elsewhere, kept.payment_id, "balance")).toMatchObject({
    available: 2000,
    state: "canceled",
  });
  expect(await counter.alarms(late.id)).toBe(0);
  expect(await counter.refund(elsewhere, kept.payment_id, 500)).toMatchObject({ available: 1500 });
});

test("money of another amount buys what it was for all the same, if the operator says so; only what it paid is refunded", async ({
  db,
}) => {
  const { counter, pack, workspace } = await shop(db);
  const promo = await counter.promo({ max_redemptions: 1 });
  const bought = await counter.start(workspace, { pack, promo: promo.code });
  const less = await counter.confirm(workspace, { id: bought.id, amount_minor: 800 });
  expect(await counter.redemption(bought.id)).toMatchObject({ state: "held" });
  expect(await counter.settle(workspace, less.payment_id, "purchase")).toMatchObject({
    state: "paid",
    amount_minor: 800,
  });
  expect(await counter.redemption(bought.id)).toMatchObject({ state: "redeemed" });
  expect(await counter.till.credits(workspace)).toEqual({ bulk: 100 });
  await counter.refund(workspace, less.payment_id, 200);
  expect(await counter.till.credits(workspace)).toEqual({ bulk: 75 });
  expect(await counter.purchase(bought.id)).toMatchObject({ state: "partly_refunded" });
  const told = await rows(db, "select action from ops.audit where workspace_id = $1 order by id", [workspace]);
  expect(told.map((row) => Object.values(row)[0])).toEqual([
    "workspace.create",
    "purchase.confirm",
    "payment.settle",
    "payment.refund",
  ]);
});

test("money that was kept can be refunded: all of it, and nothing is left to settle; in part, and the rest is settled", async ({
  db,
}) => {
  const { counter, pack, workspace } = await shop(db);
  const bought = await counter.start(workspace, { pack });
  const [wrong, much] = [
    await counter.confirm(workspace, { id: bought.id, amount_minor: 500 }),
    await counter.confirm(workspace, { id: bought.id, amount_minor: 5000 }),
  ];
  await counter.refund(workspace, wrong.payment_id);
  expect(await outcome(counter.settle(workspace, wrong.payment_id, "balance"))).toBe("payment_settled");
  expect(await counter.alarms(bought.id)).toBe(1);
  await counter.refund(workspace, much.payment_id, 1250);
  expect(await counter.settle(workspace, much.payment_id, "balance")).toMatchObject({ available: 3750 });
  expect(await counter.alarms(bought.id)).toBe(0);
  // It stays open for the right money, and what was refunded of the other is none of its business.
  expect(await counter.confirm(workspace, bought)).toMatchObject({ outcome: "paid" });
  await counter.refund(workspace, much.payment_id);
  expect(await counter.purchase(bought.id)).toMatchObject({ state: "paid" });
  expect(await counter.balance(workspace)).toBe(0);
});

test("of a workspace's purchases of plans one is open, however it is paid; the same again is that one", async ({
  db,
}) => {
  const { counter, plan } = await shop(db);
  const { workspace } = await counter.till.customer();
  const promo = await counter.promo({ per_workspace: 1 });
  const other = await counter.till.plan();
  const first = await counter.start(workspace, { plan, promo: promo.code });
  expect(await counter.start(workspace, { plan, promo: promo.code.toLowerCase() })).toEqual(first);
  const open = { code: "checkout_open", id: first.id, url: null, expires_at: expect.any(String) };
  for (const attempt of [
    () => counter.start(workspace, { plan }),
    () => counter.start(workspace, { plan: other, promo: promo.code }),
    () => counter.start(workspace, { plan, promo: promo.code, quantity: 2 }),
    () => counter.start(workspace, { plan, promo: promo.code, auto_renew: false }),
    () => counter.checkout(workspace, { plan, promo: promo.code }),
    () => counter.checkout(workspace, { plan }, "stripe"),
    () => counter.buy(workspace, { plan }),
  ]) {
    expect(await refusal(attempt())).toEqual(open);
  }
  // One whose time has passed is over, whether or not the sweep came.
  await advance(db, "8 days");
  const at_stripe = await counter.checkout(workspace, { plan, promo: promo.code });
  expect(await counter.purchase(first.id)).toMatchObject({ state: "expired" });
  expect(await counter.checkout(workspace, { plan, promo: promo.code })).toMatchObject({ id: at_stripe.id });
  for (const attempt of [
    () => counter.checkout(workspace, { plan }),
    () => counter.checkout(workspace, { plan }, "stripe"),
    () => counter.start(workspace, { plan, promo: promo.code }),
  ]) {
    expect(await refusal(attempt())).toMatchObject({ code: "checkout_open", id: at_stripe.id });
  }
});

test("a plan that lives stands in the way of another, and not of more of the same", async ({ db }) => {
  const { counter, plan } = await shop(db);
  const { workspace } = await counter.till.customer();
  const other = await counter.till.plan({ included_credits: 3 });
  await counter.topup(workspace, 10_000);
  await counter.buy(workspace, { plan });
  for (const attempt of [
    () => counter.start(workspace, { plan: other }),
    () => counter.buy(workspace, { plan: other }),
    () => counter.checkout(workspace, { plan: other }),
    () => counter.checkout(workspace, { plan }, "stripe"),
  ]) {
    expect(await refusal(attempt())).toMatchObject({ code: "subscription_exists", state: "active" });
  }
  expect(await counter.buy(workspace, { plan })).toMatchObject({ state: "paid" });
});

test("a read-only workspace may pay what it is read-only for want of; a frozen one buys nothing", async ({ db }) => {
  const { counter, pack, plan } = await shop(db);
  const ways = {
    topup_by_hand: (id: string) => counter.start(id, { topup: 100 }),
    topup_at_stripe: (id: string) => counter.checkout(id, { topup: 100 }),
    pack: (id: string) => counter.start(id, { pack }),
    pack_from_balance: (id: string) => counter.buy(id, { pack }),
    period_from_balance: (id: string) => counter.buy(id, { plan }),
    period_at_stripe: (id: string) => counter.checkout(id, { plan }),
    plan_of_stripe: (id: string) => counter.checkout(id, { plan }, "stripe"),
  };
  const no = "workspace_read_only";
  const cases: [reason: string | null, frozen: boolean, refused: Partial<Record<keyof typeof ways, string>>][] = [
    ["canceled", false, { pack: no, pack_from_balance: no }],
    ["past_due", false, { pack: no, pack_from_balance: no, plan_of_stripe: no }],
    [
      "unpaid",
      false,
      { pack: no, pack_from_balance: no, plan_of_stripe: no, period_at_stripe: no, period_from_balance: no },
    ],
    [
      null,
      false,
      { pack: no, pack_from_balance: no, plan_of_stripe: no, period_at_stripe: no, period_from_balance: no },
    ],
    ["canceled", true, Object.fromEntries(Object.keys(ways).map((way) => [way, "workspace_frozen"]))],
  ];
  for (const [reason, frozen, refused] of cases) {
    for (const [way, buy] of Object.entries(ways)) {
      const { workspace } = await counter.till.customer();
      await counter.topup(workspace, 5000);
      await db.query(
        `update people.workspace set read_only_from = ops.now(), read_only_reason = $2,
                frozen_at = case when $3 then ops.now() end, frozen_reason = case when $3 then 'test' end
          where id = $1`,
        [workspace, reason, frozen],
      );
      const expected = Object.entries(refused).find(([name]) => name === way)?.[1] ?? "done";
      expect([reason, frozen, way, await outcome(buy(workspace))]).toEqual([reason, frozen, way, expected]);
    }
  }
  expect(await outcome(counter.start(crypto.randomUUID(), { pack }))).toBe("not_found");
});

test("what grows the balance wakes the renewal that waits for it", async ({ db }) => {
  const { counter, plan } = await shop(db);
  const workspace = await counter.workspace();
  await counter.topup(workspace, 2000);
  const { payment_id } = await counter.buy(workspace, { plan });
  const dispute = (status: string) =>
    db.query(
      `select payments.lock_intent('stripe', $1, null), people.lock_workspace($2),
              payments.link_intent('stripe', $1, p.id),
              payments.store_dispute('stripe', $1, jsonb_build_object('dispute', $1, 'amount', 5, 'status', $3::text), ops.now()),
              payments.reckon(p.id, 'test')
         from payments.payment p where p.workspace_id = $2 and p.provider = 'manual'`,
      [`pi_${workspace}`, workspace, status],
    );
  await dispute("needs_response");
  await advance(db, "33 days");
  await call(db, "billing.auto_renew", { batch: 100 });
  const waits = async () =>
    (
      await rows(db, "select state, renew_at > ops.now() as waits from billing.subscription where workspace_id = $1", [
        workspace,
      ])
    )[0];
  const ways = [
    () => dispute("won"),
    () => counter.topup(workspace, 1),
    async () => counter.confirm(workspace, await counter.start(workspace, { topup: 1 })),
    async () =>
      counter.settle(
        workspace,
        (await counter.confirm(workspace, { id: (await counter.start(workspace, { topup: 5 })).id, amount_minor: 1 }))
          .payment_id,
        "balance",
      ),
    () => counter.refund(workspace, payment_id, 1),
  ];
  for (const grow of ways) {
    await db.query("update billing.subscription set renew_at = ops.now() + interval '1 hour' where workspace_id = $1", [
      workspace,
    ]);
    expect(await waits()).toEqual({ state: "past_due", waits: true });
    await grow();
    expect(await waits()).toEqual({ state: "past_due", waits: false });
  }
});

test("D9 purchases by hand expire once, whoever sweeps; what was paid meanwhile or is held by somebody is left", async ({
  db,
}) => {
  const { counter, pack } = await shop(db);
  const promo = await counter.promo({ max_redemptions: 100 });
  const started = await race(30, async (i) => {
    const workspace = await counter.workspace();
    return { workspace, ...(await counter.start(workspace, { pack, promo: i % 2 === 0 ? promo.code : null })) };
  });
  const [paid, busy] = started;
  if (paid === undefined || busy === undefined) throw new Error("nothing was started");
  await counter.confirm(paid.workspace, paid);
  await advance(db, "8 days");
  const left = await besideOpen(
    db,
    (connection) => call(connection, "people.lock_workspace", { workspace_id: busy.workspace }),
    () => race(6, () => counter.expire(7)),
  );
  expect(left.every(({ failed }) => failed === 0)).toBe(true);
  while ((await counter.expire(7)).more);
  const states = await rows<{ state: string }>(db, "select state from payments.purchase where id = any($1)", [
    started.map(({ id }) => id),
  ]);
  expect(tally(states.map(({ state }) => state))).toEqual({ paid: 1, expired: 29 });
  expect(await counter.left(promo.id)).toBe(99);
});

test("a purchase that cannot expire is parked alone, and named no longer once it ended", async ({ db }) => {
  const { counter, pack } = await shop(db);
  const [bad, good, paid] = await race(3, async () => {
    const workspace = await counter.workspace();
    return { workspace, ...(await counter.start(workspace, { pack })) };
  });
  if (bad === undefined || good === undefined || paid === undefined) throw new Error("nothing was started");
  await advance(db, "8 days");
  await db.query(
    `create function public.fail_two() returns trigger language plpgsql as $$
     begin if new.state = 'expired' and old.id in ('${bad.id}', '${paid.id}') then raise exception 'it fails here'; end if; return new; end $$`,
  );
  await db.query(
    "create trigger zz_fail before update on payments.purchase for each row execute function public.fail_two()",
  );
  expect(await counter.expire()).toMatchObject({ processed: 1, failed: 2 });
  expect(await counter.purchase(good.id)).toMatchObject({ state: "expired" });
  expect(await counter.expire()).toMatchObject({ processed: 0, failed: 0 });
  const parked = () => rows(db, "select subject from ops.parked where sweep = 'purchases_expire' order by subject");
  expect(await parked()).toHaveLength(2);
  expect(await counter.confirm(paid.workspace, paid)).toMatchObject({ outcome: "paid" });
  await db.query("drop trigger zz_fail on payments.purchase");
  await advance(db, "1 hour");
  expect(await counter.expire()).toMatchObject({ processed: 1, failed: 0 });
  expect(await parked()).toEqual([]);
});

test("what is settled for its purchase has its promo code too: one whose hold has run out, and is another's, is refused by name", async ({
  db,
}) => {
  const { counter, pack, workspace } = await shop(db);
  const promo = await counter.promo({ max_redemptions: 1 });
  const bought = await counter.start(workspace, { pack, promo: promo.code });
  const less = await counter.confirm(workspace, { id: bought.id, amount_minor: 800 });
  await advance(db, "500 days");
  await call(db, "ledger.holds_expire", { batch: 1000 });
  const other = await counter.workspace();
  await counter.start(other, { pack, promo: promo.code });
  expect(await outcome(counter.settle(workspace, less.payment_id, "purchase"))).toBe("promo_used_up");
  expect(await counter.purchase(bought.id)).toMatchObject({ state: "pending" });
  expect(await counter.till.credits(workspace)).toEqual({});
  expect(await counter.settle(workspace, less.payment_id, "balance")).toMatchObject({ available: 800 });
  await counter.expire();
  expect(await counter.purchase(bought.id)).toMatchObject({ state: "expired" });
});
