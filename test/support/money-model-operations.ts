import type { Every } from "./money-model-calendar.ts";
import type { Code } from "./money-model.ts";

/** The sweeps of the walk. */
export const sweepNames = [
  "auto_renew",
  "expire",
  "trial_expire",
  "trial_notice",
  "reminders",
  "purchases_expire",
] as const;
export type SweepName = (typeof sweepNames)[number];

/** What is wished for: a plan, a pack, or money for the balance. */
export interface Order {
  plan: string | null;
  pack: boolean;
  topup: number | null;
  currency: string;
  unit: Every["unit"];
  count: number;
  quantity: number;
  code: string | null;
}

/** One step of the walk. Customers, purchases, payments and codes go by the model's names. */
export type Operation =
  | { kind: "workspace"; of: string }
  | { kind: "topup"; of: string; amount: number; currency: string; reference: string }
  | { kind: "buy"; of: string; order: Order; auto_renew: boolean }
  | { kind: "start"; of: string; order: Order; hours: number; auto_renew: boolean }
  | { kind: "confirm"; of: string; purchase: string; amount: number; currency: string; reference: string }
  | { kind: "cancel_purchase"; of: string; purchase: string }
  | { kind: "settle"; of: string; payment: string; as: "balance" | "purchase" }
  | { kind: "refund"; of: string; payment: string; amount: number | null }
  | { kind: "trial"; of: string; order: Order; identity: string | null; auto_renew: boolean }
  | {
      kind: "change";
      of: string;
      change: "cancel" | "cancel_now" | "uncancel" | "keep" | "downgrade" | "upgrade";
      plan: string | null;
      quantity: number | null;
    }
  | {
      kind: "renewal";
      of: string;
      auto_renew: boolean;
      plan: string | null;
      every: Every | null;
      quantity: number | null;
    }
  | { kind: "referrer"; of: string; referrer: string }
  | { kind: "policy"; percent: number; recurring: boolean }
  | { kind: "campaign"; name: string; most: number }
  | { kind: "code"; code: Code }
  | { kind: "disable"; name: string }
  | { kind: "clock"; by: number }
  /** `to_rest`: by so many rows at a time and side by side, until nothing is left to do. */
  | { kind: "sweep"; names: SweepName[]; to_rest: boolean };
