import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { claim, purchaseOf, recordCustomer, recordSession, start, syncCheckout } from "../../support/buying.ts";
import { call, outcome, rows } from "../../support/scenario.ts";
import { Till, checkoutFact } from "../../support/till.ts";
import type { Lab, Mutation } from "./lab.ts";

/** A workspace that has no customer yet, and what it buys. */
async function stranger(lab: Lab) {
  const pack = await new Till(lab.db).pack(50);
  const { id } = await call<{ id: string }>(lab.db, "people.create_workspace", { name: "A", caused_by: "test" });
  return { workspace: id, pack };
}

/** A workspace that is buying a pack of 50, whose session was not made yet. */
async function buying(lab: Lab) {
  const till = new Till(lab.db);
  const [pack, customer] = [await till.pack(50), await till.customer()];
  const { id, session_token } = await start(lab.db, customer.workspace, { pack: pack.code });
  return { till, customer, id, session_token, it: { purchase: id, session: `cs_${id}` } };
}

async function bought(lab: Lab, more: Record<string, unknown>) {
  const { till, customer, it } = await buying(lab);
  const fact = checkoutFact(customer, it, more);
  return { till, fact, send: () => till.send("x", fact), credits: () => till.credits(customer.workspace), it };
}

export const purchases: Mutation[] = [
  {
    guard: "B1 a customer is made by one caller at a time",
    routine: "payments.claim_customer",
    changes: [["and (v_row.leased_until is null or v_row.leased_until <= v_now)", ""]],
    probe: async (lab) => {
      const { workspace, pack } = await stranger(lab);
      const { id } = await start(lab.db, workspace, { pack: pack.code });
      expect(await claim(lab.db, id)).toMatchObject({ customer_token: null });
    },
  },
  {
    guard: "B1 a customer is written by whoever has the claim",
    routine: "payments.record_customer",
    changes: [["and c.lease_token = record_customer.token", ""]],
    probe: async (lab) => {
      const { workspace, pack } = await stranger(lab);
      await start(lab.db, workspace, { pack: pack.code });
      const lie = { number: 1, token: randomUUID(), customer: `cus_${workspace}` };
      expect(await recordCustomer(lab.db, workspace, lie)).toMatchObject({ customer: null });
    },
  },
  {
    guard: "B1 a customer is written once",
    routine: "payments.record_customer",
    changes: [["and c.provider_id is null and c.lease_token = record_customer.token", ""]],
    probe: async (lab) => {
      const { workspace, customer } = await new Till(lab.db).customer();
      const lie = { number: 1, token: null, customer: `other_${customer}` };
      expect(await recordCustomer(lab.db, workspace, lie)).toMatchObject({ customer });
    },
  },
  {
    guard: "B1 a workspace has one living customer, by constraint",
    ddl: {
      apply: "drop index payments.customer_live_once",
      undo: "create unique index customer_live_once on payments.customer (workspace_id, provider) where deleted_at is null",
    },
    probe: async (lab) => {
      const { workspace } = await new Till(lab.db).customer();
      const second = lab.db.query(
        "insert into payments.customer (workspace_id, provider, number, claimed_at) values ($1, 'stripe', 2, ops.now())",
        [workspace],
      );
      expect(await outcome(second)).toBe("23505");
    },
  },
  {
    guard: "B1 a customer is looked for when the provider may have forgotten its key",
    routine: "payments.claim_customer",
    changes: [["v_row.claimed_at <= v_now - interval '23 hours'", "false"]],
    probe: async (lab) => {
      const { workspace, pack } = await stranger(lab);
      const { id } = await start(lab.db, workspace, { pack: pack.code });
      await lab.db.query(
        "update payments.customer set claimed_at = claimed_at - interval '1 day' where workspace_id = $1",
        [workspace],
      );
      expect(await claim(lab.db, id)).toMatchObject({ search_customer: true });
    },
  },
  {
    guard: "a session is made by one caller at a time",
    routine: "payments.claim_checkout",
    changes: [["and (v_row.leased_until is null or v_row.leased_until <= ops.now())", ""]],
    probe: async (lab) => {
      const { id } = await buying(lab);
      expect(await claim(lab.db, id)).toMatchObject({ session_token: null });
    },
  },
  {
    guard: "a session is written by whoever has the claim",
    routine: "payments.record_session",
    changes: [["and p.lease_token = record_session.token", ""]],
    probe: async (lab) => {
      const { id } = await buying(lab);
      expect(await recordSession(lab.db, id, randomUUID(), "cs_lie")).toMatchObject({ session_id: null });
    },
  },
  {
    guard: "that there is no session says nothing while somebody may be making it",
    routine: "payments.sync_checkout",
    changes: [["and (p.leased_until is null or p.leased_until <= ops.now())", ""]],
    probe: async (lab) => {
      const { id } = await buying(lab);
      expect(await syncCheckout(lab.db, id, null)).toMatchObject({ state: "pending" });
    },
  },
  {
    guard: "of two checkouts for plans one is open",
    routine: "payments.open_plan",
    changes: [["if (v_open.provider,", "if false and (v_open.provider,"]],
    probe: async (lab) => {
      const till = new Till(lab.db);
      const [one, other, { workspace }] = [await till.plan(), await till.plan(), await till.customer()];
      await start(lab.db, workspace, { plan: one.code });
      expect(await outcome(start(lab.db, workspace, { plan: other.code }))).toBe("checkout_open");
    },
  },
  {
    guard: "of two checkouts for plans one is open, by constraint",
    ddl: {
      apply: "drop index payments.purchase_of_plan_open_once",
      undo: `create unique index purchase_of_plan_open_once on payments.purchase (workspace_id)
        where kind = 'subscription' and state = 'pending'`,
    },
    probe: async (lab) => {
      const till = new Till(lab.db);
      const [plan, { workspace }] = [await till.plan(), await till.customer()];
      const { id } = await start(lab.db, workspace, { plan: plan.code });
      const copy = lab.db.query(
        `insert into payments.purchase select (jsonb_populate_record(p, jsonb_build_object('id', uuidv7()))).*
           from payments.purchase p where id = $1`,
        [id],
      );
      expect(await outcome(copy)).toBe("23505");
    },
  },
  {
    guard: "a frozen workspace buys nothing",
    routine: "payments.admit_buyer",
    changes: [["if v_access.refusal is not null", "if false"]],
    probe: async (lab) => {
      const till = new Till(lab.db);
      const [pack, { workspace }] = [await till.pack(5), await till.customer()];
      await call(lab.db, "people.freeze_workspace", { workspace_id: workspace, reason: "x", caused_by: "test" });
      expect(await outcome(start(lab.db, workspace, { pack: pack.code }))).toBe("workspace_frozen");
    },
  },
  {
    guard: "another workspace's session is refused",
    routine: "payments.apply_checkout",
    changes: [[/or v_purchase\.workspace_id is distinct from\s+payments\.workspace_of\([^)]*\)/g, ""]],
    probe: async (lab) => {
      const { till, id } = await buying(lab);
      const thief = await till.customer();
      const event = till.event("x", checkoutFact(thief, { purchase: id, session: `cs_thief_${id}` }));
      expect(await till.deliver(event)).toMatchObject({ state: "failed" });
    },
  },
  {
    guard: "A5 a purchase is paid once",
    routine: "payments.finalize",
    changes: [["if v_purchase.payment_id is not null and", "if false and"]],
    probe: async (lab) => {
      const { send } = await bought(lab, {});
      await send();
      expect(await send()).toMatchObject({ outcome: "known" });
    },
  },
  {
    guard: "money of another currency buys nothing",
    routine: "payments.finalize",
    changes: [["if not v_fits then", "if false then"]],
    probe: async (lab) => {
      const { send, credits } = await bought(lab, { currency: "usd" });
      await send();
      expect(await credits()).toEqual({});
    },
  },
  {
    guard: "a payment on its way is asked for again in hours",
    routine: "payments.apply_checkout",
    changes: [["check_due_at = ops.now() + interval '6 hours'", "check_due_at = ops.now()"]],
    probe: async (lab) => {
      const { send, it } = await bought(lab, { payment_status: "unpaid" });
      await send();
      const due = "select from payments.purchase where id = $1 and check_due_at > ops.now() + interval '5 hours'";
      expect(await rows(lab.db, due, [it.purchase])).toHaveLength(1);
    },
  },
  {
    guard: "C9 a purchase moves only as ops.transition allows",
    trigger: { table: "payments.purchase", name: "purchase_lifecycle" },
    probe: async (lab) => {
      const { id } = await buying(lab);
      const move = "update payments.purchase set state = 'refunded', ended_at = ops.now() where id = $1";
      expect(await outcome(lab.db.query(move, [id]))).toBe("TG003");
      expect(await purchaseOf(lab.db, id)).toMatchObject({ state: "pending" });
    },
  },
];
