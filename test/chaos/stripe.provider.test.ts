import { expect } from "vitest";
import { Api } from "../support/api.ts";
import { differences } from "../support/books.ts";
import { type Crossing, day, sessionOf, test } from "../support/crossing.ts";
import { places } from "../support/market.ts";
import { rows } from "../support/scenario.ts";

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

test("A11 a purchase is cancelled whose session nobody wrote down: nobody can pay it", async ({ crossing }) => {
  const { stripe, api, db, lanes, mend } = crossing;
  const plan = await crossing.plan();
  const workspace = await api.workspace();
  const [lane] = lanes;
  if (lane === undefined) throw new Error("no lane");
  const dying = new Api(lane.worker.url, api.apiKey);
  lane.wires.trip({ nth: 1, when: "after", how: "dead", of: ({ what }) => what === "POST /v1/checkout/sessions" });
  const died = await dying.post(`${workspace.path}/checkout`, { plan, currency: "eur", ...places });
  lane.wires.mend();
  expect(died.status).toBe(503);
  const [purchase] = await rows<{ id: string }>(db, "select id from payments.purchase where workspace_id = $1", [
    workspace.id,
  ]);
  const id = purchase?.id ?? "";
  expect(sessionOf(stripe, id)?.status).toBe("open");
  await crossing.travel(1);
  const cancelled = await api.post(`${workspace.path}/purchases/${id}/cancel`);
  expect([cancelled.status, cancelled.body["state"]]).toEqual([200, expect.stringMatching(/canceled|expired/)]);
  expect(sessionOf(stripe, id)?.status).toBe("expired");
  await mend();
});
