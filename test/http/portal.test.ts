import { expect } from "vitest";
import { places, test } from "../support/market.ts";

const return_url = places.cancel_url;

test("who has bought something is sent to a portal of its own customer, by a new link each time", async ({
  market,
  api,
}) => {
  const { path } = await api.workspace();
  await api.post(`${path}/checkout`, { pack: await market.pack(), currency: "eur", ...places });
  const [first, second] = [
    await api.post(`${path}/portal`, { return_url }),
    await api.post(`${path}/portal`, { return_url }),
  ];
  expect([first.status, first.body]).toEqual([201, { url: expect.stringMatching(/^http/) }]);
  expect(second.body["url"]).not.toBe(first.body["url"]);
});

test("who has bought nothing has no portal", async ({ api }) => {
  const { path } = await api.workspace();
  const answer = await api.post(`${path}/portal`, { return_url });
  expect([answer.status, answer.body["code"]]).toEqual([409, "no_customer"]);
});

test("a read-only or frozen workspace still gets to its portal: that is how it pays", async ({ market, api }) => {
  const { path } = await api.workspace();
  await api.post(`${path}/checkout`, { pack: await market.pack(), currency: "eur", ...places });
  await api.post(`${path}/freeze`, { reason: "x" });
  expect((await api.post(`${path}/portal`, { return_url })).status).toBe(201);
});

test("the way back is held to the same rule as a checkout's", async ({ api }) => {
  const { path } = await api.workspace();
  const answer = await api.post(`${path}/portal`, { return_url: "https://evil.example/" });
  expect([answer.status, answer.body]).toMatchObject([
    422,
    { code: "url_not_allowed", errors: [{ pointer: "/return_url" }] },
  ]);
});

test("Stripe's silence is told as what may be repeated, and its refusal in its own words", async ({ market, api }) => {
  const { path } = await api.workspace();
  await api.post(`${path}/checkout`, { pack: await market.pack(), currency: "eur", ...places });
  market.stripe.faults.next({ kind: "drop", match: "POST /v1/billing_portal", times: 4 });
  const lost = await api.post(`${path}/portal`, { return_url });
  expect([lost.status, lost.body["code"]]).toEqual([503, "provider_unavailable"]);
  expect(lost.headers.get("Retry-After")).toMatch(/^\d+$/);
});
