import { afterEach, expect, test, vi } from "vitest";
import { app } from "../../src/app.ts";
import { webhook, webhookPath } from "../../src/ops/webhook.ts";

const seen = vi.hoisted(() => ({ evaluated: 0 }));

vi.mock("stripe", (original) => {
  seen.evaluated += 1;
  return original();
});

const env = {
  DATABASE_URL: "postgres://u:p@127.0.0.1/d",
  DATABASE_FETCH_ENDPOINT: "http://127.0.0.1:1/sql",
  STRIPE_SECRET_KEY: "sk_test_1",
  STRIPE_WEBHOOK_SECRET: "whsec_1",
};

afterEach(() => vi.restoreAllMocks());

test("a request that asks nothing of Stripe does not wait for its package: only a signature that may be right does", async () => {
  vi.spyOn(console, "log").mockReturnValue(undefined);
  expect((await app.request("/health", {}, env)).status).toBe(200);
  expect((await app.request("/v1/workspaces", {}, env)).status).toBe(401);
  const deliver = (header: string) =>
    webhook.request(webhookPath, { method: "POST", body: "{}", headers: { "Stripe-Signature": header } }, env);
  expect((await deliver("t=1,v1=old,t=2")).status).toBe(400);
  expect(seen.evaluated).toBe(0);
  expect((await deliver(`t=${Math.floor(Date.now() / 1000)},v1=wrong`)).status).toBe(400);
  expect(seen.evaluated).toBe(1);
});
