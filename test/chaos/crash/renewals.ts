import type { Minefield } from "../../support/crash.ts";
import { call } from "../../support/scenario.ts";
import type { Db } from "../../support/scenario.ts";
import { Subscriber, soldPlan } from "../../support/subscriber.ts";
import type { SoldPlan } from "../../support/subscriber.ts";
import { ledger } from "./path.ts";
import type { Path } from "./path.ts";

/** One run of a sweep, of at most five rows. */
const sweep = (name: string) => (db: Db) => call<{ more: boolean }>(db, name, { batch: 5 });

const renewing = sweep("billing.auto_renew");

const plain = (field: Minefield) => soldPlan(field.db, { grace_days: 3 });
const full = (field: Minefield) => soldPlan(field.db, { included_credits: 20, trial_days: 3, grace_days: 3 });

/** Who has a period of a plan until February 10, at noon, and so much money besides. */
async function paying(field: Minefield, plan: SoldPlan, cents = 0): Promise<Subscriber> {
  const of = await Subscriber.make(field.db, cents + 500);
  await of.buy(plan);
  return of;
}

/** Who tries a plan until January 13. */
async function trying(field: Minefield, plan: SoldPlan, { cents = 0, auto_renew = false } = {}): Promise<Subscriber> {
  const of = await Subscriber.make(field.db, cents);
  await of.tryOut(plan, { auto_renew });
  return of;
}

const several = async (n: number, make: () => Promise<unknown>): Promise<void> => {
  for (let i = 0; i < n; i += 1) await make();
};

const end = "2027-02-10T12:00:00Z";
const trialEnd = "2027-01-13T12:00:00Z";

/** A sweep's path: makes what is due, and moves on to when it is. */
function swept(
  name: string,
  at: string,
  act: Path["prepare"] extends (field: never) => Promise<infer Done> ? Done : never,
  make: (field: Minefield) => Promise<unknown>,
  writes: string[],
): Path {
  const prepare = async (field: Minefield) => {
    await make(field);
    await field.travel(at);
    return act;
  };
  return { name, by: "sweep", writes, prepare };
}

const changed = ["billing.subscription", "ops.audit", "ops.request"];

export const renewals: Path[] = [
  swept(
    "D5 renewals, three of a batch",
    end,
    renewing,
    async (field) => {
      const plan = await plain(field);
      await several(3, () => paying(field, plan, 600));
    },
    [...ledger, "billing.subscription", "messages.outbox", "payments.payment"],
  ),
  swept(
    "D5 the second batch of renewals",
    end,
    renewing,
    async (field) => {
      const plan = await plain(field);
      await several(7, () => paying(field, plan, 600));
      await field.travel(end);
      await renewing(field.db);
    },
    [...ledger, "billing.subscription", "messages.outbox", "payments.payment"],
  ),
  swept(
    "D5 a renewal with credits, another plan and another quantity",
    end,
    renewing,
    async (field) => {
      const [from, to] = [await full(field), await full(field)];
      const of = await paying(field, from, 2000);
      await of.renewal(true, { plan: to, quantity: 2 });
    },
    [...ledger, "billing.renewal", "billing.subscription", "messages.outbox", "payments.payment"],
  ),
  swept(
    "D5 renewals that cannot be paid",
    end,
    renewing,
    async (field) => {
      const plan = await plain(field);
      await several(2, () => paying(field, plan, 400));
    },
    ["billing.subscription", "messages.outbox", "people.workspace"],
  ),
  swept(
    "D5 a trial that becomes a paid period",
    trialEnd,
    renewing,
    async (field) => {
      await trying(field, await full(field), { cents: 600, auto_renew: true });
    },
    [...ledger, "billing.renewal", "billing.subscription", "messages.outbox", "payments.payment"],
  ),
  swept(
    "D5 a batch of all kinds: paid, unpaid, a trial paid, a trial unpaid, with credits",
    end,
    renewing,
    async (field) => {
      const [one, other] = [await plain(field), await full(field)];
      await paying(field, one, 600);
      await paying(field, one);
      const trial = await soldPlan(field.db, { trial_days: 31 });
      await trying(field, trial, { cents: 600, auto_renew: true });
      await trying(field, trial, { auto_renew: true });
      await paying(field, other, 600);
    },
    [...ledger, "billing.renewal", "billing.subscription", "messages.outbox", "payments.payment", "people.workspace"],
  ),
  swept(
    "D7 what owed is paid once there is money",
    "2027-02-10T12:00:00Z",
    renewing,
    async (field) => {
      const of = await paying(field, await full(field));
      await field.travel(end);
      await renewing(field.db);
      await of.topup(900);
    },
    [...ledger, "billing.renewal", "billing.subscription", "messages.outbox", "payments.payment", "people.workspace"],
  ),
  swept(
    "D24 periods that are not renewed end",
    end,
    sweep("billing.expire"),
    async (field) => {
      const [one, other] = [await plain(field), await full(field)];
      for (const plan of [one, other, one]) await (await paying(field, plan, 600)).renewal(false);
    },
    [...ledger, "access.key", "billing.subscription", "messages.outbox", "people.workspace"],
  ),
  swept(
    "D24 the grace of who owes ends, and the end that was asked for",
    "2027-02-13T12:00:00Z",
    sweep("billing.expire"),
    async (field) => {
      const plan = await full(field);
      await paying(field, plan);
      const canceled = await paying(field, plan);
      await canceled.change("cancel");
      await field.travel(end);
      await renewing(field.db);
    },
    [...ledger, "access.key", "billing.subscription", "messages.outbox", "people.workspace"],
  ),
  swept(
    "D24 trials end",
    trialEnd,
    sweep("billing.trial_expire"),
    async (field) => {
      const plan = await full(field);
      await several(3, () => trying(field, plan));
    },
    [...ledger, "access.key", "billing.subscription", "messages.outbox", "people.workspace"],
  ),
  swept(
    "D24 trials are told of",
    "2027-01-12T12:00:00Z",
    sweep("billing.trial_notice"),
    async (field) => {
      const plan = await full(field);
      await several(3, () => trying(field, plan));
    },
    ["billing.subscription", "messages.outbox"],
  ),
  swept(
    "D24 reminders",
    "2027-02-07T12:00:00Z",
    sweep("billing.reminders"),
    async (field) => {
      const plan = await plain(field);
      await several(3, () => paying(field, plan, 600));
    },
    ["billing.subscription", "messages.outbox"],
  ),
  swept(
    "D24 holds of credits end",
    "2027-01-11T12:00:00Z",
    sweep("ledger.holds_expire"),
    async (field) => {
      const { workspace } = await paying(field, await full(field));
      const caused_by = "test";
      for (const key of ["one", "two"]) {
        const named = { owner_id: workspace, unit: "credit", amount: 5, idempotency_key: key };
        await call(field.db, "ledger.hold", { ...named, expires_in: "1 hour", reason: null, caused_by });
      }
    },
    [...ledger, "ledger.hold"],
  ),
  swept(
    "D24 what was given for a time ends",
    "2027-01-11T12:00:00Z",
    sweep("ledger.lots_expire"),
    async (field) => {
      await several(2, async () => {
        const { workspace } = await Subscriber.make(field.db);
        await call(field.db, "ledger.grant", {
          owner_id: workspace,
          unit: "credit",
          pool: "promo",
          amount: 5,
          expires_at: "2027-01-11T00:00:00Z",
          reason: null,
          idempotency_key: "given",
          caused_by: "test",
        });
      });
    },
    [...ledger],
  ),
  {
    name: "D2 a trial begins",
    by: "request",
    writes: [
      ...ledger,
      "access.key",
      "billing.subscription",
      "billing.trial",
      "messages.outbox",
      "ops.audit",
      "ops.request",
    ],
    prepare: async (field) => {
      const { workspace } = await Subscriber.make(field.db);
      const { code } = await soldPlan(field.db, { trial_days: 3, included_credits: 20 });
      return field.request(workspace, "billing.start_trial", {
        plan_code: code,
        plan_number: null,
        currency: "eur",
        interval_unit: "month",
        interval_count: 1,
        quantity: 1,
        identity_hash: "a".repeat(64),
        auto_renew: true,
      });
    },
  },
  ...(["cancel", "uncancel", "keep", "cancel_now"] as const).map((change): Path => ({
    name: `D24 a subscription is changed: ${change}`,
    by: "request",
    writes:
      change === "cancel_now" ? [...changed, ...ledger, "access.key", "messages.outbox", "people.workspace"] : changed,
    prepare: async (field) => {
      const plan = await full(field);
      const of = await paying(field, plan, 600);
      if (change === "uncancel") await of.change("cancel");
      if (change === "keep") await of.renewal(true, { quantity: 2 });
      const args = { change, plan_code: null, plan_number: null, quantity: null };
      return field.request(of.workspace, "billing.begin_change", args);
    },
  })),
  {
    name: "D24 how a subscription goes on is set",
    by: "request",
    writes: ["billing.subscription", "ops.audit", "ops.request"],
    prepare: async (field) => {
      const of = await paying(field, await full(field), 600);
      const { code } = await full(field);
      return field.request(of.workspace, "billing.set_renewal", {
        auto_renew: true,
        plan_code: code,
        plan_number: null,
        interval_unit: null,
        interval_count: null,
        quantity: 3,
      });
    },
  },
];
