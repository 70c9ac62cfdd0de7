import type { Routine } from "../../src/db/routine.ts";
import { calls as access } from "../../src/access/store.ts";
import { calls as renewals } from "../../src/billing/balance.ts";
import { calls as changes } from "../../src/billing/change.ts";
import { calls as billing } from "../../src/billing/store.ts";
import { calls as ledger } from "../../src/ledger/store.ts";
import { calls as broadcasts } from "../../src/messages/broadcasts.ts";
import { calls as contacts } from "../../src/messages/contacts.ts";
import { calls as messages } from "../../src/messages/store.ts";
import { calls as unsubscribing } from "../../src/messages/unsubscribing.ts";
import { calls as webhooks } from "../../src/messages/webhooks.ts";
import { calls as templates } from "../../src/messages/templates.ts";
import { calls as events } from "../../src/ops/events.ts";
import { calls as inbox } from "../../src/ops/inbox.ts";
import { calls as ops } from "../../src/ops/store.ts";
import { calls as balance } from "../../src/payments/balance.ts";
import { calls as buying } from "../../src/payments/buying.ts";
import { calls as referrals } from "../../src/payments/referrals.ts";
import { calls as promo } from "../../src/payments/promo.ts";
import { calls as payments } from "../../src/payments/store.ts";
import { calls as people } from "../../src/people/store.ts";
import { calls as sweeps } from "../../src/sweeps/run.ts";

/** Every call that the Worker makes by a declaration: all stores' and the sweeps'. */
const all: readonly Routine[] = [
  ...ledger,
  ...billing,
  ...changes,
  ...renewals,
  ...payments,
  ...balance,
  ...buying,
  ...promo,
  ...referrals,
  ...access,
  ...messages,
  ...webhooks,
  ...contacts,
  ...unsubscribing,
  ...templates,
  ...broadcasts,
  ...ops,
  ...events,
  ...inbox,
  ...people,
  ...sweeps,
];

/** Each once: a routine of a store may be a sweep's too. */
export const declarations: readonly Routine[] = [...new Set(all)];

/** One of them. */
export function declared(name: string): Routine {
  const found = declarations.find((call) => call.name === name);
  if (found === undefined) throw new Error(`the Worker calls no ${name}`);
  return found;
}
