import { describe, expect } from "vitest";
import type { Api, Workspace } from "../support/api.ts";
import { race, tally } from "../support/barrier.ts";
import { Account, outcome } from "../support/scenario.ts";
import { test, testRoutines, times, word } from "./arena.ts";

/** What a workspace has: `[available, held]`. */
async function sums(api: Api, { credits }: Workspace): Promise<unknown[]> {
  const { body } = await api.get(credits);
  return [body["available"], body["held"]];
}

const spend = (api: Api, { credits }: Workspace, amount = 1) => api.post(`${credits}/spend`, { amount }).then(word);
const hold = (api: Api, { credits }: Workspace, amount = 1) =>
  api.post(`${credits}/holds`, { amount, expires_in: 600 }).then(word);

const short = "402 insufficient_credits";

describe("through the Worker", () => {
  test("A2 ten credits, twenty spenders: ten spend, ten are refused, none is left; ten rounds", async ({ api }) => {
    for (const _ of times(10)) {
      const workspace = await api.workspace({ bulk: 10 });
      const outcomes = await race(20, () => spend(api, workspace));
      expect(tally(outcomes)).toEqual({ 200: 10, [short]: 10 });
      expect(await sums(api, workspace)).toEqual([0, 0]);
    }
  });

  test("A2 fifty credits, two hundred spenders, from three pools", async ({ api }) => {
    const workspace = await api.workspace({ subscription: 20, bulk: 20, promo: 10 });
    const outcomes = await race(200, () => spend(api, workspace));
    expect(tally(outcomes)).toEqual({ 200: 50, [short]: 150 });
    expect(await sums(api, workspace)).toEqual([0, 0]);
  });

  test("A2 twenty holds of ten credits: ten hold, ten are refused; five rounds", async ({ api }) => {
    for (const _ of times(5)) {
      const workspace = await api.workspace({ subscription: 4, bulk: 6 });
      const outcomes = await race(20, () => hold(api, workspace));
      expect(tally(outcomes)).toEqual({ 201: 10, [short]: 10 });
      expect(await sums(api, workspace)).toEqual([0, 10]);
    }
  });

  test("A2 two hundred holds and spends of fifty credits", async ({ api }) => {
    const workspace = await api.workspace({ bulk: 50 });
    const outcomes = tally(await race(200, (i) => (i % 2 === 0 ? spend : hold)(api, workspace)));
    expect(outcomes[short]).toBe(150);
    expect((outcomes["200"] ?? 0) + (outcomes["201"] ?? 0)).toBe(50);
    expect(await sums(api, workspace)).toEqual([0, outcomes["201"] ?? 0]);
  });

  test("A12 ten credits, twenty spenders of three: three spend, and a refusal names less than was asked", async ({
    api,
  }) => {
    for (const _ of times(5)) {
      const workspace = await api.workspace({ subscription: 5, bulk: 5 });
      const answers = await race(20, () => api.post(`${workspace.credits}/spend`, { amount: 3 }));
      expect(tally(answers.map(word))).toEqual({ 200: 3, [short]: 17 });
      for (const { status, body } of answers) if (status === 402) expect(body["available"]).toBeOneOf([1, 2]);
      expect(await sums(api, workspace)).toEqual([1, 0]);
    }
  });

  test("A2 an item's key and a single spend's are one: each is spent once, whoever comes first", async ({ api }) => {
    for (const round of times(6)) {
      const workspace = await api.workspace({ bulk: 100 });
      const items = times(10).map((i) => ({ key: `order-${i}`, amount: 1 + (i % 3) }));
      const batch = () => api.post(`${workspace.credits}/spend/batch`, { items });
      const single = (i: number) => api.post(`${workspace.credits}/spend`, { amount: 1 + (i % 3) }, `order-${i}`);
      const answers = await race(12, (i) => (i < 2 ? batch() : single(i - 2)));
      expect(tally(answers.map(word)), `round ${round}`).toEqual({ 200: 12 });
      // 1 + 2 + 3 + 1 + 2 + 3 + 1 + 2 + 3 + 1, once.
      expect(await sums(api, workspace)).toEqual([100 - 19, 0]);
      const found = await api.get(`${workspace.credits}/transactions`);
      expect(found.body["data"]).toHaveLength(11);
    }
  });

  test("A2 batches and singles with the same keys and half of the credits: no key is spent twice", async ({
    api,
    db,
  }) => {
    for (const round of times(6)) {
      const workspace = await api.workspace({ bulk: 5 });
      const items = times(10).map((i) => ({ key: `order-${i}`, amount: 1 }));
      const batch = () => api.post(`${workspace.credits}/spend/batch`, { items });
      const single = (i: number) => api.post(`${workspace.credits}/spend`, { amount: 1 }, `order-${i}`);
      const answers = await race(13, (i) => (i < 3 ? batch() : single(i - 3)));
      expect(await sums(api, workspace)).toEqual([0, 0]);
      const { rows } = await db.query<{ key: string }>(
        "select idempotency_key as key from ledger.transaction where owner_id = $1 and kind = 'spend'",
        [workspace.id],
      );
      const spent = new Set(rows.map(({ key }) => key));
      expect([rows.length, spent.size], `round ${round}`).toEqual([5, 5]);
      // Whoever was told that it was spent was told the truth.
      for (const [i, answer] of answers.entries()) {
        if (i >= 3 && answer.status === 200) expect(spent).toContain(`order-${i - 3}`);
        const results = answer.body["results"];
        if (!Array.isArray(results)) continue;
        for (const { key, outcome: what } of results) if (what !== "refused") expect(spent).toContain(key);
      }
    }
  });
});

describe("the routines themselves", () => {
  testRoutines("A2 ten credits, twenty spenders, a connection each; forty rounds", async ({ db }) => {
    for (const _ of times(40)) {
      const account = new Account(db);
      await account.grant(6, { pool: "subscription" });
      await account.grant(4);
      const outcomes = await race(20, () => outcome(account.spend(1)));
      expect(tally(outcomes)).toEqual({ done: 10, insufficient_credits: 10 });
      expect(await account.sums()).toEqual([0, 0, 0]);
      expect(await account.kinds()).toEqual({ grant: 2, spend: 10 });
    }
  });

  testRoutines("A2 fifty credits, two hundred spenders; five rounds", async ({ db }) => {
    for (const _ of times(5)) {
      const account = new Account(db);
      await account.grant(50);
      const outcomes = await race(200, () => outcome(account.spend(1)));
      expect(tally(outcomes)).toEqual({ done: 50, insufficient_credits: 150 });
    }
  });

  testRoutines("A2 spends, holds and batches of fifty; ten rounds", async ({ db }) => {
    for (const _ of times(10)) {
      const account = new Account(db);
      await account.grant(25, { pool: "subscription", expires_in: "1 hour" });
      await account.grant(25);
      const batch = async (i: number) => {
        const { outcomes } = await account.spendMany(times(5).map((n) => ({ key: `${i}-${n}`, amount: 1 })));
        return outcomes.filter((what) => what === "spent").length;
      };
      const one = async (called: Promise<unknown>) => ((await outcome(called)) === "done" ? 1 : 0);
      const taken = await race(60, (i) =>
        i % 3 === 0 ? batch(i) : one(i % 3 === 1 ? account.spend(1) : account.hold(1)),
      );
      expect(taken.reduce((sum, n) => sum + n, 0)).toBe(50);
      const [available, held] = await account.sums();
      expect([available, held]).toEqual([0, (await account.kinds())["hold"] ?? 0]);
    }
  });

  testRoutines("A12 grants and resets meanwhile: what was given is spent, expired or there", async ({ db }) => {
    for (const _ of times(10)) {
      const account = new Account(db);
      await account.grant(10);
      const outcomes = await race(60, (i) => {
        if (i % 10 === 0) return outcome(account.grant(3));
        if (i % 10 === 5) return outcome(account.reset(5));
        return outcome(account.spend(1));
      });
      expect(Object.keys(tally(outcomes)).every((what) => ["done", "insufficient_credits"].includes(what))).toBe(true);
      expect((await account.kinds())["reset"]).toBe(6);
    }
  });

  testRoutines("A2 a new owner's first calls, all at once, make one account", async ({ db }) => {
    for (const _ of times(20)) {
      const account = new Account(db);
      const outcomes = await race(16, (i) => outcome(i % 2 === 0 ? account.grant(1) : account.spend(20)));
      expect(tally(outcomes)).toEqual({ done: 8, insufficient_credits: 8 });
      expect(await account.sums()).toEqual([8, 0, 0]);
    }
  });
});
