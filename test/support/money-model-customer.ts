import { day, hour, later } from "./money-model-calendar.ts";
import { planOf } from "./money-model-shop.ts";
import type { Plan, Price } from "./money-model-shop.ts";

/**
 * One customer of the model, as plain data, and what time and his money do to his subscription. Written from what the product
 * promises, and not from how it does it: what follows from the rest (read-only, the key, who is let in) is no data here.
 */
export interface Customer {
  name: string;
  /** By currency; less than none is what he owes. */
  cents: Record<string, number>;
  /** What each payment gave of credits; `pool` is his plan's. */
  lots: Lot[];
  /** His newest subscription, over or not. */
  subscription: Subscription | null;
  payments: Payment[];
  /** What he was told, once for each fact. */
  told: Map<string, number>;
  keys: { subscription: string; lives: boolean }[];
  subscriptions: number;
}

export interface Lot {
  pool: "plan" | "bulk";
  payment: string | null;
  given: number;
  available: number;
  recovered: number;
}

export interface Payment {
  name: string;
  purchase: string | null;
  by: "manual" | "balance";
  amount: number;
  currency: string;
  refunded: number;
  /** It was kept without effect. */
  unsettled: boolean;
  /** The money that it gave to the balance, in which currency, and what of that was taken back. */
  money: { given: number; taken: number; currency: string } | null;
  reward: { referrer: string; given: number; taken: number } | null;
}

export interface Subscription {
  name: string;
  state: "trialing" | "active" | "past_due" | "canceled";
  price: Price;
  quantity: number;
  /** Of the newest period that was paid for; a trial's is 0. */
  number: number;
  /** Period n starts so many intervals after `anchor` as n is after `anchor_number`. */
  anchor: number;
  anchor_number: number;
  start: number;
  end: number;
  auto_renew: boolean;
  cancel_at: number | null;
  renew_at: number | null;
  expire_at: number;
  /** How often its next period could not be paid. */
  attempts: number;
  past_due_since: number | null;
  next_price: Price | null;
  next_quantity: number | null;
  /** The moments before its end at which he is told count after this one. */
  told_until: number;
  ended_at: number | null;
  ended_reason: string | null;
}

export function newCustomer(name: string): Customer {
  return {
    name,
    cents: {},
    lots: [],
    subscription: null,
    payments: [],
    told: new Map(),
    keys: [],
    subscriptions: 0,
  };
}

/** The subscription that lives. */
export function living({ subscription }: Customer): Subscription | null {
  return subscription === null || subscription.ended_at !== null ? null : subscription;
}

export const has = (of: Customer, currency: string): number => of.cents[currency] ?? 0;

export function move(of: Customer, currency: string, amount: number): void {
  of.cents[currency] = has(of, currency) + amount;
}

export function tell(of: Customer, fact: string, now: number): void {
  if (!of.told.has(fact)) of.told.set(fact, now);
}

/** The key that he is let in by: one of the subscription that lives, if its plan has any. It stays for as long as that. */
function followKey(of: Customer): void {
  const live = living(of);
  const wanted = live !== null && planOf(live.price.plan).access ? live.name : null;
  const kept = of.keys.some((key) => key.lives && key.subscription === wanted);
  for (const key of of.keys) key.lives &&= key.subscription === wanted;
  if (wanted !== null && !kept) of.keys.push({ subscription: wanted, lives: true });
}

/** When it is renewed, and when it ends if it is not. */
export function schedule(it: Subscription): void {
  const { grace_days } = planOf(it.price.plan);
  it.attempts = 0;
  it.renew_at = null;
  it.expire_at = it.end;
  if (it.state === "past_due") {
    it.expire_at += grace_days * day;
  } else if (it.auto_renew && it.cancel_at === null) {
    it.renew_at = it.end;
    const late = Math.min(7 * day, it.end - it.start);
    it.expire_at += it.state === "trialing" ? late : Math.max(late, grace_days * day);
  }
}

const sameInterval = (one: Price, other: Price) => one.unit === other.unit && one.count === other.count;

/** Why he may not pay for a period of this price now: the state of what he has. */
export function standsInTheWay(of: Customer, price: Price, quantity: number, now: number): string | null {
  const it = living(of);
  if (it === null || it.state === "trialing" || it.state === "past_due" || it.end <= now) return null;
  const same = it.price === price && it.quantity === quantity && planOf(price.plan).credits === 0;
  return same && it.end < later(now, { unit: "year", count: 10 }, 1) ? null : it.state;
}

/** He has paid for a period: of something new, or of what he has. */
export function payPeriod(
  of: Customer,
  { price, quantity, auto_renew }: { price: Price; quantity: number; auto_renew: boolean },
  payment: Payment,
  now: number,
): Subscription {
  const it = living(of) ?? begin(of, price, quantity, auto_renew, now);
  const tried = it.state === "trialing" ? planOf(it.price.plan) : null;
  const anew = it.number === 0 || it.expire_at <= now;
  const ahead = !anew && it.end > now;
  it.number += 1;
  const anchor = sameInterval(it.price, price) ? it.anchor : it.end;
  const anchor_number = sameInterval(it.price, price) ? it.anchor_number : it.number;
  const stands = { anchor, anchor_number, number: it.number, start: ahead ? it.start : it.end };
  Object.assign(it, anew ? fromNow(it.number, price, now) : stoodOrNow(stands, price, now));
  if (anew) it.auto_renew = auto_renew;
  it.cancel_at = anew || it.cancel_at === null ? null : it.end;
  if (!ahead) it.next_price = it.next_quantity = null;
  Object.assign(it, { state: "active", price, quantity, past_due_since: null, told_until: now });
  schedule(it);
  givePeriod(of, payment.name, tried);
  followKey(of);
  return it;
}

type Period = Pick<Subscription, "anchor" | "anchor_number" | "start" | "end">;

const fromNow = (number: number, price: Price, now: number): Period => ({
  anchor: now,
  anchor_number: number,
  start: now,
  end: later(now, price, 1),
});

/** The period of this number where it stood, or from now on, where it would be over already. */
function stoodOrNow({ number, ...it }: Omit<Period, "end"> & { number: number }, price: Price, now: number): Period {
  const end = later(it.anchor, price, number + 1 - it.anchor_number);
  return end <= now ? fromNow(number, price, now) : { ...it, end };
}

function begin(of: Customer, price: Price, quantity: number, auto_renew: boolean, now: number): Subscription {
  of.subscriptions += 1;
  of.subscription = {
    name: `${of.name}.s${of.subscriptions}`,
    state: "active",
    price,
    quantity,
    number: 0,
    anchor: now,
    anchor_number: 1,
    start: now,
    end: now,
    auto_renew,
    cancel_at: null,
    renew_at: null,
    expire_at: now,
    attempts: 0,
    past_due_since: null,
    next_price: null,
    next_quantity: null,
    told_until: now,
    ended_at: null,
    ended_reason: null,
  };
  return of.subscription;
}

export function beginTrial(of: Customer, price: Price, quantity: number, auto_renew: boolean, now: number): void {
  const it = begin(of, price, quantity, auto_renew, now);
  const { trial_days, credits } = planOf(price.plan);
  it.state = "trialing";
  it.end = it.anchor = now + trial_days * day;
  schedule(it);
  if (credits > 0) resetPlan(of, credits, null);
  followKey(of);
}

/** What the plan gives takes the place of what was left of it. */
function givePeriod(of: Customer, payment: string, tried: Plan | null): void {
  const credits = planOf(of.subscription?.price.plan ?? "").credits;
  if (credits > 0 || tried !== null || of.lots.some(({ pool }) => pool === "plan")) resetPlan(of, credits, payment);
}

function resetPlan(of: Customer, given: number, payment: string | null): void {
  for (const lot of of.lots) if (lot.pool === "plan") lot.available = 0;
  if (given > 0) of.lots.push({ pool: "plan", payment, given, available: given, recovered: 0 });
}

const isDue = (it: Subscription, now: number): boolean =>
  it.ended_at === null && it.renew_at !== null && it.renew_at <= now && it.expire_at > now;

/** Its next period is paid from the balance, or could not be. Answers whether there was anything to do. */
export function renew(of: Customer, now: number): boolean {
  const it = living(of);
  if (it === null || !isDue(it, now)) return false;
  const price = it.next_price ?? it.price;
  const quantity = it.next_quantity ?? it.quantity;
  const amount = price.amount * quantity;
  const number = it.number + 1;
  if (amount > 0 && has(of, price.currency) < amount) {
    failToRenew(of, it, number, now);
    return true;
  }
  move(of, price.currency, -amount);
  const payment = paidFromBalance(`${it.name}/${number}`, null, amount, price.currency);
  of.payments.push(payment);
  const tried = it.state === "trialing" ? planOf(it.price.plan) : null;
  const anchor = sameInterval(it.price, price) ? it.anchor : it.end;
  const anchor_number = sameInterval(it.price, price) ? it.anchor_number : number;
  Object.assign(it, stoodOrNow({ anchor, anchor_number, number, start: it.end }, price, now));
  Object.assign(it, { state: "active", price, quantity, number, next_price: null });
  Object.assign(it, { next_quantity: null, past_due_since: null, told_until: now });
  schedule(it);
  tell(of, `renewed:${it.name}:${number}`, now);
  givePeriod(of, payment.name, tried);
  followKey(of);
  return true;
}

export function paidFromBalance(name: string, purchase: string | null, amount: number, currency: string): Payment {
  return { name, purchase, by: "balance", amount, currency, refunded: 0, unsettled: false, money: null, reward: null };
}

function failToRenew(of: Customer, it: Subscription, number: number, now: number): void {
  tell(of, `renewal_failed:${it.name}:${number}`, now);
  it.renew_at = null;
  it.expire_at = it.end;
  if (it.state === "trialing") return;
  it.past_due_since ??= it.end;
  it.state = "past_due";
  it.expire_at += planOf(it.price.plan).grace_days * day;
  const again = now + ([hour, 6 * hour][it.attempts] ?? day);
  it.attempts += 1;
  if (again < it.expire_at) it.renew_at = again;
}

/** His balance has grown: what could not be paid is tried again at once. */
export function wake(of: Customer, now: number): void {
  const it = living(of);
  if (it?.state !== "past_due" || !it.auto_renew || it.expire_at <= now) return;
  it.renew_at = Math.min(it.renew_at ?? now, now);
}

/** It is over, for this reason or because its time has come. */
export function endIt(of: Customer, now: number, reason: string | null): void {
  const it = living(of);
  if (it === null) return;
  const was = it.state;
  const byItself = was === "trialing" ? "trial_ended" : was === "past_due" ? "unpaid" : "not_renewed";
  it.ended_reason = reason ?? (it.cancel_at === null ? byItself : "canceled");
  it.ended_at = now;
  it.state = "canceled";
  resetPlan(of, 0, null);
  followKey(of);
  tell(of, `ended:${it.name}`, now);
}

/** It ends if its time has come: a trial, or any other. Answers whether it did. */
export function expire(of: Customer, trials: boolean, now: number): boolean {
  const it = living(of);
  if (it === null || it.expire_at > now || (it.state === "trialing") !== trials) return false;
  endIt(of, now, null);
  return true;
}

/** He is told that his period, or his trial, ends, if a moment to tell it has come since he was told last. */
export function remind(of: Customer, trials: boolean, now: number): boolean {
  const it = living(of);
  if (it === null || it.state === "past_due" || (it.state === "trialing") !== trials) return false;
  const from = Math.max(it.start, it.told_until);
  const moments = (trials ? [3, 1] : [7, 3, 1]).map((days) => it.end - days * day);
  if (!moments.some((moment) => moment > from && moment <= now)) return false;
  it.told_until = now;
  const days = Math.ceil((it.end - now) / day);
  if (days > 0) tell(of, `${trials ? "trial" : "reminder"}:${it.name}:${it.number}:${days}`, now);
  return true;
}

/** Until when he is let in, as far as is known; "yes" or null where that is for sweeps to say, which are late. */
export function letIn(of: Customer, now: number): number | "yes" | null {
  const until = (it: Subscription) => (it.state === "past_due" ? it.expire_at : it.end);
  const it = living(of);
  if (it === null) return null;
  if (!isDue(it, now)) return until(it) > now ? until(it) : null;
  if (it.state === "past_due") return it.expire_at;
  // What the sweeps would do, had they run.
  const then = structuredClone(of);
  renew(then, now);
  const left = living(then);
  return left !== null && until(left) > now ? "yes" : null;
}

/** From when on he may write nothing, and why. */
export function readOnly({ subscription: it }: Customer): [number, string] | null {
  if (it?.state === "past_due") {
    return [(it.past_due_since ?? 0) + planOf(it.price.plan).grace_days * day, "past_due"];
  }
  return it !== null && it.ended_at !== null ? [it.ended_at, "canceled"] : null;
}
