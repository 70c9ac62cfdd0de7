import { expect } from "vitest";
import { besideOpen, race, tally } from "../../support/barrier.ts";
import { Counter } from "../../support/counter.ts";
import { advance, call, outcome, rows } from "../../support/scenario.ts";
import { checkoutFact } from "../../support/till.ts";
import type { Lab, Mutation } from "./lab.ts";

/** A counter with a pack of 100 credits at 10 €, a plan at 20 € a month, and a workspace. */
async function shop(lab: Lab) {
  const counter = new Counter(lab.db);
  const [pack, plan] = [await counter.till.pack(100), await counter.till.plan({ included_credits: 0 })];
  return { counter, pack, plan, workspace: await counter.workspace() };
}

/** A purchase at Stripe with a code of one redemption, whose session is told to have ended so. */
async function ended(lab: Lab, how: Record<string, unknown>) {
  const { counter, pack } = await shop(lab);
  const promo = await counter.promo({ max_redemptions: 1 });
  const customer = await counter.till.customer();
  const { id } = await counter.checkout(customer.workspace, { pack, promo: promo.code }, "stripe");
  const it = { purchase: id, session: `cs_${id}` };
  await counter.till.send("x", checkoutFact(customer, it, { payment_status: "unpaid", ...how }));
  return { counter, pack, customer, it, promo };
}

export const promo: Mutation[] = [
  {
    guard: "an amount beyond what is exact is refused",
    routine: "payments.quote",
    changes: [["if v_list > c_most then", "if false then"]],
    probe: async (lab) => {
      const { counter, workspace } = await shop(lab);
      const much = counter.quote(workspace, { topup: 9_007_199_254_740_991, quantity: 2 });
      expect(await outcome(much)).toBe("amount_too_large");
    },
  },
  {
    guard: "a fixed discount is at most the price",
    routine: "payments.quote",
    changes: [["else least(v_list, coalesce(v_promo.minor, 0)) end", "else coalesce(v_promo.minor, 0) end"]],
    probe: async (lab) => {
      const { counter, pack, workspace } = await shop(lab);
      const { code } = await counter.promo({ amounts_minor: [5000], currencies: ["eur"] });
      expect(await counter.quote(workspace, { pack, promo: code })).toMatchObject({ amount_minor: 0 });
    },
  },
  {
    guard: "a disabled code is nobody's",
    routine: "payments.check_promo",
    changes: [["if v_promo.disabled_at is not null then", "if false then"]],
    probe: async (lab) => {
      const { counter, pack, workspace } = await shop(lab);
      const { code } = await counter.promo();
      await counter.disable(code);
      expect(await outcome(counter.start(workspace, { pack, promo: code }))).toBe("promo_unknown");
    },
  },
  {
    guard: "a code's window counts, and its campaign's",
    routine: "payments.check_promo",
    changes: [["or v_now >= v_promo.ends_at", ""]],
    probe: async (lab) => {
      const { counter, pack, workspace } = await shop(lab);
      const campaign = await counter.campaign({ ends_at: new Date(Date.now() - 60_000).toISOString() });
      const { code } = await counter.promo({ campaign_id: campaign.id });
      expect(await outcome(counter.start(workspace, { pack, promo: code }))).toBe("promo_expired");
    },
  },
  {
    guard: "a code is for its kinds",
    routine: "payments.check_promo",
    changes: [["not check_promo.kind = any (v_promo.kinds)", "false"]],
    probe: async (lab) => {
      const { counter, pack, workspace } = await shop(lab);
      const { code } = await counter.promo({ kinds: ["balance_topup"] });
      expect(await outcome(counter.start(workspace, { pack, promo: code }))).toBe("promo_not_for_this");
    },
  },
  {
    guard: "a plan that Stripe collects takes no code",
    routine: "payments.check_promo",
    changes: [["check_promo.kind = 'subscription' and check_promo.collection = 'stripe'", "false"]],
    probe: async (lab) => {
      const { counter, plan, workspace } = await shop(lab);
      const { code } = await counter.promo();
      expect(await outcome(counter.quote(workspace, { plan, promo: code }, "stripe"))).toBe("promo_not_for_this");
    },
  },
  {
    guard: "a workspace uses a code as often as one may",
    routine: "payments.check_promo",
    changes: [["v_promo.per_workspace <=", "v_promo.per_workspace < 0 and 0 <="]],
    probe: async (lab) => {
      const { counter, pack, workspace } = await shop(lab);
      const { code } = await counter.promo({ per_workspace: 1 });
      const outcomes = await race(4, () => outcome(counter.start(workspace, { pack, promo: code })));
      expect(tally(outcomes)).toEqual({ done: 1, promo_used: 3 });
    },
  },
  {
    guard: "a window that ended while it was waited for has ended",
    routine: "payments.hold_redemption",
    changes: [[/perform payments\.check_promo\([^;]*;/g, ""]],
    probe: async (lab) => {
      const { counter, pack, workspace } = await shop(lab);
      const ends_at = new Date(Date.now() + 3_600_000).toISOString();
      const { id, code } = await counter.promo({ max_redemptions: 5, ends_at });
      const late = await besideOpen(
        lab.db,
        async (connection) => {
          await connection.query("select from ledger.account where owner_id = $1 for update", [id]);
          await advance(connection, "2 hours");
        },
        () => outcome(counter.start(workspace, { pack, promo: code })),
      );
      await lab.db.query("update ops.clock set clock_offset = interval '0'");
      expect(late).toBe("promo_expired");
    },
  },
  {
    guard: "disabling a code waits for whoever holds it, and is seen by whoever comes after",
    routine: "payments.hold_redemption",
    changes: [["for share;", ";"]],
    probe: async (lab) => {
      const { counter, pack, workspace } = await shop(lab);
      const { code } = await counter.promo();
      const beside = await besideOpen(
        lab.db,
        (connection) => new Counter(connection).disable(code),
        () => outcome(counter.start(workspace, { pack, promo: code })),
      );
      expect(beside).toBe("promo_unknown");
    },
  },
  {
    guard: "of a code no more is held than may be",
    routine: "payments.hold_redemption",
    changes: [["if v_promo.max_redemptions is not null then", "if false then"]],
    probe: async (lab) => {
      const { counter, pack, workspace } = await shop(lab);
      const { code } = await counter.promo({ max_redemptions: 1 });
      await counter.start(workspace, { pack, promo: code });
      expect(await outcome(counter.start(workspace, { pack, promo: code }))).toBe("promo_used_up");
    },
  },
  {
    guard: "of a campaign no more is held than may be",
    routine: "payments.hold_redemption",
    changes: [["if v_campaign_max is not null then", "if false then"]],
    probe: async (lab) => {
      const { counter, pack, workspace } = await shop(lab);
      const { id } = await counter.campaign({ max_redemptions: 1 });
      const { code } = await counter.promo({ campaign_id: id });
      await counter.start(workspace, { pack, promo: code });
      expect(await outcome(counter.start(workspace, { pack, promo: code }))).toBe("promo_used_up");
    },
  },
  {
    guard: "a redemption ends with its session",
    routine: "payments.apply_checkout",
    changes: [["perform payments.release_redemption(v_purchase.id, apply_checkout.caused_by);", ""]],
    probe: async (lab) => {
      for (const how of [{ status: "expired" }, { event: "async_payment_failed" }]) {
        const { counter, it } = await ended(lab, how);
        expect(await counter.redemption(it.purchase)).toMatchObject({ state: "released", left: 1 });
      }
    },
  },
  {
    guard: "a redemption ends with a purchase that has no session",
    routine: "payments.sync_checkout",
    changes: [["perform payments.release_redemption(sync_checkout.id, 'sync');", ""]],
    probe: async (lab) => {
      const { counter, pack, workspace } = await shop(lab);
      const { code } = await counter.promo({ max_redemptions: 1 });
      const { id } = await counter.checkout(workspace, { pack, promo: code }, "stripe");
      await lab.db.query("update payments.purchase set leased_until = null where id = $1", [id]);
      await call(lab.db, "payments.sync_checkout", { id, fact: null });
      expect(await counter.redemption(id)).toMatchObject({ state: "released", left: 1 });
    },
  },
  {
    guard: "a redemption ends with a purchase that Stripe refused",
    routine: "payments.abandon_checkout",
    changes: [["perform payments.release_redemption(abandon_checkout.id, 'sync');", ""]],
    probe: async (lab) => {
      const { counter, pack } = await shop(lab);
      const { workspace } = await counter.till.customer();
      const { code } = await counter.promo({ max_redemptions: 1 });
      const { id, session_token } = await counter.checkout(workspace, { pack, promo: code }, "stripe");
      await call(lab.db, "payments.abandon_checkout", { id, token: session_token });
      expect(await counter.redemption(id)).toMatchObject({ state: "released", left: 1 });
    },
  },
  {
    guard: "a redemption ends with a purchase by hand, expired or canceled",
    routine: "payments.end_purchase",
    changes: [["perform payments.release_redemption(end_purchase.id, end_purchase.caused_by);", ""]],
    probe: async (lab) => {
      const { counter, pack, workspace } = await shop(lab);
      const { code } = await counter.promo({ max_redemptions: 1 });
      const { id } = await counter.start(workspace, { pack, promo: code });
      await counter.cancel(workspace, id);
      expect(await counter.redemption(id)).toMatchObject({ state: "released", left: 1 });
    },
  },
  {
    guard: "nobody ends a purchase by hand before its time but who cancels it",
    routine: "payments.end_purchase",
    changes: [["end_purchase.to_state <> 'expired' or p.expires_at <= ops.now()", "true"]],
    probe: async (lab) => {
      const { counter, plan, workspace } = await shop(lab);
      const { id } = await counter.start(workspace, { plan });
      expect(await counter.start(workspace, { plan })).toMatchObject({ id });
    },
  },
  {
    guard: "a redemption counts for ever once it is paid",
    routine: "payments.redeem",
    changes: [["set state = 'redeemed'", "set state = 'released'"]],
    probe: async (lab) => {
      const { counter, pack, workspace } = await shop(lab);
      const { code } = await counter.promo({ per_workspace: 1 });
      await counter.confirm(workspace, await counter.start(workspace, { pack, promo: code }));
      expect(await outcome(counter.start(workspace, { pack, promo: code }))).toBe("promo_used");
    },
  },
  {
    guard: "late money passes no cap",
    routine: "payments.finalize",
    changes: [
      [
        "v_fits := payments.redeem(finalize.id, finalize.caused_by);",
        "perform payments.redeem(finalize.id, finalize.caused_by);",
      ],
    ],
    probe: async (lab) => {
      const { counter, pack, customer, it, promo: used } = await ended(lab, { status: "expired" });
      await counter.start(customer.workspace, { pack, promo: used.code });
      const paid = await counter.till.send("x", checkoutFact(customer, it, { amount_total: 900 }));
      expect(paid).toMatchObject({ outcome: "does_not_fit" });
    },
  },
  {
    guard: "money that bought nothing takes no redemption",
    routine: "payments.finalize",
    changes: [["perform payments.release_redemption(finalize.id, finalize.caused_by);", "null;"]],
    probe: async (lab) => {
      const { counter, pack } = await shop(lab);
      const { code } = await counter.promo({ max_redemptions: 1 });
      const customer = await counter.till.customer();
      const { id } = await counter.checkout(customer.workspace, { pack, promo: code }, "stripe");
      await counter.till.send(
        "x",
        checkoutFact(customer, { purchase: id, session: `cs_${id}` }, { amount_total: 1000 }),
      );
      expect(await counter.redemption(id)).toMatchObject({ state: "released", left: 1 });
    },
  },
  {
    guard: "what was quoted never changes",
    trigger: { table: "payments.purchase", name: "purchase_quote_fixed" },
    probe: async (lab) => {
      const { counter, pack, workspace } = await shop(lab);
      const { id } = await counter.start(workspace, { pack });
      const change = lab.db.query("update payments.purchase set list_minor = 1, amount_minor = 1 where id = $1", [id]);
      expect(await outcome(change)).toBe("TG002");
    },
  },
  {
    guard: "an amount that a code takes off has its currency, by constraint",
    constraint: { table: "payments.promo_code", name: "promo_code_amount_each" },
    probe: async (lab) => {
      const { counter } = await shop(lab);
      expect(await outcome(counter.promo({ amounts_minor: [5], currencies: null }))).toBe("23514");
    },
  },
  {
    guard: "a plan that is paid once has no trial",
    routine: "payments.quote",
    changes: [["and quote.collection = 'stripe'\n      and", "and"]],
    probe: async (lab) => {
      const { counter, workspace } = await shop(lab);
      const plan = await counter.till.plan({ trial_days: 7 });
      expect(await counter.quote(workspace, { plan })).toMatchObject({ trial_days: 0 });
      expect(await counter.quote(workspace, { plan }, "stripe")).toMatchObject({ trial_days: 7 });
    },
  },
  {
    guard: "money for a plan that cannot be had any more is kept",
    routine: "payments.finalize",
    changes: [[/v_fits := billing\.may_pay_period\([^;]*;/g, "null;"]],
    probe: async (lab) => {
      const { counter, plan, workspace } = await shop(lab);
      const other = await counter.till.plan({ included_credits: 5 });
      const late = await counter.start(workspace, { plan });
      await counter.cancel(workspace, late.id);
      await counter.confirm(workspace, await counter.start(workspace, { plan: other }));
      expect(await counter.confirm(workspace, late)).toMatchObject({ outcome: "does_not_fit" });
    },
  },
  {
    guard: "D3 a purchase that is paid is not paid again by another reference",
    routine: "payments.finalize",
    changes: [["v_fits := v_purchase.payment_id is null\n    and ", "v_fits := "]],
    probe: async (lab) => {
      const { counter, workspace } = await shop(lab);
      const bought = await counter.start(workspace, { topup: 500 });
      await counter.confirm(workspace, bought);
      expect(await outcome(counter.confirm(workspace, bought))).toBe("done");
      expect(await counter.balance(workspace)).toBe(500);
    },
  },
  {
    guard: "D20 a reference is one purchase's for ever",
    routine: "payments.finalize",
    changes: [["and coalesce(p.purchase_id, finalize.id) = finalize.id", ""]],
    probe: async (lab) => {
      const { counter, pack, workspace } = await shop(lab);
      const bought = await counter.start(workspace, { pack });
      await counter.confirm(workspace, bought, { reference: `bank-${bought.id}` });
      expect(await outcome(counter.topup(workspace, 1000, `bank-${bought.id}`))).toBe("reference_used");
    },
  },
  {
    guard: "what is kept is settled once",
    routine: "payments.settle_payment",
    changes: [["if v_payment.unsettled_at is null then", "if false then"]],
    probe: async (lab) => {
      const { counter, pack, workspace } = await shop(lab);
      const { payment_id } = await counter.confirm(workspace, await counter.start(workspace, { pack }));
      expect(await outcome(counter.settle(workspace, payment_id, "balance"))).toBe("payment_settled");
    },
  },
  {
    guard: "what was paid by another payment is not bought twice",
    routine: "payments.settle_payment",
    changes: [["if v_purchase.payment_id <> settle_payment.payment_id then", "if false then"]],
    probe: async (lab) => {
      const { counter, pack, workspace } = await shop(lab);
      const bought = await counter.start(workspace, { pack });
      await counter.confirm(workspace, bought);
      const { payment_id } = await counter.confirm(workspace, bought);
      expect(await outcome(counter.settle(workspace, payment_id, "purchase"))).toBe("purchase_paid");
    },
  },
  {
    guard: "what is settled for its purchase has the promo code that its price took for granted",
    routine: "payments.settle_payment",
    changes: [["if not payments.redeem(settle_payment.purchase_id, settle_payment.caused_by) then", "if false then"]],
    probe: async (lab) => {
      const { counter, pack, workspace } = await shop(lab);
      const { code } = await counter.promo({ max_redemptions: 1 });
      const bought = await counter.start(workspace, { pack, promo: code });
      const { payment_id } = await counter.confirm(workspace, { id: bought.id, amount_minor: 800 });
      await counter.settle(workspace, payment_id, "purchase");
      expect(await counter.redemption(bought.id)).toMatchObject({ state: "redeemed" });
    },
  },
  {
    guard: "the refund of money that bought nothing is none of its purchase's",
    routine: "payments.reckon",
    changes: [["and p.payment_id = reckon.id and", "and"]],
    probe: async (lab) => {
      const { counter, pack, workspace } = await shop(lab);
      const bought = await counter.start(workspace, { pack });
      await counter.confirm(workspace, bought);
      const { payment_id } = await counter.confirm(workspace, bought);
      await counter.refund(workspace, payment_id);
      expect(await counter.purchase(bought.id)).toMatchObject({ state: "paid" });
    },
  },
  {
    guard: "what was kept and is refunded waits for nobody",
    routine: "payments.reckon",
    changes: [["perform payments.mark_settled(reckon.id);", "null;"]],
    probe: async (lab) => {
      const { counter, pack, workspace } = await shop(lab);
      const { id } = await counter.start(workspace, { pack });
      const { payment_id } = await counter.confirm(workspace, { id, amount_minor: 5 });
      await counter.refund(workspace, payment_id);
      expect(await counter.alarms(id)).toBe(0);
    },
  },
  {
    guard: "a bad purchase that expires is parked alone",
    routine: "payments.purchases_expire",
    changes: [["purchases_expire.failed := purchases_expire.failed + 1;", "raise;"]],
    probe: async (lab) => {
      const { counter, pack, workspace } = await shop(lab);
      const { id } = await counter.start(workspace, { pack }, "1 microsecond");
      await lab.db.query("alter table payments.purchase add constraint bad check (state <> 'expired') not valid");
      try {
        expect(await counter.expire()).toMatchObject({ processed: 0, failed: 1 });
      } finally {
        await lab.db.query("alter table payments.purchase drop constraint bad");
      }
      await counter.cancel(workspace, id);
      expect(await rows(lab.db, "select from ops.parked where sweep = 'purchases_expire'")).toEqual([]);
    },
  },
  {
    guard: "a purchase whose workspace somebody holds is left to the next run",
    routine: "payments.purchases_expire",
    changes: [["where d.workspace_id = any (v_workspaces)", ""]],
    probe: async (lab) => {
      const { counter, pack, workspace } = await shop(lab);
      await counter.start(workspace, { pack }, "1 microsecond");
      const swept = await besideOpen(
        lab.db,
        (connection) => call(connection, "people.lock_workspace", { workspace_id: workspace }),
        () => counter.expire(),
      );
      expect(swept).toMatchObject({ processed: 0 });
    },
  },
  {
    guard: "only what is paid by hand is confirmed by hand",
    routine: "payments.confirm_purchase",
    changes: [["and p.provider = 'manual';\n  if not found", ";\n  if not found"]],
    probe: async (lab) => {
      const { counter, pack, workspace } = await shop(lab);
      const { id, amount_minor } = await counter.checkout(workspace, { pack }, "stripe");
      expect(await outcome(counter.confirm(workspace, { id, amount_minor }))).toBe("not_found");
    },
  },
  {
    guard: "nobody is sent to pay nothing",
    routine: "payments.start_checkout",
    changes: [["if v_quote.amount_minor = 0 and", "if false and"]],
    probe: async (lab) => {
      const { counter, pack, workspace } = await shop(lab);
      const { code } = await counter.promo({ percent: 100 });
      expect(await outcome(counter.checkout(workspace, { pack, promo: code }, "stripe"))).toBe("nothing_to_pay");
    },
  },
  {
    guard: "a read-only workspace buys no packs",
    routine: "payments.admit_buyer",
    changes: [["else false end;", "else true end;"]],
    probe: async (lab) => {
      const { counter, pack, workspace } = await shop(lab);
      await lab.db.query(
        "update people.workspace set read_only_from = ops.now(), read_only_reason = 'canceled' where id = $1",
        [workspace],
      );
      expect(await outcome(counter.start(workspace, { pack }))).toBe("workspace_read_only");
    },
  },
];
