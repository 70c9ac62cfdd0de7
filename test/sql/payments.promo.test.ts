import { expect } from "vitest";
import { besideOpen, race, tally } from "../support/barrier.ts";
import { Counter } from "../support/counter.ts";
import { advance, call, outcome, refusal, rows } from "../support/scenario.ts";
import type { Db } from "../support/scenario.ts";
import { test } from "../support/sql.ts";
import { checkoutFact } from "../support/till.ts";

/** A counter with a pack of 100 credits at 10 €, and a workspace. */
async function shop(db: Db) {
  const counter = new Counter(db);
  return { counter, pack: await counter.till.pack(100), workspace: await counter.workspace() };
}

/** An instant of the database's clock, moved. */
async function instant(db: Db, by: string): Promise<string> {
  const [row] = await rows<{ at: string }>(db, "select ops.now() + $1::interval as at", [by]);
  return row?.at ?? "";
}

const manyWorkspaces = (counter: Counter, n: number) =>
  Promise.all(Array.from({ length: n }, () => counter.workspace()));

test("a quote is the price times the quantity, less what the code takes off: a part rounded down, or an amount, at most all", async ({
  db,
}) => {
  const { counter, pack, workspace } = await shop(db);
  const [part, fixed, much] = [
    await counter.promo({ percent: 33 }),
    await counter.promo({ amounts_minor: [350, 400], currencies: ["usd", "eur"] }),
    await counter.promo({ amounts_minor: [9_007_199_254_740_991], currencies: ["eur"] }),
  ];
  const of = async (order: object) => {
    const { list_minor, discount_minor, amount_minor } = await counter.quote(workspace, { pack, ...order });
    return [list_minor, discount_minor, amount_minor];
  };
  expect(await of({ quantity: 3 })).toEqual([3000, 0, 3000]);
  expect(await of({ promo: ` ${part.code.toLowerCase()} ` })).toEqual([1000, 330, 670]);
  expect(await of({ pack: undefined, topup: 101, promo: part.code })).toEqual([101, 33, 68]);
  expect(await of({ promo: fixed.code, quantity: 2 })).toEqual([2000, 400, 1600]);
  expect(await of({ promo: much.code })).toEqual([1000, 1000, 0]);
  expect(await of({ pack: undefined, topup: 9_007_199_254_740_991, promo: part.code })).toEqual([
    9_007_199_254_740_991, 2_972_375_754_064_527, 6_034_823_500_676_464,
  ]);
  expect(await counter.quote(workspace, { pack })).toMatchObject({
    name: pack.code,
    kind: "credit_pack",
    trial_days: 0,
  });
});

test("bad input of a promo code is refused by name, before anything is written", async ({ db }) => {
  const { counter, pack, workspace } = await shop(db);
  const plan = await counter.till.plan();
  const [past, soon] = [await instant(db, "-1 hour"), await instant(db, "1 hour")];
  const ended = await counter.campaign({ ends_at: past });
  const [off, over, early, ofEnded, packs, dollars, once] = [
    await counter.promo(),
    await counter.promo({ ends_at: past }),
    await counter.promo({ starts_at: soon }),
    await counter.promo({ campaign_id: ended.id }),
    await counter.promo({ kinds: ["credit_pack"] }),
    await counter.promo({ currencies: ["usd"] }),
    await counter.promo({ per_workspace: 1 }),
  ];
  await counter.disable(off.code);
  await counter.start(workspace, { pack, promo: once.code });
  const cases: [order: Parameters<Counter["quote"]>[1], code: string][] = [
    [{ pack, promo: "NOBODY" }, "promo_unknown"],
    [{ pack, promo: "" }, "promo_unknown"],
    [{ pack, promo: off.code }, "promo_unknown"],
    [{ pack, promo: over.code }, "promo_expired"],
    [{ pack, promo: early.code }, "promo_expired"],
    [{ pack, promo: ofEnded.code }, "promo_expired"],
    [{ topup: 100, promo: packs.code }, "promo_not_for_this"],
    [{ pack, promo: dollars.code }, "promo_not_for_this"],
    [{ pack, promo: once.code }, "promo_used"],
    [{ pack, currency: "usd" }, "price_unknown"],
    [{ pack: { ...pack, code: "no_such" } }, "pack_unknown"],
    [{ plan: { ...plan, code: "no_such" } }, "plan_unknown"],
    [{ plan, months: 3 }, "price_unknown"],
    [{ topup: 9_007_199_254_740_991, quantity: 2 }, "amount_too_large"],
  ];
  const before = await rows(db, "select count(*) from payments.purchase");
  for (const [order, code] of cases) {
    expect([order, await outcome(counter.quote(workspace, order))]).toEqual([order, code]);
    expect([order, await outcome(counter.start(workspace, order))]).toEqual([order, code]);
  }
  expect(await refusal(counter.quote(workspace, { pack, promo: over.code }))).toMatchObject({
    starts_at: null,
    ends_at: expect.any(String),
  });
  // A plan that Stripe collects has its price there; one period of it has not.
  const { code } = await counter.promo();
  expect(await outcome(counter.quote(workspace, { plan, promo: code }, "stripe"))).toBe("promo_not_for_this");
  expect(await outcome(counter.quote(workspace, { plan, promo: code }))).toBe("done");
  const all = await counter.promo({ percent: 100 });
  expect(await outcome(counter.start(workspace, { pack, promo: all.code }))).toBe("nothing_to_pay");
  expect(await outcome(counter.checkout(workspace, { pack, promo: all.code }, "stripe"))).toBe("nothing_to_pay");
  expect(await outcome(counter.start(workspace, { pack }, "-1 second"))).toBe("expires_in_past");
  expect(await outcome(counter.start(workspace, { pack }, "infinity"))).toBe("23514");
  expect(await outcome(counter.start(workspace, { pack, quantity: 0 }))).toBe("23514");
  expect(await rows(db, "select count(*) from payments.purchase")).toEqual(before);
});

test("a promo code and a campaign are made once by their name, with an audit row; disabling one twice changes nothing", async ({
  db,
}) => {
  const { counter } = await shop(db);
  const campaign = await counter.campaign({ name: "spring", max_redemptions: 5 });
  const promo = await counter.promo({ code: " spring-26 ", campaign_id: campaign.id });
  expect(promo.code).toBe("SPRING-26");
  expect(await outcome(counter.campaign({ name: "spring" }))).toBe("campaign_exists");
  expect(await outcome(counter.promo({ code: "Spring-26" }))).toBe("promo_exists");
  expect(await outcome(counter.promo({ campaign_id: promo.id }))).toBe("campaign_unknown");
  for (const wrong of [
    { code: "x y" },
    { percent: 0 },
    { percent: 101 },
    { amounts_minor: [0], currencies: ["eur"] },
    { amounts_minor: [1], currencies: null },
    { amounts_minor: [1, 2], currencies: ["eur"] },
    { amounts_minor: [1], percent: 5, currencies: ["eur"] },
    { starts_at: "infinity" },
    { per_workspace: 0 },
  ]) {
    expect([wrong, await outcome(counter.promo(wrong))]).toEqual([wrong, "23514"]);
  }
  const first = await counter.disable("spring-26");
  expect(await counter.disable("SPRING-26")).toEqual(first);
  expect(await outcome(counter.disable("NOBODY"))).toBe("not_found");
  const told = await rows(db, "select action from ops.audit where subject in ($1, $2) order by id", [
    `campaign:${campaign.id}`,
    `promo_code:${promo.id}`,
  ]);
  expect(told).toEqual([
    { action: "campaign.create" },
    { action: "promo_code.create" },
    { action: "promo_code.disable" },
  ]);
});

test("a cap is neither passed nor leaked: of 40 workspaces 7 hold it; what is released, expired or canceled is another's", async ({
  db,
}) => {
  const { counter, pack } = await shop(db);
  const promo = await counter.promo({ max_redemptions: 7 });
  const workspaces = await manyWorkspaces(counter, 40);
  const held: { workspace: string; id: string; amount_minor: number }[] = [];
  const outcomes = await race(40, async (i) => {
    const workspace = workspaces[i] ?? "";
    const started = counter.start(workspace, { pack, promo: promo.code });
    const told = await outcome(started);
    if (told === "done") held.push({ workspace, ...(await started) });
    return told;
  });
  expect(tally(outcomes)).toEqual({ done: 7, promo_used_up: 33 });
  expect(await refusal(counter.quote(workspaces[0] ?? "", { pack, promo: promo.code }))).toEqual({
    code: "promo_used_up",
    of: "code",
  });
  const [canceled, paid, late] = held;
  if (canceled === undefined || paid === undefined || late === undefined) throw new Error("nobody holds it");
  expect(await counter.cancel(canceled.workspace, canceled.id)).toMatchObject({ state: "canceled" });
  expect(await counter.redemption(canceled.id)).toEqual({ state: "released", attempt: 1, left: 1 });
  const again = await counter.start(canceled.workspace, { pack, promo: promo.code });
  expect(await counter.confirm(paid.workspace, paid)).toMatchObject({ outcome: "paid" });
  expect(await counter.redemption(paid.id)).toEqual({ state: "redeemed", attempt: 1, left: 0 });
  // Released, and taken by another one: late money finds the cap used up, and is kept.
  await counter.cancel(late.workspace, late.id);
  const [taker] = await manyWorkspaces(counter, 1);
  const taken = await counter.start(taker ?? "", { pack, promo: promo.code }, "1 microsecond");
  expect(await counter.confirm(late.workspace, late)).toMatchObject({ outcome: "does_not_fit", state: "canceled" });
  expect(await counter.expire()).toMatchObject({ processed: 1, failed: 0 });
  expect(await counter.redemption(taken.id)).toEqual({ state: "released", attempt: 1, left: 1 });
  expect(await counter.purchase(again.id)).toMatchObject({ state: "pending" });
});

test("a campaign's cap is that of its codes together, and their own caps hold besides: 40 workspaces, three codes", async ({
  db,
}) => {
  const { counter, pack } = await shop(db);
  const campaign = await counter.campaign({ max_redemptions: 7 });
  const codes = [
    await counter.promo({ campaign_id: campaign.id }),
    await counter.promo({ campaign_id: campaign.id, max_redemptions: 2 }),
    await counter.promo({ campaign_id: campaign.id, max_redemptions: 40 }),
  ];
  const workspaces = await manyWorkspaces(counter, 40);
  const outcomes = await race(40, (i) =>
    outcome(counter.start(workspaces[i] ?? "", { pack, promo: codes[i % 3]?.code ?? "" })),
  );
  expect(tally(outcomes)).toEqual({ done: 7, promo_used_up: 33 });
  expect(await counter.left(campaign.id)).toBe(0);
  expect(await refusal(counter.quote(workspaces[0] ?? "", { pack, promo: codes[0]?.code ?? "" }))).toEqual({
    code: "promo_used_up",
    of: "campaign",
  });
});

test("a workspace uses a code as often as one may, however many it begins at once", async ({ db }) => {
  const { counter, pack, workspace } = await shop(db);
  const promo = await counter.promo({ per_workspace: 2 });
  const outcomes = await race(12, () => outcome(counter.start(workspace, { pack, promo: promo.code })));
  expect(tally(outcomes)).toEqual({ done: 2, promo_used: 10 });
  const other = await counter.workspace();
  expect(await outcome(counter.start(other, { pack, promo: promo.code }))).toBe("done");
});

test("a window that ends while a purchase waits for a lock has ended for it; so has a code that is disabled meanwhile", async ({
  db,
}) => {
  const { counter, pack, workspace } = await shop(db);
  const promo = await counter.promo({ max_redemptions: 50, ends_at: await instant(db, "1 hour") });
  // The clock is moved on by whoever holds the account that the purchase waits for.
  const late = await besideOpen(
    db,
    async (connection) => {
      await connection.query("select from ledger.account where owner_id = $1 for update", [promo.id]);
      await advance(connection, "2 hours");
    },
    () => outcome(counter.start(workspace, { pack, promo: promo.code })),
  );
  expect(late).toBe("promo_expired");

  const other = await counter.promo();
  const beside = await besideOpen(
    db,
    (connection) => new Counter(connection).disable(other.code),
    () => outcome(counter.start(workspace, { pack, promo: other.code })),
  );
  expect(beside).toBe("promo_unknown");
});

test("D1 a purchase that ends unpaid in whatever way gives its redemption back", async ({ db }) => {
  const { counter, pack } = await shop(db);
  const promo = await counter.promo({ max_redemptions: 1 });
  const customer = await counter.till.customer();
  const ends: Record<string, (it: { id: string; session_token: string | null }) => Promise<unknown>> = {
    "its session expired": ({ id }) =>
      counter.till.send(
        "x",
        checkoutFact(customer, { purchase: id, session: `cs_${id}` }, { status: "expired", payment_status: "unpaid" }),
      ),
    "its payment failed": ({ id }) =>
      counter.till.send(
        "x",
        checkoutFact(
          customer,
          { purchase: id, session: `cs_${id}` },
          { event: "async_payment_failed", payment_status: "unpaid" },
        ),
      ),
    "Stripe refused to make it": ({ id, session_token }) =>
      call(db, "payments.abandon_checkout", { id, token: session_token }),
    "Stripe has no session of it": async ({ id }) => {
      await db.query("update payments.purchase set leased_until = null where id = $1", [id]);
      await call(db, "payments.sync_checkout", { id, fact: null });
    },
  };
  for (const [end, how] of Object.entries(ends)) {
    const begun = await counter.checkout(customer.workspace, { pack, promo: promo.code }, "stripe");
    expect(begun).toMatchObject({ discounted: true, amount_minor: 900, mode: "payment", name: pack.code });
    expect(await counter.left(promo.id)).toBe(0);
    await how(begun);
    expect([end, await counter.redemption(begun.id)]).toEqual([end, { state: "released", attempt: 1, left: 1 }]);
  }
});

test("money that came after a purchase's end takes a new redemption, also where the first one's hold had run out", async ({
  db,
}) => {
  const { counter, pack } = await shop(db);
  const promo = await counter.promo({ max_redemptions: 1 });
  const customer = await counter.till.customer();
  const paid = (id: string) =>
    counter.till.send("x", checkoutFact(customer, { purchase: id, session: `cs_${id}` }, { amount_total: 900 }));
  const late = await counter.checkout(customer.workspace, { pack, promo: promo.code }, "stripe");
  await counter.till.send(
    "x",
    checkoutFact(
      customer,
      { purchase: late.id, session: `cs_${late.id}` },
      { status: "expired", payment_status: "unpaid" },
    ),
  );
  expect(await paid(late.id)).toMatchObject({ outcome: "paid" });
  expect(await counter.redemption(late.id)).toEqual({ state: "redeemed", attempt: 2, left: 0 });

  const other = await counter.promo({ max_redemptions: 1 });
  const stuck = await counter.checkout(customer.workspace, { pack, promo: other.code }, "stripe");
  await advance(db, "500 days");
  await counter.expire();
  await call(db, "ledger.holds_expire", { batch: 100 });
  expect(await paid(stuck.id)).toMatchObject({ outcome: "paid" });
  expect(await counter.redemption(stuck.id)).toEqual({ state: "redeemed", attempt: 2, left: 0 });
});

test("Stripe's money for a code that is used up by then is kept, and settled by the operator; it takes no redemption", async ({
  db,
}) => {
  const { counter, pack, workspace } = await shop(db);
  const promo = await counter.promo({ max_redemptions: 1 });
  const customer = await counter.till.customer();
  const late = await counter.checkout(customer.workspace, { pack, promo: promo.code }, "stripe");
  const it = { purchase: late.id, session: `cs_${late.id}` };
  await counter.till.send("x", checkoutFact(customer, it, { status: "expired", payment_status: "unpaid" }));
  await counter.start(workspace, { pack, promo: promo.code });
  expect(await counter.till.send("x", checkoutFact(customer, it, { amount_total: 900 }))).toMatchObject({
    outcome: "does_not_fit",
  });
  const row = await counter.purchase(late.id);
  expect(row).toMatchObject({ state: "paid" });
  expect(await refusal(counter.settle(customer.workspace, row?.payment_id ?? "", "purchase"))).toEqual({
    code: "promo_used_up",
    of: "code",
  });
  expect(await counter.settle(customer.workspace, row?.payment_id ?? "", "balance")).toMatchObject({ available: 900 });
  expect(await counter.alarms(late.id)).toBe(0);
});

test("a code that makes it free is redeemed by a purchase of nothing from the balance", async ({ db }) => {
  const { counter, pack, workspace } = await shop(db);
  const promo = await counter.promo({ percent: 100, per_workspace: 1 });
  expect(await counter.buy(workspace, { pack, promo: promo.code })).toMatchObject({
    state: "paid",
    list_minor: 1000,
    discount_minor: 1000,
    amount_minor: 0,
    available: 0,
  });
  expect(await counter.till.credits(workspace)).toEqual({ bulk: 100 });
  expect(await outcome(counter.buy(workspace, { pack, promo: promo.code }))).toBe("promo_used");
});

test("what a purchase was quoted at never changes", async ({ db }) => {
  const { counter, pack, workspace } = await shop(db);
  const [promo, other] = [await counter.promo(), await counter.promo()];
  const { id } = await counter.start(workspace, { pack, promo: promo.code });
  for (const change of [
    "list_minor = list_minor + 1, amount_minor = amount_minor + 1",
    "list_minor = null",
    "discount_minor = 0, amount_minor = list_minor",
    "currency = 'usd'",
    `promo_code_id = '${other.id}'`,
    "promo_code_id = null",
    "price_id = null",
    "quantity = 2",
  ]) {
    const changing = db.query(`update payments.purchase set ${change} where id = $1`, [id]);
    expect([change, await outcome(changing)]).toEqual([change, "TG002"]);
  }
});
