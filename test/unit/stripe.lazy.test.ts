import { afterEach, expect, test, vi } from "vitest";
import worker from "../../functions/worker.ts";

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

/** What the Worker answers, whatever it logs. */
async function statusOf(path: string, init?: RequestInit): Promise<number> {
  vi.spyOn(console, "log").mockReturnValue(undefined);
  vi.spyOn(console, "error").mockReturnValue(undefined);
  const context = { waitUntil: () => undefined, passThroughOnException: () => undefined, props: {} };
  const fetch: Function = worker.fetch;
  const answer: Response = await fetch(new Request(`https://tollgate.example${path}`, init), env, context);
  return answer.status;
}

afterEach(() => vi.restoreAllMocks());

test("a request that asks nothing of Stripe does not wait for its package: only a signature that may be right does", async () => {
  expect(await statusOf("/health")).toBe(200);
  expect(await statusOf("/v1/workspaces")).toBe(401);
  const post = (header: string) => ({ method: "POST", body: "{}", headers: { "Stripe-Signature": header } });
  expect(await statusOf("/webhooks/stripe", post("t=1,v1=old,t=2"))).toBe(400);
  expect(seen.evaluated).toBe(0);
  expect(await statusOf("/webhooks/stripe", post(`t=${Math.floor(Date.now() / 1000)},v1=wrong`))).toBe(400);
  expect(seen.evaluated).toBe(1);
});
