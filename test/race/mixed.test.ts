import { expect } from "vitest";
import { textOf } from "../support/api.ts";
import type { Answer, Api, Workspace } from "../support/api.ts";
import { race, tally } from "../support/barrier.ts";
import { advance } from "../support/scenario.ts";
import { test, times, word } from "./arena.ts";

/** What a client may hear in a mixed load: done, or a refusal that names its reason. */
const refusals = new Set([
  "200",
  "201",
  "402 insufficient_credits",
  "409 hold_ended",
  "409 transaction_reversed",
  "422 amount_exceeds_hold",
]);

/** Numbers that look random and are the same each time. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
}

/** One client: calls of every kind, one after another, with what the earlier ones have left. */
async function client(api: Api, workspaces: Workspace[], seed: number, calls: number): Promise<string[]> {
  const pick = numbers(seed + 1);
  const [holds, spent]: [string[], string[]] = [[], []];
  const words: string[] = [];
  for (const call of times(calls)) {
    // Mostly at home, at times at the others'; holds and transactions are a workspace's own.
    const home = workspaces[seed % workspaces.length];
    const away = workspaces[pick(workspaces.length)];
    if (home === undefined || away === undefined) throw new Error("there is no workspace");
    const [hold, transaction] = [holds[pick(holds.length || 1)], spent[pick(spent.length || 1)]];
    const amount = 1 + pick(9);
    const doing: (() => Promise<Answer>)[] = [
      () => api.post(`${away.credits}/spend`, { amount }),
      () => api.post(`${home.credits}/spend`, { amount }),
      () => api.post(`${away.credits}/grants`, { pool: ["subscription", "bulk", "promo"][pick(3)], amount }),
      () => api.put(`${away.credits}/pools/subscription`, { amount: amount * 3 }),
      () =>
        api.post(`${away.credits}/spend/batch`, {
          items: times(amount).map((i) => ({ key: `${seed}-${call}-${i}`, amount: 1 })),
        }),
      () => api.post(`${home.credits}/holds`, { amount, expires_in: 1 + pick(90) }),
      () =>
        hold === undefined
          ? api.get(home.credits)
          : api.post(`${home.credits}/holds/${hold}/settle`, { amount: 1 + pick(4) }),
      () => (hold === undefined ? api.get(home.credits) : api.post(`${home.credits}/holds/${hold}/release`)),
      () => api.post(`${home.credits}/adjustments`, { amount: pick(2) === 0 ? amount : -amount, reason: "mixed" }),
      () =>
        transaction === undefined
          ? api.get(home.credits)
          : api.post(`${home.credits}/transactions/${transaction}/reverse`, { reason: "mixed" }),
      () => api.get(`${away.credits}/transactions?limit=5`),
      () => api.get(`${home.credits}/holds?limit=5`),
      () => api.get(away.credits),
      () => api.get(`${home.path}/ledger/verify`),
    ];
    const which = pick(doing.length);
    const answer = await doing[which]?.();
    if (answer === undefined) throw new Error("there is no such call");
    words.push(word(answer));
    if (which === 5 && answer.status === 201) holds.push(textOf(answer, "id"));
    if (which === 1 && answer.status === 200) spent.push(textOf(answer, "transaction_id"));
    if (which === 13) expect(answer.body["ok"]).toBe(true);
  }
  return words;
}

test("A15 fifty clients, a mixed load over eight workspaces, sweeps and time beside it: no error that is not a refusal", async ({
  api,
  db,
  world,
}) => {
  const workspaces = await race(8, () => api.workspace({ subscription: 30, bulk: 60 }));
  const load = new AbortController();
  const beside = (async () => {
    let ticks = 0;
    while (!load.signal.aborted) {
      await advance(db, "20 seconds");
      await world.tick();
      ticks += 1;
    }
    return ticks;
  })();
  const said = (await race(50, (seed) => client(api, workspaces, seed, 16)).finally(() => load.abort())).flat();
  expect(await beside).toBeGreaterThan(0);
  expect(said).toHaveLength(800);
  const strange = Object.keys(tally(said)).filter((what) => !refusals.has(what));
  expect(strange).toEqual([]);
  // The load was one: every kind of answer came.
  expect(tally(said)["402 insufficient_credits"]).toBeGreaterThan(0);
  for (const { path } of workspaces) {
    expect((await api.get(`${path}/ledger/verify`)).body).toMatchObject({ ok: true });
  }
});
