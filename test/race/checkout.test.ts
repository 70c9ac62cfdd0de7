import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { idOf, type Answer, type Workspace } from "../support/api.ts";
import { race, tally } from "../support/barrier.ts";
import { openMarket, places, type Market } from "../support/market.ts";
import { failures, test as inArena, times } from "./arena.ts";

const test = inArena
  .extend("trade", { scope: "file" }, async ({ world }, { onCleanup }) => {
    const market = await openMarket(world);
    onCleanup(async () => {
      await market.stripe.stop();
      expect(failures(market.worker.logs)).toEqual([]);
    });
    return market;
  })
  .extend("market", ({ trade }, { onCleanup }) => {
    onCleanup(() => trade.stripe.faults.clear());
    return trade;
  });

const rounds = 12;
const callers = 20;

/** The customers and sessions that Stripe has for a workspace. */
function atStripe({ stripe }: Market, workspace: Workspace) {
  const customers = [...stripe.state.customers.values()].filter(
    ({ metadata }) => metadata["tollgate_workspace"] === workspace.id,
  );
  const ids = new Set(customers.map(({ id }) => id));
  const sessions = [...stripe.state.sessions.values()].filter(
    ({ customer }) => typeof customer === "string" && ids.has(customer),
  );
  return { customers, sessions };
}

const statuses = (answers: Answer[]) => tally(answers.map(({ status }) => status));

test("B1 twenty checkouts of a plan for a new workspace at once: one customer, one row, one session", async ({
  market,
  db,
}) => {
  const plan = await market.plan();
  for (const _ of times(rounds)) {
    const workspace = await market.api.workspace();
    const answers = await race(callers, () =>
      market.api.post(`${workspace.path}/checkout`, { plan, currency: "eur", ...places }),
    );
    expect(statuses(answers)).toEqual({ 201: callers });
    expect(new Set(answers.map(({ body }) => body["url"])).size).toBe(1);
    expect(new Set(answers.map(idOf)).size).toBe(1);
    const { customers, sessions } = atStripe(market, workspace);
    expect([customers.length, sessions.length]).toEqual([1, 1]);
    const rows = await db.query("select provider_id from payments.customer where workspace_id = $1", [workspace.id]);
    expect(rows.rows).toEqual([{ provider_id: customers[0]?.id }]);
  }
});

test("B1 twenty checkouts of packs for a new workspace at once: one customer, twenty sessions", async ({
  market,
  db,
}) => {
  const pack = await market.pack();
  for (const _ of times(rounds / 2)) {
    const workspace = await market.api.workspace();
    const answers = await race(callers, () =>
      market.api.post(`${workspace.path}/checkout`, { pack, currency: "eur", ...places }),
    );
    expect(statuses(answers)).toEqual({ 201: callers });
    expect(new Set(answers.map(({ body }) => body["url"])).size).toBe(callers);
    const { customers, sessions } = atStripe(market, workspace);
    expect([customers.length, sessions.length]).toEqual([1, callers]);
    const rows = await db.query("select from payments.customer where workspace_id = $1", [workspace.id]);
    expect(rows.rowCount).toBe(1);
  }
});

test("A1 one checkout sent twenty times at once under one key is one purchase and one session", async ({
  market,
  db,
}) => {
  const pack = await market.pack();
  for (const _ of times(rounds / 2)) {
    const workspace = await market.api.workspace();
    const key = randomUUID();
    const answers = await race(callers, () =>
      market.api.post(`${workspace.path}/checkout`, { pack, currency: "eur", ...places }, key),
    );
    expect(statuses(answers)).toEqual({ 201: callers });
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    const { customers, sessions } = atStripe(market, workspace);
    expect([customers.length, sessions.length]).toEqual([1, 1]);
    const rows = await db.query("select from payments.purchase where workspace_id = $1", [workspace.id]);
    expect(rows.rowCount).toBe(1);
  }
});

test("B1 a customer whose making is slow is waited for, and not made by those who wait", async ({ market }) => {
  const plan = await market.plan();
  const workspace = await market.api.workspace();
  market.stripe.faults.next({ kind: "delay", ms: 1500, match: "POST /v1/customers" });
  market.stripe.faults.next({ kind: "delay", ms: 700, match: "POST /v1/checkout/sessions" });
  const answers = await race(5, () =>
    market.api.post(`${workspace.path}/checkout`, { plan, currency: "eur", ...places }),
  );
  expect(statuses(answers)).toEqual({ 201: 5 });
  const { customers, sessions } = atStripe(market, workspace);
  expect([customers.length, sessions.length]).toEqual([1, 1]);
});

test.for(["customers", "checkout/sessions"])(
  "B1 a call of %s that dies, before or after Stripe did it, is finished by the next caller, once",
  async (what, { market, db }) => {
    const plan = await market.plan();
    for (const when of ["before", "after"] as const) {
      const workspace = await market.api.workspace();
      const body = { plan, currency: "eur", ...places };
      const key = randomUUID();
      market.stripe.faults.next({ kind: "drop", when, match: `POST /v1/${what}`, times: 4 });
      const lost = await market.api.post(`${workspace.path}/checkout`, body, key);
      expect([lost.status, lost.body["code"]]).toEqual([503, "provider_unavailable"]);
      market.stripe.faults.clear();
      // The lease of who died runs out.
      await db.query(
        "update payments.customer set leased_until = ops.now() where workspace_id = $1 and provider_id is null",
        [workspace.id],
      );
      await db.query("update payments.purchase set leased_until = ops.now() where workspace_id = $1", [workspace.id]);
      const answers = await race(5, (i) =>
        market.api.post(`${workspace.path}/checkout`, body, i === 0 ? key : randomUUID()),
      );
      expect(statuses(answers)).toEqual({ 201: 5 });
      expect(new Set(answers.map(({ body: made }) => made["url"])).size).toBe(1);
      const { customers, sessions } = atStripe(market, workspace);
      expect([customers.length, sessions.length]).toEqual([1, 1]);
    }
  },
);

test("B1 a day later, when Stripe has forgotten the key, the customer that was made is found and not made again", async ({
  market,
  db,
}) => {
  const pack = await market.pack();
  const workspace = await market.api.workspace();
  const body = { pack, currency: "eur", ...places };
  market.stripe.faults.next({ kind: "drop", when: "after", match: "POST /v1/customers", times: 4 });
  expect((await market.api.post(`${workspace.path}/checkout`, body)).status).toBe(503);
  market.stripe.faults.clear();
  market.stripe.state.answers.clear();
  const aDayAgo = "leased_until = null, claimed_at = ops.now() - interval '1 day'";
  await db.query(`update payments.customer set ${aDayAgo} where workspace_id = $1`, [workspace.id]);
  expect((await market.api.post(`${workspace.path}/checkout`, body)).status).toBe(201);
  expect(atStripe(market, workspace).customers).toHaveLength(1);
});
