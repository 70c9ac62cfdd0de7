import { createServer } from "node:http";
import type { Server } from "node:http";
import { once } from "node:events";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { StripeAccount } from "../../src/env.ts";
import { Problem } from "../../src/http/problem.ts";
import { createCustomer, standingOfCustomer } from "../../src/outside/stripe/customers.ts";

interface Reply {
  status: number;
  body: string;
  headers?: Record<string, string>;
}

let server: Server;
let reply: Reply | null = null;
let account: StripeAccount;
const keys: (string | undefined)[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    keys.push(request.headers["idempotency-key"]?.toString());
    if (reply === null) {
      request.socket.destroy();
      return;
    }
    // Whoever is told not to try again answers at once.
    response.writeHead(reply.status, { "stripe-should-retry": "false", ...reply.headers }).end(reply.body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const api_base = `http://127.0.0.1:${port}`;
  account = { secret_key: "sk_test_secret", live: false, webhook_secrets: [], api_base };
});
afterAll(() => {
  server.close();
});
afterEach(() => {
  keys.length = 0;
});

/** What a question came to. */
async function problemOf(question: Promise<unknown>): Promise<Problem> {
  const caught = await question.catch((error: unknown) => error);
  if (!(caught instanceof Problem)) throw new Error(`no problem: ${String(caught)}`);
  return caught;
}

const refusal = (status: number, error: object): Reply => ({ status, body: JSON.stringify({ error }) });

test.each<[what: string, Reply | null]>([
  ["nobody answers", null],
  ["Stripe fails", refusal(500, { type: "api_error", message: "no" })],
  ["Stripe is busy", refusal(503, { type: "api_error", message: "no" })],
  ["too many ask", refusal(429, { type: "invalid_request_error", code: "rate_limit", message: "no" })],
  [
    "a call with the same key is in progress",
    refusal(409, { type: "idempotency_error", code: "idempotency_key_in_use", message: "no" }),
  ],
  ["what answers is not Stripe", { status: 200, body: "<html>" }],
])("%s: it may pass, and the caller is told when", async (_, answer) => {
  reply = answer;
  const problem = await problemOf(createCustomer(account, "workspace", 1));
  expect([problem.code, problem.members]).toEqual(["provider_unavailable", { retry_after: 2 }]);
});

test("a cut connection is tried once more, under the same key", async () => {
  reply = null;
  await problemOf(createCustomer(account, "0197a3b4", 2));
  expect(keys).toEqual(["tollgate:customer:0197a3b4:2", "tollgate:customer:0197a3b4:2"]);
});

test("what Stripe refuses is told in its words, with its code, and without keys", async () => {
  reply = refusal(402, { type: "card_error", code: "card_declined", message: "Your card was declined." });
  const declined = await problemOf(createCustomer(account, "w", 1));
  const members = { detail: "Your card was declined.", provider_code: "card_declined" };
  expect([declined.code, declined.members]).toEqual(["provider_refused", members]);
  reply = refusal(401, { type: "invalid_request_error", message: "Invalid API Key provided: sk_test_****cret" });
  const unknown = await problemOf(createCustomer(account, "w", 1));
  expect(unknown.code).toBe("provider_refused");
  expect(JSON.stringify(unknown.members)).toContain("Invalid API Key provided: sk_test_…");
  reply = refusal(400, { type: "idempotency_error", message: "x".repeat(2000) });
  const long = await problemOf(createCustomer(account, "w", 1));
  expect(String(long.members["detail"])).toHaveLength(500);
});

test("what is not there is no failure; anything else that is missing is", async () => {
  reply = refusal(404, { type: "invalid_request_error", code: "resource_missing", message: "No such customer" });
  expect(await standingOfCustomer(account, "cus_gone")).toBe("unknown");
  expect((await problemOf(createCustomer(account, "w", 1))).code).toBe("provider_refused");
  reply = { status: 200, body: JSON.stringify({ id: "cus_1", object: "customer", deleted: true }) };
  expect(await standingOfCustomer(account, "cus_1")).toBe("deleted");
});
