import * as z from "zod";
import { uuid } from "../http/parameters.ts";
import type { Speaker } from "./speaking.ts";

/** What a text may name: words that are written out, and flags that a section asks for. */
export type View = Readonly<Record<string, string | boolean>>;

/** A kind of message to people: what its data are, and what of them a text may name. */
export interface Kind {
  /** What it says, for who writes its texts. */
  readonly about: string;
  /** What stands in this kind of data, by name. */
  readonly sample: Readonly<Record<string, unknown>>;
  /** Reads its data and shows them in a language. Throws a `ZodError` where one is missing or is not what it should be. */
  show(data: unknown, speaker: Speaker): View;
}

function kind<Data extends z.ZodObject>(declared: {
  about: string;
  data: Data;
  sample: z.infer<Data>;
  shown: (data: z.infer<Data>, speaker: Speaker) => View;
}): Kind {
  const { about, data, sample, shown } = declared;
  return { about, sample, show: (given, speaker) => shown(data.parse(given), speaker) };
}

const moment = z.iso.datetime({ offset: true });
const money = { amount_minor: z.int(), currency: z.string().regex(/^[a-z]{3}$/) };
const sampleMoney = { amount_minor: 1900, currency: "eur" };
const subscription_id = "0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b";
const ends_at = "2026-12-24T06:11:00Z";

const ending = z.object({ subscription_id: uuid, days: z.int(), ends_at: moment, renews: z.boolean(), ...money });
const shownEnding = (data: z.infer<typeof ending>, speaker: Speaker) => ({
  days: speaker.count(data.days),
  ends_at: speaker.date(data.ends_at),
  renews: data.renews,
  amount: speaker.money(data),
});

const renewing = z.object({ subscription_id: uuid, period: z.int(), ends_at: moment, ...money });
const shownRenewing = (data: z.infer<typeof renewing>, speaker: Speaker) => ({
  ends_at: speaker.date(data.ends_at),
  amount: speaker.money(data),
});

const ended = z.object({ subscription_id: uuid, reason: z.string() });
const shownEnded = ({ reason }: z.infer<typeof ended>) => ({
  canceled: reason === "canceled",
  unpaid: reason === "unpaid",
  not_renewed: reason === "not_renewed",
});

/** The one table of what the house has to say to people. A kind that is not here is nobody's to send. */
const notices: Readonly<Record<string, Kind>> = {
  trial_notice: kind({
    about: "A trial ends in 3 days, or in 1. `renews`: it goes on then, paid from the balance.",
    data: ending,
    sample: { subscription_id, days: 3, ends_at, renews: true, ...sampleMoney },
    shown: shownEnding,
  }),
  reminder: kind({
    about: "A period ends in 7 days, 3, or 1. `renews`: the next one is paid from the balance then.",
    data: ending,
    sample: { subscription_id, days: 7, ends_at, renews: true, ...sampleMoney },
    shown: shownEnding,
  }),
  subscription_renewed: kind({
    about: "The next period was paid from the balance, until `ends_at`.",
    data: renewing,
    sample: { subscription_id, period: 2, ends_at, ...sampleMoney },
    shown: shownRenewing,
  }),
  renewal_failed: kind({
    about: "The balance had less than the next period's price. Without it, the subscription is over at `ends_at`.",
    data: renewing,
    sample: { subscription_id, period: 2, ends_at, ...sampleMoney },
    shown: shownRenewing,
  }),
  trial_ended: kind({
    about: "A trial is over, and nothing follows it.",
    data: ended,
    sample: { subscription_id, reason: "trial_ended" },
    shown: shownEnded,
  }),
  subscription_ended: kind({
    about: "A subscription is over: it was `canceled`, it was `unpaid`, or it was `not_renewed`.",
    data: ended,
    sample: { subscription_id, reason: "canceled" },
    shown: shownEnded,
  }),
  purchase_paid: kind({
    about: "A purchase was paid: of a `subscription`, of a `pack` of `quantity`, or a `topup` of the balance.",
    data: z.object({ purchase_id: uuid, kind: z.string(), provider: z.string(), quantity: z.int(), ...money }),
    sample: {
      purchase_id: subscription_id,
      kind: "credit_pack",
      provider: "stripe",
      quantity: 1,
      ...sampleMoney,
    },
    shown: (data, speaker) => ({
      amount: speaker.money(data),
      quantity: speaker.count(data.quantity),
      subscription: data.kind === "subscription",
      pack: data.kind === "credit_pack" || data.kind === "retail_token",
      topup: data.kind === "balance_topup",
    }),
  }),
};

/** Data of a broadcast, by names that a text can have; each its operator's own. */
export const broadcastData = z.record(
  z.string().regex(/^[a-z][a-z0-9_]{0,49}$/, "must be a word in lower case"),
  z.union([z.string().max(2000), z.int(), z.boolean()]),
);

/** What a broadcast says is its operator's: its texts name what they like, and its data must have it. */
const broadcast: Kind = {
  about: "A broadcast of yours: its data have what its texts name.",
  sample: {},
  show: (data, speaker) =>
    Object.fromEntries(
      Object.entries(broadcastData.parse(data)).map(([name, value]) => [
        name,
        typeof value === "number" ? speaker.count(value) : value,
      ]),
    ),
};

const broadcastName = /^broadcast\.[a-z0-9_]{1,50}$/;

/** Is this a broadcast's kind: `broadcast.<name>`? */
export function isBroadcast(name: string): boolean {
  return broadcastName.test(name);
}

/** The kind of this name; undefined where there is none. */
export function kindOf(name: string): Kind | undefined {
  if (isBroadcast(name)) return broadcast;
  return Object.hasOwn(notices, name) ? notices[name] : undefined;
}

/** Every kind that the house itself says, by name. */
export function* houseKinds(): Generator<[name: string, kind: Kind]> {
  yield* Object.entries(notices);
}
