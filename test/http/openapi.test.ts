import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import * as z from "zod";
import { problems } from "../../src/http/problem.ts";
import { Api, idOf, textOf, type Answer } from "../support/api.ts";
import { needed, operations, type Operation } from "../support/operations.ts";
import { places, test as inMarket } from "../support/market.ts";
import { startProvisioner } from "../world/provisioner.ts";

const test = inMarket.extend("routes", { scope: "file" }, ({ trade }) => operations(trade.worker.url));

const madeOnce = new Set(["createPlan", "createPack"]);

test("every route is described: its scope, its refusals, its answer", ({ routes }) => {
  expect(routes.length).toBeGreaterThan(20);
  expect(new Set(routes.map(({ id }) => id)).size).toBe(routes.length);
  for (const route of routes) {
    expect(route.summary, route.id).toMatch(/\S/);
    expect(route.tags, route.id).toHaveLength(1);
    const done = Object.keys(route.answers).filter((status) => status.startsWith("2"));
    // Two where what is made may be there already.
    expect(done, route.id).toEqual(madeOnce.has(route.id) ? ["200", "201"] : [expect.any(String)]);
    if (!route.path.startsWith("/v1")) continue;
    expect(route.scope, route.id).toMatch(/^[a-z]+:[a-z]+$/);
    for (const status of ["400", "401", "403", "500", "503"]) expect(route.answers, route.id).toHaveProperty(status);
  }
});

test("what moves value needs an Idempotency-Key, and says so", async ({ api, routes }) => {
  const moving = routes.filter(({ method, path }) => method !== "GET" && path.includes("/credits/"));
  expect(moving.length).toBe(10);
  for (const route of moving) {
    expect(route.headers, route.id).toEqual([{ name: "Idempotency-Key", required: true }]);
    const path = route.path.replaceAll(/\{\w+\}/g, randomUUID());
    const answer = await api.call(route.method, path, { body: route.example });
    expect([route.id, answer.status, answer.body["code"]]).toEqual([route.id, 400, "idempotency_key_required"]);
  }
});

test("a key that lacks a route's scope, and only that, is refused by its name", async ({ api, routes }) => {
  const secured = routes.filter(({ scope }) => scope !== null);
  const scopes = [...new Set(secured.map(({ scope }) => scope ?? ""))];
  const { id } = await api.workspace();
  for (const scope of scopes) {
    const lacking = await api.withKey(scopes.filter((other) => other !== scope));
    for (const route of secured.filter((other) => other.scope === scope)) {
      const path = route.path.replace("{workspace}", id).replaceAll(/\{\w+\}/g, randomUUID());
      const call = route.method === "GET" ? {} : { body: route.example, key: randomUUID() };
      const answer = await lacking.call(route.method, `${path}?${needed(route)}`, call);
      expect([route.id, answer.status, answer.body["code"], answer.body["scope"]]).toEqual([
        route.id,
        403,
        "forbidden",
        scope,
      ]);
    }
  }
});

test("every code of the table is described, and each example body is taken", async ({ market, api, routes }) => {
  const document: unknown = await (await fetch(`${market.worker.url}/openapi.json`)).json();
  expect(document).toHaveProperty("openapi", "3.1.0");
  expect(document).toHaveProperty("components.schemas.Problem.properties.code.enum", Object.keys(problems));
  const { id } = await api.workspace({ bulk: 100 });
  for (const route of routes.filter(({ body }) => body !== null)) {
    const path = route.path.replace("{workspace}", id).replaceAll(/\{\w+\}/g, randomUUID());
    const answer = await api.call(route.method, path, { body: route.example, key: randomUUID() });
    expect([route.id, answer.status]).not.toEqual([route.id, 400]);
  }
});

test("the answers fit their descriptions", async ({ db, world, market, api, routes }) => {
  const seen = new Set<string>();
  const check = async (id: string, path: string, body?: unknown, at = api): Promise<Answer> => {
    const route = find(routes, id);
    const call = body === undefined ? {} : { body, key: randomUUID() };
    const answer = await at.call(route.method, path, call);
    const schema = route.answers[String(answer.status)];
    if (schema === undefined)
      throw new Error(`${id} does not describe ${answer.status} ${JSON.stringify(answer.body)}`);
    expect(answer.status, `${id} ${JSON.stringify(answer.body)}`).toBeLessThan(300);
    const parsed = z.fromJSONSchema(JSON.parse(JSON.stringify(schema))).safeParse(answer.body);
    expect(parsed.error, `${id} ${JSON.stringify(answer.body)}`).toBeUndefined();
    seen.add(id);
    return answer;
  };
  const workspace = idOf(await check("createWorkspace", "/v1/workspaces", { name: "Acme" }));
  const path = `/v1/workspaces/${workspace}`;
  const credits = `${path}/credits`;
  await check("getWorkspace", path);
  await check("listWorkspaces", "/v1/workspaces?limit=1");
  await check("grantCredits", `${credits}/grants`, { pool: "promo", amount: 9, expires_at: "2098-01-01T00:00:00Z" });
  await check("resetSubscriptionCredits", `${credits}/pools/subscription`, { amount: 20 });
  const spent = await check("spendCredits", `${credits}/spend`, { amount: 21 });
  await check("spendCreditsBatch", `${credits}/spend/batch`, {
    items: [
      { key: "a", amount: 1 },
      { key: "b", amount: 1000 },
    ],
  });
  const hold = async () => idOf(await check("holdCredits", `${credits}/holds`, { amount: 2, expires_in: 60 }));
  const [one, other] = [await hold(), await hold()];
  await check("settleHold", `${credits}/holds/${one}/settle`, { amount: 1 });
  await check("releaseHold", `${credits}/holds/${other}/release`, {});
  await check("getHold", `${credits}/holds/${one}`);
  await check("listHolds", `${credits}/holds`);
  await check("adjustCredits", `${credits}/adjustments`, { amount: -1, reason: "x" });
  await check("reverseTransaction", `${credits}/transactions/${textOf(spent, "transaction_id")}/reverse`, {
    reason: "x",
  });
  await check("setLowCreditsMark", `${credits}/low_mark`, { below: 100 });
  await check("getCredits", credits);
  await check("listTransactions", `${credits}/transactions`);
  await check("verifyLedger", `${path}/ledger/verify`);
  await check("explainLedger", `${path}/ledger/explain?limit=100`);
  await check("freezeWorkspace", `${path}/freeze`, { reason: "x" });
  await check("unfreezeWorkspace", `${path}/unfreeze`, {});

  const price = { currency: "eur", interval: "month", amount_minor: 1000 };
  const plan = { code: "small", name: "Small", included_credits: 10, rollover: { cap: 5 }, seats: 2, prices: [price] };
  await check("createPlan", "/v1/plans", plan);
  await check("createPlan", "/v1/plans", { ...plan, code: "large", prices: [{ ...price, amount_minor: 3000 }] });
  const sold = { kind: "credit_pack", name: "A pack", quantity: 5, prices: [{ currency: "eur", amount_minor: 100 }] };
  await check("createPack", "/v1/packs", { code: "sack", ...sold });
  await market.publish();
  await check("listPlans", "/v1/plans");
  await check("listPacks", "/v1/packs");
  await check("setPolicy", "/v1/policy", { after_end: "open", shortfall: "debt" });
  await check("getPolicy", "/v1/policy");
  await check("getSubscription", `${path}/subscription`);
  const referrer = (await api.workspace()).path;
  await check("setReferralPolicy", "/v1/referral_policy", { percent: 10, recurring: true });
  await check("getReferralPolicy", "/v1/referral_policy");
  await check("setReferrer", `${path}/referrer`, { referrer: referrer.split("/").at(-1) });
  await check("getReferrer", `${path}/referrer`);
  const buying = { currency: "eur", ...places };
  const pack = await check("checkout", `${path}/checkout`, { pack: "sack", ...buying });
  await check("cancelPurchase", `${path}/purchases/${idOf(pack)}/cancel`, {});
  await market.pay(await check("checkout", `${path}/checkout`, { plan: "small", ...buying }));
  await check("recordTopup", `${path}/balance/topups`, { amount_minor: 500, currency: "eur", reference: "bank-1" });
  const campaign = idOf(await check("createCampaign", "/v1/promo_campaigns", { name: "Winter", max_redemptions: 9 }));
  await check("createPromoCode", "/v1/promo_codes", { code: "HALF", percent: 50, campaign_id: campaign });
  const off = [{ currency: "eur", amount_minor: 5 }];
  const window = { starts_at: "2026-01-01T00:00:00Z", ends_at: "2098-01-01T00:00:00Z" };
  await check("createPromoCode", "/v1/promo_codes", { code: "five", amounts: off, kinds: ["credit_pack"], ...window });
  const order = { pack: "sack", currency: "eur", quantity: 2 };
  await check("quote", `${path}/quotes`, { ...order, promo_code: "half" });
  const bought = await check("buy", `${path}/purchases`, { ...order, promo_code: "half" });
  const byHand = idOf(await check("buy", `${path}/purchases`, { ...order, provider: "manual", promo_code: "five" }));
  await check("listPromoCodes", "/v1/promo_codes");
  await check("listCampaigns", "/v1/promo_campaigns");
  await check("disablePromoCode", "/v1/promo_codes/half/disable", {});
  const money = { currency: "eur", amount_minor: 194 };
  const kept = await check("confirmPurchase", `${path}/purchases/${byHand}/payments`, {
    ...money,
    reference: "bank-2",
  });
  const settle = `${path}/payments/${textOf(kept, "payment_id")}/settle`;
  await check("settlePayment", settle, { as: "balance", reason: "x" });
  await check("confirmPurchase", `${path}/purchases/${byHand}/payments`, {
    ...money,
    amount_minor: 195,
    reference: "bank-3",
  });
  await check("getPurchase", `${path}/purchases/${byHand}`);
  await check("refundPayment", `${path}/payments/${textOf(bought, "payment_id")}/refund`, { reason: "x" });
  await check("getBalance", `${path}/balance`);
  await check("listBalanceTransactions", `${path}/balance/transactions?currency=eur`);
  await check("explainBalance", `${path}/balance/explain?currency=eur`);
  await check("listPurchases", `${path}/purchases`);
  await check("listPayments", `${path}/payments`);
  await check("listReferrals", `${referrer}/referrals`);
  await check("listRewards", `${referrer}/rewards`);
  await check("openPortal", `${path}/portal`, { return_url: places.cancel_url });
  const subscription = `${path}/subscription`;
  await check("getSubscription", subscription);
  await check("changeSubscription", `${subscription}/change`, { plan: "large", when: "period_end" });
  await check("keepSubscription", `${subscription}/keep`, {});
  await check("cancelSubscription", `${subscription}/cancel`, { when: "period_end" });
  await check("uncancelSubscription", `${subscription}/uncancel`, {});
  const who = `/v1/workspaces/${idOf(await api.post("/v1/workspaces", { name: "Who tries" }))}`;
  const trying = `${who}/subscription`;
  await check("createPlan", "/v1/plans", { ...plan, code: "tried", trial_days: 14, access: true });
  await check("startTrial", `${trying}/trial`, { plan: "tried", currency: "eur", identity: randomUUID() });
  await check("setRenewal", `${trying}/renewal`, { auto_renew: true, plan: "small", quantity: 2 });
  await check("listWorkspaceAccessKeys", `${who}/access_keys`);
  await check("listUnfinishedAccessKeys", "/v1/access_keys?state=pending");
  const [{ id: pending, key: shown } = { id: "", key: "" }] = (
    await db.query<{ id: string; key: string }>("select id, key from access.key")
  ).rows;
  await check("getAccess", `/v1/access/${shown}`);
  const provisioner = await startProvisioner();
  provisioner.keys.set(randomUUID(), { key_id: "", workspace_id: null });
  const provisioned = new Api((await world.another(provisioner.bindings)).url, world.operatorKey);
  await check("listProvisionerDifferences", "/v1/provisioner/reconcile", undefined, provisioned);
  await provisioner.stop();
  await check("removeStrays", "/v1/provisioner/strays/remove", { most: 1 });
  await check("confirmAccessKey", `/v1/access_keys/${pending}/confirm`, { state: "active" });
  await market.stripe.settled();
  await check("listBalances", `${path}/balances`);
  for (const unit of ["credit", "seat"]) await check("explainLedger", `${path}/ledger/explain?limit=100&unit=${unit}`);
  const event = market.stripe.events("invoice.paid").at(-1)?.id ?? "";
  await check("listEvents", "/v1/events");
  await check("getEvent", `/v1/events/${event}`);
  await check("replayEvent", `/v1/events/${event}/replay`, {});

  const hook = idOf(
    await check("createWebhookEndpoint", "/v1/webhook_endpoints", { url: "https://app.example/", events: ["*"] }),
  );
  const endpoint = `/v1/webhook_endpoints/${hook}`;
  await check("changeWebhookEndpoint", endpoint, { description: "the shop's", enabled: true });
  await check("getWebhookEndpoint", endpoint);
  await check("listWebhookEndpoints", "/v1/webhook_endpoints");
  await check("rotateWebhookSecret", `${endpoint}/rotate`, { keep_old_for: 60 });
  const tested = await check("testWebhookEndpoint", `${endpoint}/test`, {});
  await check("listWebhookDeliveries", `${endpoint}/deliveries`);
  await check("listWebhookEvents", "/v1/webhook_events?type=webhook.test");
  await check("replayWebhookEvent", `/v1/webhook_events/${textOf(tested, "event_id")}/replay`, { endpoint_id: hook });
  await check("replayWebhookEndpoint", `${endpoint}/replay`, { since: "2026-01-01T00:00:00Z" });
  await check("deleteWebhookEndpoint", endpoint);

  const key = idOf(await check("createKey", "/v1/keys", { name: "x", scopes: ["ops:read"], expires_in: 60 }));
  await check("revokeKey", `/v1/keys/${key}/revoke`, {});
  await check("listKeys", "/v1/keys");
  await check("listAudit", "/v1/audit");
  await check("listAlarms", "/v1/alarms");
  await check("listSweeps", "/v1/sweeps");
  await check("runSweep", "/v1/sweeps/lots_expire/run", {});
  await check("listMessages", "/v1/messages");
  const [message] = (
    await db.query<{ id: string }>(
      `insert into messages.outbox (id, channel, kind, dedupe_key, body, state, due_at, created_at)
       values (uuidv7(), 'none', 'none', 'none', '{}', 'queued', ops.now(), ops.now()) returning id`,
    )
  ).rows;
  for (const state of ["sending", "dead"]) {
    await db.query(
      "update messages.outbox set state = $1, due_at = case $1 when 'dead' then null else due_at end where id = $2",
      [state, message?.id],
    );
  }
  await check("retryMessage", `/v1/messages/${message?.id}/retry`, {});
  await db.query("select messages.claim('none', 1, '1 minute')");
  await check("listChannels", "/v1/channels");
  await check("retryChannel", "/v1/channels/none/retry", {});
  await check("listMessageKinds", "/v1/message_kinds");
  const text = { kind: "broadcast.spring", channel: "email", language: "en", subject: "Spring", body: "{{code}}" };
  await check("putTemplate", "/v1/templates", text);
  await check("listTemplates", "/v1/templates");
  await check("getTemplate", "/v1/templates/current?kind=broadcast.spring&channel=email&language=de");
  await check("getTemplate", "/v1/templates/current?kind=reminder&channel=telegram&language=de");
  await check("previewTemplate", "/v1/templates/preview", { kind: "reminder", channel: "email", language: "de" });
  const contact = await check("createContact", `${path}/contacts`, { channel: "email", address: "ada@example.com" });
  await check("listContacts", `${path}/contacts`);
  const draft = {
    name: "Spring",
    channel: "email",
    kind: "broadcast.spring",
    segment: { all: true },
    data: { code: "S" },
  };
  await check("countBroadcast", "/v1/broadcasts/dry_run", draft);
  const broadcast = `/v1/broadcasts/${idOf(await check("createBroadcast", "/v1/broadcasts", draft))}`;
  await check("startBroadcast", `${broadcast}/start`, {});
  await check("stopBroadcast", `${broadcast}/stop`, {});
  await check("resumeBroadcast", `${broadcast}/resume`, {});
  await check("getBroadcast", broadcast);
  await check("listBroadcasts", "/v1/broadcasts");
  await check("changeContact", `${path}/contacts/${idOf(contact)}`, { silenced: true });
  await check("deleteContact", `${path}/contacts/${idOf(contact)}`);
  await check("getHealth", "/health");
  await check("getReadiness", "/ready");
  expect([...seen].toSorted((a, b) => a.localeCompare(b))).toEqual(
    routes.map(({ id }) => id).toSorted((a, b) => a.localeCompare(b)),
  );
});

function find(routes: Operation[], id: string): Operation {
  const route = routes.find((known) => known.id === id);
  if (route === undefined) throw new Error(`no route ${id}`);
  return route;
}
