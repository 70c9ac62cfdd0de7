import { expect } from "vitest";
import { differences } from "../support/books.ts";
import { type Crossing, day, sessionOf, test } from "../support/crossing.ts";
import { places } from "../support/market.ts";

async function newcomer(crossing: Crossing) {
  const plan = await crossing.plan();
  const workspace = await crossing.api.workspace();
  const ask = () =>
    crossing.api.post(`${workspace.path}/checkout`, { plan, currency: "eur", ...places }, "one and the same");
  return { workspace, ask };
}

test("B1 Stripe answers later than anybody waits: what it has done is found by its key, and done once", async ({
  crossing,
}) => {
  const { stripe, db } = crossing;
  const { ask } = await newcomer(crossing);
  stripe.faults.next({ kind: "delay", when: "after", ms: 10_500, match: "POST /v1/checkout/sessions" });
  const { status, body } = await ask();
  expect([status, body["url"]]).toEqual([201, sessionOf(stripe, String(body["id"]))?.url]);
  expect(await differences(db, stripe)).toEqual({});
});

test("B1 Stripe says 500 for a session that it made, and goes on saying so: a sweep finds the session", async ({
  crossing,
}) => {
  const { stripe, mend } = crossing;
  const { ask } = await newcomer(crossing);
  stripe.faults.next({ kind: "500", when: "after", match: "POST /v1/checkout/sessions" });
  expect((await ask()).status).toBe(503);
  await crossing.travel(1);
  expect((await ask()).status).toBe(503);
  await mend();
  const { status, body } = await ask();
  expect([status, body["url"]]).toEqual([201, sessionOf(stripe, String(body["id"]))?.url]);
});

test("B1 Stripe says 500 for a customer that it made: a day later that customer is found, and there is no other", async ({
  crossing,
}) => {
  const { stripe, db, mend } = crossing;
  const { workspace, ask } = await newcomer(crossing);
  stripe.faults.next({ kind: "500", when: "after", match: "POST /v1/customers" });
  expect((await ask()).status).toBe(503);
  await crossing.travel(1);
  expect((await ask()).status).toBe(503);
  // The purchase that could not begin is over.
  await mend();
  await crossing.travel(day);
  const plan = await crossing.plan();
  const again = await crossing.api.post(`${workspace.path}/checkout`, { plan, currency: "eur", ...places });
  expect(again.status, JSON.stringify(again.body)).toBe(201);
  expect(await differences(db, stripe)).toEqual({});
});
