import { expect } from "vitest";
import { places, test } from "../support/market.ts";

test("D1 what a workspace pays at Stripe earns its referrer a part; a dispute takes it back until it is won", async ({
  market,
  api,
  db,
}) => {
  const plan = await market.plan({ amount_minor: 1995 });
  const [referrer, payer] = [await api.workspace(), await api.workspace()];
  expect((await api.put("/v1/referral_policy", { percent: 10, recurring: false })).body).toEqual({
    percent: 10,
    recurring: false,
  });
  await api.put(`${payer.path}/referrer`, { referrer: referrer.id });
  const shown = async () => {
    const { body } = await api.get(`${referrer.path}/balance`);
    return body["data"];
  };

  // Stripe is asked, without waiting until it is due, which invoice an intent paid and what became of its dispute.
  const asked = async () => {
    await db.query("update payments.intent set link_due_at = ops.now()");
    expect((await api.post("/v1/sweeps/stripe_links/run", {})).status).toBe(200);
  };

  // The invoice is told before the checkout.
  market.stripe.deliveries = "held";
  await market.pay(await api.post(`${payer.path}/checkout`, { plan, currency: "eur", ...places }));
  const invoice = market.stripe.events("invoice.paid").at(-1);
  if (invoice === undefined) throw new Error("nothing was paid");
  await market.stripe.deliver(invoice, { times: 3 });
  market.stripe.deliveries = "automatic";
  await market.stripe.settled();

  expect(await shown()).toEqual([{ currency: "eur", available: 199, held: 0, debt: 0 }]);
  const reward = { workspace_id: payer.id, amount_minor: 199, currency: "eur", taken_back: 0 };
  expect((await api.get(`${referrer.path}/rewards`)).body).toEqual({
    data: [{ ...reward, payment_id: expect.any(String), created_at: expect.any(String) }],
    next_cursor: null,
  });
  const intent = [...market.stripe.state.payment_intents.values()].at(-1)?.id ?? "";
  const { id } = market.stripe.openDispute({ payment: intent });
  await market.stripe.settled();
  await asked();
  expect(await shown()).toEqual([{ currency: "eur", available: 0, held: 0, debt: 0 }]);
  expect((await api.get(`${referrer.path}/rewards`)).body).toMatchObject({ data: [{ ...reward, taken_back: 199 }] });
  expect((await api.get(`${referrer.path}/referrals`)).body).toEqual({
    data: [
      {
        workspace_id: payer.id,
        earned: [{ currency: "eur", amount_minor: 199, taken_back: 199 }],
        created_at: expect.any(String),
      },
    ],
    next_cursor: null,
  });
  market.stripe.closeDispute(id, "won");
  await market.stripe.settled();
  await asked();
  expect(await shown()).toEqual([{ currency: "eur", available: 199, held: 0, debt: 0 }]);
});

test("a referrer is said once for ever, by an operator; who may read sees it", async ({ api }) => {
  const [a, b, c] = [await api.workspace(), await api.workspace(), await api.workspace()];
  const nobody = { workspace_id: b.id, referrer_id: null, created_at: null };
  expect((await api.get(`${b.path}/referrer`)).body).toEqual(nobody);
  const said = await api.put(`${b.path}/referrer`, { referrer: a.id });
  expect([said.status, said.body]).toMatchObject([200, { workspace_id: b.id, referrer_id: a.id }]);
  expect((await api.put(`${b.path}/referrer`, { referrer: a.id })).body).toEqual(said.body);
  expect((await api.get(`${b.path}/referrer`)).body).toEqual(said.body);
  for (const [path, referrer, status, body] of [
    [b.path, c.id, 409, { code: "referrer_fixed", referrer_id: a.id }],
    [a.path, b.id, 409, { code: "referral_cycle" }],
    [a.path, a.id, 422, { code: "referral_self" }],
    [a.path, crypto.randomUUID(), 422, { code: "referrer_unknown" }],
    [`/v1/workspaces/${crypto.randomUUID()}`, a.id, 404, { code: "not_found" }],
    [a.path, a.id.toUpperCase(), 400, { errors: [{ pointer: "/referrer" }] }],
  ] as const) {
    const refused = await api.put(`${path}/referrer`, { referrer });
    expect([refused.status, refused.body]).toMatchObject([status, body]);
  }
  const own = await api.withKey(["billing:read", "billing:write"], b.id);
  expect((await own.get(`${b.path}/referrer`)).body).toEqual(said.body);
  expect((await own.get(`${a.path}/referrals`)).status).toBe(404);
  expect((await own.put(`${b.path}/referrer`, { referrer: c.id })).body["code"]).toBe("forbidden");
  expect((await own.get("/v1/referral_policy")).body["code"]).toBe("operator_key_required");
  const audit = await api.get("/v1/audit?limit=1");
  expect(audit.body["data"]).toMatchObject([{ action: expect.any(String), actor: expect.stringMatching(/^key:/) }]);
});

test("those whom a workspace brought are paged, newest first, each once", async ({ api }) => {
  const referrer = await api.workspace();
  const brought: string[] = [];
  for (let i = 0; i < 5; i += 1) {
    const { id, path } = await api.workspace();
    await api.put(`${path}/referrer`, { referrer: referrer.id });
    brought.unshift(id);
  }
  const seen: unknown[] = [];
  for (let cursor: unknown = ""; cursor !== null;) {
    const query = typeof cursor === "string" && cursor !== "" ? `&cursor=${cursor}` : "";
    const { body } = await api.get(`${referrer.path}/referrals?limit=2${query}`);
    seen.push(...(Array.isArray(body["data"]) ? body["data"] : []));
    cursor = body["next_cursor"];
  }
  expect(seen).toMatchObject(brought.map((workspace_id) => ({ workspace_id, earned: [] })));
  expect((await api.get(`${referrer.path}/rewards?cursor=nonsense`)).body["code"]).toBe("cursor_invalid");
});

test("a policy is a whole percentage from 0 to 100", async ({ api }) => {
  for (const [body, pointer] of [
    [{ percent: -1, recurring: false }, "/percent"],
    [{ percent: 101, recurring: false }, "/percent"],
    [{ percent: 2.5, recurring: false }, "/percent"],
    [{ percent: 5, recurring: "yes" }, "/recurring"],
  ] as const) {
    const refused = await api.put("/v1/referral_policy", body);
    expect([refused.status, refused.body["errors"]]).toMatchObject([400, [{ pointer }]]);
  }
  await api.put("/v1/referral_policy", { percent: 25, recurring: true });
  expect((await api.get("/v1/referral_policy")).body).toEqual({ percent: 25, recurring: true });
});
