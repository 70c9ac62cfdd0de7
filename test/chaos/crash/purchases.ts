import type { Minefield } from "../../support/crash.ts";
import { call } from "../../support/scenario.ts";
import { soldPlan } from "../../support/subscriber.ts";
import { ledger, payment, redemption } from "./path.ts";
import type { Path } from "./path.ts";
import { Shop } from "./shop.ts";

const nothing = {
  pack_code: null,
  plan_code: null,
  plan_number: null,
  interval_unit: null,
  interval_count: null,
  quantity: 1,
  promo_code: null,
  currency: "eur",
  auto_renew: true,
};

/** From the balance of a workspace that has 100 €. */
const fromBalance = async (shop: Shop, what: Record<string, unknown>) => {
  await shop.counter.topup(shop.workspace, 10_000, "bank-0");
  return shop.field.request(shop.workspace, "payments.buy_from_balance", { ...nothing, ...what });
};

const period = (shop: Shop) => ({ plan_code: shop.plan.code, interval_unit: "month", interval_count: 1 });

const confirmed = (shop: Shop, { id, amount_minor }: { id: string; amount_minor: number }) =>
  shop.field.request(shop.workspace, "payments.confirm_purchase", {
    id,
    amount_minor,
    currency: "eur",
    reference: "bank-1",
  });

const settled = (shop: Shop, payment_id: string, settle_as: string) =>
  shop.field.request(shop.workspace, "payments.settle_payment", { payment_id, settle_as, reason: "called" });

const isTrying = async ({ field: { db }, workspace, plan }: Shop): Promise<void> => {
  await call(db, "billing.start_trial", {
    workspace_id: workspace,
    plan_code: plan.code,
    plan_number: null,
    currency: "eur",
    interval_unit: "month",
    interval_count: 1,
    quantity: 1,
    identity_hash: null,
    auto_renew: false,
    caused_by: "test",
  });
};

/** A purchase by hand for which other money came than was asked. */
const misfit = async (field: Minefield, what: (shop: Shop) => Parameters<Shop["order"]>[0]) => {
  const shop = await Shop.open(field);
  const { id } = await shop.order(what(shop));
  const { payment_id } = await shop.counter.confirm(
    shop.workspace,
    { id, amount_minor: 2100 },
    { reference: "bank-1" },
  );
  return { shop, payment_id };
};

export const purchases: Path[] = [
  {
    name: "D1 a top-up by hand, with a referrer",
    by: "request",
    writes: [...ledger, ...payment, "messages.outbox", "ops.audit", "ops.request", "payments.reward"],
    prepare: async (field) => {
      const { workspace } = await Shop.open(field);
      const args = { amount_minor: 2500, currency: "eur", reference: "bank-1" };
      return field.request(workspace, "payments.record_topup", args);
    },
  },
  {
    name: "D1 a top-up that was quoted, by hand, with a promo code and a referrer",
    by: "request",
    writes: [...ledger, ...redemption, ...payment, "messages.outbox", "ops.audit", "ops.request", "payments.reward"],
    prepare: async (field) => {
      const shop = await Shop.open(field);
      return confirmed(shop, await shop.order({ topup: 2500 }));
    },
  },
  {
    name: "D1 a top-up through the provider's event, with a promo code and a referrer",
    by: "event",
    writes: [
      ...ledger,
      ...redemption,
      ...payment,
      "messages.outbox",
      "ops.event",
      "payments.intent",
      "payments.reward",
    ],
    prepare: async (field) => {
      const shop = await Shop.open(field);
      return shop.event("checkout.session.completed", await shop.checkout({ topup: 2500, promo: shop.promo }));
    },
  },
  {
    name: "D1 a top-up of another amount, through the provider's event",
    by: "event",
    writes: [...ledger, ...redemption, ...payment, "ops.alarm", "ops.event", "payments.intent"],
    prepare: async (field) => {
      const shop = await Shop.open(field);
      const fact = await shop.checkout({ topup: 2500, promo: shop.promo }, { amount_total: 2100 });
      return shop.event("checkout.session.completed", fact);
    },
  },
  {
    name: "D1 a pack at the provider, with a promo code and a referrer",
    by: "event",
    writes: [
      ...ledger,
      ...redemption,
      ...payment,
      "messages.outbox",
      "ops.event",
      "payments.intent",
      "payments.reward",
    ],
    prepare: async (field) => {
      const shop = await Shop.open(field);
      return shop.event("checkout.session.completed", await shop.checkout({ pack: shop.pack, promo: shop.promo }));
    },
  },
  {
    name: "D1 the provider's session is over unpaid, and the promo code is free again",
    by: "event",
    writes: [...ledger, ...redemption, "ops.event", "payments.intent", "payments.purchase"],
    prepare: async (field) => {
      const shop = await Shop.open(field);
      const fact = await shop.checkout(
        { pack: shop.pack, promo: shop.promo },
        { status: "expired", payment_status: "unpaid" },
      );
      return shop.event("checkout.session.expired", fact);
    },
  },
  {
    name: "D7 a pack from the balance, with a promo code",
    by: "request",
    writes: [...ledger, ...redemption, ...payment, "messages.outbox", "ops.request"],
    prepare: async (field) => {
      const shop = await Shop.open(field);
      return fromBalance(shop, { pack_code: shop.pack.code, promo_code: shop.promo, quantity: 2 });
    },
  },
  {
    name: "D7 a token from the balance",
    by: "request",
    writes: [...ledger, ...payment, "messages.outbox", "ops.request"],
    prepare: async (field) => {
      const shop = await Shop.open(field);
      const token = await shop.till.pack(5, { kind: "retail_token" });
      return fromBalance(shop, { pack_code: token.code });
    },
  },
  {
    name: "D2 a plan's period from the balance, with a promo code",
    by: "request",
    writes: [
      ...ledger,
      ...redemption,
      ...payment,
      "access.key",
      "billing.renewal",
      "billing.subscription",
      "messages.outbox",
      "ops.request",
    ],
    prepare: async (field) => {
      const shop = await Shop.open(field);
      return fromBalance(shop, { ...period(shop), promo_code: shop.promo });
    },
  },
  {
    name: "D2 a plan's period from the balance, during its trial",
    by: "request",
    writes: [...ledger, ...payment, "billing.renewal", "billing.subscription", "messages.outbox", "ops.request"],
    prepare: async (field) => {
      const shop = await Shop.open(field);
      await isTrying(shop);
      return fromBalance(shop, period(shop));
    },
  },
  {
    name: "D2 a second period from the balance: the key stays",
    by: "request",
    writes: [...ledger, ...payment, "billing.subscription", "messages.outbox", "ops.request"],
    prepare: async (field) => {
      const shop = await Shop.open(field);
      const plan = { ...period(shop), plan_code: (await soldPlan(field.db)).code };
      await (
        await fromBalance(shop, plan)
      )(field.db);
      return field.request(shop.workspace, "payments.buy_from_balance", { ...nothing, ...plan }, "yours");
    },
  },
  {
    name: "D2 a plan's period by hand, with a promo code and a referrer",
    by: "request",
    writes: [
      ...ledger,
      ...redemption,
      ...payment,
      "access.key",
      "billing.renewal",
      "billing.subscription",
      "messages.outbox",
      "ops.audit",
      "ops.request",
      "payments.reward",
    ],
    prepare: async (field) => {
      const shop = await Shop.open(field);
      return confirmed(shop, await shop.order({ plan: shop.plan }));
    },
  },
  {
    name: "D2 a plan's period at the provider, with a promo code and a referrer",
    by: "event",
    writes: [
      ...ledger,
      ...redemption,
      ...payment,
      "access.key",
      "billing.renewal",
      "billing.subscription",
      "messages.outbox",
      "ops.event",
      "payments.intent",
      "payments.reward",
    ],
    prepare: async (field) => {
      const shop = await Shop.open(field);
      return shop.event("checkout.session.completed", await shop.checkout({ plan: shop.plan, promo: shop.promo }));
    },
  },
  {
    name: "D2 a plan that the provider collects, with its first period and a referrer",
    by: "event",
    writes: [
      ...ledger,
      ...payment,
      "access.key",
      "billing.renewal",
      "billing.subscription",
      "messages.outbox",
      "ops.event",
      "payments.intent",
      "payments.reward",
    ],
    prepare: async (field) => {
      const shop = await Shop.open(field);
      const more = { collection: "stripe", mode: "subscription", subscription: "sub_1", invoice: "in_1" };
      return shop.event("checkout.session.completed", await shop.checkout({ plan: shop.plan }, more));
    },
  },
  {
    name: "D6 a purchase by hand is begun, and holds its promo code",
    by: "request",
    writes: [...ledger, ...redemption, "ops.request", "payments.purchase"],
    prepare: async (field) => {
      const shop = await Shop.open(field);
      const args = { ...nothing, pack_code: shop.pack.code, promo_code: shop.promo };
      return field.request(shop.workspace, "payments.start_purchase", {
        ...args,
        topup_minor: null,
        expires_in: "7 days",
      });
    },
  },
  {
    name: "D6 a purchase by hand is cancelled, and lets its promo code go",
    by: "request",
    writes: [...ledger, ...redemption, "ops.request", "payments.purchase"],
    prepare: async (field) => {
      const shop = await Shop.open(field);
      const { id } = await shop.order({ pack: shop.pack });
      return field.request(shop.workspace, "payments.cancel_purchase", { id });
    },
  },
  {
    name: "D1 money that did not fit is settled as the purchase",
    by: "request",
    writes: [
      ...ledger,
      ...redemption,
      ...payment,
      "access.key",
      "billing.renewal",
      "billing.subscription",
      "messages.outbox",
      "ops.alarm",
      "ops.audit",
      "ops.request",
      "payments.reward",
    ],
    prepare: async (field) => {
      const { shop, payment_id } = await misfit(field, ({ plan }) => ({ plan }));
      return settled(shop, payment_id, "purchase");
    },
  },
  {
    name: "D1 money that did not fit is settled to the balance, which somebody waits for",
    by: "request",
    writes: [...ledger, "ops.alarm", "ops.audit", "ops.request", "payments.payment", "payments.reward"],
    prepare: async (field) => {
      const { shop, payment_id } = await misfit(field, () => ({ topup: 5000 }));
      return settled(shop, payment_id, "balance");
    },
  },
  {
    name: "D1 money that comes by hand after the purchase's end",
    by: "request",
    writes: [...ledger, ...redemption, ...payment, "messages.outbox", "ops.audit", "ops.request", "payments.reward"],
    prepare: async (field) => {
      const shop = await Shop.open(field);
      const order = await shop.order({ topup: 2500 });
      await field.travel("2027-01-20T12:00:00Z");
      await call(field.db, "payments.purchases_expire", { batch: 100 });
      return confirmed(shop, order);
    },
  },
];
