import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { z } from "zod";
import { Api, textOf } from "../support/api.ts";
import { StackFolder, kill } from "../support/stack.ts";
import type { Address } from "../support/stack.ts";

// A month is some seconds on a quiet machine; a busy one may take minutes.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 240_000 });

const day = 86_400_000;

let folder: StackFolder;

beforeEach(() => {
  folder = new StackFolder();
});

afterEach(() => folder.remove());

const journey = z.object({
  now: z.string(),
  offset: z.string(),
  tick: z.literal("ok"),
  events: z.array(z.object({ at: z.string(), type: z.string(), object: z.string(), answered: z.literal(200) })),
  sweeps: z.array(z.unknown()).length(0),
});

/** Somebody at the local stack: with the operator's key, at the stand-in's pages, and at the clock. */
class Person {
  readonly api: Api;
  readonly #stack: Address;
  readonly #path: string;

  constructor(stack: Address) {
    this.#stack = stack;
    this.api = new Api(stack.url, stack.operator_key);
    this.#path = `/v1/workspaces/${stack.workspace_id}`;
  }

  /** Asks for a checkout; answers its pay page. */
  async checkout(what: object, key?: string): Promise<string> {
    const { dev_url } = this.#stack;
    const places = { success_url: `${dev_url}/thanks`, cancel_url: `${dev_url}/canceled` };
    const answer = await this.api.post(`${this.#path}/checkout`, { currency: "eur", ...what, ...places }, key);
    return textOf(answer, "url");
  }

  async buy(what: object): Promise<void> {
    await pay(await this.checkout(what));
  }

  async portal(): Promise<string> {
    return textOf(await this.api.post(`${this.#path}/portal`, { return_url: `${this.#stack.dev_url}/thanks` }), "url");
  }

  async clock(advance: string): Promise<z.infer<typeof journey>> {
    const answer = await fetch(`${this.#stack.dev_url}/clock`, { method: "POST", body: JSON.stringify({ advance }) });
    return journey.parse(await answer.json());
  }

  async subscription(): Promise<Readonly<Record<string, unknown>>> {
    return (await this.api.get(`${this.#path}/subscription`)).body;
  }

  async pools(): Promise<Record<string, number>> {
    const { pools } = (await this.api.get(`${this.#path}/credits`)).body;
    const known = z.array(z.object({ pool: z.string(), available: z.int() })).parse(pools);
    return Object.fromEntries(known.map(({ pool, available }) => [pool, available]));
  }

  async spend(amount: number): Promise<unknown> {
    const { status, body } = await this.api.post(`${this.#path}/credits/spend`, { amount });
    return status === 200 ? 200 : body["code"];
  }
}

/** Clicks on a page of the stand-in's. */
async function click(page: string, fields: Record<string, string>): Promise<number> {
  const answer = await fetch(page, { method: "POST", redirect: "manual", body: new URLSearchParams(fields) });
  return answer.status;
}

async function pay(page: string): Promise<void> {
  expect(await click(page, { outcome: "pay" })).toBe(303);
}

const typesOf = ({ events }: z.infer<typeof journey>): string[] => events.map(({ type }) => type);

test("A3 months in a minute: a renewal, a card that declines, grace, read-only, and back", async () => {
  const person = new Person(await folder.running(folder.start()));
  await person.buy({ plan: "pro" });
  await person.buy({ pack: "credits_100" });
  expect(await person.subscription()).toMatchObject({ state: "trialing", read_only: false });
  expect(await person.pools()).toEqual({ subscription: 500, bulk: 100 });
  expect(await person.spend(400)).toBe(200);

  // The trial ends after 14 days, and what was left of its credits rolls over.
  const first = await person.clock("31 days");
  expect(first.offset).toBe("31 days");
  expect(typesOf(first)).toEqual(expect.arrayContaining(["customer.subscription.trial_will_end", "invoice.paid"]));
  expect(first.events.map(({ at }) => at)).toEqual(first.events.map(({ at }) => at).toSorted());
  expect(await person.subscription()).toMatchObject({ state: "active", read_only: false });
  expect(await person.pools()).toEqual({ subscription: 500, rollover: 100, bulk: 100 });

  const portal = await person.portal();
  expect(await click(portal, { act: "card_declines" })).toBe(303);
  const declined = await person.clock("15 days");
  const failed = declined.events.find(({ type }) => type === "invoice.payment_failed");
  expect(await person.subscription()).toMatchObject({ state: "past_due", read_only: false });
  expect(await person.spend(10)).toBe(200);

  // Seven days of grace, and the last of the attempts to take the payment.
  expect(typesOf(await person.clock("10 days"))).toContain("invoice.payment_failed");
  const unpaid = await person.subscription();
  expect(unpaid, JSON.stringify(unpaid)).toMatchObject({ state: "unpaid", read_only: true });
  expect(await person.spend(10)).toBe("workspace_read_only");

  expect(await click(portal, { act: "card_pays" })).toBe(303);
  expect(await click(portal, { act: "pay", invoice: failed?.object ?? "" })).toBe(303);
  await person.clock("1 minute");
  expect(await person.subscription()).toMatchObject({ state: "active", read_only: false });
  expect(await person.pools()).toMatchObject({ subscription: 500, bulk: 100 });
  expect(await person.spend(10)).toBe(200);
});

test("Stripe in miniature is kept over a restart, with the clock; --reset empties it", async () => {
  const stack = folder.start();
  const before = new Person(await folder.running(stack));
  await before.buy({ plan: "pro" });
  const { now } = await before.clock("20 days");
  const wish = { pack: "credits_100" };
  await before.checkout(wish, "pack");
  stack.child.kill("SIGINT");
  expect(await stack.exit).toBe(0);

  const again = folder.start();
  const found = await folder.running(again);
  const after = new Person(found);
  expect(Date.parse(await standInsTime(found))).toBeGreaterThanOrEqual(Date.parse(now));
  const places = { success_url: "http://localhost:3000/", cancel_url: "http://localhost:3000/" };
  const { body } = await after.api.get(`/v1/workspaces/${found.workspace_id}/purchases`);
  expect(body["data"]).toMatchObject([{ state: "pending" }, { state: "paid" }]);
  await after.buy({ ...wish, ...places });
  expect(await after.pools()).toEqual({ subscription: 500, rollover: 250, bulk: 100 });
  expect(typesOf(await after.clock("31 days"))).toContain("invoice.paid");
  again.child.kill("SIGINT");
  await again.exit;

  const empty = await folder.running(folder.start("--reset"));
  expect(await (await fetch(`${empty.stripe_url}/`)).text()).not.toMatch(/sub_/);
  const anew = new Person(empty);
  await anew.buy(wish);
  expect(await anew.pools()).toEqual({ bulk: 100 });
});

test("A11 a stack that is killed while somebody pays comes back with the payment and its credits, or with neither", async () => {
  const found = await folder.running(folder.start());
  const page = await new Person(found).checkout({ pack: "credits_100" });
  const cut = click(page, { outcome: "pay" }).catch(() => null);
  await kill(found.pid);
  await cut;

  const again = await folder.running(folder.start());
  const person = new Person(again);
  const session = new URL(page).pathname;
  const paid = (await fetch(`${again.stripe_url}${session}`)).status === 410;
  if (!paid) {
    expect(await person.pools()).toEqual({});
    await pay(`${again.stripe_url}${session}`);
  }
  expect(await person.pools()).toEqual({ bulk: 100 });
  await person.clock("2 days");
  expect(await person.pools()).toEqual({ bulk: 100 });
});

test("what a page of Stripe in miniature does to the clock, it does to the whole stack's", async () => {
  const found = await folder.running(folder.start());
  const person = new Person(found);
  await person.buy({ plan: "pro" });
  const now = new Date(Date.parse(await standInsTime(found)) + 20 * day).toISOString();
  expect(await click(`${found.stripe_url}/miniature/clock`, { now })).toBe(303);
  const clock = z.object({ now: z.string() }).parse(await (await fetch(`${found.dev_url}/clock`)).json());
  expect(Date.parse(clock.now)).toBeGreaterThanOrEqual(Date.parse(now));
  expect(await person.subscription()).toMatchObject({ state: "active" });
});

test("Ctrl-C in the middle of a journey ends it between two steps, and the clocks agree after the next start", async () => {
  const stack = folder.start();
  const found = await folder.running(stack);
  const before = Date.parse(await standInsTime(found));
  await new Person(found).buy({ plan: "pro" });
  const cut = fetch(`${found.dev_url}/clock`, { method: "POST", body: '{"advance":"50 years"}' }).catch(() => null);
  await expect
    .poll(async () => Date.parse(await standInsTime(found)) - before, { timeout: 60_000 })
    .toBeGreaterThan(day);
  stack.child.kill("SIGINT");
  expect(await stack.exit).toBe(0);
  await cut;

  const again = await folder.running(folder.start());
  const { now } = z.object({ now: z.string() }).parse(await (await fetch(`${again.dev_url}/clock`)).json());
  const apart = Date.parse(now) - Date.parse(await standInsTime(again));
  expect(Math.abs(apart)).toBeLessThan(60_000);
  expect(Date.parse(now) - before).toBeLessThan(49 * 365 * day);
});

/** What the stand-in's first page says that the time is. */
async function standInsTime({ stripe_url }: Address): Promise<string> {
  const page = await (await fetch(`${stripe_url}/`)).text();
  return /It is (\S+?)\.\s/.exec(page)?.[1] ?? "";
}
