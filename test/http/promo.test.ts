import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { Api, idOf, textOf, type Answer } from "../support/api.ts";
import { race, tally } from "../support/barrier.ts";
import { test as inWorld } from "../support/world.ts";

let made = 0;
const name = () => `CODE-${(made += 1)}`;

const test = inWorld
  .extend("api", ({ world }) => new Api(world.url, world.operatorKey))
  // A pack of 100 credits at 10 €.
  .extend("pack", ({ api }) => async () => {
    const code = `pack_${(made += 1)}`;
    const prices = [{ currency: "eur", amount_minor: 1000 }];
    await api.post("/v1/packs", { code, kind: "credit_pack", name: code, quantity: 100, prices });
    return code;
  })
  // How a code is used, and how often.
  .extend("uses", ({ api }) => async (code: string) => {
    const { body } = await api.get(`/v1/promo_codes?code=${code}`);
    const [row] = Array.isArray(body["data"]) ? body["data"] : [];
    return { held: row?.held, redeemed: row?.redeemed };
  });

/** Where the first fault of a refused body is. */
const placeOf = ({ status, body }: Answer) => [
  status,
  Array.isArray(body["errors"]) ? body["errors"][0]?.pointer : null,
];

const said = ({ status, body }: Answer) => [status, body["code"] ?? body["state"]];

describe("a promo code", () => {
  test("is made in any case and shown in capitals, once; who repeats with the key is answered the same", async ({
    api,
  }) => {
    const body = {
      code: "Autumn-26_a",
      percent: 15,
      currencies: ["eur", "usd"],
      kinds: ["credit_pack", "subscription"],
    };
    const key = randomUUID();
    const answer = await api.post("/v1/promo_codes", body, key);
    const shown = {
      id: expect.any(String),
      code: "AUTUMN-26_A",
      campaign_id: null,
      percent: 15,
      amounts: null,
      currencies: ["eur", "usd"],
      kinds: ["credit_pack", "subscription"],
      max_redemptions: null,
      per_workspace: null,
      held: 0,
      redeemed: 0,
      starts_at: null,
      ends_at: null,
      disabled_at: null,
      created_at: expect.stringMatching(/Z$/),
    };
    expect([answer.status, answer.body]).toEqual([201, shown]);
    const again = await api.post("/v1/promo_codes", body, key);
    expect([again.status, again.body, again.headers.get("Idempotent-Replayed")]).toEqual([201, answer.body, "true"]);
    expect(said(await api.post("/v1/promo_codes", { ...body, code: "AUTUMN-26_A" }))).toEqual([409, "promo_exists"]);
    expect((await api.get("/v1/promo_codes?code=autumn-26_A")).body).toEqual({
      data: [answer.body],
      next_cursor: null,
    });

    const amounts = [
      { currency: "eur", amount_minor: 500 },
      { currency: "jpy", amount_minor: 99_999_999_999 },
    ];
    const window = { starts_at: "2027-01-01T00:00:00Z", ends_at: "2027-01-01T02:00:00+01:00" };
    const fixed = await api.post("/v1/promo_codes", {
      code: name(),
      amounts,
      max_redemptions: 3,
      per_workspace: 1,
      ...window,
    });
    expect(fixed.body).toMatchObject({
      percent: null,
      amounts,
      currencies: null,
      kinds: null,
      max_redemptions: 3,
      per_workspace: 1,
      starts_at: expect.stringMatching(/^2027-01-01T00:00:00/),
      ends_at: expect.stringMatching(/^2027-01-01T01:00:00/),
    });
    const listed = await api.get("/v1/promo_codes?limit=1");
    expect(listed.body).toEqual({ data: [fixed.body], next_cursor: expect.any(String) });
    const next = await api.get(`/v1/promo_codes?limit=1&cursor=${textOf(listed, "next_cursor")}`);
    expect(next.body["data"]).toEqual([answer.body]);
    expect((await api.get("/v1/promo_codes?code=NOBODY")).body).toEqual({ data: [], next_cursor: null });
    const audit = await api.get("/v1/audit?limit=1");
    expect(audit.body["data"]).toMatchObject([{ action: "promo_code.create", subject: `promo_code:${idOf(fixed)}` }]);
  });

  test.for<[string, object, string]>([
    ["neither a percentage nor amounts", { percent: undefined }, "/percent"],
    ["both", { amounts: [{ currency: "eur", amount_minor: 1 }] }, "/percent"],
    ["nothing off", { percent: 0 }, "/percent"],
    ["more than all off", { percent: 101 }, "/percent"],
    ["half a percent", { percent: 0.5 }, "/percent"],
    [
      "a negative amount",
      { percent: undefined, amounts: [{ currency: "eur", amount_minor: -1 }] },
      "/amounts/0/amount_minor",
    ],
    [
      "an amount of nothing",
      { percent: undefined, amounts: [{ currency: "eur", amount_minor: 0 }] },
      "/amounts/0/amount_minor",
    ],
    ["no amounts", { percent: undefined, amounts: [] }, "/amounts"],
    [
      "a currency twice",
      {
        percent: undefined,
        amounts: [
          { currency: "eur", amount_minor: 1 },
          { currency: "eur", amount_minor: 2 },
        ],
      },
      "/amounts",
    ],
    ["a percentage's currency twice", { currencies: ["eur", "eur"] }, "/currencies"],
    [
      "currencies beside amounts",
      { percent: undefined, amounts: [{ currency: "eur", amount_minor: 1 }], currencies: ["eur"] },
      "/currencies",
    ],
    ["a kind twice", { kinds: ["credit_pack", "credit_pack"] }, "/kinds"],
    ["no kinds", { kinds: [] }, "/kinds"],
    ["a kind that is none", { kinds: ["gift"] }, "/kinds/0"],
    ["a cap of nothing", { max_redemptions: 0 }, "/max_redemptions"],
    ["a negative cap", { max_redemptions: -1 }, "/max_redemptions"],
    ["none for each", { per_workspace: 0 }, "/per_workspace"],
    [
      "a window that ends before it begins",
      { starts_at: "2027-02-01T00:00:00Z", ends_at: "2027-01-01T00:00:00Z" },
      "/ends_at",
    ],
    ["a window of no time", { starts_at: "2027-02-01T01:00:00+01:00", ends_at: "2027-02-01T00:00:00Z" }, "/ends_at"],
    ["a window that never ends", { ends_at: "infinity" }, "/ends_at"],
    ["a window since ever", { starts_at: "-infinity" }, "/starts_at"],
    ["a name with blanks", { code: "a b" }, "/code"],
    ["a name of one letter", { code: "a" }, "/code"],
    ["a member that is none", { free: true }, "/free"],
  ])("of %s is refused by its place", async ([, wish, pointer], { api }) => {
    const body = { code: name(), percent: 10, ...wish };
    const answer = await api.post("/v1/promo_codes", body);
    expect(placeOf(answer)).toEqual([400, pointer]);
    expect(
      (await api.get(`/v1/promo_codes?code=${encodeURIComponent(body.code.replaceAll(" ", "-"))}`)).body["data"] ?? [],
    ).toEqual([]);
  });

  test("is for operators, and the workspace's own keys neither make nor see one", async ({ api }) => {
    const { id } = await api.workspace();
    const [own, reader] = [
      await api.withKey(["billing:read", "billing:write"], id),
      await api.withKey(["billing:read"]),
    ];
    const code = name();
    const calls: [Api, string, string, object | undefined, string][] = [
      [own, "POST", "/v1/promo_codes", { code, percent: 100 }, "operator_key_required"],
      [own, "POST", "/v1/promo_campaigns", { name: code }, "operator_key_required"],
      [own, "GET", "/v1/promo_codes", undefined, "operator_key_required"],
      [own, "GET", "/v1/promo_campaigns", undefined, "operator_key_required"],
      [reader, "POST", "/v1/promo_codes", { code, percent: 100 }, "forbidden"],
      [reader, "POST", `/v1/promo_codes/${code}/disable`, {}, "forbidden"],
    ];
    for (const [as, method, path, body, refusal] of calls) {
      const answer = await as.call(method, path, body === undefined ? {} : { body });
      expect([method, path, ...said(answer)]).toEqual([method, path, 403, refusal]);
    }
    expect((await reader.get("/v1/promo_codes")).status).toBe(200);
  });

  test("that is disabled is unknown from then on, and what was quoted with it keeps its price", async ({
    api,
    pack,
    uses,
  }) => {
    const code = name();
    await api.post("/v1/promo_codes", { code, percent: 20 });
    const { path } = await api.workspace();
    const order = { pack: await pack(), currency: "eur", provider: "manual", promo_code: code };
    const held = await api.post(`${path}/purchases`, order);
    expect(await uses(code)).toEqual({ held: 1, redeemed: 0 });
    const disabled = await api.post(`/v1/promo_codes/${code.toLowerCase()}/disable`);
    expect([disabled.status, disabled.body]).toEqual([
      200,
      { id: expect.any(String), code, disabled_at: expect.stringMatching(/Z$/) },
    ]);
    expect((await api.post(`/v1/promo_codes/${code}/disable`)).body).toEqual(disabled.body);
    expect(said(await api.post(`/v1/promo_codes/${name()}/disable`))).toEqual([404, "not_found"]);
    expect(said(await api.post(`${path}/purchases`, order))).toEqual([422, "promo_unknown"]);
    expect(said(await api.post(`${path}/quotes`, { pack: order.pack, currency: "eur", promo_code: code }))).toEqual([
      422,
      "promo_unknown",
    ]);
    const money = { amount_minor: 800, currency: "eur", reference: randomUUID() };
    const paid = await api.post(`${path}/purchases/${idOf(held)}/payments`, money);
    expect(paid.body).toMatchObject({ outcome: "paid", state: "paid" });
    expect(await uses(code)).toEqual({ held: 0, redeemed: 1 });
  });

  test("of five uses, twenty who ask at once have five; those that are canceled are another's", async ({
    api,
    pack,
    uses,
  }) => {
    const [code, thing] = [name(), await pack()];
    await api.post("/v1/promo_codes", { code, percent: 20, max_redemptions: 5 });
    const workspaces = await Promise.all(Array.from({ length: 20 }, () => api.workspace()));
    const order = { pack: thing, currency: "eur", provider: "manual", promo_code: code };
    const held: string[] = [];
    const outcomes = await race(20, async (i) => {
      const answer = await api.post(`${workspaces[i]?.path}/purchases`, order);
      if (answer.status === 201) held.push(`${workspaces[i]?.path}/purchases/${idOf(answer)}`);
      return answer.status === 201 ? "held" : String(answer.body["code"]);
    });
    expect(tally(outcomes)).toEqual({ held: 5, promo_used_up: 15 });
    expect(await uses(code)).toEqual({ held: 5, redeemed: 0 });
    for (const path of held.slice(0, 2)) await api.post(`${path}/cancel`);
    expect(await uses(code)).toEqual({ held: 3, redeemed: 0 });
    const again = await race(20, async (i) => {
      // Those whose own was canceled may ask again: of a code there may be many for each.
      const { status, body } = await api.post(`${workspaces[i]?.path}/purchases`, order);
      return status === 201 ? "held" : String(body["code"]);
    });
    expect(tally(again)).toEqual({ held: 2, promo_used_up: 18 });
    expect(await uses(code)).toEqual({ held: 5, redeemed: 0 });
  });
});

describe("a campaign", () => {
  test("has one cap and one window for all its codes", async ({ api, pack }) => {
    const key = randomUUID();
    const body = { name: `Autumn ${randomUUID()}`, max_redemptions: 2, ends_at: "2098-01-01T00:00:00Z" };
    const campaign = await api.post("/v1/promo_campaigns", body, key);
    expect([campaign.status, campaign.body]).toEqual([
      201,
      {
        id: expect.any(String),
        name: body.name,
        max_redemptions: 2,
        starts_at: null,
        ends_at: expect.stringMatching(/^2098-01-01T00:00:00.*Z$/),
        created_at: expect.stringMatching(/Z$/),
      },
    ]);
    expect((await api.post("/v1/promo_campaigns", body, key)).body).toEqual(campaign.body);
    expect(said(await api.post("/v1/promo_campaigns", body))).toEqual([409, "campaign_exists"]);
    const listed = await api.get("/v1/promo_campaigns?limit=1");
    expect(listed.body["data"]).toEqual([campaign.body]);

    const [one, other] = [name(), name()];
    for (const code of [one, other]) {
      const answer = await api.post("/v1/promo_codes", { code, percent: 50, campaign_id: idOf(campaign) });
      expect([answer.status, answer.body["campaign_id"]]).toEqual([201, idOf(campaign)]);
    }
    const order = { pack: await pack(), currency: "eur", provider: "manual" };
    const buy = async (promo_code: string) => {
      const { path } = await api.workspace();
      return await api.post(`${path}/purchases`, { ...order, promo_code });
    };
    expect((await buy(one)).status).toBe(201);
    expect((await buy(other)).status).toBe(201);
    const late = await buy(one);
    expect([late.status, late.body]).toMatchObject([409, { code: "promo_used_up", of: "campaign" }]);

    const past = await api.post("/v1/promo_campaigns", { name: randomUUID(), ends_at: "2020-01-01T00:00:00Z" });
    const code = name();
    await api.post("/v1/promo_codes", { code, percent: 50, campaign_id: idOf(past) });
    expect(said(await buy(code))).toEqual([422, "promo_expired"]);
    expect(said(await api.post("/v1/promo_codes", { code: name(), percent: 1, campaign_id: randomUUID() }))).toEqual([
      422,
      "campaign_unknown",
    ]);
  });

  test("with a cap or a window that is none is refused by its place", async ({ api }) => {
    for (const [body, pointer] of [
      [{}, "/name"],
      [{ name: " " }, "/name"],
      [{ name: "x".repeat(201) }, "/name"],
      [{ name: "x", max_redemptions: 0 }, "/max_redemptions"],
      [{ name: "x", max_redemptions: -5 }, "/max_redemptions"],
      [{ name: "x", ends_at: "infinity" }, "/ends_at"],
      [{ name: "x", starts_at: "2027-02-01T00:00:00Z", ends_at: "2027-01-01T00:00:00Z" }, "/ends_at"],
      [{ name: "x", codes: [] }, "/codes"],
    ] as const) {
      const answer = await api.post("/v1/promo_campaigns", body);
      expect([body, ...placeOf(answer)]).toEqual([body, 400, pointer]);
    }
  });
});
