import { expect } from "vitest";
import type { Api } from "../support/api.ts";
import { race, tally } from "../support/barrier.ts";
import { test, times, word } from "./arena.ts";

/** A key of a workspace's, and what revokes it. */
async function revocable(api: Api, workspace: string): Promise<{ client: Api; revoke: () => Promise<void> }> {
  const made = await api.post("/v1/keys", {
    name: "to be revoked",
    scopes: ["credits:write", "credits:read"],
    workspace_id: workspace,
  });
  return {
    client: api.as(String(made.body["key"])),
    revoke: async () => {
      expect((await api.post(`/v1/keys/${String(made.body["id"])}/revoke`)).status).toBe(200);
    },
  };
}

test("a key revoked in a storm of requests: no call that begins after the answer does anything", async ({ api }) => {
  for (const round of times(3)) {
    const { id, credits } = await api.workspace({ bulk: 10_000 });
    const { client, revoke } = await revocable(api, id);
    let revoked = false;
    let spent = 0;
    const words: string[] = [];
    const late: string[] = [];
    const storm = race(20, async (i) => {
      // Each goes on until it has heard five times, after the answer, that its key is nobody's.
      for (let deaf = 0; deaf < 5 && words.length < 1_000;) {
        const begunAfter = revoked;
        const answer = i % 4 === 0 ? await client.get(credits) : await client.post(`${credits}/spend`, { amount: 1 });
        const said = word(answer);
        words.push(said);
        if (begunAfter) late.push(said);
        if (i % 4 !== 0 && answer.status === 200) spent += 1;
        if (begunAfter && answer.status === 401) deaf += 1;
        // The storm is under way; one of its own calls it off.
        if (words.length === 100) {
          await revoke();
          revoked = true;
        }
      }
    });
    await storm;
    expect(Object.keys(tally(words)).toSorted(), `round ${round}`).toEqual(["200", "401 unauthenticated"]);
    expect(late.length).toBeGreaterThan(50);
    expect(tally(late)).toEqual({ "401 unauthenticated": late.length });
    // Who was told 401 took nothing, and who was told 200 did.
    expect((await api.get(credits)).body["available"]).toBe(10_000 - spent);
  }
});

test("a revoked key replays nothing, not even what it did itself", async ({ api }) => {
  const { id, credits } = await api.workspace({ bulk: 10 });
  const { client, revoke } = await revocable(api, id);
  expect((await client.post(`${credits}/spend`, { amount: 1 }, "mine")).status).toBe(200);
  await revoke();
  const answers = await race(20, () => client.post(`${credits}/spend`, { amount: 1 }, "mine"));
  expect(tally(answers.map(word))).toEqual({ "401 unauthenticated": 20 });
  // The key is the workspace's and not the API key's: another one of its keys may ask.
  const again = await api.post(`${credits}/spend`, { amount: 1 }, "mine");
  expect([again.status, again.headers.get("Idempotent-Replayed")]).toEqual([200, "true"]);
});

test("fifty revocations of one key at once: one audit row", async ({ api, db }) => {
  const { id } = await api.workspace();
  const made = await api.post("/v1/keys", { name: "to be revoked", scopes: ["credits:read"], workspace_id: id });
  const answers = await race(50, () => api.post(`/v1/keys/${String(made.body["id"])}/revoke`));
  expect(tally(answers.map(word))).toEqual({ 200: 50 });
  expect(new Set(answers.map(({ body }) => body["revoked_at"])).size).toBe(1);
  const { rows } = await db.query(
    "select count(*)::int as n from ops.audit where subject = $1 and action = 'api_key.revoke'",
    [`api_key:${String(made.body["id"])}`],
  );
  expect(rows).toEqual([{ n: 1 }]);
});
