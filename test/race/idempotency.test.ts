import { describe, expect } from "vitest";
import { idOf, textOf } from "../support/api.ts";
import type { Answer, Api, Workspace } from "../support/api.ts";
import { race, tally } from "../support/barrier.ts";
import { test, times, word } from "./arena.ts";

/** Each call that moves something: prepares a workspace and answers the call with one key. */
const calls: [string, (api: Api, workspace: Workspace) => Promise<(key: string) => Promise<Answer>>][] = [
  [
    "a grant",
    async (api, { credits }) =>
      (key) =>
        api.post(`${credits}/grants`, { pool: "bulk", amount: 5 }, key),
  ],
  [
    "a reset",
    async (api, { credits }) =>
      (key) =>
        api.put(`${credits}/pools/subscription`, { amount: 7 }, key),
  ],
  [
    "a spend",
    async (api, { credits }) =>
      (key) =>
        api.post(`${credits}/spend`, { amount: 3 }, key),
  ],
  [
    "a batch",
    async (api, { credits }) => {
      const items = times(5).map((i) => ({ key: `item-${i}`, amount: i === 4 ? 1000 : 2 }));
      return (key) => api.post(`${credits}/spend/batch`, { items }, key);
    },
  ],
  [
    "a hold",
    async (api, { credits }) =>
      (key) =>
        api.post(`${credits}/holds`, { amount: 4, expires_in: 60 }, key),
  ],
  [
    "a settlement",
    async (api, { credits }) => {
      const hold = idOf(await api.post(`${credits}/holds`, { amount: 4, expires_in: 60 }));
      return (key) => api.post(`${credits}/holds/${hold}/settle`, { amount: 3 }, key);
    },
  ],
  [
    "a release",
    async (api, { credits }) => {
      const hold = idOf(await api.post(`${credits}/holds`, { amount: 4, expires_in: 60 }));
      return (key) => api.post(`${credits}/holds/${hold}/release`, {}, key);
    },
  ],
  [
    "an adjustment",
    async (api, { credits }) =>
      (key) =>
        api.post(`${credits}/adjustments`, { amount: -2, reason: "x" }, key),
  ],
  [
    "a reversal",
    async (api, { credits }) => {
      const spent = textOf(await api.post(`${credits}/spend`, { amount: 4 }), "transaction_id");
      return (key) => api.post(`${credits}/transactions/${spent}/reverse`, { reason: "x" }, key);
    },
  ],
  ["a new workspace", async (api) => (key) => api.post("/v1/workspaces", { name: `made with ${key}` }, key)],
];

describe("fifty times the same request with one key, at once", () => {
  test.for(calls)(
    "A1 %s: one effect, fifty equal answers, forty-nine of them replayed",
    async ([, prepare], { api, db, bridge }) => {
      const workspace = await api.workspace({ bulk: 10, subscription: 10 });
      const call = await prepare(api, workspace);
      const before = await footprint();
      bridge.resetCounters();
      const answers = await race(50, () => call("the key"));
      const [first] = answers;
      expect(first?.status).toBeOneOf([200, 201]);
      for (const answer of answers) expect([answer.status, answer.body]).toEqual([first?.status, first?.body]);
      const replayed = answers.filter(({ headers }) => headers.get("Idempotent-Replayed") === "true");
      expect(replayed).toHaveLength(49);
      // One round trip each: a duplicate waits in its own statement, and is not sent again.
      expect(bridge.counters.requests).toBe(50);
      const after = await footprint();
      expect(after.requests - before.requests).toBe(1);
      const effects = after.effects - before.effects;
      expect(effects).toBe(first?.body["results"] === undefined ? 1 : 4);

      /** Rows that only an effect leaves: movements and workspaces. */
      async function footprint(): Promise<{ effects: number; requests: number }> {
        const { rows } = await db.query<{ effects: number; requests: number }>(
          `select ((select count(*) from ledger.transaction) + (select count(*) from people.workspace))::int as effects,
                  (select count(*) from ops.request)::int as requests`,
        );
        return rows[0] ?? { effects: 0, requests: 0 };
      }
    },
  );
});

describe("one key for different requests, at once", () => {
  test("exactly one has its effect; its likes replay it, the others hear 422", async ({ api }) => {
    for (const round of times(10)) {
      const workspace = await api.workspace({ bulk: 1000 });
      const answers = await race(40, (i) => api.post(`${workspace.credits}/spend`, { amount: 1 + (i % 4) }, "the key"));
      expect(tally(answers.map(word)), `round ${round}`).toEqual({ 200: 10, "422 idempotency_key_reused": 30 });
      const done = answers.filter(({ status }) => status === 200);
      for (const { body } of done) expect(body).toEqual(done[0]?.body);
      const { body } = await api.get(workspace.credits);
      expect(body["available"]).toBe(1000 - Number(done[0]?.body["amount"]));
    }
  });

  test("a key is one for all routes of a workspace", async ({ api }) => {
    for (const _ of times(5)) {
      const { credits } = await api.workspace({ bulk: 100 });
      const answers = await race(30, (i) => {
        if (i % 3 === 0) return api.post(`${credits}/spend`, { amount: 1 }, "the key");
        if (i % 3 === 1) return api.post(`${credits}/grants`, { pool: "bulk", amount: 1 }, "the key");
        return api.post(`${credits}/holds`, { amount: 1, expires_in: 60 }, "the key");
      });
      const words = tally(answers.map(word));
      expect(words["422 idempotency_key_reused"]).toBe(20);
      expect((words["200"] ?? 0) + (words["201"] ?? 0)).toBe(10);
    }
  });

  test("and another for each workspace", async ({ api }) => {
    const workspaces = await race(20, () => api.workspace({ bulk: 1 }));
    const answers = await race(40, (i) =>
      api.post(`${workspaces[i % 20]?.credits}/spend`, { amount: 1 }, "the same everywhere"),
    );
    expect(tally(answers.map(word))).toEqual({ 200: 40 });
    expect(new Set(answers.map(({ body }) => body["transaction_id"])).size).toBe(20);
  });
});

describe("a key whose first request was refused", () => {
  test("A11 is free: when funds have come, it spends once", async ({ api }) => {
    for (const _ of times(5)) {
      const { credits } = await api.workspace({ bulk: 1 });
      const spend = () => api.post(`${credits}/spend`, { amount: 5 }, "the key");
      expect(tally((await race(20, spend)).map(word))).toEqual({ "402 insufficient_credits": 20 });
      await api.post(`${credits}/grants`, { pool: "bulk", amount: 14 });
      const answers = await race(20, spend);
      expect(tally(answers.map(word))).toEqual({ 200: 20 });
      for (const { body } of answers) expect(body).toEqual(answers[0]?.body);
      expect((await api.get(credits)).body["available"]).toBe(10);
    }
  });

  test("A11 funds come in the middle of the storm: refused until then, and then once", async ({ api }) => {
    for (const _ of times(10)) {
      const { credits } = await api.workspace({ bulk: 4 });
      const answers = await race(30, (i) =>
        i === 15
          ? api.post(`${credits}/grants`, { pool: "promo", amount: 6 })
          : api.post(`${credits}/spend`, { amount: 5 }, "the key"),
      );
      const spent = answers.filter(({ status }) => status === 200);
      const refused = answers.filter(({ status }) => status === 402);
      expect(spent.length + refused.length).toBe(29);
      for (const { body } of spent) expect(body).toEqual(spent[0]?.body);
      expect((await api.get(credits)).body["available"]).toBe(spent.length > 0 ? 5 : 10);
    }
  });
});

test("clients that hang up and come back with their keys: each key once", async ({ api, db }) => {
  const { id, credits } = await api.workspace({ bulk: 1000 });
  const impatient = (key: string, ms: number) =>
    fetch(`${api.url}${credits}/spend`, {
      method: "POST",
      signal: AbortSignal.timeout(ms),
      headers: { Authorization: `Bearer ${api.apiKey}`, "Idempotency-Key": key, "Content-Type": "application/json" },
      body: JSON.stringify({ amount: 1 }),
    }).then(
      (response) => response.text(),
      () => "hung up",
    );
  // Hung up at some point of its way, every one at another.
  await race(100, (i) => impatient(`k${i}`, i % 25));
  const answers = await race(200, (i) => api.post(`${credits}/spend`, { amount: 1 }, `k${i % 100}`));
  expect(tally(answers.map(word))).toEqual({ 200: 200 });
  expect((await api.get(credits)).body["available"]).toBe(900);
  const { rows } = await db.query(
    "select count(*)::int as n from ledger.transaction where owner_id = $1 and kind = 'spend'",
    [id],
  );
  expect(rows).toEqual([{ n: 100 }]);
});
