import type { Dice } from "./dice.ts";
import { day, hour } from "./money-model-calendar.ts";
import { living } from "./money-model-customer.ts";
import type { Customer } from "./money-model-customer.ts";
import type { Code, Money, Purchase } from "./money-model.ts";
import { sweepNames } from "./money-model-operations.ts";
import type { Operation, Order } from "./money-model-operations.ts";
import { planOf, plans } from "./money-model-shop.ts";

/** How many customers there are at a time. Of those who went away nothing more is asked. */
const crowd = 12;

/** Throws the operations of a walk, one after another, as what there is by then allows. */
export class Acts {
  readonly #dice: Dice;
  readonly #money: Money;
  /** Those who are there, by their place. */
  readonly #here: string[] = [];
  #codes: string[] = [];
  #made = 0;

  constructor(dice: Dice, money: Money) {
    this.#dice = dice;
    this.#money = money;
  }

  get here(): readonly string[] {
    return this.#here;
  }

  next(): Operation {
    if (this.#here.length < crowd) return this.#arrive(this.#here.length);
    if (this.#codes.length < 3) return this.#code();
    const weighted: [number, () => Operation][] = [
      [1, () => this.#arrive(this.#dice(crowd))],
      [1, () => this.#code()],
      [1, () => this.#policy()],
      [11, () => this.#topup()],
      [12, () => this.#buy()],
      [10, () => this.#start()],
      [8, () => this.#confirm()],
      [2, () => this.#cancelPurchase()],
      [5, () => this.#settle()],
      [6, () => this.#refund()],
      [5, () => this.#trial()],
      [5, () => this.#change()],
      [8, () => this.#renewal()],
      [2, () => this.#refer()],
      [16, () => ({ kind: "clock", by: this.#lapse() })],
      [16, () => this.#sweep()],
    ];
    let at = this.#dice(weighted.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, make] of weighted) {
      if (at < weight) return make();
      at -= weight;
    }
    throw new Error("no operation has such a number");
  }

  #arrive(place: number): Operation {
    this.#made += 1;
    const of = `w${this.#made}`;
    this.#here[place] = of;
    return { kind: "workspace", of };
  }

  #one<Item>(items: readonly Item[]): Item | undefined {
    return items[this.#dice(items.length)];
  }

  #of<Item>(...items: [Item, ...Item[]]): Item {
    return items[this.#dice(items.length)] ?? items[0];
  }

  #chance(percent: number): boolean {
    return this.#dice(100) < percent;
  }

  #somebody(of: readonly string[] = this.#here): Customer {
    return this.#money.customer(this.#one(of) ?? this.#one(this.#here) ?? "w1");
  }

  /** Often somebody who owes. */
  #debtor(): Customer {
    const owing = this.#here.filter((name) => living(this.#money.customer(name))?.state === "past_due");
    return this.#somebody(owing.length > 0 && this.#chance(50) ? owing : this.#here);
  }

  /** Mostly somebody who has a subscription. */
  #subscriber(): Customer {
    const live = this.#here.filter((name) => living(this.#money.customer(name)) !== null);
    return this.#somebody(this.#chance(90) ? live : this.#here);
  }

  #reference(): string {
    this.#made += 1;
    return `reference ${this.#chance(4) ? this.#dice(this.#made) : this.#made}`;
  }

  #currency(): string {
    return this.#chance(85) ? "eur" : this.#of("usd", "gbp");
  }

  /** Mostly what is sold, and mostly what the customer has already. */
  #order(of: Customer, only?: "plan"): Order {
    // What is short comes to its end most often.
    const sold = this.#chance(30) ? planOf("daily") : (this.#one(plans) ?? planOf("monthly"));
    const price = this.#one(sold.prices);
    const quantity = this.#chance(70) ? 1 : 1 + this.#dice(3);
    const none = { plan: null, pack: false, topup: null, unit: "month", count: 1, quantity } as const;
    const code = this.#chance(35) ? (this.#one(this.#codes) ?? null) : null;
    const thing = only === "plan" ? 0 : this.#dice(10);
    if (thing > 7) return { ...none, pack: true, currency: this.#currency(), code };
    if (thing > 5) {
      const topup = 50 * (1 + this.#dice(40));
      return { ...none, topup, quantity: 1, currency: this.#chance(90) ? "eur" : "usd", code };
    }
    const it = living(of);
    const wished = it !== null && this.#chance(50) ? it.price : price;
    const { plan, unit, count } = wished ?? { plan: "none", unit: "month" as const, count: 1 };
    const currency = this.#chance(95) ? (wished?.currency ?? "eur") : this.#currency();
    const same = it !== null && wished === it.price && this.#chance(80);
    return { ...none, plan, unit, count, quantity: same ? it.quantity : quantity, currency, code };
  }

  #topup(): Operation {
    const amount = 20 * (1 + this.#dice(this.#of(5, 30, 100, 300)));
    const currency = this.#chance(90) ? "eur" : "usd";
    return { kind: "topup", of: this.#debtor().name, amount, currency, reference: this.#reference() };
  }

  #buy(): Operation {
    const of = this.#somebody();
    const order = this.#order(of);
    return {
      kind: "buy",
      of: of.name,
      order: order.topup === null ? order : this.#order(of, "plan"),
      auto_renew: this.#chance(85),
    };
  }

  #start(): Operation {
    const of = this.#somebody();
    const hours = this.#of(1, 24, 24 * 7, 24 * 20);
    return { kind: "start", of: of.name, order: this.#order(of), hours, auto_renew: this.#chance(85) };
  }

  /** A purchase that can be paid for by hand; one that is open rather than any. */
  #bought(): Purchase | undefined {
    const all = this.#here.flatMap((name) => this.#money.purchasesOf(name)).filter(({ by }) => by === "manual");
    const open = all.filter(({ state }) => state === "pending");
    return this.#one(open.length > 0 && this.#chance(75) ? open : all);
  }

  #confirm(): Operation {
    const purchase = this.#bought();
    if (purchase === undefined) return this.#start();
    const { of, name, amount: right } = purchase;
    const amount = this.#chance(75) ? right : this.#of(1, right + 100, Math.max(1, right - 1));
    const currency = this.#chance(90) ? purchase.currency : this.#currency();
    const by = this.#chance(3) ? this.#somebody().name : of;
    return { kind: "confirm", of: by, purchase: name, amount, currency, reference: this.#reference() };
  }

  #cancelPurchase(): Operation {
    const purchase = this.#bought();
    if (purchase === undefined) return this.#start();
    return { kind: "cancel_purchase", of: purchase.of, purchase: purchase.name };
  }

  #settle(): Operation {
    const waiting = this.#here.flatMap((of) =>
      this.#money.customer(of).payments.flatMap(({ name, unsettled }) => (unsettled ? [{ of, name }] : [])),
    );
    const found = this.#chance(95) ? this.#one(waiting) : undefined;
    const { of, payment } = found === undefined ? this.#paid() : { of: found.of, payment: found.name };
    if (payment === undefined) return this.#topup();
    return { kind: "settle", of, payment, as: this.#of("balance", "purchase") };
  }

  #paid(): { of: string; payment: string | undefined; amount: number } {
    const of = this.#debtor();
    const newest = of.payments.slice(-8);
    const found = this.#one(this.#chance(70) ? newest : of.payments);
    return { of: of.name, payment: found?.name, amount: found?.amount ?? 0 };
  }

  #refund(): Operation {
    const { of, payment, amount } = this.#paid();
    if (payment === undefined) return this.#topup();
    const part = this.#chance(40) ? null : 1 + this.#dice(Math.ceil(amount * 0.7));
    return { kind: "refund", of, payment, amount: part };
  }

  #trial(): Operation {
    const fresh = this.#here.filter((name) => this.#money.customer(name).subscription === null);
    const of = this.#somebody(this.#chance(80) ? fresh : this.#here);
    const identity = this.#chance(70) ? null : `somebody ${this.#dice(9)}`;
    return { kind: "trial", of: of.name, order: this.#order(of, "plan"), identity, auto_renew: this.#chance(50) };
  }

  #change(): Operation {
    const change = this.#of(
      "cancel",
      "cancel",
      "uncancel",
      "uncancel",
      "uncancel",
      "keep",
      "downgrade",
      "downgrade",
      "cancel_now",
      "upgrade",
    );
    const plan = this.#chance(50) ? (this.#one(plans)?.code ?? null) : null;
    const quantity = this.#chance(50) ? null : 1 + this.#dice(3);
    return { kind: "change", of: this.#subscriber().name, change, plan, quantity };
  }

  #renewal(): Operation {
    const { unit, count } = this.#one((this.#one(plans) ?? plans[0])?.prices ?? []) ?? { unit: "month", count: 1 };
    const elsewhere = this.#chance(35);
    return {
      kind: "renewal",
      of: this.#subscriber().name,
      auto_renew: this.#chance(85),
      plan: elsewhere ? (this.#one(plans)?.code ?? null) : null,
      every: this.#chance(elsewhere ? 70 : 10) ? { unit, count } : null,
      quantity: this.#chance(70) ? null : 1 + this.#dice(3),
    };
  }

  #refer(): Operation {
    // Whoever is new has not paid yet.
    const newest = this.#here.toSorted((a, b) => Number(b.slice(1)) - Number(a.slice(1))).slice(0, 4);
    const of = this.#chance(70) ? (this.#one(newest) ?? "w1") : this.#somebody().name;
    return { kind: "referrer", of, referrer: this.#somebody().name };
  }

  #policy(): Operation {
    return { kind: "policy", percent: this.#of(10, 10, 25, 3, 0), recurring: this.#chance(80) };
  }

  /** A campaign, a code that takes the place of another, or the end of one. */
  #code(): Operation {
    this.#made += 1;
    if (this.#money.campaigns.size === 0 || this.#chance(15)) {
      return { kind: "campaign", name: `C${this.#made}`, most: 2 + this.#dice(4) };
    }
    if (this.#codes.length >= 3 && this.#chance(20)) {
      return { kind: "disable", name: this.#one(this.#codes) ?? "NONE" };
    }
    const percent = this.#chance(60) ? this.#of(30, 33, 100) : null;
    const code: Code = {
      name: `CODE${this.#made}`,
      campaign: this.#chance(70) ? ([...this.#money.campaigns.keys()].at(-1) ?? null) : null,
      percent,
      minor: percent === null ? this.#of({ eur: 200 }, { eur: 150, usd: 170 }) : {},
      kinds: this.#chance(60) ? null : this.#of(["subscription", "credit_pack"], ["balance_topup"]),
      most: this.#chance(70) ? 1 + this.#dice(5) : null,
      per_workspace: 1 + this.#dice(2),
      ends_at: this.#chance(50) ? null : this.#money.now + this.#dice(40) * day + hour,
      disabled: false,
    };
    this.#codes = [...this.#codes, code.name].slice(-3);
    return { kind: "code", code };
  }

  /** Some hours to some weeks; or to the very moment at which something is due, or beside it. */
  #lapse(): number {
    const { now } = this.#money;
    const moments = this.#here.flatMap((name) => {
      const it = living(this.#money.customer(name));
      const purchases = this.#money.purchasesOf(name).filter(({ state }) => state === "pending");
      const subscription = it === null ? [] : [it.end, it.renew_at ?? 0, it.expire_at, it.end - 3 * day];
      return [...subscription, ...purchases.map(({ expires_at }) => expires_at)];
    });
    const ahead = moments.filter((moment) => moment > now && moment < now + 20 * day);
    const to = this.#of(undefined, undefined, this.#one(ahead), Math.min(...ahead));
    if (to !== undefined && to < Infinity) return Math.max(1, to - now + this.#of(0, 0, 1, -1));
    const long = this.#chance(15) ? this.#of(8, 14, 21, 35) * day : 3 * day;
    return this.#of(hour, 5 * hour, 9 * hour, day, day, long) + this.#dice(hour);
  }

  #sweep(): Operation {
    const order = [...sweepNames];
    const chosen: (typeof sweepNames)[number][] = [];
    const count = this.#of(1, 2, order.length, order.length);
    while (chosen.length < count) chosen.push(...order.splice(this.#dice(order.length), 1));
    return { kind: "sweep", names: chosen, to_rest: this.#chance(30) };
  }
}
