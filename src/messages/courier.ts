import type { Routine } from "../db/routine.ts";
import type { Settings } from "../env.ts";
import type { Shift } from "../sweeps/shift.ts";

/** A message that was claimed, to be sent under its token. */
export interface Delivery {
  /** The same at each try: what its receiver knows it by. */
  id: string;
  token: string;
  kind: string;
  body: Readonly<Record<string, unknown>>;
  /** Which try this is, from 1. */
  attempts: number;
  workspace_id: string | null;
  contact_id: string | null;
  endpoint_id: string | null;
  /** When what it says happened. */
  created_at: string;
}

/**
 * Sends one message. Throws `Refused` where it will never be taken, `Unavailable` where its channel did not take it; after
 * `Later` and any other error it is tried again, too, but nothing is held against the channel.
 */
export type Send = (delivery: Delivery) => Promise<void>;

/** What a channel's messages are sent by. */
export interface Courier<Account> {
  /** As in messages.outbox. */
  readonly channel: string;
  /** Null: this deployment does not deliver the channel, and claims nothing of it. */
  account(settings: Settings): Account | null;
  /** How to send what was claimed together. It may `shift.call` for what all of it needs; sending itself must not. */
  sender(shift: Shift, account: Account, batch: readonly Delivery[]): Promise<Send>;
  /** Where it is to be written to one by one: milliseconds between two beginnings of a run; null: as quickly as it goes. */
  pace_ms?(account: Account): number | null;
  /** For how long a claim holds: longer than a run's budget and its slowest message together. Without one, two minutes. */
  readonly lease?: string;
  /** Settles what was sent, `(ids, tokens)`; without one, `messages.settle_many` does. */
  readonly settle?: Routine;
  /** What `sender` calls, for the contract test. */
  readonly calls?: readonly Routine[];
}
