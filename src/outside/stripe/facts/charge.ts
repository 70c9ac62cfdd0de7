import * as z from "zod";
import { absent, amount, id, reference, seconds, word } from "./parts.ts";

const charge = z.object({
  id,
  payment_intent: absent(reference),
  customer: absent(reference),
  amount,
  amount_refunded: amount,
});

const refund = z.object({
  id,
  payment_intent: absent(reference),
  charge: absent(reference),
  amount,
  status: absent(word),
  created: seconds,
});

const dispute = z.object({
  id,
  payment_intent: absent(reference),
  charge: absent(reference),
  amount,
  status: word,
  created: seconds,
});

/** A charge and how much of it went back. */
export interface ChargeFact {
  kind: "charge";
  charge: string;
  payment_intent: string | null;
  customer: string | null;
  amount: number;
  amount_refunded: number;
}

export interface RefundFact {
  kind: "refund";
  refund: string;
  payment_intent: string | null;
  charge: string | null;
  amount: number;
  status: string | null;
  created: number;
}

export interface DisputeFact {
  kind: "dispute";
  dispute: string;
  payment_intent: string | null;
  charge: string | null;
  amount: number;
  status: string;
  created: number;
}

/** Throws ZodError, as do the others here. */
export function chargeFact(object: unknown): ChargeFact {
  const { id: charge_id, ...found } = charge.parse(object);
  return { kind: "charge", charge: charge_id, ...found };
}

export function refundFact(object: unknown): RefundFact {
  const { id: refund_id, ...found } = refund.parse(object);
  return { kind: "refund", refund: refund_id, ...found };
}

export function disputeFact(object: unknown): DisputeFact {
  const { id: dispute_id, ...found } = dispute.parse(object);
  return { kind: "dispute", dispute: dispute_id, ...found };
}
