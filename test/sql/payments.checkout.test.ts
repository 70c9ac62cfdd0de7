import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { race } from "../support/barrier.ts";
import { purchaseOf, start, syncCheckout } from "../support/buying.ts";
import { advance, call, outcome, refusal, rows } from "../support/scenario.ts";
import { Till, checkoutFact, subscriptionFact } from "../support/till.ts";
import { test } from "../support/sql.ts";

const past = (seconds: number) => Math.floor(Date.now() / 1000) - seconds;

describe("what is refused", () => {
  test("a workspace, plan, pack or price that is not there is named", async ({ db }) => {
    const till = new Till(db);
    const { workspace } = await till.customer();
    const [plan, pack] = [await till.plan(), await till.pack(5)];
    const ask = (wish: Parameters<typeof start>[2]) => outcome(start(db, workspace, wish));
    expect(await outcome(start(db, randomUUID(), { plan: plan.code }))).toBe("not_found");
    expect(await ask({ plan: "no_such" })).toBe("plan_unknown");
    expect(await ask({ plan: plan.code, number: 2 })).toBe("plan_unknown");
    expect(await ask({ pack: "no_such" })).toBe("pack_unknown");
    expect(await ask({ plan: plan.code, currency: "usd" })).toBe("price_unknown");
    expect(await ask({ plan: plan.code, interval: ["year", 1] })).toBe("price_unknown");
    expect(await ask({ plan: plan.code, interval: ["month", 3] })).toBe("price_unknown");
    expect(await ask({ pack: pack.code, currency: "usd" })).toBe("price_unknown");
    expect(await ask({ pack: pack.code, quantity: 0 })).toBe("23514");
    expect(await rows(db, "select from payments.purchase where workspace_id = $1", [workspace])).toEqual([]);
  });

  test("a price that the provider does not have yet is not sold", async ({ db }) => {
    const till = new Till(db);
    const [pack, { workspace }] = [await till.pack(5), await till.customer()];
    await db.query("update billing.price set provider_id = null where provider_id = $1", [pack.price]);
    expect(await outcome(start(db, workspace, { pack: pack.code }))).toBe("price_not_published");
  });

  test("a second subscription is refused with the state of the first; a pack is not", async ({ db }) => {
    const till = new Till(db);
    const [plan, pack, customer] = [await till.plan(), await till.pack(5), await till.customer()];
    await till.send("customer.subscription.created", subscriptionFact(customer, "sub_exists", plan.price), past(100));
    expect(await refusal(start(db, customer.workspace, { plan: plan.code }))).toEqual({
      code: "subscription_exists",
      state: "active",
    });
    expect(await outcome(start(db, customer.workspace, { pack: pack.code }))).toBe("done");
  });

  test("a frozen workspace buys nothing", async ({ db }) => {
    const till = new Till(db);
    const [plan, pack, { workspace }] = [await till.plan(), await till.pack(5), await till.customer()];
    await call(db, "people.freeze_workspace", { workspace_id: workspace, reason: "fraud", caused_by: "test" });
    for (const wish of [{ plan: plan.code }, { pack: pack.code }]) {
      expect(await refusal(start(db, workspace, wish))).toEqual({ code: "workspace_frozen", reason: "fraud" });
    }
    await call(db, "people.unfreeze_workspace", { workspace_id: workspace, caused_by: "test" });
    expect(await outcome(start(db, workspace, { pack: pack.code }))).toBe("done");
  });

  test("a workspace whose plan is over buys no pack, but a plan: that is paying", async ({ db }) => {
    const till = new Till(db);
    const [plan, pack, customer] = [await till.plan(), await till.pack(5), await till.customer()];
    await till.send("customer.subscription.created", subscriptionFact(customer, "sub_over", plan.price), past(100));
    const over = subscriptionFact(customer, "sub_over", plan.price, {
      event: "deleted",
      status: "canceled",
      ended_at: past(50),
    });
    await till.send("customer.subscription.deleted", over, past(50));
    expect(await refusal(start(db, customer.workspace, { pack: pack.code }))).toEqual({
      code: "workspace_read_only",
      reason: "canceled",
    });
    expect(await start(db, customer.workspace, { plan: plan.code })).toMatchObject({ state: "pending" });
  });

  test("a workspace that owes buys no pack when its grace is over, and does while it lasts", async ({ db }) => {
    const till = new Till(db);
    const [plan, pack, customer] = [await till.plan({ grace_days: 7 }), await till.pack(5), await till.customer()];
    await till.send("customer.subscription.created", subscriptionFact(customer, "sub_owes", plan.price), past(100));
    const owes = subscriptionFact(customer, "sub_owes", plan.price, { status: "past_due" });
    await till.send("customer.subscription.updated", owes, past(50));
    expect(await outcome(start(db, customer.workspace, { pack: pack.code }))).toBe("done");
    await advance(db, "7 days");
    expect(await refusal(start(db, customer.workspace, { pack: pack.code }))).toEqual({
      code: "workspace_read_only",
      reason: "past_due",
    });
  });
});

describe("a checkout for a plan", () => {
  test("that is open is the same for whoever wants the same again, and stands in the way of another", async ({
    db,
  }) => {
    const till = new Till(db);
    const [plan, other, customer] = [await till.plan({ trial_days: 14 }), await till.plan(), await till.customer()];
    const first = await start(db, customer.workspace, { plan: plan.code });
    expect(first).toMatchObject({
      kind: "subscription",
      mode: "subscription",
      state: "pending",
      url: null,
      price_provider_id: plan.price,
      trial_days: 14,
      customer_id: customer.customer,
      customer_token: null,
    });
    expect(first.session_token).not.toBeNull();
    const again = await start(db, customer.workspace, { plan: plan.code });
    expect(again).toMatchObject({ id: first.id, session_token: null });
    for (const wish of [{ plan: other.code }, { plan: plan.code, quantity: 2 }]) {
      expect(await refusal(start(db, customer.workspace, wish))).toMatchObject({
        code: "checkout_open",
        id: first.id,
        url: null,
      });
    }
  });

  test("of two plans at once, one is open and the other is refused", async ({ db }) => {
    const till = new Till(db);
    const [one, two, { workspace }] = [await till.plan(), await till.plan(), await till.customer()];
    const outcomes = await race(20, (i) => outcome(start(db, workspace, { plan: (i % 2 === 0 ? one : two).code })));
    expect(outcomes.filter((what) => what === "done")).toHaveLength(10);
    expect(outcomes.filter((what) => what === "checkout_open")).toHaveLength(10);
    const open = await rows(db, "select from payments.purchase where workspace_id = $1", [workspace]);
    expect(open).toHaveLength(1);
    const second = db.query(
      `insert into payments.purchase select (jsonb_populate_record(p, jsonb_build_object('id', uuidv7()))).*
         from payments.purchase p where workspace_id = $1`,
      [workspace],
    );
    expect(await refusal(second)).toMatchObject({ constraint: "purchase_of_plan_open_once" });
  });

  test("stays the open one after its time, until the provider says that it is over", async ({ db }) => {
    const till = new Till(db);
    const [plan, customer] = [await till.plan(), await till.customer()];
    const { purchase, session } = await till.checkout(customer, { plan });
    await advance(db, "25 hours");
    expect(await start(db, customer.workspace, { plan: plan.code })).toMatchObject({
      id: purchase,
      session_id: session,
    });
    const due = await call<{ ids: string[]; session_ids: string[]; customer_ids: string[] }>(
      db,
      "payments.claim_checks",
      {
        batch: 100,
        lease: "1 minute",
      },
    );
    const at = due.ids.indexOf(purchase);
    expect([due.session_ids[at], due.customer_ids[at]]).toEqual([session, customer.customer]);
    const fact = checkoutFact(
      customer,
      { purchase, session },
      { status: "expired", payment_status: "unpaid", event: null },
    );
    expect(await syncCheckout(db, purchase, fact)).toMatchObject({ id: purchase, state: "expired" });
    expect(await purchaseOf(db, purchase)).toMatchObject({ url: null, is_over: true, is_checked: false });
    const next = await start(db, customer.workspace, { plan: plan.code });
    expect(next.id).not.toBe(purchase);
  });

  test("gives one trial to a workspace", async ({ db }) => {
    const till = new Till(db);
    const [plan, customer] = [await till.plan({ trial_days: 14 }), await till.customer()];
    await till.send("customer.subscription.created", subscriptionFact(customer, "sub_tried", plan.price), past(100));
    const over = subscriptionFact(customer, "sub_tried", plan.price, { event: "deleted", status: "canceled" });
    await till.send("customer.subscription.deleted", over, past(50));
    expect(await start(db, customer.workspace, { plan: plan.code })).toMatchObject({ trial_days: 0 });
  });

  test("of the newest version, or of the one that is named; packs may be open as many as are wanted", async ({
    db,
  }) => {
    const till = new Till(db);
    const old = await till.plan({ amount: 100 });
    const young = await till.plan({ amount: 200 }, old.code);
    const [one, two] = [await till.customer(), await till.customer()];
    expect(await start(db, one.workspace, { plan: old.code })).toMatchObject({ price_provider_id: young.price });
    expect(await start(db, two.workspace, { plan: old.code, number: 1 })).toMatchObject({
      price_provider_id: old.price,
    });
    const pack = await till.pack(5);
    const bought = [
      await start(db, one.workspace, { pack: pack.code, quantity: 3 }),
      await start(db, one.workspace, { pack: pack.code, quantity: 3 }),
    ];
    expect(new Set(bought.map(({ id }) => id)).size).toBe(2);
    expect(bought[0]).toMatchObject({ mode: "payment", quantity: 3, kind: "credit_pack" });
    const amounts = await rows(db, "select amount_minor::bigint from payments.purchase where id = $1", [bought[0]?.id]);
    expect(amounts).toEqual([{ amount_minor: 3000 }]);
  });
});
