import { expect } from "vitest";
import { Api, type Answer } from "../support/api.ts";
import { test as inWorld } from "../support/world.ts";

const test = inWorld.extend("api", ({ world }) => new Api(world.url, world.operatorKey));

let made = 0;
/** A code that no other test of this file has. */
const newCode = () => `thing_${(made += 1)}`;

const month = { currency: "eur", interval: "month", amount_minor: 1900 };
const pack = (code: string) => ({
  code,
  kind: "credit_pack",
  name: "A hundred",
  quantity: 100,
  prices: [{ currency: "eur", amount_minor: 900 }],
});
const plan = (code: string) => ({ code, name: "Pro", included_credits: 500, prices: [month] });

test("A14 a plan is made once: the same again is the same version, and what differs is a new one", async ({ api }) => {
  const code = newCode();
  const first = await api.post("/v1/plans", plan(code));
  expect([first.status, first.body]).toEqual([
    201,
    { id: expect.any(String), code, version: 1, created: true, created_at: expect.stringMatching(/Z$/) },
  ]);
  const again = await api.post("/v1/plans", {
    ...plan(code),
    trial_days: 0,
    prices: [{ ...month, interval_count: 1 }],
  });
  expect([again.status, again.body]).toEqual([200, { ...first.body, created: false }]);
  const dearer = await api.post("/v1/plans", { ...plan(code), prices: [{ ...month, amount_minor: 2900 }] });
  expect([dearer.status, dearer.body["version"]]).toEqual([201, 2]);
  // Back to what version 1 was: a version never returns, it is made anew.
  const back = await api.post("/v1/plans", plan(code));
  expect([back.status, back.body["version"]]).toEqual([201, 3]);
});

test("A14 twenty who make one plan at once make one version", async ({ api }) => {
  const code = newCode();
  const answers = await Promise.all(Array.from({ length: 20 }, () => api.post("/v1/plans", plan(code))));
  expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
    ...Array.from({ length: 19 }, () => 200),
    201,
  ]);
  expect(new Set(answers.map(({ body }) => body["id"])).size).toBe(1);
});

test("every version of a plan is listed with its prices, newest first", async ({ api }) => {
  const code = newCode();
  await api.post("/v1/plans", plan(code));
  await api.post("/v1/plans", {
    ...plan(code),
    rollover: { cap: 100, expires_in_days: 90 },
    seats: 5,
    storage_bytes: Number.MAX_SAFE_INTEGER,
    trial_days: 14,
    grace_days: 7,
    access: true,
    prices: [month, { currency: "usd", interval: "year", interval_count: 2, amount_minor: 0 }],
  });
  const listed = await api.get(`/v1/plans?code=${code}`);
  expect(listed.body).toEqual({
    next_cursor: null,
    data: [
      {
        id: expect.any(String),
        code,
        version: 2,
        name: "Pro",
        included_credits: 500,
        rollover: { cap: 100, expires_in_days: 90 },
        seats: 5,
        storage_bytes: Number.MAX_SAFE_INTEGER,
        trial_days: 14,
        grace_days: 7,
        access: true,
        prices: [
          { ...month, interval_count: 1, lookup_key: `tollgate_${code}_2_eur_1month`, provider_id: null },
          {
            currency: "usd",
            interval: "year",
            interval_count: 2,
            amount_minor: 0,
            lookup_key: `tollgate_${code}_2_usd_2year`,
            provider_id: null,
          },
        ],
        created_at: expect.stringMatching(/Z$/),
      },
      expect.objectContaining({
        version: 1,
        access: false,
        rollover: null,
        seats: null,
        storage_bytes: null,
        trial_days: 0,
        prices: [{ ...month, interval_count: 1, lookup_key: `tollgate_${code}_1_eur_1month`, provider_id: null }],
      }),
    ],
  });
  const page = await api.get(`/v1/plans?code=${code}&limit=1`);
  const next = await api.get(`/v1/plans?code=${code}&limit=1&cursor=${String(page.body["next_cursor"])}`);
  expect([page, next].flatMap(({ body }) => body["data"])).toEqual(listed.body["data"]);
});

test("packs and retail tokens are versioned and listed as plans are", async ({ api }) => {
  const code = newCode();
  expect((await api.post("/v1/packs", pack(code))).status).toBe(201);
  expect((await api.post("/v1/packs", pack(code))).status).toBe(200);
  const token = { ...pack(code), kind: "retail_token", quantity: 1 };
  expect((await api.post("/v1/packs", token)).body).toMatchObject({ version: 2, created: true });
  expect((await api.get(`/v1/packs?code=${code}`)).body["data"]).toEqual([
    {
      id: expect.any(String),
      code,
      version: 2,
      kind: "retail_token",
      name: "A hundred",
      quantity: 1,
      prices: [{ currency: "eur", amount_minor: 900, lookup_key: `tollgate_${code}_2_eur`, provider_id: null }],
      created_at: expect.any(String),
    },
    expect.objectContaining({ version: 1, kind: "credit_pack" }),
  ]);
});

test("the policy is one, and who sets it is in the audit", async ({ api }) => {
  const before = await api.get("/v1/policy");
  expect(before.body).toEqual({ after_end: "read_only", shortfall: "debt" });
  const set = await api.put("/v1/policy", { after_end: "open", shortfall: "freeze" });
  expect([set.status, set.body]).toEqual([200, { after_end: "open", shortfall: "freeze" }]);
  expect((await api.get("/v1/policy")).body).toEqual(set.body);
  await api.put("/v1/policy", before.body);
  const audit = await api.get("/v1/audit?limit=1");
  expect(audit.body["data"]).toMatchObject([{ action: "policy.set", actor: expect.stringMatching(/^key:/) }]);
});

const faultOf = ({ status, body }: Answer) => {
  const [first]: unknown[] = Array.isArray(body["errors"]) ? body["errors"] : [];
  return { status, code: body["code"], first };
};

test.for<[string, unknown, string]>([
  ["a code with a capital", { ...plan("Pro") }, "/code"],
  ["no price", { ...plan("x"), prices: [] }, "/prices"],
  ["two prices for the same", { ...plan("x"), prices: [month, { ...month, amount_minor: 1 }] }, "/prices/1"],
  [
    "four years",
    { ...plan("x"), prices: [{ ...month, interval: "year", interval_count: 4 }] },
    "/prices/0/interval_count",
  ],
  ["a currency in capitals", { ...plan("x"), prices: [{ ...month, currency: "EUR" }] }, "/prices/0/currency"],
  ["less than nothing", { ...plan("x"), prices: [{ ...month, amount_minor: -1 }] }, "/prices/0/amount_minor"],
  ["half a credit", { ...plan("x"), included_credits: 0.5 }, "/included_credits"],
  ["a cap of nothing", { ...plan("x"), rollover: { cap: 0 } }, "/rollover/cap"],
  [
    "more than a balance can take month after month",
    { ...plan("x"), included_credits: 2 ** 53 - 1 },
    "/included_credits",
  ],
  ["a grace of two years", { ...plan("x"), grace_days: 730 }, "/grace_days"],
  ["what no plan has", { ...plan("x"), colour: "red" }, "/colour"],
])("a plan with %s is refused, and the place is named", async ([, body, pointer], { api }) => {
  expect(faultOf(await api.post("/v1/plans", body))).toMatchObject({
    status: 400,
    code: "validation_failed",
    first: { in: "body", pointer },
  });
});

test("a workspace's key makes no plan and sees no list of them", async ({ api }) => {
  const { id } = await api.workspace();
  const client = await api.withKey(["billing:read", "billing:write"], id);
  expect((await client.post("/v1/plans", plan(newCode()))).body).toMatchObject({ code: "operator_key_required" });
  expect((await client.get("/v1/plans")).body).toMatchObject({ code: "operator_key_required" });
  const refused = await api.post("/v1/keys", { name: "x", scopes: ["plans:write"], workspace_id: id });
  expect(refused.body).toMatchObject({ code: "scope_not_for_workspace", scope: "plans:write" });
});
