import { randomUUID } from "node:crypto";
import { Account, call, rows } from "./scenario.ts";
import type { Db } from "./scenario.ts";
import { Till, invoiceFact } from "./till.ts";
import type { Customer, Offer } from "./till.ts";

interface Policy {
  percent: number;
  recurring?: boolean;
}

type Invoice = ReturnType<typeof invoiceFact>;

/** A workspace that pays invoices, and the one that brought it. */
export class Scheme {
  readonly till: Till;
  readonly payer: Customer;
  readonly referrer: string;
  readonly plan: Offer;

  constructor(till: Till, payer: Customer, referrer: string, plan: Offer) {
    this.till = till;
    this.payer = payer;
    this.referrer = referrer;
    this.plan = plan;
  }

  /** Sets the policy, for the whole database. */
  static async open(db: Db, policy: Policy): Promise<Scheme> {
    const till = new Till(db);
    const [payer, { workspace }, plan] = [await till.customer(), await till.customer(), await till.plan()];
    const scheme = new Scheme(till, payer, workspace, plan);
    await call(db, "payments.set_referrer", {
      workspace_id: payer.workspace,
      referrer_id: workspace,
      caused_by: "test",
    });
    await scheme.policy(policy);
    return scheme;
  }

  policy({ percent, recurring = false }: Policy): Promise<object> {
    return call(this.till.db, "payments.set_referral_policy", { percent, recurring, caused_by: "test" });
  }

  /** A period's invoice, paid by an intent of its own: `pi_<invoice>`. */
  invoice({ amount, of = this.payer }: { amount: number; of?: Customer }): Invoice {
    const id = `in_${randomUUID()}`;
    return invoiceFact(of, `sub_${of.customer}`, this.plan.price, {
      invoice: id,
      amount_paid: amount,
      payment_intents: [`pi_${id}`],
    });
  }

  async tell(invoice: Invoice): Promise<string> {
    return (await this.till.send("invoice.paid", invoice)).state;
  }

  async pay(wish: { amount: number; of?: Customer }): Promise<void> {
    await this.tell(this.invoice(wish));
  }

  /** The payment of an invoice. */
  async payment({ invoice }: Invoice): Promise<string> {
    const [row] = await rows<{ id: string }>(this.till.db, "select id from payments.payment where reference = $1", [
      invoice,
    ]);
    return row?.id ?? "";
  }

  /** As payments' routines do it, with the paying workspace's lock. */
  async reward(payment_id: string): Promise<void> {
    await this.till.db.query(
      `select case when people.lock_workspace($1) then payments.reward_referrer($2, 'test')::text end`,
      [this.payer.workspace, payment_id],
    );
  }

  /** Refunds some of an invoice, by a refund of its own. */
  refund({ invoice }: Invoice, amount: number): Promise<unknown> {
    return this.till.send("refund.created", {
      kind: "refund",
      refund: `re_${randomUUID()}`,
      payment_intent: `pi_${invoice}`,
      charge: `ch_${invoice}`,
      amount,
      status: "succeeded",
      created: 1,
    });
  }

  /** The one dispute of an invoice, as it is now. */
  dispute({ invoice }: Invoice, amount: number, status: "needs_response" | "won" | "lost"): Promise<unknown> {
    const seen_at = Math.floor(Date.now() / 1000) + (status === "needs_response" ? 0 : 60);
    const fact = { dispute: `dp_${invoice}`, payment_intent: `pi_${invoice}`, charge: `ch_${invoice}` };
    return this.till.send("dispute", { kind: "dispute", ...fact, amount, status, created: 1 }, seen_at);
  }

  /** Takes money from the referrer's balance. */
  async spend(amount: number): Promise<void> {
    await new Account(this.till.db, { owner: this.referrer, unit: "eur" }).spend(amount);
  }

  /** What the payer's payments gave the referrer, in their order, as it was given. */
  async rewards(): Promise<number[]> {
    const found = await rows<{ amount: number }>(
      this.till.db,
      "select amount_minor::bigint as amount from payments.reward where workspace_id = $1 order by payment_id",
      [this.payer.workspace],
    );
    return found.map(({ amount }) => amount);
  }

  /** What the referrer has; below zero: what it owes. */
  async balance(): Promise<number> {
    const [available, , debt] = await new Account(this.till.db, { owner: this.referrer, unit: "eur" }).sums();
    return available - debt;
  }

  credits(): Promise<Record<string, number>> {
    return this.till.credits(this.payer.workspace);
  }
}
