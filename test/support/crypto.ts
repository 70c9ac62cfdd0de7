import type { Pool } from "pg";
import { type BtcpayMiniature, startBtcpay } from "../world/btcpay.ts";
import type { Invoice } from "../world/btcpay/invoice.ts";
import type { RunningWorker } from "../world/worker.ts";
import { Api, type Answer, idOf, type Workspace } from "./api.ts";
import { places } from "./market.ts";
import { rows } from "./scenario.ts";
import { type SweepRun, sweepOnly } from "./sweeping.ts";
import { test as inWorld, type World } from "./world.ts";

/** A Worker that sells for crypto, at BTCPay in miniature, which tells it what happens there. */
export interface Exchange {
  worker: RunningWorker;
  btcpay: BtcpayMiniature;
  api: Api;
  secret: string;
  /** What a Worker of the same deployment is bound to. */
  bindings: Readonly<Record<string, string>>;
  /** Makes a pack of 100 credits at 10 €, or what is wished for; answers its code. */
  pack(wish?: { amount_minor?: number; currency?: string }): Promise<string>;
  /** A workspace that is buying something: a pack unless told. */
  buying(what?: object): Promise<Buying>;
  /** The webhook's events are fetched and applied, as the cron does it. */
  fetches(worker?: RunningWorker): Promise<SweepRun[]>;
  /** The watcher looks at these purchases. */
  watches(purchases: readonly string[], worker?: RunningWorker): Promise<SweepRun[]>;
  /** How a purchase stands, its money and its alarms. */
  standing(of: Buying): Promise<Standing>;
}

export interface Buying {
  workspace: Workspace;
  purchase: string;
  answer: Answer;
  invoice: Invoice;
}

export interface Standing {
  state: string;
  credits: number;
  balance: number;
  /** Each as `<minor> <currency>`, with `kept` where it waits for the operator. */
  payments: string[];
  alarms: string[];
}

let made = 0;

/** A checkout's body. */
export const inCrypto = (what: object) => ({ provider: "btcpay", currency: "eur", ...what, ...places });

/** Opens an exchange in a world. */
export async function openExchange(
  world: World,
  wired: (btcpay: string) => Promise<Readonly<Record<string, string>>> = async () => ({}),
): Promise<Exchange> {
  const btcpay = await startBtcpay();
  const secret = "btcpay-webhook-secret";
  const bindings = {
    BTCPAY_URL: btcpay.url,
    BTCPAY_API_KEY: btcpay.api_key,
    BTCPAY_STORE_ID: btcpay.store_id,
    BTCPAY_WEBHOOK_SECRET: secret,
    CHECKOUT_ORIGINS: "https://app.example.com",
  };
  const worker = await world.another({ ...bindings, ...(await wired(btcpay.url)) });
  btcpay.listen({ url: `${worker.url}/webhooks/btcpay`, secret });
  const api = new Api(worker.url, world.operatorKey);
  const db: Pool = world.database.owner;

  const pack = async ({ amount_minor = 1000, currency = "eur" } = {}): Promise<string> => {
    const code = `crypto_${(made += 1)}`;
    const prices = [{ currency, amount_minor }];
    const answer = await api.post("/v1/packs", {
      code,
      kind: "credit_pack",
      name: "100 credits",
      quantity: 100,
      prices,
    });
    if (answer.status !== 201) throw new Error(`not sold: ${JSON.stringify(answer.body)}`);
    return code;
  };

  return {
    worker,
    btcpay,
    api,
    secret,
    bindings,
    pack,
    buying: async (what) => {
      const workspace = await api.workspace();
      const answer = await api.post(`${workspace.path}/checkout`, inCrypto(what ?? { pack: await pack() }));
      if (answer.status !== 201) throw new Error(`not begun: ${JSON.stringify(answer.body)}`);
      const [invoice] = btcpay.of(idOf(answer));
      if (invoice === undefined) throw new Error("there is no invoice");
      return { workspace, purchase: idOf(answer), answer, invoice };
    },
    fetches: async (by = worker) => {
      await btcpay.settled();
      await db.query("update ops.event set next_attempt_at = ops.now() where state = 'fetching'");
      return sweepOnly(db, by, "btcpay_fetches");
    },
    watches: async (purchases, by = worker) => {
      await btcpay.settled();
      await db.query(
        `update payments.purchase set check_due_at = case when id = any ($1) then ops.now() else ops.now() + interval '1 hour' end
          where provider = 'btcpay' and (check_due_at is not null or id = any ($1))`,
        [purchases],
      );
      return sweepOnly(db, by, "btcpay_checks");
    },
    standing: async ({ workspace, purchase }) => {
      const [row] = await rows<Standing>(
        db,
        `select p.state,
                (ledger.balance_of(p.workspace_id, 'credit')).available as credits,
                (ledger.balance_of(p.workspace_id, p.currency)).available as balance,
                array(select m.amount_minor || ' ' || m.currency || case when m.unsettled_at is null then '' else ' kept' end
                        from payments.payment m where m.workspace_id = p.workspace_id order by m.id) as payments,
                array(select a.code from ops.alarm a where a.subject = 'purchase:' || p.id and a.closed_at is null
                       order by a.code) as alarms
           from payments.purchase p where p.id = $1 and p.workspace_id = $2`,
        [purchase, workspace.id],
      );
      if (row === undefined) throw new Error("there is no such purchase");
      return row;
    },
  };
}

/** `test` with an exchange of the file's own. How BTCPay misbehaved in a test ends with it. */
export const test = inWorld
  .extend("open", { scope: "file" }, async ({ world }, { onCleanup }) => {
    const exchange = await openExchange(world);
    onCleanup(() => exchange.btcpay.stop());
    return exchange;
  })
  .extend("exchange", ({ open }, { onCleanup }) => {
    onCleanup(async () => {
      open.btcpay.peer.behave("ok");
      open.btcpay.deliveries = "automatic";
      // What is still on its way would come beside the invariants.
      await open.btcpay.settled();
    });
    return open;
  })
  .extend("btcpay", ({ open }) => open.btcpay)
  .extend("api", ({ open }) => open.api);
