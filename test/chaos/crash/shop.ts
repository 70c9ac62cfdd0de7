import type { Minefield } from "../../support/crash.ts";
import { Counter } from "../../support/counter.ts";
import type { Bought, Order } from "../../support/counter.ts";
import { call } from "../../support/scenario.ts";
import type { Db } from "../../support/scenario.ts";
import { Till, checkoutFact } from "../../support/till.ts";
import type { Customer, Fact, Offer } from "../../support/till.ts";

/** A second of the frozen time, the provider's. */
const told_at = 1_799_582_400;

/** A shop in which all that a purchase may touch is there: a referrer, a code with a cap of its own and its campaign's. */
export class Shop {
  readonly field: Minefield;
  readonly counter: Counter;
  readonly till: Till;
  readonly of: Customer;
  readonly promo: string;
  readonly plan: Offer;
  readonly pack: Offer;

  private constructor(field: Minefield, of: Customer, promo: string, plan: Offer, pack: Offer) {
    this.field = field;
    this.counter = new Counter(field.db);
    this.till = this.counter.till;
    this.of = of;
    this.promo = promo;
    this.plan = plan;
    this.pack = pack;
  }

  static async open(field: Minefield): Promise<Shop> {
    const counter = new Counter(field.db);
    const { till } = counter;
    const [of, referrer] = [await till.customer(), await till.customer()];
    const caused_by = "test";
    const pair = { workspace_id: of.workspace, referrer_id: referrer.workspace };
    await call(field.db, "payments.set_referrer", { ...pair, caused_by });
    await call(field.db, "payments.set_referral_policy", { percent: 10, recurring: false, caused_by });
    const campaign = await counter.campaign({ max_redemptions: 10 });
    const promo = await counter.promo({ code: "SPRING", campaign_id: campaign.id, max_redemptions: 5 });
    const access = { seats: 3, storage_bytes: 1000, grants_access: true, trial_days: 3 };
    return new Shop(field, of, promo.code, await till.plan(access), await till.pack(100));
  }

  get workspace(): string {
    return this.of.workspace;
  }

  /** An order that is to be paid by hand, with the code. */
  order(what: Order): Promise<Bought> {
    return this.counter.start(this.workspace, { promo: this.promo, ...what });
  }

  /** A checkout that the provider has made a session for, and what it tells when that is paid. */
  async checkout(what: Order, { collection = "balance", ...more }: Record<string, unknown> = {}): Promise<Fact> {
    const purchase = await this.counter.checkout(this.workspace, what, String(collection));
    const session = `cs_${crypto.randomUUID().slice(0, 8)}`;
    await call(this.field.db, "payments.record_session", {
      id: purchase.id,
      token: purchase.session_token,
      session_id: session,
      url: `https://pay.example/${session}`,
      expires_at: "2027-01-11T11:00:00Z",
    });
    const paid = { amount_total: purchase.amount_minor, payment_intent: `pi_${session.slice(3)}` };
    return checkoutFact(this.of, { purchase: purchase.id, session }, { ...paid, ...more });
  }

  /** The provider tells of something, once by its id. */
  event(type: string, fact: Fact) {
    const event = this.till.event(type, fact, told_at);
    return (db: Db = this.field.db) => this.till.deliver(event, db);
  }
}
