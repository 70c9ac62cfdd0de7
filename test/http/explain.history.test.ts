import { expect } from "vitest";
import { Api, type Workspace } from "../support/api.ts";
import { race } from "../support/barrier.ts";
import { Envelope, throughBridge } from "../support/envelope.ts";
import { assertAgrees, explained, page } from "../support/explained.ts";
import { ApiClient } from "../support/model-api.ts";
import { preparePayments } from "../support/model-client.ts";
import { followHistories } from "../support/model-histories.ts";
import { Account, advance } from "../support/scenario.ts";
import { test as inWorld } from "../support/world.ts";

const test = inWorld.extend("api", ({ world }) => new Api(world.url, world.operatorKey));

const seed = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);

test(
  "after random histories every balance is explained: the lines sum to it, and from each transaction to the next it goes on",
  {
    timeout: 600_000,
  },
  async ({ api, db, world }) => {
    await preparePayments(db);
    const envelope = new Envelope(world.operatorKey, throughBridge(world));
    const lived: Workspace[] = [];
    const client = async () => {
      const workspace = await api.workspace();
      lived.push(workspace);
      return new ApiClient(api, workspace, envelope, db);
    };
    await followHistories({ db, client }, seed, 12);
    const kinds = new Set<string>();
    for (const [i, { path, credits }] of lived.entries()) {
      const { made_of, data: _, ...sums } = await explained(api, `${path}/ledger/explain`, "", 3 + (i % 5));
      expect((await api.get(credits)).body).toMatchObject(sums);
      for (const { kind, cause } of made_of) kinds.add(`${kind} ${cause}`);
    }
    expect(kinds.size).toBeGreaterThan(3);
  },
);

test("what has expired and nobody has swept is a line of its own, until a transaction says so", async ({ api, db }) => {
  const { id, path, credits } = await api.workspace();
  const account = new Account(db, { owner: id });
  await account.grant(30, { pool: "promo", expires_in: "1 hour" });
  await account.grant(12);
  const grants = { kind: "grant", cause: "other", transactions: 2, available: 42, held: 0, debt: 0 };
  const before = await explained(api, `${path}/ledger/explain`);
  expect(before).toMatchObject({ available: 42, made_of: [grants] });
  await advance(db, "2 hours");
  const due = { kind: "expire", cause: "due", transactions: 0, available: -30, held: 0, debt: 0 };
  const unswept = await explained(api, `${path}/ledger/explain`);
  expect(unswept).toMatchObject({ available: 12, made_of: [due, grants] });
  expect(unswept.data).toEqual(before.data);
  expect((await api.get(credits)).body).toMatchObject({ available: 12 });
  expect((await api.post("/v1/sweeps/lots_expire/run")).status).toBe(200);
  const swept = await explained(api, `${path}/ledger/explain`);
  expect(swept).toMatchObject({
    available: 12,
    made_of: [{ ...due, cause: "expiry", transactions: 1 }, grants],
    data: [
      {
        kind: "expire",
        amount: 30,
        after: { available: 12 },
        cause: { type: "expiry", pool: "promo", expired_at: expect.stringMatching(/Z$/) },
        by: null,
      },
      {},
      {},
    ],
  });
});

test("a page that was begun goes on where it was, whatever happens meanwhile", async ({ api }) => {
  const { path, credits } = await api.workspace({ bulk: 100 });
  for (let i = 0; i < 5; i += 1) await api.post(`${credits}/spend`, { amount: 1 + i });
  const whole = await explained(api, `${path}/ledger/explain`);
  const first = await page(api, `${path}/ledger/explain`, "limit=2");
  await api.post(`${credits}/spend`, { amount: 50 });
  const rest = await page(api, `${path}/ledger/explain`, `limit=20&cursor=${first.next_cursor}`);
  expect([...first.data, ...rest.data]).toEqual(whole.data);
  expect([rest.available, rest.next_cursor]).toEqual([35, null]);
});

test("it is of one moment: while others spend, hold and give, every answer agrees with itself", async ({ api }) => {
  const { path, credits } = await api.workspace({ bulk: 1000 });
  await race(8, async (i) => {
    for (let round = 0; round < 6; round += 1) {
      if (i < 3) await api.post(`${credits}/spend`, { amount: 1 + i });
      else if (i === 3) await api.post(`${credits}/grants`, { pool: "promo", amount: 7 });
      else if (i === 4) await api.post(`${credits}/holds`, { amount: 5, expires_in: 60 });
      else assertAgrees(await page(api, `${path}/ledger/explain`, "limit=100"));
    }
  });
  expect(await explained(api, `${path}/ledger/explain`, "", 4)).toMatchObject({ available: 976, held: 30, debt: 0 });
});
