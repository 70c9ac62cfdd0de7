import { describe, expect } from "vitest";
import { Api, idOf, textOf } from "../support/api.ts";
import { test as inWorld } from "../support/world.ts";

const test = inWorld.extend("api", ({ world }) => new Api(world.url, world.operatorKey));

const uuid = expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
const moment = expect.stringMatching(/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/);
const bulk = (available: number) => ({ pool: "bulk", available, expires_at: null });
const subscription = (available: number) => ({ pool: "subscription", available, expires_at: null });

describe("grants", () => {
  test("A5 bulk purchases accumulate: 50 + 100 + 250 = 400", async ({ api }) => {
    const { credits } = await api.workspace({ bulk: 50 });
    await api.post(`${credits}/grants`, { pool: "bulk", amount: 100 });
    const answer = await api.post(`${credits}/grants`, { pool: "bulk", amount: 250, reason: "bought" });
    expect(answer.status).toBe(201);
    expect(answer.body).toEqual({
      transaction_id: uuid,
      unit: "credit",
      available: 400,
      held: 0,
      debt: 0,
      pools: [bulk(400)],
    });
    expect((await api.get(credits)).body).toEqual({
      unit: "credit",
      available: 400,
      held: 0,
      debt: 0,
      pools: [bulk(400)],
    });
  });

  test("a workspace that never had any has zero", async ({ api }) => {
    const { credits } = await api.workspace();
    const answer = await api.get(credits);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({ unit: "credit", available: 0, held: 0, debt: 0, pools: [] });
  });

  test("an expiry is shown in UTC, and one that has passed is refused", async ({ api }) => {
    const { credits } = await api.workspace();
    const grant = (expires_at: string) => api.post(`${credits}/grants`, { pool: "promo", amount: 1, expires_at });
    expect((await grant("2098-01-31T02:00:00.5+02:00")).body).toMatchObject({
      pools: [{ pool: "promo", available: 1, expires_at: "2098-01-31T00:00:00.5Z" }],
    });
    const late = await grant("2024-02-29T00:00:00Z");
    expect([late.status, late.body["code"]]).toEqual([422, "expires_in_past"]);
  });

  test("a balance never passes 2^53 - 1", async ({ api }) => {
    const { credits } = await api.workspace({ bulk: Number.MAX_SAFE_INTEGER });
    const answer = await api.post(`${credits}/grants`, { pool: "bulk", amount: 1 });
    expect([answer.status, answer.body["code"]]).toEqual([422, "balance_limit_exceeded"]);
    expect((await api.get(credits)).body).toMatchObject({ available: Number.MAX_SAFE_INTEGER });
  });
});

describe("the subscription's credits", () => {
  test("A3 a renewal sets them and leaves bulk alone: 5 + 50 becomes 20 + 50", async ({ api }) => {
    const { credits } = await api.workspace({ subscription: 5, bulk: 50 });
    const answer = await api.put(`${credits}/pools/subscription`, { amount: 20 });
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      transaction_id: uuid,
      unit: "credit",
      available: 70,
      held: 0,
      debt: 0,
      pools: [subscription(20), bulk(50)],
    });
    expect((await api.put(`${credits}/pools/subscription`, { amount: 0 })).body).toMatchObject({ pools: [bulk(50)] });
  });
});

describe("spending", () => {
  test("A4 takes subscription credits first, and shows both pools where it needs both", async ({ api }) => {
    const { credits } = await api.workspace({ bulk: 10, subscription: 5 });
    const first = await api.post(`${credits}/spend`, { amount: 3 });
    expect(first.body).toMatchObject({
      drawn: [{ pool: "subscription", amount: 3 }],
      pools: [subscription(2), bulk(10)],
    });
    const second = await api.post(`${credits}/spend`, { amount: 6, reason: "report" });
    expect(second.status).toBe(200);
    expect(second.body).toEqual({
      transaction_id: uuid,
      amount: 6,
      drawn: [
        { pool: "subscription", amount: 2 },
        { pool: "bulk", amount: 4 },
      ],
      unit: "credit",
      available: 6,
      held: 0,
      debt: 0,
      pools: [bulk(6)],
    });
  });

  test("A12 more than there is is refused, says what there is, and takes nothing", async ({ api }) => {
    const { credits } = await api.workspace({ bulk: 5 });
    const answer = await api.post(`${credits}/spend`, { amount: 6 });
    expect(answer.status).toBe(402);
    expect(answer.headers.get("Content-Type")).toBe("application/problem+json");
    expect(answer.body).toMatchObject({ code: "insufficient_credits", available: 5 });
    expect((await api.get(credits)).body).toMatchObject({ available: 5 });
  });

  test("the same key and request: the first answer again, once done", async ({ api }) => {
    const { credits } = await api.workspace({ bulk: 5 });
    const first = await api.post(`${credits}/spend`, { amount: 1, reason: "a" }, "once");
    expect(first.headers.get("Idempotent-Replayed")).toBeNull();
    for (const text of [
      '{"amount":1,"reason":"a"}',
      '{ "reason": "a", "amount": 1 }',
      '{"amount":1.0,"reason":"\\u0061"}',
    ]) {
      const again = await api.post(`${credits}/spend`, text, "once");
      expect(again.status).toBe(200);
      expect(again.headers.get("Idempotent-Replayed")).toBe("true");
      expect(again.body).toEqual(first.body);
    }
    expect((await api.get(credits)).body).toMatchObject({ available: 4 });
  });

  test("the same key and another request is refused, whatever differs", async ({ api }) => {
    const { credits } = await api.workspace({ bulk: 5 });
    await api.post(`${credits}/spend`, { amount: 1 }, "used");
    for (const [path, body] of [
      ["/spend", { amount: 2 }],
      ["/spend", { amount: 1, reason: "b" }],
      ["/holds", { amount: 1, expires_in: 60 }],
      ["/grants", { pool: "bulk", amount: 1 }],
    ] as const) {
      const answer = await api.post(`${credits}${path}`, body, "used");
      expect([answer.status, answer.body["code"]]).toEqual([422, "idempotency_key_reused"]);
    }
    expect((await api.get(credits)).body).toMatchObject({ available: 4, held: 0 });
  });

  test("a key belongs to its workspace, and one that was refused may succeed later", async ({ api }) => {
    const [one, other] = [await api.workspace({ bulk: 1 }), await api.workspace()];
    expect((await api.post(`${one.credits}/spend`, { amount: 1 }, "mine")).status).toBe(200);
    expect((await api.post(`${other.credits}/spend`, { amount: 1 }, "mine")).status).toBe(402);
    await api.post(`${other.credits}/grants`, { pool: "bulk", amount: 1 });
    const answer = await api.post(`${other.credits}/spend`, { amount: 1 }, "mine");
    expect([answer.status, answer.headers.get("Idempotent-Replayed")]).toEqual([200, null]);
  });
});

describe("a batch", () => {
  test("each item by itself, in order, in one statement, its keys shared with single spends", async ({
    api,
    bridge,
  }) => {
    const { credits } = await api.workspace({ bulk: 10 });
    const single = await api.post(`${credits}/spend`, { amount: 2 }, "k1");
    bridge.resetCounters();
    const items = [
      { key: "k1", amount: 2 },
      { key: "k2", amount: 3, reason: "line 2" },
      { key: "k3", amount: 6 },
      { key: "k4", amount: 5 },
    ];
    const answer = await api.post(`${credits}/spend/batch`, { items }, "batch");
    expect(bridge.counters).toMatchObject({ requests: 1, statements: 1 });
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      results: [
        { key: "k1", outcome: "replayed", amount: 2, transaction_id: single.body["transaction_id"] },
        { key: "k2", outcome: "spent", amount: 3, transaction_id: uuid },
        { key: "k3", outcome: "refused", amount: 6, code: "insufficient_credits" },
        { key: "k4", outcome: "spent", amount: 5, transaction_id: uuid },
      ],
      unit: "credit",
      available: 0,
      held: 0,
      debt: 0,
      pools: [],
    });
    const replay = await api.post(`${credits}/spend/batch`, { items }, "batch");
    expect([replay.headers.get("Idempotent-Replayed"), replay.body]).toEqual(["true", answer.body]);
    const spent = await api.post(`${credits}/spend`, { amount: 3 }, "k2");
    expect(spent.status === 200 ? spent.body["transaction_id"] : spent.body["code"]).toBeTruthy();
    expect((await api.get(credits)).body).toMatchObject({ available: 0 });
  });
});

describe("holds", () => {
  test("settled in part: the rest returns, and it ends once", async ({ api }) => {
    const { credits } = await api.workspace({ bulk: 10 });
    const held = await api.post(`${credits}/holds`, { amount: 6, expires_in: 900, reason: "job" });
    expect(held.status).toBe(201);
    expect(held.body).toEqual({
      id: uuid,
      amount: 6,
      state: "held",
      expires_at: moment,
      unit: "credit",
      available: 4,
      held: 6,
      debt: 0,
      pools: [bulk(4)],
    });
    const hold = `${credits}/holds/${idOf(held)}`;

    const beyond = await api.post(`${hold}/settle`, { amount: 7 });
    expect([beyond.status, beyond.body["code"], beyond.body["amount"]]).toEqual([422, "amount_exceeds_hold", 6]);
    const settled = await api.post(`${hold}/settle`, { amount: 5 });
    expect(settled.status).toBe(200);
    expect(settled.body).toEqual({
      id: idOf(held),
      state: "settled",
      settled: 5,
      released: 1,
      unit: "credit",
      available: 5,
      held: 0,
      debt: 0,
      pools: [bulk(5)],
    });
    for (const end of ["settle", "release"]) {
      const again = await api.post(`${hold}/${end}`);
      expect([again.status, again.body["code"], again.body["state"]]).toEqual([409, "hold_ended", "settled"]);
    }
    expect((await api.get(hold)).body).toEqual({
      id: idOf(held),
      amount: 6,
      state: "settled",
      settled: 5,
      reason: "job",
      expires_at: held.body["expires_at"],
      ended_at: moment,
      created_at: moment,
    });
  });

  test("settled without an amount is settled whole; released without a body returns all", async ({ api }) => {
    const { credits } = await api.workspace({ bulk: 10 });
    const [one, other] = [
      idOf(await api.post(`${credits}/holds`, { amount: 4, expires_in: 1 })),
      idOf(await api.post(`${credits}/holds`, { amount: 4, expires_in: 2_678_400 })),
    ];
    const settled = await api.call("POST", `${credits}/holds/${one}/settle`, { key: "s" });
    expect(settled.body).toMatchObject({ state: "settled", settled: 4, released: 0, available: 2, held: 4 });
    const released = await api.call("POST", `${credits}/holds/${other}/release`, { key: "r" });
    expect(released.body).toMatchObject({ state: "released", settled: 0, released: 4, available: 6, held: 0 });
  });

  test("are listed by state, newest first, page by page", async ({ api }) => {
    const { credits } = await api.workspace({ bulk: 10 });
    const ids: string[] = [];
    for (let i = 0; i < 5; i += 1) ids.unshift(idOf(await api.post(`${credits}/holds`, { amount: 1, expires_in: 60 })));
    await api.post(`${credits}/holds/${ids[0]}/release`);
    expect(await pages(api, `${credits}/holds?limit=2`)).toEqual([ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)]);
    expect(await pages(api, `${credits}/holds?limit=100&state=held`)).toEqual([ids.slice(1)]);
    expect(await pages(api, `${credits}/holds?state=released`)).toEqual([ids.slice(0, 1)]);
  });
});

/** The ids of every page of a list. */
async function pages(api: Api, path: string): Promise<string[][]> {
  const found: string[][] = [];
  for (let cursor: unknown = undefined; cursor !== null;) {
    const answer = await api.get(typeof cursor === "string" ? `${path}&cursor=${cursor}` : path);
    const { data, next_cursor } = answer.body;
    if (!Array.isArray(data)) throw new Error(JSON.stringify(answer.body));
    found.push(data.map(({ id }: { id: string }) => id));
    cursor = next_cursor;
  }
  return found;
}

describe("an operator's corrections", () => {
  test("an adjustment gives or takes, with a reason and an audit row", async ({ api, db }) => {
    const { credits, id } = await api.workspace({ bulk: 10 });
    const taken = await api.post(`${credits}/adjustments`, { amount: -4, reason: "counted twice" });
    expect([taken.status, taken.body]).toMatchObject([201, { transaction_id: uuid, amount: -4, available: 6 }]);
    const given = await api.post(`${credits}/adjustments`, { amount: 3, reason: "sorry" });
    expect(given.body).toMatchObject({ amount: 3, available: 9 });
    const refused = await api.post(`${credits}/adjustments`, { amount: -10, reason: "too much" });
    expect([refused.status, refused.body["available"]]).toEqual([402, 9]);
    const audit = await db.query("select from ops.audit where workspace_id = $1 and action like 'ledger.%'", [id]);
    expect(audit.rowCount).toBe(2);
  });

  test("a transaction is reversed once", async ({ api }) => {
    const { credits } = await api.workspace({ bulk: 10 });
    const spent = textOf(await api.post(`${credits}/spend`, { amount: 4 }), "transaction_id");
    const reverse = () => api.post(`${credits}/transactions/${spent}/reverse`, { reason: "not delivered" });
    const done = await reverse();
    expect([done.status, done.body]).toMatchObject([201, { transaction_id: uuid, reversed: spent, available: 10 }]);
    const again = await reverse();
    expect([again.status, again.body["code"]]).toEqual([409, "transaction_reversed"]);
  });
});

describe("the ledger", () => {
  test("shows every movement with entries that sum to zero, newest first", async ({ api }) => {
    const { credits } = await api.workspace({ subscription: 3, bulk: 5 });
    await api.post(`${credits}/spend`, { amount: 4, reason: "both" });
    const answer = await api.get(`${credits}/transactions?limit=2`);
    expect(answer.body["data"]).toEqual([
      {
        id: uuid,
        kind: "spend",
        amount: 4,
        entries: expect.arrayContaining([
          { side: "available", pool: "subscription", lot_id: uuid, amount: -3 },
          { side: "available", pool: "bulk", lot_id: uuid, amount: -1 },
        ]),
        reason: "both",
        caused_by: expect.stringMatching(/^key:/),
        created_at: moment,
      },
      expect.objectContaining({ kind: "grant", amount: 5 }),
    ]);
    const all: { entries: { amount: number }[] }[] = JSON.parse(JSON.stringify(answer.body["data"]));
    for (const { entries } of all) expect(entries.reduce((sum, { amount }) => sum + amount, 0)).toBe(0);
    expect((await pages(api, `${credits}/transactions?limit=2`)).map((page) => page.length)).toEqual([2, 1]);
  });

  test("shows every unit that it has", async ({ api, db }) => {
    const { credits, path, id } = await api.workspace({ bulk: 10 });
    await api.post(`${credits}/holds`, { amount: 3, expires_in: 60 });
    await db.query(
      "select ledger.set_limit(owner_id => $1, unit => 'seat', amount => 5, idempotency_key => 's', caused_by => 'test')",
      [id],
    );
    expect((await api.get(`${path}/balances`)).body).toEqual({
      data: [
        { unit: "credit", available: 7, held: 3, debt: 0, pools: [{ pool: "bulk", available: 7, expires_at: null }] },
        { unit: "seat", available: 5, held: 0, debt: 0, pools: [{ pool: "limit", available: 5, expires_at: null }] },
      ],
    });
  });

  test("proves itself", async ({ api }) => {
    const { credits, path } = await api.workspace({ bulk: 10 });
    await api.post(`${credits}/holds`, { amount: 3, expires_in: 60 });
    const answer = await api.get(`${path}/ledger/verify`);
    expect(answer.body).toMatchObject({ ok: true });
    expect(answer.body["checks"]).toContainEqual({ name: "lots_equal_available", ok: true, detail: null });
  });
});

test("every call is one round trip to the database, key check and idempotency included", async ({ api, bridge }) => {
  const { credits, path } = await api.workspace({ bulk: 10 });
  const hold = idOf(await api.post(`${credits}/holds`, { amount: 1, expires_in: 60 }));
  const calls: [string, string, unknown?][] = [
    ["POST", "/v1/workspaces", { name: "x" }],
    ["GET", path],
    ["GET", "/v1/workspaces"],
    ["GET", credits],
    ["GET", `${path}/balances`],
    ["POST", `${credits}/grants`, { pool: "bulk", amount: 1 }],
    ["PUT", `${credits}/pools/subscription`, { amount: 1 }],
    ["POST", `${credits}/spend`, { amount: 1 }],
    ["POST", `${credits}/spend`, { amount: 1000 }],
    ["POST", `${credits}/spend/batch`, { items: [{ key: "i", amount: 1 }] }],
    ["POST", `${credits}/holds`, { amount: 1, expires_in: 60 }],
    ["POST", `${credits}/holds/${hold}/settle`, {}],
    ["GET", `${credits}/holds`],
    ["GET", `${credits}/transactions`],
    ["GET", `${path}/ledger/verify`],
    ["POST", "/v1/keys", { name: "x", scopes: ["ops:read"] }],
    ["GET", "/v1/keys"],
    ["GET", "/v1/audit"],
    ["GET", "/v1/alarms"],
    ["GET", "/v1/sweeps"],
    ["GET", "/ready"],
  ];
  for (const [method, url, body] of calls) {
    bridge.resetCounters();
    await api.call(method, url, body === undefined ? {} : { body, key: url });
    expect([url, bridge.counters.requests, bridge.counters.statements]).toEqual([url, 1, 1]);
  }
  bridge.resetCounters();
  await api.post(`${credits}/spend`, { amount: "1" });
  await api.get("/health");
  expect(bridge.counters.requests).toBe(0);
});
