import * as z from "zod";
import { routine } from "../db/routine.ts";
import { instant } from "../http/time.ts";
import { describe, redact } from "../http/request.ts";
import { Gone, Later, Refused, Unavailable, Unreachable } from "../outside/peer.ts";
import type { Done, Shift } from "../sweeps/shift.ts";
import type { Sweep } from "../sweeps/sweep.ts";
import type { Courier, Delivery, Send } from "./courier.ts";
import { Pace } from "./pace.ts";
import { Settling } from "./settling.ts";

/** Messages of one claim. */
const batch = 25;

/** Longer than a run's budget and its last message's time limit together: who took this long has died. */
const usualLease = "2 minutes";

/** Of one channel at once: of the four that a tick has for the outside, one is always another channel's. */
const inFlight = 3;

/** To one endpoint at once: one that hangs does not take all that its channel has. */
const inFlightOfEndpoint = 2;

const budget_ms = 15_000;

export const claimCall = routine({
  name: "messages.claim",
  context: {},
  args: z.strictObject({ channel: z.string(), batch: z.int(), lease: z.string() }),
  result: z.object({
    ids: z.array(z.string()),
    kinds: z.array(z.string()),
    bodies: z.array(z.record(z.string(), z.unknown())),
    tokens: z.array(z.string()),
    attempts: z.array(z.int()),
    workspace_ids: z.array(z.string().nullable()),
    contact_ids: z.array(z.string().nullable()),
    endpoint_ids: z.array(z.string().nullable()),
    created_ats: z.array(instant),
    examined: z.int(),
    careful: z.boolean(),
  }),
});

export const settleManyCall = routine({
  name: "messages.settle_many",
  context: {},
  args: z.strictObject({ ids: z.array(z.string()), tokens: z.array(z.string()) }),
  result: z.object({ settled: z.array(z.string()), lost: z.int() }),
});

const giveBackCall = routine({
  name: "messages.give_back",
  context: {},
  args: z.strictObject({ ids: z.array(z.string()), tokens: z.array(z.string()) }),
  result: z.object({ given: z.int(), lost: z.int() }),
});

const failCall = routine({
  name: "messages.fail",
  context: {},
  args: z.strictObject({
    id: z.string(),
    token: z.string(),
    error: z.string(),
    final: z.boolean(),
    retry_after: z.string().nullable(),
    unavailable: z.boolean(),
    gone: z.boolean(),
    silence: z.string().nullable(),
    asked: z.string().nullable(),
  }),
  result: z.object({ id: z.string(), state: z.string(), open: z.boolean() }),
});

/**
 * Declares the sweep that delivers a channel, within a minute of what caused a message: claim, send, settle by token. What the budget
 * or an opened circuit cuts off is given back.
 */
export function courierSweep<Account>(name: string, courier: Courier<Account>): Sweep {
  const settle = courier.settle ?? settleManyCall;
  /** Of each run under way, through all of its batches. */
  const paces = new WeakMap<Shift, Pace>();
  return {
    name,
    interval_seconds: 60,
    batch,
    budget_ms,
    calls: [claimCall, settle, failCall, giveBackCall, ...(courier.calls ?? [])],
    work: async (shift) => {
      const account = courier.account(shift.settings);
      if (account === null) return { processed: 0, failed: 0, more: false };
      const between_ms = courier.pace_ms?.(account) ?? null;
      const pace = paces.get(shift) ?? new Pace(between_ms ?? 0);
      paces.set(shift, pace);
      return deliver(shift, courier, account, pace, between_ms === null ? inFlight : 1);
    },
  };
}

/** The budget was over before the outside could be asked. */
class NotBegun extends Error {}

/** One batch: right at none, one or many at once. */
async function deliver<Account>(
  shift: Shift,
  courier: Courier<Account>,
  account: Account,
  pace: Pace,
  workers: number,
): Promise<Done> {
  const { channel, lease = usualLease, settle = settleManyCall } = courier;
  const claimed = await shift.call(claimCall, { channel, batch, lease });
  const waiting = deliveriesOf(claimed);
  const settling = new Settling((ids, tokens) => shift.call(settle, { ids, tokens }));
  const done: Done = { processed: claimed.examined - waiting.length, failed: 0, more: claimed.examined === batch };
  const busy = new Map<string, number>();
  const settled: Promise<void>[] = [];
  /** Endpoints, or the channel itself (null), that nothing is to be sent to now. */
  const closed = new Set<string | null>();
  try {
    if (waiting.length > 0) {
      const send = await courier.sender(shift, account, [...waiting]);
      await Promise.all(Array.from({ length: claimed.careful ? 1 : workers }, () => worker(send)));
    }
    await Promise.all(settled);
  } finally {
    if (waiting.length > 0) {
      await shift.call(giveBackCall, { ids: waiting.map(({ id }) => id), tokens: waiting.map(({ token }) => token) });
    }
  }
  return { ...done, more: done.more && !closed.has(null) };

  async function worker(send: Send): Promise<void> {
    // Who waits for his turn has no lane, and nothing that he would send.
    while (waiting.length > 0 && !closed.has(null) && (await pace.turn(() => shift.rest_ms()))) {
      const next = take();
      if (next === null) return;
      const lane = next.endpoint_id ?? "";
      busy.set(lane, (busy.get(lane) ?? 0) + 1);
      await one(send, next);
      busy.set(lane, (busy.get(lane) ?? 0) - 1);
    }
  }

  /** The next that may be sent now; null: none, or the budget is over. */
  function take(): Delivery | null {
    if (shift.over() || closed.has(null)) return null;
    const at = waiting.findIndex(
      ({ endpoint_id }) =>
        endpoint_id === null || (!closed.has(endpoint_id) && (busy.get(endpoint_id) ?? 0) < inFlightOfEndpoint),
    );
    return at === -1 ? null : (waiting.splice(at, 1)[0] ?? null);
  }

  /** Its failure is logged and counted, and never ends the run: by its lease or its back-off it comes again. */
  async function one(send: Send, delivery: Delivery): Promise<void> {
    try {
      await shift.ask(() => {
        // The wait for a lane is in nobody's lease: what begins late would be sent by another, too.
        if (shift.over()) throw new NotBegun();
        return send(delivery);
      });
    } catch (error) {
      if (error instanceof NotBegun) {
        waiting.push(delivery);
        return;
      }
      count(delivery, error);
      await fail(delivery, error).catch((lost: unknown) => count(delivery, lost, 0));
      return;
    }
    pace.took();
    // The next one does not wait for this.
    settled.push(
      settling.add(delivery.id, delivery.token).then(
        () => void (done.processed += 1),
        (error: unknown) => count(delivery, error),
      ),
    );
  }

  async function fail({ id, token, endpoint_id }: Delivery, error: unknown): Promise<void> {
    const retry_after = error instanceof Unavailable || error instanceof Later ? error.retry_after : null;
    const { open } = await shift.call(failCall, {
      id,
      token,
      error: described(error),
      final: error instanceof Refused,
      retry_after: retry_after === null ? null : `${retry_after} seconds`,
      unavailable: error instanceof Unavailable,
      gone: error instanceof Gone,
      asked: error instanceof Gone ? error.url : null,
      silence: error instanceof Unreachable ? error.reason : null,
    });
    if (open && !(endpoint_id === null && pace.rests(retry_after))) closed.add(endpoint_id);
  }

  function count({ id, kind }: Delivery, error: unknown, failures = 1): void {
    done.failed += failures;
    console.error(JSON.stringify({ sweep: shift.name, item: id, kind, error: described(error) }));
  }
}

/** What is kept and logged of a failure: the peer's word for it, and no stack of ours; of a fault of ours, all of it. */
function described(error: unknown): string {
  const expected = error instanceof Refused || error instanceof Later || error instanceof Unavailable;
  const cause = expected && error.cause instanceof Error ? `: ${redact(error.cause.message)}` : "";
  return (expected ? `${redact(error.message)}${cause}` : describe(error)).slice(0, 2000);
}

function deliveriesOf(claimed: z.infer<typeof claimCall.result>): Delivery[] {
  return claimed.ids.map((id, i) => {
    const [token, kind, body, created_at] = [
      claimed.tokens[i],
      claimed.kinds[i],
      claimed.bodies[i],
      claimed.created_ats[i],
    ];
    if (token === undefined || kind === undefined || body === undefined || created_at === undefined) {
      throw new Error(`the claim of ${id} is not whole`);
    }
    return {
      id,
      token,
      kind,
      body,
      attempts: claimed.attempts[i] ?? 1,
      workspace_id: claimed.workspace_ids[i] ?? null,
      contact_id: claimed.contact_ids[i] ?? null,
      endpoint_id: claimed.endpoint_ids[i] ?? null,
      created_at,
    };
  });
}
