import type { Every } from "./money-model-calendar.ts";

/** What a plan costs. */
export interface Price extends Every {
  plan: string;
  currency: string;
  amount: number;
}

export interface Plan {
  code: string;
  credits: number;
  trial_days: number;
  grace_days: number;
  access: boolean;
  prices: Price[];
}

type Cost = [currency: string, count: number, unit: Every["unit"], amount: number];

function plan(code: string, of: Partial<Plan>, costs: Cost[]): Plan {
  const prices = costs.map(([currency, count, unit, amount]) => ({ plan: code, currency, count, unit, amount }));
  return { code, credits: 0, trial_days: 0, grace_days: 0, access: true, ...of, prices };
}

/** What is sold in the walk: something of each kind. */
export const plans: readonly Plan[] = [
  plan("monthly", { trial_days: 7, grace_days: 10 }, [
    ["eur", 1, "month", 500],
    ["usd", 1, "month", 600],
    ["eur", 1, "year", 5000],
  ]),
  plan("daily", { trial_days: 2, grace_days: 3 }, [
    ["eur", 1, "day", 30],
    ["usd", 1, "day", 40],
    ["eur", 7, "day", 180],
  ]),
  plan("credits", { credits: 50, trial_days: 5 }, [
    ["eur", 1, "month", 900],
    ["usd", 1, "month", 1000],
  ]),
  plan("free", {}, [
    ["eur", 1, "month", 0],
    ["usd", 1, "month", 0],
  ]),
  plan("patient", { grace_days: 40, access: false, trial_days: 12 }, [
    ["eur", 1, "month", 700],
    ["eur", 3, "month", 1800],
    ["usd", 1, "month", 800],
  ]),
];

/** A pack of credits: how many, and what it costs. */
export const pack = { code: "hundred", quantity: 100, costs: { eur: 1000, usd: 1200 } as Record<string, number> };

export function planOf(code: string): Plan {
  const found = plans.find((each) => each.code === code);
  if (found === undefined) throw new Error(`there is no plan ${code}`);
  return found;
}
