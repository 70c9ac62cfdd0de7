import { expect } from "vitest";
import { Api, idOf, type Workspace } from "../support/api.ts";
import { type Exchange, inCrypto, openExchange } from "../support/crypto.ts";
import { advance, rows } from "../support/scenario.ts";
import { type How, type Step, type Trip, Wires } from "../support/wires.ts";
import { test as inWorld } from "../support/world.ts";
import type { RunningWorker } from "../world/worker.ts";

/** An exchange, and a Worker of the same deployment whose every step outside can be broken. */
interface Crossing {
  exchange: Exchange;
  wires: Wires;
  worker: RunningWorker;
}

const test = inWorld.extend("crossing", { scope: "file" }, async ({ world }, { onCleanup }): Promise<Crossing> => {
  const exchange = await openExchange(world);
  const wires = new Wires();
  const worker = await world.another({
    ...exchange.bindings,
    DATABASE_FETCH_ENDPOINT: await wires.to("database", world.bridge.url),
    BTCPAY_URL: await wires.to("peer", exchange.btcpay.url),
  });
  onCleanup(async () => {
    wires.stop();
    await exchange.btcpay.stop();
  });
  return { exchange, wires, worker };
});

/** The deployment dies at each step, before it is done and after; or the step alone fails. */
function tripsOf(steps: readonly Step[]): Trip[] {
  return steps.flatMap(({ side }, i) => {
    const at = (how: How, when: Trip["when"]): Trip => ({ nth: i + 1, when, how });
    const dead = [at("dead", "before"), at("dead", "after"), at("cut", "after")];
    return side === "database" ? dead : [...dead, at("500", "before"), at("500", "after"), at("429", "before")];
  });
}

test("D12 a checkout in crypto is broken at every step: one purchase, one invoice that counts, and paid once", async ({
  crossing: { exchange, wires, worker },
  db,
}) => {
  const { btcpay, api } = exchange;
  const pack = await exchange.pack();
  const broken = new Api(worker.url, api.apiKey);
  const begin = (by: Api, { path }: Workspace, key: string) => by.post(`${path}/checkout`, inCrypto({ pack }), key);
  wires.steps.length = 0;
  expect(await begin(broken, await api.workspace(), "whole")).toMatchObject({ status: 201 });
  const trips = tripsOf(wires.steps.splice(0));
  expect(trips.length).toBeGreaterThan(10);
  for (const [i, trip] of trips.entries()) {
    for (const client of ["repeats", "never comes back"] as const) {
      const what = `${JSON.stringify(trip)}, the client ${client}`;
      const workspace = await api.workspace();
      const key = `broken-${i}-${client}`;
      // Nobody is told anything before all is over.
      btcpay.deliveries = "dropped";
      const tripping = wires.trip(trip);
      await begin(broken, workspace, key);
      wires.mend();
      expect(tripping.done, what).toBe(true);
      // Past the lease of who died.
      await advance(db, "1 minute");
      const purchases = () =>
        rows<{ id: string; state: string; provider_id: string | null }>(
          db,
          "select id, state, provider_id from payments.purchase where workspace_id = $1",
          [workspace.id],
        );
      if (client === "repeats") {
        const answer = await begin(api, workspace, key);
        expect([what, answer.status, typeof answer.body["url"]]).toEqual([what, 201, "string"]);
      }
      const [purchase, ...more] = await purchases();
      expect([what, more]).toEqual([what, []]);
      if (purchase === undefined) continue;
      await advance(db, "16 minutes");
      await exchange.watches([purchase.id]);
      const invoices = btcpay.of(purchase.id);
      expect([what, invoices.length]).toEqual([what, Math.min(invoices.length, 1)]);
      const [invoice] = invoices;
      const [after] = await purchases();
      if (invoice === undefined) {
        expect([what, after?.state]).toEqual([what, "expired"]);
        continue;
      }
      expect([what, after?.provider_id]).toEqual([what, invoice.id]);
      btcpay.pay(invoice.id, { confirmed: true });
      await exchange.watches([purchase.id]);
      const bought = {
        workspace,
        purchase: purchase.id,
        invoice,
        answer: { status: 201, headers: new Headers(), body: {} },
      };
      expect([what, await exchange.standing(bought)]).toMatchObject([
        what,
        { state: "paid", credits: 100, payments: ["1000 eur"], alarms: [] },
      ]);
    }
  }
});

/** Both ways to finalize, to be killed wherever they reach outside. */
const tellers = {
  btcpay_checks: ["payments.claim_checks", "payments.sync_checkout"],
  btcpay_fetches: ["ops.claim_fetches", "ops.apply_fetched"],
} as const;

test.for(Object.entries(tellers))(
  "D12 %s is broken at every step: all or nothing, and the next run does it once",
  async ([sweep, routines], { crossing: { exchange, wires, worker } }) => {
    const { btcpay } = exchange;
    const paid = async () => {
      btcpay.deliveries = "dropped";
      const bought = await exchange.buying();
      btcpay.pay(bought.invoice.id, { confirmed: true });
      const settled = btcpay.told.findLast(({ type }) => type === "InvoiceSettled");
      if (sweep === "btcpay_fetches" && settled !== undefined) btcpay.redeliver(settled);
      await btcpay.settled();
      return bought;
    };
    const run = (bought: { purchase: string }, by?: RunningWorker) =>
      sweep === "btcpay_checks" ? exchange.watches([bought.purchase], by) : exchange.fetches(by);
    const ours = ({ side, what }: Step) => side === "peer" || routines.some((routine) => routine === what);
    // What was delivered before is none of this.
    await exchange.fetches();
    const whole = await paid();
    wires.steps.length = 0;
    await run(whole, worker);
    const steps = wires.steps.splice(0).filter(ours);
    expect(steps.map(({ side, what }) => (side === "peer" ? side : what))).toEqual([routines[0], "peer", routines[1]]);
    for (const trip of tripsOf(steps)) {
      const bought = await paid();
      const tripping = wires.trip({ ...trip, of: ours });
      await worker.tick().catch(() => undefined);
      await run(bought, worker).catch(() => undefined);
      wires.mend();
      expect(tripping.done, JSON.stringify(trip)).toBe(true);
      const between = await exchange.standing(bought);
      expect([trip, between.credits === 100 ? "paid" : "pending"]).toEqual([trip, between.state]);
      await run(bought);
      expect([trip, await exchange.standing(bought)]).toMatchObject([
        trip,
        { state: "paid", credits: 100, payments: ["1000 eur"], alarms: [] },
      ]);
    }
  },
);

const modes = ["error", "throttled", "redirect", "garbage", "huge", "cut", "slow", "silent"] as const;

test.for(modes)(
  "a BTCPay that answers %s: the checkout says so, nothing is made twice, and the watcher goes on when it is back",
  async (mode, { crossing: { exchange }, db }) => {
    const { btcpay, api } = exchange;
    const [workspace, pack] = [await api.workspace(), await exchange.pack()];
    const paid = await exchange.buying();
    btcpay.deliveries = "dropped";
    btcpay.pay(paid.invoice.id, { confirmed: true });
    btcpay.peer.behave(mode);
    const refused = await api.post(`${workspace.path}/checkout`, inCrypto({ pack }), `mode-${mode}`);
    expect(refused).toMatchObject({
      status: 503,
      body: { code: "provider_unavailable", retry_after: expect.any(Number) },
    });
    expect(await exchange.watches([paid.purchase])).toMatchObject([{ name: "btcpay_checks", failed: 1, error: null }]);
    expect(await exchange.standing(paid)).toMatchObject({ state: "pending", payments: [] });
    btcpay.peer.behave("ok");
    await advance(db, "1 minute");
    const again = await api.post(`${workspace.path}/checkout`, inCrypto({ pack }), `mode-${mode}`);
    expect([again.status, btcpay.of(idOf(again)).length]).toEqual([201, 1]);
    await exchange.watches([paid.purchase]);
    expect(await exchange.standing(paid)).toMatchObject({ state: "paid", credits: 100 });
  },
);

test("an answer that is lost after the invoice was made is made right in the same call", async ({
  crossing: { exchange },
}) => {
  const { btcpay, api } = exchange;
  const [workspace, pack] = [await api.workspace(), await exchange.pack()];
  btcpay.peer.behave("cut", 1, ({ method }) => method === "POST");
  const answer = await api.post(`${workspace.path}/checkout`, inCrypto({ pack }));
  const [invoice, ...more] = btcpay.of(idOf(answer));
  expect([answer.status, answer.body["url"], more]).toEqual([201, `${btcpay.url}/i/${invoice?.id}`, []]);
});

test("D12 two to eight watchers, and the webhook's fetches beside them: each paid invoice is finalized once", async ({
  crossing: { exchange },
  world,
  db,
}) => {
  const { btcpay } = exchange;
  const workers = await Promise.all(Array.from({ length: 7 }, () => world.another(exchange.bindings)));
  for (const count of [2, 8]) {
    const crowd = [exchange.worker, ...workers].slice(0, count);
    const bought = [];
    for (let i = 0; i < 10; i += 1) bought.push(await exchange.buying());
    for (const { invoice } of bought) btcpay.pay(invoice.id, { confirmed: true });
    await btcpay.settled();
    await db.query("update ops.event set next_attempt_at = ops.now() where state = 'fetching'");
    await db.query("update payments.purchase set check_due_at = ops.now() where id = any ($1)", [
      bought.map(({ purchase }) => purchase),
    ]);
    await db.query(
      "update ops.sweep set started_at = ops.now() - interval '1 day', leased_until = null where name like 'btcpay_%'",
    );
    await Promise.all(crowd.map((worker) => worker.tick()));
    await exchange.watches(bought.map(({ purchase }) => purchase));
    await exchange.fetches();
    for (const one of bought) {
      expect(await exchange.standing(one)).toEqual({
        state: "paid",
        credits: 100,
        balance: 0,
        payments: ["1000 eur"],
        alarms: [],
      });
    }
  }
});
