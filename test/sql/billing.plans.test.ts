import { expect } from "vitest";
import { race, tally } from "../support/barrier.ts";
import { call, refusal, rows } from "../support/scenario.ts";
import type { Db } from "../support/scenario.ts";
import { test } from "../support/sql.ts";
import { Till, invoiceFact, subscriptionFact } from "../support/till.ts";
import type { Customer } from "../support/till.ts";

interface Made {
  id: string;
  number: number;
  created: boolean;
}

const wish = {
  name: "Pro",
  included_credits: 20,
  rollover_cap: null,
  rollover_expires_in: null,
  seats: 3,
  storage_bytes: null,
  trial_days: 14,
  grace_days: 7,
  currencies: ["eur", "usd"],
  interval_units: ["month", "year"],
  interval_counts: [1, 1],
  amounts_minor: [2000, 24_000],
  caused_by: "test",
};
const plan = (db: Db, code: string, more: Record<string, unknown> = {}) =>
  call<Made>(db, "billing.create_plan", { code, ...wish, ...more });
const pack = (db: Db, code: string, more: Record<string, unknown> = {}) =>
  call<Made>(db, "billing.create_pack", {
    code,
    kind: "credit_pack",
    name: "Fifty",
    quantity: 50,
    currencies: ["eur"],
    amounts_minor: [500],
    caused_by: "test",
    ...more,
  });

const start = (till: Till, { workspace }: Customer, more: Record<string, unknown>) =>
  call<{ id: string; trial_days: number }>(till.db, "payments.start_checkout", {
    workspace_id: workspace,
    plan_code: null,
    plan_number: null,
    pack_code: null,
    currency: "eur",
    interval_unit: null,
    interval_count: null,
    quantity: 1,
    success_url: "https://app.example/ok",
    cancel_url: "https://app.example/no",
    caused_by: "test",
    ...more,
  });

test("A14 what is loaded again is the version that stands; any change makes the next, and the old one stays", async ({
  db,
}) => {
  const first = await plan(db, "again");
  expect(first).toMatchObject({ number: 1, created: true });
  expect(await plan(db, "again")).toMatchObject({ id: first.id, number: 1, created: false });
  const swapped = { currencies: ["usd", "eur"], interval_units: ["year", "month"], amounts_minor: [24_000, 2000] };
  expect(await plan(db, "again", swapped)).toMatchObject({ number: 1, created: false });
  const changes: Record<string, unknown>[] = [
    { name: "Better" },
    { included_credits: 21 },
    { rollover_cap: 0 },
    { rollover_cap: 0, rollover_expires_in: "30 days" },
    { seats: null },
    { storage_bytes: 1 },
    { trial_days: 0 },
    { grace_days: 8 },
    { amounts_minor: [2001, 24_000] },
    { currencies: ["eur", "gbp"] },
    { interval_units: ["month", "week"] },
    { interval_counts: [1, 2] },
    { currencies: ["eur"], interval_units: ["month"], interval_counts: [1], amounts_minor: [2000] },
    { currencies: [], interval_units: [], interval_counts: [], amounts_minor: [] },
  ];
  for (const [i, change] of changes.entries()) {
    expect([change, (await plan(db, "again", change)).number]).toEqual([change, i + 2]);
    expect([change, (await plan(db, "again", change)).created]).toEqual([change, false]);
  }
  const [kept] = await rows(db, "select name, included_credits::int from billing.plan where id = $1", [first.id]);
  expect(kept).toEqual({ name: "Pro", included_credits: 20 });
});

test("A14 a pack is versioned likewise", async ({ db }) => {
  const first = await pack(db, "fifty");
  expect(await pack(db, "fifty")).toMatchObject({ id: first.id, created: false });
  for (const [i, change] of [
    { quantity: 51 },
    { name: "More" },
    { kind: "retail_token" },
    { amounts_minor: [1] },
  ].entries()) {
    expect(await pack(db, "fifty", change)).toMatchObject({ number: i + 2, created: true });
  }
});

test("A14 of ten who load one file at once, one makes the version", async ({ db }) => {
  const made = await race(10, () => plan(db, "at_once"));
  expect(tally(made.map(({ number, created }) => `${number} ${created}`))).toEqual({ "1 true": 1, "1 false": 9 });
  expect(await rows(db, "select from ops.audit where subject = 'plan:at_once'")).toHaveLength(1);
});

test("a plan that makes no sense is refused by name", async ({ db }) => {
  const bad: [Record<string, unknown>, string][] = [
    [{ trial_days: -1 }, "plan_days_within"],
    [{ grace_days: 366 }, "plan_days_within"],
    [{ rollover_expires_in: "1 day" }, "plan_rollover_whole"],
    [{ name: "" }, "plan_name_length"],
    [{ currencies: ["EUR", "usd"] }, "price_currency_form"],
    [{ interval_units: ["decade", "year"] }, "price_interval_known"],
    [{ currencies: ["eur", "eur"], interval_units: ["month", "month"] }, "price_lookup_key_once"],
  ];
  for (const [change, constraint] of bad) {
    expect(await refusal(plan(db, "senseless", change))).toMatchObject({ constraint });
  }
  expect(await refusal(plan(db, "No Word"))).toMatchObject({ constraint: "plan_code_is_word" });
  expect(await refusal(pack(db, "none", { quantity: 0 }))).toMatchObject({ constraint: "pack_quantity_positive" });
});

test("B2 what came before its price was published is kept, and applied when it is", async ({ db }) => {
  const till = new Till(db);
  const { number } = await plan(db, "unpublished");
  const customer = await till.customer();
  const facts = [
    invoiceFact(customer, "sub_un", "price_un", { billing_reason: "subscription_create" }),
    subscriptionFact(customer, "sub_un", "price_un", { event: "created" }),
  ];
  const events = facts.map((fact) => till.event("x", fact));
  for (const event of events) expect(await till.deliver(event)).toMatchObject({ state: "parked" });
  expect(await rows(db, "select from billing.subscription where provider_id = 'sub_un'")).toEqual([]);
  for (let i = 0; i < 2; i += 1) await till.publish(`tollgate_unpublished_${number}_eur_1month`, "price_un");
  for (let more = true; more;) ({ more } = await call<{ more: boolean }>(db, "ops.events_retry", { batch: 100 }));
  for (const event of events) expect(await till.deliver(event)).toMatchObject({ state: "applied", duplicate: true });
  expect(await till.credits(customer.workspace)).toEqual({ subscription: 20 });
});

test("a price is published under one id, and no two under the same", async ({ db }) => {
  const till = new Till(db);
  await plan(db, "one_id");
  expect(await refusal(till.publish("tollgate_nothing_1_eur_1month"))).toEqual({ code: "not_found" });
  await till.publish("tollgate_one_id_1_eur_1month", "price_same");
  expect(await refusal(till.publish("tollgate_one_id_1_usd_1year", "price_same"))).toMatchObject({
    constraint: "price_provider_id_once",
  });
});

test("what is not sold is refused by name", async ({ db }) => {
  const till = new Till(db);
  await plan(db, "sold");
  await pack(db, "sold_pack");
  const customer = await till.customer();
  const monthly = { plan_code: "sold", interval_unit: "month", interval_count: 1 };
  const asks: [Record<string, unknown>, string][] = [
    [{ ...monthly, plan_code: "nothing" }, "plan_unknown"],
    [{ ...monthly, plan_number: 9 }, "plan_unknown"],
    [{ pack_code: "nothing" }, "pack_unknown"],
    [{ ...monthly, currency: "usd" }, "price_unknown"],
    [{ ...monthly, interval_count: 2 }, "price_unknown"],
    [{ pack_code: "sold_pack", currency: "usd" }, "price_unknown"],
    [monthly, "price_not_published"],
    [{ pack_code: "sold_pack" }, "price_not_published"],
  ];
  for (const [ask, code] of asks) {
    expect([ask, await refusal(start(till, customer, ask))]).toEqual([ask, { code }]);
  }
  expect(await refusal(start(till, { workspace: crypto.randomUUID(), customer: "" }, monthly))).toEqual({
    code: "not_found",
  });
});

test("a workspace has one trial, whichever plan it is of", async ({ db }) => {
  const till = new Till(db);
  const [first, second] = [await till.plan({ trial_days: 14 }), await till.plan({ trial_days: 30 })];
  const customer = await till.customer();
  const ask = (code: string) => start(till, customer, { plan_code: code, interval_unit: "month", interval_count: 1 });
  expect((await ask(first.code)).trial_days).toBe(14);
  await db.query("update payments.purchase set state = 'expired', ended_at = ops.now() where workspace_id = $1", [
    customer.workspace,
  ]);
  // A subscription that was never paid was no trial.
  const at = Math.floor(Date.now() / 1000) - 1000;
  const told = (more: Record<string, unknown>) => subscriptionFact(customer, "sub_trial", second.price, more);
  await till.send("x", told({ event: "created", status: "incomplete" }), at);
  expect(await refusal(ask(second.code))).toEqual({ code: "subscription_exists", state: "incomplete" });
  await till.send("x", told({ status: "trialing" }), at + 1);
  await till.send("x", told({ event: "deleted", status: "canceled", ended_at: at + 2 }), at + 2);
  expect((await ask(second.code)).trial_days).toBe(0);
});

test("subscribers keep their version of a plan when there is a newer one", async ({ db }) => {
  const till = new Till(db);
  const old = await till.plan({ included_credits: 20 });
  const customer = await till.customer();
  await till.send("x", subscriptionFact(customer, "sub_keeps", old.price, { event: "created" }));
  await till.plan({ included_credits: 99 }, old.code);
  await till.send("x", invoiceFact(customer, "sub_keeps", old.price));
  expect(await till.credits(customer.workspace)).toEqual({ subscription: 20 });
});
