import { describe, expect } from "vitest";
import { Coins, type InvoiceFact } from "../support/coins.ts";
import { advance, call, outcome, rows } from "../support/scenario.ts";
import { test as plain } from "../support/sql.ts";

const test = plain.extend("coins", ({ db }) => new Coins(db));

/** Paid to the cent, in time and confirmed. */
const settled: Partial<InvoiceFact> = { status: "Settled", paid_minor: 1000 };

describe("D12 what comes of what comes", () => {
  const rule: { what: string; told: Partial<InvoiceFact>[]; becomes: object }[] = [
    {
      what: "nothing",
      told: [{ status: "Expired" }],
      becomes: { state: "expired", balance: 0, payments: [], alarms: [] },
    },
    {
      what: "all of it",
      told: [settled],
      becomes: { state: "paid", balance: 1000, payments: ["1000 eur"], alarms: [] },
    },
    {
      what: "all of it, not confirmed yet",
      told: [{ status: "Processing", paid_minor: 1000, unconfirmed: true }],
      becomes: { state: "pending", balance: 0, payments: [] },
    },
    {
      what: "a part, while there is time",
      told: [{ paid_minor: 400 }],
      becomes: { state: "pending", balance: 0, payments: [], alarms: [] },
    },
    {
      what: "too little",
      told: [{ status: "Expired", paid_minor: 999 }],
      becomes: { state: "expired", balance: 0, payments: ["999 eur kept"], alarms: ["payment_does_not_fit"] },
    },
    {
      what: "too little, not confirmed yet",
      told: [{ status: "Expired", paid_minor: 999, unconfirmed: true }],
      becomes: { state: "expired", balance: 0, payments: [] },
    },
    {
      what: "too little, and then the rest of it, late",
      told: [
        { status: "Expired", paid_minor: 400 },
        { status: "Expired", paid_minor: 1000 },
      ],
      becomes: { state: "paid", balance: 1000, payments: ["1000 eur"], alarms: [] },
    },
    {
      what: "too little, twice",
      told: [
        { status: "Expired", paid_minor: 400 },
        { status: "Expired", paid_minor: 700 },
      ],
      becomes: { state: "expired", balance: 0, payments: ["700 eur kept"], alarms: ["payment_does_not_fit"] },
    },
    {
      what: "all of it, late",
      told: [{ status: "Expired" }, { status: "Expired", paid_minor: 1000 }],
      becomes: { state: "paid", balance: 1000, payments: ["1000 eur"], alarms: [] },
    },
    {
      what: "too much",
      told: [{ status: "Settled", paid_minor: 1250 }],
      becomes: { state: "paid", balance: 1250, payments: ["1000 eur", ":2 250 eur"], alarms: [] },
    },
    {
      what: "too much, late, in pieces",
      told: [
        { status: "Expired", paid_minor: 300 },
        { status: "Expired", paid_minor: 1100 },
      ],
      becomes: { state: "paid", balance: 1100, payments: ["1000 eur", ":2 100 eur"], alarms: [] },
    },
    {
      what: "too much, of which the surplus is not confirmed yet",
      told: [{ status: "Settled", paid_minor: 1250, unconfirmed: true }],
      becomes: { state: "paid", balance: 1000, payments: ["1000 eur"] },
    },
    {
      what: "more and more after it was bought",
      told: [settled, { status: "Settled", paid_minor: 1100 }, { status: "Settled", paid_minor: 1350 }],
      becomes: { state: "paid", balance: 1350, payments: ["1000 eur", ":2 100 eur", ":3 250 eur"], alarms: [] },
    },
    {
      what: "marked settled by a person",
      told: [{ status: "Settled", marked: true }],
      becomes: { state: "paid", balance: 1000, payments: ["1000 eur"], alarms: [] },
    },
    {
      what: "too little, and marked settled by a person",
      told: [
        { status: "Expired", paid_minor: 400 },
        { status: "Settled", marked: true, paid_minor: 400 },
      ],
      becomes: { state: "paid", balance: 1000, payments: ["1000 eur"], alarms: [] },
    },
    {
      what: "marked settled by a person, and then the coins all the same",
      told: [
        { status: "Settled", marked: true },
        { status: "Settled", marked: true, paid_minor: 1000 },
      ],
      becomes: { state: "paid", balance: 1000, payments: ["1000 eur"], alarms: [] },
    },
    {
      what: "marked settled while coins wait for their confirmations",
      told: [{ status: "Settled", marked: true, paid_minor: 1000, unconfirmed: true }],
      becomes: { state: "pending", balance: 0, payments: [] },
    },
    {
      what: "not confirmed in time",
      told: [
        { status: "Processing", paid_minor: 1000, unconfirmed: true },
        { status: "Invalid", paid_minor: 1000, unconfirmed: true },
      ],
      becomes: { state: "canceled", balance: 0, payments: [], alarms: [] },
    },
    {
      what: "confirmed after it was given up",
      told: [
        { status: "Invalid", paid_minor: 1000, unconfirmed: true },
        { status: "Invalid", paid_minor: 1000 },
      ],
      becomes: { state: "canceled", balance: 0, payments: ["1000 eur kept"], alarms: ["payment_does_not_fit"] },
    },
    {
      what: "an invoice of another amount",
      told: [{ status: "Settled", amount_minor: 1, paid_minor: 1 }],
      becomes: { state: "expired", balance: 0, payments: ["1 eur kept"], alarms: ["payment_does_not_fit"] },
    },
    {
      what: "an invoice in another currency",
      told: [{ status: "Settled", currency: "usd", paid_minor: 1000 }],
      becomes: { state: "expired", balance: 0, payments: ["1000 usd kept"], alarms: ["payment_does_not_fit"] },
    },
    {
      what: "settled with less than was asked for: the store's tolerance was changed",
      told: [{ status: "Settled", paid_minor: 990 }],
      becomes: { state: "expired", balance: 0, payments: ["990 eur kept"], alarms: ["payment_does_not_fit"] },
    },
  ];

  test.for(rule)("D12 $what", async ({ told, becomes }, { coins }) => {
    const bill = await coins.buying();
    for (const more of told) await coins.tells(coins.fact(bill, more));
    const standing = await coins.standing(bill);
    expect(standing).toMatchObject(becomes);
    // Told again by either, the last one and all of them in reverse: nothing moves, and nobody is alarmed by an old answer.
    for (const more of [...told.slice(-1), ...told.toReversed()]) {
      await coins.tells(coins.fact(bill, more));
      await coins.watched(bill, coins.fact(bill, more), "2020-01-01");
    }
    const { state, balance, payments } = await coins.standing(bill);
    expect({ balance, payments }).toEqual({ balance: standing.balance, payments: standing.payments });
    if (standing.state !== "pending") expect(state).toBe(standing.state);
  });
});

test("D12 an invoice that nobody wrote down is found by what it names, if it has the purchase's amount", async ({
  coins,
  db,
}) => {
  const workspace = await coins.counter.workspace();
  const started = await coins.start(workspace, { topup: 1000 });
  expect(started).toMatchObject({
    session_token: expect.any(String),
    search_session: false,
    customer_token: null,
    mode: "payment",
  });
  const bill = {
    workspace,
    purchase: started.id,
    invoice: `lost${started.id}`,
    amount_minor: 1000,
    expires_at: await coins.seconds("15 minutes"),
  };
  const cheap = { ...bill, invoice: `cheap${started.id}`, amount_minor: 1 };
  expect(await coins.tells(coins.fact(cheap))).toBe("known");
  const named = () => rows(db, "select provider_id, state from payments.purchase where id = $1", [started.id]);
  expect(await named()).toEqual([{ provider_id: null, state: "pending" }]);
  expect(await coins.tells(coins.fact(cheap, { status: "Settled", paid_minor: 1 }))).toBe("does_not_fit");
  expect(await coins.tells(coins.fact(bill))).toBe("open");
  expect(await named()).toEqual([{ provider_id: bill.invoice, state: "pending" }]);
  // Who made it comes back late: it is the one that stands.
  expect(await coins.record(started.id, started.session_token, bill.invoice, bill.expires_at)).toMatchObject({
    session_id: bill.invoice,
  });
  expect(await coins.tells(coins.fact(bill, settled))).toBe("paid");
  expect(await coins.standing(bill)).toMatchObject({
    state: "paid",
    balance: 1000,
    payments: ["1 eur kept", "1000 eur"],
  });
});

test("D12 of two invoices of one purchase the first that is paid buys it, and what comes for the other is kept", async ({
  coins,
}) => {
  for (const order of ["own first", "own last"] as const) {
    const bill = await coins.buying();
    const other = { ...bill, invoice: `other${bill.invoice}` };
    const [first, second] = order === "own first" ? [bill, other] : [other, bill];
    expect(await coins.tells(coins.fact(other, { status: "Invalid" }))).toBe("known");
    expect(await coins.standing(bill)).toMatchObject({ state: "pending" });
    expect(await coins.tells(coins.fact(first, settled))).toBe("paid");
    expect(await coins.tells(coins.fact(second, { ...settled, paid_minor: 1200 }))).toBe("does_not_fit");
    expect(await coins.standing(bill)).toEqual({
      state: "paid",
      balance: 1000,
      payments: ["1000 eur", "1200 eur kept"],
      alarms: ["payment_does_not_fit"],
    });
  }
});

test("D12 kept money is settled by the operator, or refunded; what comes after that is other money", async ({
  coins,
  db,
}) => {
  const { counter } = coins;
  const payment = async (workspace: string) => {
    const [row] = await rows<{ id: string }>(
      db,
      "select id from payments.payment where workspace_id = $1 order by id desc limit 1",
      [workspace],
    );
    return row?.id ?? "";
  };
  const short = { status: "Expired", paid_minor: 400 } as const;
  const given = await coins.buying();
  await coins.tells(coins.fact(given, short));
  expect(await counter.settle(given.workspace, await payment(given.workspace), "balance")).toMatchObject({
    available: 400,
  });
  await coins.tells(coins.fact(given, { status: "Expired", paid_minor: 1000 }));
  // Marking it at BTCPay does not give a second time what was settled here.
  await coins.tells(coins.fact(given, { status: "Settled", marked: true, paid_minor: 1000 }));
  expect(await coins.standing(given)).toEqual({
    state: "expired",
    balance: 400,
    payments: ["400 eur", ":2 600 eur kept"],
    alarms: ["payment_does_not_fit"],
  });
  const bought = await coins.buying();
  await coins.tells(coins.fact(bought, short));
  expect(await counter.settle(bought.workspace, await payment(bought.workspace), "purchase")).toMatchObject({
    state: "paid",
    available: 1000,
  });
  const back = await coins.buying();
  await coins.tells(coins.fact(back, short));
  await counter.refund(back.workspace, await payment(back.workspace));
  expect(await coins.standing(back)).toMatchObject({ state: "expired", balance: 0, alarms: [] });
  await coins.tells(coins.fact(back, short));
  expect(await coins.standing(back)).toMatchObject({ payments: ["400 eur"] });
  const refunded = await coins.buying();
  await coins.tells(coins.fact(refunded, settled));
  expect(await counter.refund(refunded.workspace, await payment(refunded.workspace), 250)).toMatchObject({
    available: 750,
  });
  expect(await coins.standing(refunded)).toMatchObject({ state: "partly_refunded" });
});

test("D12 what was known and is gone: an alarm by an answer that is newer, another look after one that may be older", async ({
  coins,
  db,
}) => {
  const due = (purchase: string) =>
    rows(db, "select check_due_at <= ops.now() as due from payments.purchase where id = $1", [purchase]);
  const gone: [Partial<InvoiceFact>, Partial<InvoiceFact>][] = [
    [settled, { status: "Settled", paid_minor: 0 }],
    [
      { status: "Settled", marked: true },
      { status: "Invalid", marked: true },
    ],
    [
      { status: "Expired", paid_minor: 400 },
      { status: "Expired", paid_minor: 100 },
    ],
  ];
  for (const [before, after] of gone) {
    const bill = await coins.buying();
    await coins.tells(coins.fact(bill, before));
    const { balance, alarms } = await coins.standing(bill);
    for (const old of [
      () => coins.tells(coins.fact(bill, after)),
      () => coins.watched(bill, coins.fact(bill, after), "2020-01-01"),
    ]) {
      await old();
      expect(await coins.standing(bill)).toMatchObject({ balance, alarms });
      expect(await due(bill.purchase)).toEqual([{ due: true }]);
    }
    await coins.watched(bill, coins.fact(bill, after));
    expect(await coins.standing(bill)).toMatchObject({ balance, alarms: ["crypto_payment_undone", ...alarms] });
    expect(await due(bill.purchase)).toEqual([{ due: false }]);
    await coins.watched(bill, coins.fact(bill, before));
    expect(await coins.standing(bill)).toMatchObject({ balance, alarms });
  }
});

test("D12 what is gone and was refunded is no alarm any more, also when nobody was watching any more", async ({
  coins,
  db,
}) => {
  const gone: [Partial<InvoiceFact>, Partial<InvoiceFact>][] = [
    [settled, { status: "Settled", paid_minor: 0 }],
    [settled, { status: "Invalid", paid_minor: 1000 }],
    [
      { status: "Settled", marked: true },
      { status: "Invalid", marked: true },
    ],
    [
      { status: "Expired", paid_minor: 400 },
      { status: "Expired", paid_minor: 100 },
    ],
  ];
  for (const [before, after] of gone) {
    const bill = await coins.buying();
    const due = () =>
      rows(db, "select check_due_at <= ops.now() as due from payments.purchase where id = $1", [bill.purchase]);
    await coins.tells(coins.fact(bill, before));
    const [payment] = await rows<{ id: string }>(db, "select id from payments.payment where workspace_id = $1", [
      bill.workspace,
    ]);
    const undone = async () => {
      await coins.watched(bill, coins.fact(bill, after));
      return (await coins.standing(bill)).alarms.includes("crypto_payment_undone");
    };
    expect(await undone()).toBe(true);
    await advance(db, "10 days");
    await coins.counter.refund(bill.workspace, payment?.id ?? "", 250);
    expect(await due()).toEqual([{ due: true }]);
    // The rest of it is missed still.
    expect(await undone()).toBe(true);
    expect(await due()).toEqual([{ due: null }]);
    await coins.counter.refund(bill.workspace, payment?.id ?? "");
    expect(await due()).toEqual([{ due: true }]);
    expect(await undone()).toBe(false);
    expect(await coins.standing(bill)).toMatchObject({ balance: 0, alarms: [] });
  }
});

test("D12 a surplus that the balance cannot hold, and money late for what cannot be had, is kept", async ({
  coins,
}) => {
  const most = 9_007_199_254_740_991;
  const { counter } = coins;
  const pack = await counter.till.pack(100);
  const bill = await coins.buying({ pack });
  await counter.topup(bill.workspace, most);
  await coins.tells(coins.fact(bill, { status: "Settled", paid_minor: 1001 }));
  expect(await coins.standing(bill)).toMatchObject({ state: "paid", alarms: ["payment_does_not_fit"] });
  const promo = await counter.promo({ max_redemptions: 1, percent: 10 });
  const late = await coins.buying({ pack, promo: promo.code });
  expect(late.amount_minor).toBe(900);
  await coins.tells(coins.fact(late, { status: "Expired" }));
  expect(await counter.redemption(late.purchase)).toMatchObject({ state: "released", left: 1 });
  const other = await coins.buying({ pack, promo: promo.code });
  await coins.tells(coins.fact(other, { status: "Settled", paid_minor: 900 }));
  await coins.tells(coins.fact(late, { status: "Expired", paid_minor: 950 }));
  expect(await coins.standing(late)).toEqual({
    state: "expired",
    balance: 0,
    payments: ["900 eur kept", ":2 50 eur kept"],
    alarms: ["payment_does_not_fit"],
  });
  await coins.tells(coins.fact(late, { status: "Expired", paid_minor: 950 }));
  expect(await coins.standing(late)).toMatchObject({ payments: ["900 eur kept", ":2 50 eur kept"] });
});

test("a plan in crypto is one period; its open purchase is the one of its plan, and stands in the way of another", async ({
  coins,
}) => {
  const { counter } = coins;
  const [plan, dear] = [await counter.till.plan({ included_credits: 5 }), await counter.till.plan({ amount: 3000 })];
  const bill = await coins.buying({ plan });
  expect(await coins.start(bill.workspace, { plan })).toMatchObject({ id: bill.purchase, session_id: bill.invoice });
  expect(await outcome(coins.start(bill.workspace, { plan: dear }))).toBe("checkout_open");
  expect(await outcome(counter.start(bill.workspace, { plan }))).toBe("checkout_open");
  await coins.tells(coins.fact(bill, { status: "Settled", paid_minor: 2000 }));
  expect(await counter.purchase(bill.purchase)).toMatchObject({ state: "paid", subscription_id: expect.any(String) });
  expect(await outcome(coins.start(bill.workspace, { plan }))).toBe("subscription_exists");
});

test("the watcher claims its own, each for one; it asks until an invoice ends, for a week more, and never for Stripe's", async ({
  coins,
  db,
}) => {
  const bill = await coins.buying();
  expect((await coins.claim()).ids).not.toContain(bill.purchase);
  await advance(db, "6 minutes");
  const claims = [await coins.claim(), await coins.claim()];
  expect(claims.map(({ ids }) => ids.includes(bill.purchase))).toEqual([true, false]);
  const stripes = await call<{ ids: string[] }>(db, "payments.claim_checks", { batch: 100, lease: "1 minute" });
  expect(stripes.ids).not.toContain(bill.purchase);
  const hours = async () => {
    const [row] = await rows<{ hours: number | null }>(
      db,
      "select round(extract(epoch from check_due_at - ops.now()) / 3600, 1)::float as hours from payments.purchase where id = $1",
      [bill.purchase],
    );
    return row?.hours;
  };
  const over = coins.fact(bill, { status: "Expired" });
  expect(await coins.watched(bill, over)).toBe("expired");
  expect(await hours()).toBe(1);
  await advance(db, "4 days");
  await coins.watched(bill, over);
  expect(await hours()).toBeGreaterThan(40);
  await advance(db, "4 days");
  await coins.watched(bill, over);
  expect(await hours()).toBeNull();
  // Of which BTCPay knows nothing: over, once nobody can be making it.
  const [none, gone] = [await coins.start(bill.workspace, { topup: 500 }), await coins.buying()];
  expect(await coins.watched({ purchase: none.id }, null)).toBe("pending");
  expect(await coins.watched(gone, null)).toBe("pending");
  await advance(db, "1 minute");
  expect(await coins.watched({ purchase: none.id }, null)).toBe("expired");
  await advance(db, "2 days");
  expect(await coins.watched(gone, null)).toBe("expired");
  expect(await coins.watched(gone, null)).toBe("expired");
});

test("the right to make an invoice is one caller's until its lease has passed; the next one looks for it first", async ({
  coins,
  db,
}) => {
  const workspace = await coins.counter.workspace();
  const first = await coins.start(workspace, { topup: 700 });
  const claim = () =>
    call<{ session_token: string | null; search_session: boolean }>(db, "payments.claim_checkout", { id: first.id });
  expect(await claim()).toMatchObject({ session_token: null });
  await advance(db, "31 seconds");
  expect(await claim()).toMatchObject({ session_token: expect.any(String), search_session: true });
  // The first comes back with an invoice of its own: it is nobody's.
  expect(await coins.record(first.id, first.session_token, "late", await coins.seconds("1 hour"))).toMatchObject({
    session_id: null,
  });
});
