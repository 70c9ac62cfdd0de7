import type { Minefield } from "../../support/crash.ts";
import { call, rows } from "../../support/scenario.ts";
import { ledger, payment, redemption } from "./path.ts";
import type { Path } from "./path.ts";
import { Shop } from "./shop.ts";

/** A refund of a payment that was made by hand or from the balance: all of it, or some. */
async function refund(
  field: Minefield,
  pay: (shop: Shop) => Promise<{ payment_id: string }>,
  amount_minor: number | null = null,
) {
  const shop = await Shop.open(field);
  const { payment_id } = await pay(shop);
  const args = { payment_id, amount_minor, reason: "asked for" };
  return field.request(shop.workspace, "payments.refund_payment", args);
}

/** Money that came at the provider. */
async function paidThere(field: Minefield, what: (shop: Shop) => Parameters<Shop["checkout"]>[0]) {
  const shop = await Shop.open(field);
  const fact = await shop.checkout(what(shop));
  await shop.event("checkout.session.completed", fact)();
  return { shop, payment_intent: fact["payment_intent"] };
}

const topup = (shop: Shop) => shop.counter.topup(shop.workspace, 2500, "bank-1");

const refunded = { kind: "refund", refund: "re_1", charge: "ch_1", status: "succeeded", created: 1_790_000_000 };
const disputed = { kind: "dispute", dispute: "dp_1", charge: "ch_1", status: "needs_response", created: 1_790_000_000 };

export const refunds: Path[] = [
  {
    name: "D7 a refund of a top-up by hand, whose referrer loses its part",
    by: "request",
    writes: [...ledger, ...payment, "ops.audit", "ops.request", "payments.intent", "payments.refund"],
    prepare: (field) => refund(field, topup),
  },
  {
    name: "D7 a refund of a part of a top-up that is spent: a debt, and the workspace is frozen",
    by: "request",
    writes: [
      ...ledger,
      ...payment,
      "ops.alarm",
      "ops.audit",
      "ops.request",
      "payments.intent",
      "payments.refund",
      "people.workspace",
    ],
    prepare: (field) =>
      refund(
        field,
        async (shop) => {
          await call(field.db, "billing.set_policy", { after_end: "open", shortfall: "freeze", caused_by: "test" });
          const paid = await topup(shop);
          await shop.counter.buy(shop.workspace, { pack: shop.pack, quantity: 2 });
          return paid;
        },
        1500,
      ),
  },
  {
    name: "D7 a refund of a pack from the balance",
    by: "request",
    writes: [...ledger, ...payment, "ops.audit", "ops.request", "payments.intent", "payments.refund"],
    prepare: (field) =>
      refund(field, async (shop) => {
        await topup(shop);
        return shop.counter.buy(shop.workspace, { pack: shop.pack, promo: shop.promo });
      }),
  },
  {
    name: "D7 a refund of a plan's period from the balance",
    by: "request",
    writes: [...ledger, ...payment, "ops.audit", "ops.request", "payments.intent", "payments.refund"],
    prepare: (field) =>
      refund(field, async (shop) => {
        await topup(shop);
        return shop.counter.buy(shop.workspace, { plan: shop.plan });
      }),
  },
  {
    name: "D7 a refund of a renewal from the balance",
    by: "request",
    writes: [...ledger, "ops.audit", "ops.request", "payments.intent", "payments.payment", "payments.refund"],
    prepare: (field) =>
      refund(field, async (shop) => {
        await shop.counter.topup(shop.workspace, 5000, "bank-1");
        await shop.counter.buy(shop.workspace, { plan: shop.plan });
        await field.travel("2027-02-10T12:00:00Z");
        await call(field.db, "billing.auto_renew", { batch: 5 });
        const [paid] = await rows<{ id: string }>(
          field.db,
          "select id from payments.payment where reference like 'renewal:%'",
        );
        return { payment_id: paid?.id ?? "" };
      }),
  },
  {
    name: "D7 a refund at the provider of a top-up with a promo code, whose referrer loses its part",
    by: "event",
    writes: [...ledger, ...payment, "ops.event", "payments.refund"],
    prepare: async (field) => {
      const { shop, payment_intent } = await paidThere(field, ({ promo }) => ({ topup: 2500, promo }));
      return shop.event("refund.created", { ...refunded, payment_intent, amount: 2250 });
    },
  },
  {
    name: "D7 a dispute of a pack at the provider, whose referrer loses its part",
    by: "event",
    writes: [...ledger, "ops.event", "payments.dispute", "payments.payment"],
    prepare: async (field) => {
      const { shop, payment_intent } = await paidThere(field, ({ pack }) => ({ pack }));
      return shop.event("charge.dispute.created", { ...disputed, payment_intent, amount: 1000 });
    },
  },
  {
    name: "D7 a refund that was told before its payment",
    by: "event",
    writes: [...ledger, ...payment, "messages.outbox", "ops.event", "payments.intent", "payments.reward"],
    prepare: async (field) => {
      const shop = await Shop.open(field);
      const fact = await shop.checkout({ topup: 2500 });
      await shop.event("refund.created", { ...refunded, payment_intent: fact["payment_intent"], amount: 1000 })();
      return shop.event("checkout.session.completed", fact);
    },
  },
  {
    name: "D24 purchases by hand expire, and let their promo codes go",
    by: "sweep",
    writes: [...ledger, ...redemption, "payments.purchase"],
    prepare: async (field) => {
      const shop = await Shop.open(field);
      for (const quantity of [1, 2]) await shop.order({ pack: shop.pack, quantity });
      await shop.order({ topup: 500 });
      await field.travel("2027-01-20T12:00:00Z");
      return (db) => call(db, "payments.purchases_expire", { batch: 5 });
    },
  },
];
