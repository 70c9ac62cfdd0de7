import * as z from "zod";
import { call } from "../db/call.ts";
import { routine } from "../db/routine.ts";
import type { Database } from "../env.ts";
import type { Trace } from "../http/context.ts";
import type { Arrival } from "../outside/arrival.ts";

/** Who sends events: a part of an event's name. */
export const providers = ["stripe", "btcpay"] as const;

export type Provider = (typeof providers)[number];

const states = z.enum(["applied", "ignored", "foreign", "parked", "failed", "fetching", "dead"]);

export const receiveCall = routine({
  name: "ops.receive_event",
  context: {},
  args: z.strictObject({
    provider: z.string(),
    id: z.string(),
    type: z.string(),
    subject: z.string().nullable(),
    occurred_at: z.string(),
    fact: z.record(z.string(), z.unknown()).nullable(),
    payload: z.string(),
    foreign_because: z.string().nullable(),
    fetch_because: z.string().nullable(),
    fault: z.string().nullable(),
  }),
  result: z.object({ state: states, outcome: z.string().nullable(), duplicate: z.boolean() }),
});

export const claimFetchesCall = routine({
  name: "ops.claim_fetches",
  context: {},
  args: z.strictObject({ provider: z.string(), batch: z.int(), lease: z.string() }),
  result: z.object({
    ids: z.array(z.string()),
    types: z.array(z.string()),
    subjects: z.array(z.string().nullable()),
  }),
});

export const applyFetchedCall = routine({
  name: "ops.apply_fetched",
  context: {},
  args: z.strictObject({
    provider: z.string(),
    id: z.string(),
    fact: z.record(z.string(), z.unknown()).nullable(),
    fault: z.string().nullable(),
  }),
  result: z.object({ state: states, outcome: z.string().nullable() }),
});

export const missingCall = routine({
  name: "ops.missing_events",
  context: {},
  args: z.strictObject({ provider: z.string(), ids: z.array(z.string()) }),
  result: z.object({ provider: z.string(), ids: z.array(z.string()) }),
});

const reportCall = routine({
  name: "ops.report",
  context: {},
  args: z.strictObject({ code: z.string(), subject: z.string(), detail: z.record(z.string(), z.unknown()) }),
  result: z.object({ code: z.string(), subject: z.string() }),
});

/** Every routine of the inbox, for the contract test. */
export const calls = [receiveCall, claimFetchesCall, applyFetchedCall, missingCall, reportCall];

/** What `receiveCall` is given for an event; `payload` is its body, for people. */
export function received(provider: Provider, arrival: Arrival, payload: string): z.infer<(typeof receiveCall)["args"]> {
  return { provider, ...arrival, fact: arrival.fact === null ? null : { ...arrival.fact }, payload };
}

/** Stores an event with its effect, once. Throws `Problem` where that is not known to be done. */
export async function receive(
  database: Database,
  provider: Provider,
  arrival: Arrival,
  payload: string,
  trace: Pick<Trace, "db_ms" | "round_trips">,
) {
  return call(database, receiveCall, received(provider, arrival, payload), trace);
}

/** Raises an alarm for what a person must look at. */
export async function report(
  database: Database,
  alarm: z.infer<(typeof reportCall)["args"]>,
  trace: Pick<Trace, "db_ms" | "round_trips">,
): Promise<void> {
  await call(database, reportCall, alarm, trace);
}
