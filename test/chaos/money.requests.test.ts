import { expect } from "vitest";
import { patient } from "./crash/matrix.ts";
import { Api, textOf } from "../support/api.ts";
import type { Answer, Workspace } from "../support/api.ts";
import { until } from "../support/barrier.ts";
import { Minefield } from "../support/crash.ts";
import { rows } from "../support/scenario.ts";
import type { Db } from "../support/scenario.ts";
import { sweepOnly } from "../support/sweeping.ts";
import { test as inWorld } from "../support/world.ts";

// The paths of test/chaos/money.crash.*, over HTTP: the backend dies under the Worker, at every row that is written.

const test = inWorld
  .extend("api", ({ world }) => new Api(world.url, world.operatorKey))
  .extend("mines", { scope: "file" }, async ({ world }, { onCleanup }) => {
    const field = await Minefield.lay(world.database, { frozen: false });
    onCleanup(() => field.leave());
    return field;
  })
  /** What is sold: a plan with access, credits and a promo code for all of it. */
  .extend("sold", { scope: "file" }, async ({ world }) => {
    const api = new Api(world.url, world.operatorKey);
    const made = await Promise.all([
      api.post("/v1/plans", {
        code: "pro",
        name: "Pro",
        included_credits: 100,
        grace_days: 7,
        access: true,
        prices: [{ currency: "eur", interval: "month", amount_minor: 1000 }],
      }),
      api.post("/v1/promo_codes", { code: "SPRING", percent: 10, max_redemptions: 1000 }),
    ]);
    expect(made.map(({ status, body }) => [status, status === 201 ? null : body])).toEqual([
      [201, null],
      [201, null],
    ]);
    return { plan: "pro", currency: "eur", interval: "month", promo_code: "SPRING" };
  });

/** Sends a request, under a key: the same again is the same request. */
type Send = () => Promise<Answer>;

interface Path {
  name: string;
  prepare(api: Api, of: Workspace, order: Record<string, unknown>): Promise<Send>;
}

const topUp = (api: Api, { id, path }: Workspace) =>
  api.post(`${path}/balance/topups`, { amount_minor: 5000, currency: "eur", reference: `bank-${id}` }, "topped up");

const paths: Path[] = [
  { name: "D1 a top-up by hand", prepare: async (api, of) => () => topUp(api, of) },
  {
    name: "D2 a plan's period from the balance, with a promo code",
    prepare: async (api, of, order) => {
      await topUp(api, of);
      return () => api.post(`${of.path}/purchases`, order, "mine");
    },
  },
  {
    name: "D2 money comes for a plan's period that is paid by hand",
    prepare: async (api, { id, path }, order) => {
      const begun = await api.post(`${path}/purchases`, { ...order, provider: "manual" }, "begun");
      const paid = { amount_minor: begun.body["amount_minor"], currency: "eur", reference: `bank-${id}` };
      const purchase = textOf(begun, "id");
      return () => api.post(`${path}/purchases/${purchase}/payments`, paid, "mine");
    },
  },
  {
    name: "D7 a refund of a plan's period",
    prepare: async (api, of, order) => {
      await topUp(api, of);
      const bought = await api.post(`${of.path}/purchases`, order, "bought");
      const path = `${of.path}/payments/${textOf(bought, "payment_id")}/refund`;
      return () => api.post(path, { reason: "asked for" }, "mine");
    },
  },
];

/** Nothing more is due of it. */
const ended = (db: Db, { id }: Workspace) =>
  db.query("select from billing.begin_change($1, 'cancel_now', null, null, null, 'key:test')", [id]);

const renewedOnce = "select from billing.subscription where workspace_id = $1 and period_number = 2";

/** What a workspace has, and how often something was done to it. */
async function standing(db: Db, { id }: Workspace): Promise<object[]> {
  return rows(
    db,
    `select array(select a.unit || ' ' || a.available || ' ' || a.debt from ledger.account a where a.owner_id = $1 order by 1) as has,
            array(select t.unit || ' ' || t.kind || ' ' || t.amount from ledger.transaction t where t.owner_id = $1 order by 1)
              as moved,
            array(select p.provider || ' ' || p.amount_minor || ' ' || p.refunded from payments.payment p
                   where p.workspace_id = $1 order by 1) as paid,
            array(select p.state from payments.purchase p where p.workspace_id = $1 order by p.id) as purchases,
            array(select s.state || ' ' || s.period_number from billing.subscription s where s.workspace_id = $1) as subscriptions,
            (select count(*) from access.key k where k.workspace_id = $1) as keys,
            (select count(*) from messages.outbox o where o.workspace_id = $1) as told`,
    [id],
  );
}

test.for(paths.map((path) => [path.name, path] as const))(
  "%s: its backend dies at any write: the client hears nothing of it, and it is done once",
  patient,
  async ([, path], { api, db, mines, sold }) => {
    const whole = await api.workspace();
    const send = await path.prepare(api, whole, sold);
    const { answer, writes } = await mines.counting(send);
    const right = { answer, standing: await standing(db, whole) };
    expect(right.answer).toMatchObject({ status: 201 });
    expect(writes).toBeGreaterThan(8);
    for (const at of [...Array.from({ length: writes }, (_, i) => i + 1), "commit"] as const) {
      const workspace = await api.workspace();
      const mine = await path.prepare(api, workspace, sold);
      await mines.arm(at, "killed");
      const heard = await mine();
      const hit = await mines.disarm();
      expect([hit === null, heard.status], `killed at ${at}, a write of ${hit}`).toEqual([false, 201]);
      expect(await standing(db, workspace), `killed at ${at}, a write of ${hit}`).toEqual(right.standing);
      const again = await mine();
      expect([again.body, again.headers.get("Idempotent-Replayed")]).toEqual([heard.body, "true"]);
    }
  },
);

test(
  "D24 a sweep's backend dies at any write of a renewal: it is renewed once, by this run or the next",
  patient,
  async ({ world, api, db, mines, sold }) => {
    const renewing = async () => {
      const workspace = await api.workspace();
      await topUp(api, workspace);
      await api.post(`${workspace.path}/purchases`, sold, "bought");
      await db.query(
        "update ops.clock set clock_offset = clock_offset + (select max(s.current_period_end) from billing.subscription s) - ops.now()",
      );
      return workspace;
    };
    const sweep = () => sweepOnly(db, world.worker, "auto_renew");
    const whole = await renewing();
    await sweep();
    const right = await standing(db, whole);
    await ended(db, whole);
    let met = 0;
    for (let hit: string | null = ""; hit !== null;) {
      const workspace = await renewing();
      await mines.arm(met + 1, "killed");
      await sweep();
      hit = await mines.disarm();
      if (hit !== null) met += 1;
      const place = `killed at ${met}, a write of ${hit}`;
      // The dead one's locks may be there a moment longer, and a sweep waits for nobody's.
      await until("it is renewed", async () => {
        await sweep();
        return (await rows(db, renewedOnce, [workspace.id])).length === 1;
      });
      await sweep();
      expect(await standing(db, workspace), place).toEqual(right);
      await ended(db, workspace);
    }
    expect(met).toBeGreaterThan(8);
  },
);
