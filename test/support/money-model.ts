import { hour } from "./money-model-calendar.ts";
import * as customers from "./money-model-customer.ts";
import type { Customer, Payment } from "./money-model-customer.ts";
import type { Operation, Order, SweepName } from "./money-model-operations.ts";
import { pack, plans, planOf } from "./money-model-shop.ts";
import type { Price } from "./money-model-shop.ts";

/** Something that a customer is buying, at the price that he was told. */
export interface Purchase {
  name: string;
  of: string;
  by: "manual" | "balance";
  kind: "balance_topup" | "subscription" | "credit_pack";
  state: "pending" | "paid" | "partly_refunded" | "refunded" | "expired" | "canceled";
  price: Price | null;
  quantity: number;
  currency: string;
  list: number;
  amount: number;
  code: string | null;
  redemption: "held" | "redeemed" | "released" | null;
  auto_renew: boolean;
  expires_at: number;
  payment: string | null;
}

export interface Code {
  name: string;
  campaign: string | null;
  percent: number | null;
  /** What a code that is no percentage takes off, by currency. */
  minor: Record<string, number>;
  kinds: string[] | null;
  most: number | null;
  per_workspace: number;
  ends_at: number | null;
  disabled: boolean;
}

/** What came of an operation, and how what it made or found is called. */
export interface Outcome {
  outcome: string;
  purchase?: string;
  payment?: string;
  subscription?: string;
  available?: number;
}

class Refused extends Error {}

/** All customers and what they may do: the small model of the money. An operation is done, or refused and nothing has changed. */
export class Money {
  now: number;
  readonly customers = new Map<string, Customer>();
  readonly purchases = new Map<string, Purchase>();
  readonly #purchasesOf = new Map<string, Purchase[]>();
  readonly codes = new Map<string, Code>();
  readonly campaigns = new Map<string, number>();
  readonly #triedBy = new Set<string>();
  readonly #referrers = new Map<string, string>();
  readonly #references = new Map<string, { purchase: string; payment: string; topup: boolean }>();
  #policy = { percent: 0, recurring: false };

  constructor(now: number) {
    this.now = now;
  }

  customer(name: string): Customer {
    const found = this.customers.get(name);
    if (found === undefined) throw new Error(`nobody is called ${name}`);
    return found;
  }

  purchase(name: string): Purchase {
    const found = this.purchases.get(name);
    if (found === undefined) throw new Error(`nobody buys ${name}`);
    return found;
  }

  purchasesOf(of: string): readonly Purchase[] {
    return this.#purchasesOf.get(of) ?? [];
  }

  referrerOf(of: string): string | undefined {
    return this.#referrers.get(of);
  }

  apply(operation: Operation): Outcome {
    try {
      return this.#do(operation);
    } catch (error) {
      if (error instanceof Refused) return { outcome: error.message };
      throw error;
    }
  }

  #do(op: Operation): Outcome {
    switch (op.kind) {
      case "workspace":
        this.customers.set(op.of, customers.newCustomer(op.of));
        return { outcome: "done" };
      case "topup":
        return this.#topup(op);
      case "buy":
        return this.#buy(op);
      case "start":
        return this.#start(op);
      case "confirm":
        return this.#confirm(op);
      case "cancel_purchase":
        return this.#cancelPurchase(op);
      case "settle":
        return this.#settle(op);
      case "refund":
        return this.#refund(op);
      case "trial":
        return this.#trial(op);
      case "change":
        return this.#change(op);
      case "renewal":
        return this.#renewal(op);
      case "referrer":
        return this.#refer(op);
      case "policy":
        this.#policy = { percent: op.percent, recurring: op.recurring };
        return { outcome: "done" };
      case "campaign":
        this.campaigns.set(op.name, op.most);
        return { outcome: "done" };
      case "code":
        this.codes.set(op.code.name, { ...op.code });
        return { outcome: "done" };
      case "disable": {
        const code = this.codes.get(op.name);
        if (code === undefined) throw new Refused("not_found");
        code.disabled = true;
        return { outcome: "done" };
      }
      case "clock":
        this.now += op.by;
        return { outcome: "done" };
      case "sweep":
        for (const of of this.customers.values()) while (this.#sweep(op.names, of) && op.to_rest);
        return { outcome: "done" };
    }
  }

  /** Answers whether any of the sweeps had something to do. */
  #sweep(names: readonly SweepName[], of: Customer): boolean {
    let done = false;
    for (const name of names) done = this.#sweepOnce(name, of) || done;
    return done;
  }

  #sweepOnce(name: SweepName, of: Customer): boolean {
    switch (name) {
      case "auto_renew":
        return customers.renew(of, this.now);
      case "expire":
      case "trial_expire":
        return customers.expire(of, name === "trial_expire", this.now);
      case "reminders":
      case "trial_notice":
        return customers.remind(of, name === "trial_notice", this.now);
      case "purchases_expire": {
        const due = this.purchasesOf(of.name).filter((each) => this.#isOver(each));
        for (const each of due) this.#endUnpaid(each, "expired");
        return due.length > 0;
      }
    }
  }

  #isOver({ by, state, expires_at }: Purchase): boolean {
    return by === "manual" && state === "pending" && expires_at <= this.now;
  }

  #endUnpaid(purchase: Purchase, state: "expired" | "canceled"): void {
    purchase.state = state;
    if (purchase.redemption === "held") purchase.redemption = "released";
  }

  #topup({ of, amount, currency, reference }: Extract<Operation, { kind: "topup" }>): Outcome {
    const customer = this.customer(of);
    const known = this.#references.get(reference);
    if (known !== undefined) {
      const first = this.purchase(known.purchase);
      const same = known.topup && first.of === of && first.amount === amount && first.currency === currency;
      if (!same) throw new Refused("reference_used");
      return { outcome: "done", purchase: known.purchase, payment: known.payment };
    }
    const purchase = this.#newPurchase(of, "manual", "balance_topup", { currency, list: amount, amount });
    const payment = this.#paid(customer, purchase, reference, amount, currency);
    this.#references.set(reference, { purchase: purchase.name, payment: payment.name, topup: true });
    this.#deliver(purchase, payment);
    return { outcome: "done", purchase: purchase.name, payment: payment.name };
  }

  #newPurchase(
    of: string,
    by: Purchase["by"],
    kind: Purchase["kind"],
    more: Pick<Purchase, "currency" | "list" | "amount"> & Partial<Purchase>,
  ): Purchase {
    const purchase: Purchase = {
      name: `${of}.b${this.purchasesOf(of).length + 1}`,
      of,
      by,
      kind,
      state: "pending",
      price: null,
      quantity: 1,
      code: null,
      redemption: null,
      auto_renew: true,
      expires_at: this.now,
      payment: null,
      ...more,
    };
    this.purchases.set(purchase.name, purchase);
    this.#purchasesOf.set(of, [...this.purchasesOf(of), purchase]);
    return purchase;
  }

  /** Money that came by hand, and is not for anything yet. */
  #paid(of: Customer, purchase: Purchase, reference: string, amount: number, currency: string): Payment {
    const payment: Payment = {
      ...customers.paidFromBalance(`${of.name}.p${of.payments.length + 1}`, purchase.name, amount, currency),
      by: purchase.by,
      unsettled: true,
    };
    of.payments.push(payment);
    this.#references.set(reference, { purchase: purchase.name, payment: payment.name, topup: false });
    return payment;
  }

  /** A payment buys what its purchase is; what was refunded of it before is taken back at once. */
  #deliver(purchase: Purchase, payment: Payment): void {
    const of = this.customer(purchase.of);
    payment.unsettled = false;
    purchase.state = "paid";
    purchase.payment = payment.name;
    if (purchase.redemption !== null) purchase.redemption = "redeemed";
    if (purchase.kind === "balance_topup") {
      // Settled as the purchase, it is the purchase's currency, whatever came.
      this.#give(of, payment, purchase.list, purchase.currency);
    } else if (purchase.kind === "credit_pack") {
      const given = pack.quantity * purchase.quantity;
      of.lots.push({ pool: "bulk", payment: payment.name, given, available: given, recovered: 0 });
    } else if (purchase.price !== null) {
      customers.payPeriod(of, { ...purchase, price: purchase.price }, payment, this.now);
    }
    this.#reckon(of, payment);
    this.#reward(of, payment);
    // Who paid nothing is told of no payment.
    if (payment.amount > 0) customers.tell(of, `purchase_paid:${purchase.name}`, this.now);
  }

  #give(of: Customer, payment: Payment, given: number, currency: string): void {
    payment.money = { given, taken: 0, currency };
    customers.move(of, currency, given);
    customers.wake(of, this.now);
  }

  #reward(of: Customer, payment: Payment): void {
    const name = this.#referrers.get(of.name);
    const given = Math.floor((payment.amount * this.#policy.percent) / 100);
    const before = of.payments.some(({ reward }) => reward !== null);
    if (payment.by === "balance" || name === undefined || given === 0 || (before && !this.#policy.recurring)) return;
    const referrer = this.customer(name);
    payment.reward = { referrer: name, given, taken: 0 };
    customers.move(referrer, payment.currency, given);
    customers.wake(referrer, this.now);
    this.#reckon(of, payment);
  }

  /** What a payment gave is brought to what of it is not refunded. */
  #reckon(of: Customer, payment: Payment): void {
    const part = (given: number) => Math.floor((given * payment.refunded) / payment.amount) || 0;
    const { money, reward } = payment;
    for (const [whose, gift, currency] of [
      [of, money, money?.currency ?? payment.currency],
      [reward === null ? of : this.customer(reward.referrer), reward, payment.currency],
    ] as const) {
      if (gift === null) continue;
      customers.move(whose, currency, gift.taken - part(gift.given));
      gift.taken = part(gift.given);
    }
    for (const lot of of.lots.filter((each) => each.payment === payment.name)) {
      const taken = Math.min(part(lot.given) - lot.recovered, lot.available);
      lot.available -= taken;
      lot.recovered += taken;
    }
    if (payment.refunded === 0) return;
    const whole = payment.refunded === payment.amount;
    if (whole) payment.unsettled = false;
    const purchase = payment.purchase === null ? null : this.purchase(payment.purchase);
    if (purchase?.payment === payment.name) purchase.state = whole ? "refunded" : "partly_refunded";
  }

  /** What is wished for, and what it costs. */
  #quote(of: Customer, order: Order) {
    const price = this.#priceOf(order);
    const costs = order.pack ? pack.costs[order.currency] : (price?.amount ?? order.topup ?? undefined);
    if (costs === undefined) throw new Refused("price_unknown");
    const kind = order.pack ? "credit_pack" : price === null ? "balance_topup" : "subscription";
    const list = costs * order.quantity;
    const code = order.code === null ? null : this.#mayUse(of.name, order.code, kind, order.currency);
    const off = code?.percent == null ? (code?.minor[order.currency] ?? 0) : Math.floor((list * code.percent) / 100);
    const redemption = code === null ? null : ("held" as const);
    const amount = list - Math.min(list, off);
    return { kind, price, list, amount, code: order.code, redemption, ...pick(order) } as const;
  }

  #priceOf({ plan, currency, unit, count }: Order): Price | null {
    if (plan === null) return null;
    return priced(plan, currency, unit, count);
  }

  #mayUse(of: string, name: string, kind: string, currency: string): Code {
    const code = this.codes.get(name);
    if (code === undefined || code.disabled) throw new Refused("promo_unknown");
    if (code.ends_at !== null && code.ends_at <= this.now) throw new Refused("promo_expired");
    if (code.kinds?.includes(kind) === false || (code.percent === null && code.minor[currency] === undefined)) {
      throw new Refused("promo_not_for_this");
    }
    const uses = [...this.purchases.values()].filter(
      (each) => each.redemption === "held" || each.redemption === "redeemed",
    );
    const ofCode = uses.filter((each) => each.code === name);
    const ofCampaign = uses.filter((each) => this.codes.get(each.code ?? "")?.campaign === code.campaign);
    if (ofCode.filter((each) => each.of === of).length >= code.per_workspace) throw new Refused("promo_used");
    const most = code.campaign === null ? Infinity : (this.campaigns.get(code.campaign) ?? Infinity);
    if (ofCode.length >= (code.most ?? Infinity) || ofCampaign.length >= most) throw new Refused("promo_used_up");
    return code;
  }

  /** Who may write nothing may still pay what he is asked for. */
  #admit(of: Customer, order: Order): void {
    const from = customers.readOnly(of)?.[0] ?? Infinity;
    if (order.pack && from <= this.now) throw new Refused("workspace_read_only");
  }

  #mayPay(of: Customer, price: Price, quantity: number): void {
    if (customers.standsInTheWay(of, price, quantity, this.now) !== null) throw new Refused("subscription_exists");
  }

  /** The purchase of a plan that is open; one whose time has passed is over once something else was begun. */
  #open(of: string): { open: Purchase | null; over: Purchase | null } {
    const pending = (each: Purchase) => each.kind === "subscription" && each.state === "pending";
    const found = this.purchasesOf(of).find(pending) ?? null;
    const isOver = found !== null && this.#isOver(found);
    return isOver ? { open: null, over: found } : { open: found, over: null };
  }

  #buy({ of, order, auto_renew }: Extract<Operation, { kind: "buy" }>): Outcome {
    const customer = this.customer(of);
    this.#admit(customer, order);
    const price = this.#priceOf(order);
    const { open, over } = price === null ? { open: null, over: null } : this.#open(of);
    if (price !== null) this.#mayPay(customer, price, order.quantity);
    if (open !== null) throw new Refused("checkout_open");
    const quote = this.#after(over, () => {
      const quoted = this.#quote(customer, order);
      if (customers.has(customer, order.currency) < quoted.amount && quoted.amount > 0) {
        throw new Refused("insufficient_balance");
      }
      return quoted;
    });
    const purchase = this.#newPurchase(of, "balance", quote.kind, { ...quote, auto_renew });
    customers.move(customer, order.currency, -quote.amount);
    const payment = customers.paidFromBalance(`${purchase.name}.paid`, purchase.name, quote.amount, order.currency);
    customer.payments.push(payment);
    this.#deliver(purchase, payment);
    return { outcome: "done", purchase: purchase.name, payment: payment.name };
  }

  #start({ of, order, hours, auto_renew }: Extract<Operation, { kind: "start" }>): Outcome {
    const customer = this.customer(of);
    this.#admit(customer, order);
    const price = this.#priceOf(order);
    const { open, over } = price === null ? { open: null, over: null } : this.#open(of);
    if (price !== null) this.#mayPay(customer, price, order.quantity);
    if (open !== null) {
      const same =
        open.price === price &&
        open.quantity === order.quantity &&
        open.code === order.code &&
        open.auto_renew === auto_renew;
      if (!same) throw new Refused("checkout_open");
      return { outcome: "done", purchase: open.name };
    }
    const quote = this.#after(over, () => {
      const quoted = this.#quote(customer, order);
      if (quoted.amount === 0) throw new Refused("nothing_to_pay");
      return quoted;
    });
    const expires_at = this.now + hours * hour;
    return {
      outcome: "done",
      purchase: this.#newPurchase(of, "manual", quote.kind, { ...quote, auto_renew, expires_at }).name,
    };
  }

  /** Does this as though that purchase were over, which it is then, unless it was refused. */
  #after<Result>(over: Purchase | null, work: () => Result): Result {
    const before = over === null ? null : { ...over };
    if (over !== null) this.#endUnpaid(over, "expired");
    try {
      return work();
    } catch (error) {
      if (over !== null) Object.assign(over, before);
      throw error;
    }
  }

  #confirm({ of, purchase: name, amount, currency, reference }: Extract<Operation, { kind: "confirm" }>): Outcome {
    const customer = this.customer(of);
    const purchase = this.purchase(name);
    if (purchase.of !== of || purchase.by !== "manual") throw new Refused("not_found");
    const known = this.#references.get(reference);
    if (known !== undefined) {
      const first = this.customers.get(purchase.of)?.payments.find((each) => each.name === known.payment);
      const same = known.purchase === name && first?.amount === amount && first.currency === currency;
      if (!same) throw new Refused("reference_used");
      return { outcome: purchase.payment === known.payment ? "paid" : "does_not_fit", payment: known.payment };
    }
    const payment = this.#paid(customer, purchase, reference, amount, currency);
    const fits =
      purchase.payment === null &&
      purchase.currency === currency &&
      purchase.amount === amount &&
      this.#canBeHad(purchase);
    if (fits) this.#deliver(purchase, payment);
    return { outcome: fits ? "paid" : "does_not_fit", payment: payment.name };
  }

  #canBeHad(purchase: Purchase): boolean {
    try {
      this.#mayHave(purchase);
      return true;
    } catch (error) {
      if (error instanceof Refused) return false;
      throw error;
    }
  }

  #mayHave({ of, price, quantity, redemption, code, kind, currency }: Purchase): void {
    if (price !== null) this.#mayPay(this.customer(of), price, quantity);
    if (redemption === "released" && code !== null) this.#mayUse(of, code, kind, currency);
  }

  #cancelPurchase({ of, purchase: name }: Extract<Operation, { kind: "cancel_purchase" }>): Outcome {
    const purchase = this.purchase(name);
    if (purchase.of !== of) throw new Refused("not_found");
    if (purchase.state === "pending") this.#endUnpaid(purchase, "canceled");
    return { outcome: "done" };
  }

  #payment(of: Customer, name: string): Payment {
    const found = of.payments.find((each) => each.name === name);
    if (found === undefined) throw new Refused("not_found");
    return found;
  }

  #settle({ of, payment: name, as }: Extract<Operation, { kind: "settle" }>): Outcome {
    const customer = this.customer(of);
    const payment = this.#payment(customer, name);
    if (!payment.unsettled) throw new Refused("payment_settled");
    if (as === "purchase") {
      const purchase = this.purchase(payment.purchase ?? "");
      if (purchase.payment !== null) throw new Refused("purchase_paid");
      this.#mayHave(purchase);
      this.#deliver(purchase, payment);
    } else {
      payment.unsettled = false;
      this.#give(customer, payment, payment.amount, payment.currency);
      this.#reckon(customer, payment);
      this.#reward(customer, payment);
    }
    return { outcome: "done" };
  }

  #refund({ of, payment: name, amount }: Extract<Operation, { kind: "refund" }>): Outcome {
    const customer = this.customer(of);
    const payment = this.#payment(customer, name);
    const left = payment.amount - payment.refunded;
    if (left === 0 || (amount ?? 0) > left) throw new Refused("amount_exceeds_payment");
    payment.refunded += amount ?? left;
    this.#reckon(customer, payment);
    if (payment.by === "balance") {
      customers.move(customer, payment.currency, amount ?? left);
      customers.wake(customer, this.now);
    }
    return { outcome: "done" };
  }

  #trial({ of, order, identity, auto_renew }: Extract<Operation, { kind: "trial" }>): Outcome {
    const customer = this.customer(of);
    const price = this.#priceOf(order);
    if (price === null || planOf(price.plan).trial_days === 0) throw new Refused("trial_not_offered");
    if (customers.living(customer) !== null) throw new Refused("subscription_exists");
    if (customer.subscription !== null || (identity !== null && this.#triedBy.has(identity)))
      throw new Refused("trial_used");
    if (identity !== null) this.#triedBy.add(identity);
    customers.beginTrial(customer, price, order.quantity, auto_renew, this.now);
    return { outcome: "done" };
  }

  #change({ of, change, plan, quantity }: Extract<Operation, { kind: "change" }>): Outcome {
    const customer = this.customer(of);
    const it = customers.living(customer);
    if (it === null || it.expire_at <= this.now) throw new Refused("no_subscription");
    const none = it.next_price === null && it.next_quantity === null;
    if (change === "downgrade") {
      const price = priced(plan ?? it.price.plan, it.price.currency, it.price.unit, it.price.count);
      if (price === it.price && (quantity ?? it.quantity) === it.quantity) throw new Refused("change_invalid");
      it.next_price = price === it.price ? null : price;
      it.next_quantity = quantity === it.quantity ? null : quantity;
    } else if (change === "keep") {
      if (none) throw new Refused("change_invalid");
      it.next_price = it.next_quantity = null;
    } else if (change === "cancel_now" || (change === "cancel" && it.state === "past_due")) {
      customers.endIt(customer, this.now, "canceled");
    } else if (change === "cancel" || (change === "uncancel" && it.cancel_at !== null)) {
      it.cancel_at = change === "cancel" ? it.end : null;
      customers.schedule(it);
    } else {
      throw new Refused("change_invalid");
    }
    return { outcome: "done" };
  }

  #renewal({ of, auto_renew, plan, every, quantity }: Extract<Operation, { kind: "renewal" }>): Outcome {
    const it = customers.living(this.customer(of));
    if (it === null || it.expire_at <= this.now) throw new Refused("no_subscription");
    const { unit, count } = every ?? it.price;
    const price = priced(plan ?? it.price.plan, it.price.currency, unit, count);
    it.auto_renew = auto_renew;
    it.cancel_at = null;
    it.next_price = price === it.price ? null : price;
    it.next_quantity = quantity === it.quantity ? null : quantity;
    if (it.state === "past_due") {
      it.renew_at = auto_renew ? Math.min(it.renew_at ?? this.now, this.now) : null;
    } else {
      customers.schedule(it);
    }
    return { outcome: "done" };
  }

  #refer({ of, referrer }: Extract<Operation, { kind: "referrer" }>): Outcome {
    const known = this.#referrers.get(of);
    if (known === referrer) return { outcome: "done" };
    if (known !== undefined) throw new Refused("referrer_fixed");
    if (of === referrer) throw new Refused("referral_self");
    for (let up: string | undefined = referrer; up !== undefined; up = this.#referrers.get(up)) {
      if (up === of) throw new Refused("referral_cycle");
    }
    const paid = this.customer(of).payments.some(({ by, amount }) => by === "manual" && amount > 0);
    if (paid) throw new Refused("referral_late");
    this.#referrers.set(of, referrer);
    return { outcome: "done" };
  }
}

const pick = ({ quantity, currency }: Order) => ({ quantity, currency });

function priced(plan: string, currency: string, unit: string, count: number): Price {
  const sold = plans.find((each) => each.code === plan);
  if (sold === undefined) throw new Refused("plan_unknown");
  const price = sold.prices.find((each) => each.currency === currency && each.unit === unit && each.count === count);
  if (price === undefined) throw new Refused("price_unknown");
  return price;
}
