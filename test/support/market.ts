import { setUpStripe } from "../../db/tool/stripe.ts";
import type { StripeMiniature } from "../world/stripe.ts";
import { startStripe } from "../world/stripe.ts";
import { withClient } from "../world/roles.ts";
import type { RunningWorker } from "../world/worker.ts";
import { Api, idOf, type Answer, type Workspace } from "./api.ts";
import { until } from "./barrier.ts";
import { test as inWorld, type World } from "./world.ts";

/** A Worker that sells at a Stripe in miniature, which tells it what happens there. */
export interface Market {
  worker: RunningWorker;
  stripe: StripeMiniature;
  /** Speaks to the Worker as the operator. */
  api: Api;
  /** Makes a plan of euros a month, and publishes it; answers its code. */
  plan(wish?: PlanWish): Promise<string>;
  /** Makes a pack, and publishes it; answers its code. */
  pack(wish?: { quantity?: number; amount_minor?: number; kind?: "credit_pack" | "retail_token" }): Promise<string>;
  /** Publishes what is sold and is not published yet. */
  publish(): Promise<void>;
  /** Pays a checkout as a person does, and resolves when the Worker has been told. */
  pay(checkout: Answer): Promise<void>;
  /** A workspace that has bought a plan. */
  subscriber(plan: string, quantity?: number): Promise<Workspace>;
}

/** What differs from a plan of 500 credits at 19 € a month. */
export interface PlanWish {
  code?: string;
  included_credits?: number;
  amount_minor?: number;
  trial_days?: number;
  grace_days?: number;
  seats?: number;
}

const origin = "https://app.example.com";

/** What a checkout needs besides what is bought. */
export const places = {
  success_url: `${origin}/thanks?session={CHECKOUT_SESSION_ID}`,
  cancel_url: `${origin}/prices`,
};

let made = 0;

/** Opens a market in a world. */
export async function openMarket(world: World): Promise<Market> {
  const stripe = await startStripe();
  const secret = "whsec_market";
  const account = { STRIPE_SECRET_KEY: "sk_test_market", STRIPE_API_BASE: stripe.url, STRIPE_WEBHOOK_SECRET: secret };
  const worker = await world.another({ ...account, CHECKOUT_ORIGINS: `${origin}, http://localhost:3000` });
  stripe.listen({ url: `${worker.url}/webhooks/stripe`, secret });
  const api = new Api(worker.url, world.operatorKey);

  const publish = () =>
    withClient(world.database.ownerUrl, (owner) =>
      setUpStripe(
        owner,
        { secret_key: account.STRIPE_SECRET_KEY, live: false, webhook_secrets: [], api_base: stripe.url },
        { log: () => undefined },
      ),
    );

  const sell = async (path: string, body: { code: string } & Record<string, unknown>): Promise<string> => {
    const answer = await api.post(path, body);
    if (answer.status !== 201) throw new Error(`not sold: ${JSON.stringify(answer.body)}`);
    await publish();
    return body.code;
  };

  const pay = async (checkout: Answer): Promise<void> => {
    const id = idOf(checkout);
    const session = [...stripe.state.sessions.values()].find((one) => one.client_reference_id === id);
    if (session === undefined) throw new Error(`nobody made a session for ${id}`);
    stripe.pay(session.id);
    await stripe.settled();
  };

  return {
    worker,
    stripe,
    api,
    publish,
    pay,
    plan: ({ code = `plan_${(made += 1)}`, amount_minor = 1900, ...wish } = {}) =>
      sell("/v1/plans", {
        code,
        name: `Plan ${code}`,
        included_credits: 500,
        ...wish,
        prices: [{ currency: "eur", interval: "month", amount_minor }],
      }),
    pack: ({ quantity = 100, amount_minor = 900, kind = "credit_pack" } = {}) => {
      const code = `pack_${(made += 1)}`;
      return sell("/v1/packs", {
        code,
        kind,
        name: `Pack ${code}`,
        quantity,
        prices: [{ currency: "eur", amount_minor }],
      });
    },
    subscriber: async (plan, quantity = 1) => {
      const workspace = await api.workspace();
      await pay(await api.post(`${workspace.path}/checkout`, { plan, quantity, currency: "eur", ...places }));
      await until("the subscription is there", async () => {
        const { body } = await api.get(`${workspace.path}/subscription`);
        return body["id"] !== null;
      });
      return workspace;
    },
  };
}

/** `test` with a market of the file's own. Faults that a test left at Stripe are cleared before the next. */
export const test = inWorld
  .extend("trade", { scope: "file" }, async ({ world }, { onCleanup }) => {
    const market = await openMarket(world);
    onCleanup(() => market.stripe.stop());
    return market;
  })
  .extend("market", ({ trade }, { onCleanup }) => {
    onCleanup(async () => {
      trade.stripe.faults.clear();
      // What is still on its way would come beside the invariants.
      await trade.stripe.settled();
    });
    return trade;
  })
  .extend("api", ({ trade }) => trade.api);
