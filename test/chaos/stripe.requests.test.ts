import { expect } from "vitest";
import { Api, type Answer, type Workspace } from "../support/api.ts";
import { differences } from "../support/books.ts";
import { type Crossing, type Lane, test } from "../support/crossing.ts";
import { type Shelf, stock } from "../support/customer-life.ts";
import { places } from "../support/market.ts";
import { rows } from "../support/scenario.ts";
import type { How, Step, Trip } from "../support/wires.ts";

/** A request that talks to Stripe, to be broken wherever it reaches outside. */
interface Path {
  name: string;
  /** What must be there before. Answers the request. */
  ready(crossing: Crossing, shelf: Shelf): Promise<Asked>;
}

interface Asked {
  workspace: Workspace;
  path: string;
  body: Record<string, unknown>;
}

const checkout = (workspace: Workspace, what: object): Asked => ({
  workspace,
  path: `${workspace.path}/checkout`,
  body: { ...what, currency: "eur", ...places },
});

const known = async ({ api }: Crossing, { pack }: Shelf): Promise<Workspace> => {
  const workspace = await api.workspace();
  const { path, body } = checkout(workspace, { pack });
  await api.post(path, body);
  return workspace;
};

const changing = (
  name: string,
  path: string,
  body: Record<string, unknown> | ((shelf: Shelf) => Record<string, unknown>),
  before?: { path: string; body: (shelf: Shelf) => object },
): Path => ({
  name,
  ready: async (crossing, shelf) => {
    const workspace = await crossing.subscriber(shelf.small);
    if (before !== undefined) {
      const prepared = await crossing.api.post(`${workspace.path}/subscription/${before.path}`, before.body(shelf));
      expect(prepared.status, JSON.stringify(prepared.body)).toBe(200);
    }
    return {
      workspace,
      path: `${workspace.path}/subscription/${path}`,
      body: typeof body === "function" ? body(shelf) : body,
    };
  },
});

const paths: Path[] = [
  {
    name: "B1 a plan's checkout by a new customer",
    ready: async ({ api }, { small }) => checkout(await api.workspace(), { plan: small }),
  },
  {
    name: "a plan's checkout by a known customer",
    ready: async (crossing, shelf) => checkout(await known(crossing, shelf), { plan: shelf.small }),
  },
  {
    name: "a pack's checkout",
    ready: async (crossing, shelf) => checkout(await known(crossing, shelf), { pack: shelf.pack, quantity: 2 }),
  },
  {
    name: "B1 a checkout by a customer who was begun a day ago",
    ready: async ({ api, db }, { small }) => {
      const workspace = await api.workspace();
      await db.query(
        `insert into payments.customer (workspace_id, provider, number, claimed_at)
         values ($1, 'stripe', 1, ops.now() - interval '2 days')`,
        [workspace.id],
      );
      return checkout(workspace, { plan: small });
    },
  },
  {
    name: "the portal",
    ready: async (crossing, shelf) => {
      const workspace = await known(crossing, shelf);
      return { workspace, path: `${workspace.path}/portal`, body: { return_url: places.cancel_url } };
    },
  },
  {
    name: "cancelling a purchase",
    ready: async (crossing, shelf) => {
      const workspace = await known(crossing, shelf);
      const [purchase] = await rows<{ id: string }>(
        crossing.db,
        "select id from payments.purchase where workspace_id = $1",
        [workspace.id],
      );
      return { workspace, path: `${workspace.path}/purchases/${purchase?.id}/cancel`, body: {} };
    },
  },
  changing("an upgrade now", "change", ({ large }) => ({ plan: large, when: "now" })),
  changing("a change at the period's end", "change", ({ large }) => ({ plan: large, when: "period_end" })),
  changing("a change of quantity", "change", { quantity: 3, when: "now" }),
  changing("cancelling at the period's end", "cancel", { when: "period_end" }),
  changing("cancelling now", "cancel", { when: "now" }),
  changing("taking a cancellation back", "uncancel", {}, { path: "cancel", body: () => ({ when: "period_end" }) }),
  changing(
    "cancelling what was to change",
    "cancel",
    { when: "period_end" },
    {
      path: "change",
      body: ({ large }) => ({ plan: large, when: "period_end" }),
    },
  ),
];

/** What the client does after a failure. */
type Client = "repeats" | "never comes back";

interface Case {
  name: string;
  trip: Trip;
  client: Client;
}

/**
 * The deployment dies at each step, before it is done and after; or the step alone fails, in each way that its side knows. To
 * die before a step is to die after the one before it: the outside is the same.
 */
function casesOf(steps: Step[]): Case[] {
  return steps.flatMap(({ side, what }, i) => {
    const at = (how: How, when: Trip["when"], client: Client = "repeats"): Case => ({
      name: `${what} (${i + 1}) ${how} ${when}, the client ${client}`,
      trip: { nth: i + 1, when, how },
      client,
    });
    const gone = at("dead", "after", "never comes back");
    if (what.startsWith("GET") || what === "read") return [gone];
    const dead = [at("dead", "after"), gone];
    if (side === "database") return [...(i === 0 ? [at("dead", "before")] : []), ...dead, at("cut", "after")];
    const failed = [at("500", "after"), at("cut", "after"), at("409", "before"), at("429", "before")];
    return [at("dead", "before"), ...dead, ...failed];
  });
}

/** Who comes after one that never came back finds that it was done, or that there is nothing left to do. */
const nothingLeft = new Set(["no_subscription", "change_invalid"]);

test.for(paths)("A11 $name is broken at every step: all or nothing after the sweeps", async (path, { crossing }) => {
  const { api, stripe, lanes, travel, mend, db } = crossing;
  const shelf = await stock(crossing);
  const [first] = lanes;
  if (first === undefined) throw new Error("no lane");
  const ask = ({ worker }: Lane, { path: to, body }: Asked, key: string): Promise<Answer> =>
    new Api(worker.url, api.apiKey).post(to, body, key);

  const whole = await path.ready(crossing, shelf);
  // Nobody is told anything before all is over: what a request leaves, it leaves alone.
  stripe.deliveries = "held";
  first.wires.steps.length = 0;
  const right = await ask(first, whole, "whole");
  expect(right.status, JSON.stringify(right.body)).toBeLessThan(300);
  const cases = casesOf(first.wires.steps.splice(0));
  stripe.deliveries = "automatic";
  await stripe.settled();

  const requests = await inLanes(lanes, cases, async (one) => ({ one, asked: await path.ready(crossing, shelf) }));
  stripe.deliveries = "held";
  const unbroken: string[] = [];
  await inLanes(lanes, requests, async ({ one, asked }, lane) => {
    const tripping = lane.wires.trip(one.trip);
    await ask(lane, asked, one.name);
    lane.wires.mend();
    if (!tripping.done) unbroken.push(one.name);
  });
  expect(unbroken).toEqual([]);

  // Past the leases of who died.
  await travel(1);
  const wrong: Record<string, unknown> = {};
  await inLanes(lanes, requests, async ({ one, asked }, lane) => {
    if (one.client !== "repeats") return;
    const answer = await ask(lane, asked, one.name);
    if (answer.status >= 300) wrong[one.name] = answer.body;
  });
  expect(wrong).toEqual({});
  stripe.deliveries = "automatic";
  await mend();

  // Whoever comes then is served as if nothing had been.
  await inLanes(lanes, requests, async ({ one, asked }, lane) => {
    if (one.client === "repeats") return;
    const { status, body } = await ask(lane, asked, `${one.name}, later`);
    if (status >= 300 && !nothingLeft.has(String(body["code"]))) wrong[one.name] = body;
    if (asked.path.endsWith("/checkout") && typeof body["url"] !== "string") wrong[one.name] = body;
  });
  expect(wrong).toEqual({});
  await stripe.settled();
  expect(await differences(db, stripe)).toEqual({});
});

/** Does something for each, side by side: what waits in one lane does not hold up the others. */
async function inLanes<Item, Result>(
  lanes: readonly Lane[],
  items: readonly Item[],
  work: (item: Item, lane: Lane) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const left = items.values();
  await Promise.all(
    lanes.map(async (lane) => {
      for (const item of left) results.push(await work(item, lane));
    }),
  );
  return results;
}
