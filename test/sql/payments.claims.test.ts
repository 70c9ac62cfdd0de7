import { randomUUID } from "node:crypto";
import type { Pool } from "pg";
import { describe, expect } from "vitest";
import { race, tally } from "../support/barrier.ts";
import { claim, purchaseOf, recordCustomer, recordSession, start, syncCheckout } from "../support/buying.ts";
import { advance, call, outcome, refusal, rows } from "../support/scenario.ts";
import { Till, invoiceFact } from "../support/till.ts";
import { test } from "../support/sql.ts";

/** A workspace that nobody at the provider knows. */
async function stranger(db: Pool): Promise<string> {
  return (await call<{ id: string }>(db, "people.create_workspace", { name: "A", caused_by: "test" })).id;
}

const customers = (db: Pool, workspace: string) =>
  rows<{ number: number; provider_id: string | null; is_deleted: boolean }>(
    db,
    `select number, provider_id, deleted_at is not null as is_deleted from payments.customer
      where workspace_id = $1 order by number`,
    [workspace],
  );

describe("a workspace's customer", () => {
  test("B1 twenty checkouts at once of a new workspace: one row, one right to make it", async ({ db }) => {
    const [pack, workspace] = [await new Till(db).pack(5), await stranger(db)];
    const claims = await race(20, () => start(db, workspace, { pack: pack.code }));
    expect(tally(claims.map(({ customer_token }) => (customer_token === null ? "waits" : "makes")))).toEqual({
      makes: 1,
      waits: 19,
    });
    expect(claims.every(({ customer_id, customer_number }) => customer_id === null && customer_number === 1)).toBe(
      true,
    );
    // A session is made with a customer only: who has no right to make one has none to the session.
    for (const { customer_token, session_token } of claims)
      expect(session_token === null).toBe(customer_token === null);
    expect(await customers(db, workspace)).toEqual([{ number: 1, provider_id: null, is_deleted: false }]);
  });

  test("B1 is written once: who comes with an older right is answered the one that stands", async ({ db }) => {
    const [pack, workspace] = [await new Till(db).pack(5), await stranger(db)];
    const dead = await start(db, workspace, { pack: pack.code });
    expect((await claim(db, dead.id)).customer_token).toBeNull();
    await advance(db, "20 seconds");
    expect((await claim(db, dead.id)).customer_token).toBeNull();
    await advance(db, "11 seconds");
    const next = await claim(db, dead.id);
    expect(next.customer_token).not.toBeNull();
    expect(next.customer_token).not.toBe(dead.customer_token);
    const given = (token: string | null, customer: string) =>
      recordCustomer(db, workspace, { number: 1, token, customer });
    expect(await given(dead.customer_token, "cus_dead")).toMatchObject({ customer: null });
    expect(await given(randomUUID(), "cus_liar")).toMatchObject({ customer: null });
    expect(await given(next.customer_token, "cus_stands")).toMatchObject({ customer: "cus_stands" });
    expect(await given(dead.customer_token, "cus_dead")).toMatchObject({ customer: "cus_stands" });
    expect(await given(next.customer_token, "cus_other")).toMatchObject({ customer: "cus_stands" });
    expect(await customers(db, workspace)).toEqual([{ number: 1, provider_id: "cus_stands", is_deleted: false }]);
    const wrong = { number: 2, token: next.customer_token, customer: "cus_two" };
    expect(await outcome(recordCustomer(db, workspace, wrong))).toBe("not_found");
  });

  test("B1 two living rows, or one customer of two workspaces, are impossible", async ({ db }) => {
    const till = new Till(db);
    const [one, pack, workspace] = [await till.customer(), await till.pack(5), await stranger(db)];
    const second = db.query(
      "insert into payments.customer (workspace_id, provider, number, claimed_at) values ($1, 'stripe', 2, ops.now())",
      [one.workspace],
    );
    expect(await refusal(second)).toMatchObject({ constraint: "customer_live_once" });
    const { customer_token: token } = await start(db, workspace, { pack: pack.code });
    const stolen = recordCustomer(db, workspace, { number: 1, token, customer: one.customer });
    expect(await refusal(stolen)).toMatchObject({ constraint: "customer_provider_id_once" });
  });

  test("B1 is looked for when it was first claimed so long ago that the provider may have forgotten", async ({
    db,
  }) => {
    const [pack, workspace] = [await new Till(db).pack(5), await stranger(db)];
    const first = await start(db, workspace, { pack: pack.code });
    expect(first.search_customer).toBe(false);
    await advance(db, "22 hours 59 minutes");
    expect(await claim(db, first.id)).toMatchObject({ search_customer: false, customer_number: 1 });
    await advance(db, "2 minutes");
    const late = await claim(db, first.id);
    expect(late).toMatchObject({ search_customer: true, customer_number: 1 });
    expect(late.customer_token).not.toBeNull();
  });

  test("B1 that was deleted is followed by the next number; what it pays late is still the workspace's", async ({
    db,
  }) => {
    const till = new Till(db);
    const [pack, plan, customer] = [
      await till.pack(5),
      await till.plan({ included_credits: 3 }),
      await till.customer(),
    ];
    const deleted = { kind: "customer", customer: customer.customer, deleted: true };
    expect(await till.send("customer.deleted", deleted)).toMatchObject({ outcome: "deleted" });
    expect(await till.send("customer.deleted", deleted)).toMatchObject({ outcome: "known" });
    expect(await till.send("customer.deleted", { ...deleted, customer: "cus_foreign" })).toMatchObject({
      outcome: "not_ours",
    });
    const next = await start(db, customer.workspace, { pack: pack.code });
    expect(next).toMatchObject({ customer_id: null, customer_number: 2, search_customer: false });
    const made = { number: 2, token: next.customer_token, customer: `${customer.customer}_2` };
    await recordCustomer(db, customer.workspace, made);
    await till.send("invoice.paid", invoiceFact(customer, "sub_late_payer", plan.price));
    expect(await till.credits(customer.workspace)).toEqual({ subscription: 3 });
    expect(await customers(db, customer.workspace)).toEqual([
      { number: 1, provider_id: customer.customer, is_deleted: true },
      { number: 2, provider_id: `${customer.customer}_2`, is_deleted: false },
    ]);
  });
});

describe("a purchase's session", () => {
  test("is made by one caller at a time, and by the next when the first never came back", async ({ db }) => {
    const till = new Till(db);
    const [pack, { workspace }] = [await till.pack(5), await till.customer()];
    const { id, session_token: dead } = await start(db, workspace, { pack: pack.code });
    const claims = await race(10, () => claim(db, id));
    expect(claims.filter(({ session_token }) => session_token !== null)).toEqual([]);
    await advance(db, "31 seconds");
    const again = await race(10, () => claim(db, id));
    const [next, ...others] = again.filter(({ session_token }) => session_token !== null);
    expect(others).toEqual([]);
    expect(await recordSession(db, id, dead, "cs_dead")).toMatchObject({
      state: "pending",
      session_id: null,
      url: null,
    });
    const standing = { state: "pending", session_id: "cs_made", url: "https://pay.example/cs_made" };
    expect(await recordSession(db, id, next?.session_token ?? null, "cs_made")).toMatchObject(standing);
    for (const token of [dead, next?.session_token ?? null, randomUUID()]) {
      expect(await recordSession(db, id, token, "cs_other")).toMatchObject(standing);
    }
    expect(await claim(db, id)).toMatchObject({ session_id: "cs_made", session_token: null, customer_token: null });
    expect(await outcome(claim(db, randomUUID()))).toBe("not_found");
    expect(await outcome(recordSession(db, randomUUID(), null, "cs_x"))).toBe("not_found");
  });

  test("that comes when the purchase is over is nobody's", async ({ db }) => {
    const till = new Till(db);
    const [plan, { workspace }] = [await till.plan(), await till.customer()];
    const { id, session_token } = await start(db, workspace, { plan: plan.code });
    // While somebody may be making it, that the provider has none yet says nothing.
    expect(await syncCheckout(db, id, null)).toMatchObject({ id, state: "pending" });
    await advance(db, "31 seconds");
    expect(await syncCheckout(db, id, null)).toMatchObject({ id, state: "expired" });
    expect(await recordSession(db, id, session_token, "cs_too_late")).toMatchObject({
      state: "expired",
      session_id: null,
    });
    expect(await purchaseOf(db, id)).toMatchObject({ state: "expired", provider_id: null, is_over: true });
    expect(await claim(db, id)).toMatchObject({ state: "expired", session_token: null });
    expect(await outcome(start(db, workspace, { plan: plan.code }))).toBe("done");
  });

  test("that is there is not undone by an answer that there is none", async ({ db }) => {
    const till = new Till(db);
    const [pack, customer] = [await till.pack(5), await till.customer()];
    const { purchase } = await till.checkout(customer, { pack });
    expect(await syncCheckout(db, purchase, null)).toMatchObject({ id: purchase, state: "pending" });
    expect(await outcome(syncCheckout(db, randomUUID(), null))).toBe("not_found");
  });

  test("of which nobody told is asked for: by one Worker, until its lease has passed", async ({ db }) => {
    const till = new Till(db);
    const [pack, customer] = [await till.pack(5), await till.customer()];
    const { id } = await start(db, customer.workspace, { pack: pack.code });
    const checks = async () =>
      (await call<{ ids: string[] }>(db, "payments.claim_checks", { batch: 100, lease: "30 minutes" })).ids.filter(
        (one) => one === id,
      );
    expect(await checks()).toEqual([]);
    await advance(db, "15 minutes");
    expect((await race(6, checks)).flat()).toEqual([id]);
    await advance(db, "29 minutes");
    expect(await checks()).toEqual([]);
    await advance(db, "2 minutes");
    expect(await checks()).toEqual([id]);
  });
});
