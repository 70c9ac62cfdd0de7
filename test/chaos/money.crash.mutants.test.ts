import { expect } from "vitest";
import { patient, proven, test } from "./crash/matrix.ts";
import { purchases } from "./crash/purchases.ts";
import { refunds } from "./crash/refunds.ts";
import { renewals } from "./crash/renewals.ts";

// That the crash matrix can fail: one atomicity after another is taken out, and it must see so.

interface Mutant {
  what: string;
  routine: string;
  from: string;
  to: string;
  /** How the name of the path begins that must notice. */
  path: string;
  /** What it must notice. */
  red: RegExp;
}

/** What fails is left out, and the rest goes on. */
const swallowed = (statement: string) => ({
  from: statement,
  to: `begin ${statement} exception when others then null; end;`,
});

const mutants: Mutant[] = [
  {
    what: "a referrer's reward that fails is left out",
    routine: "payments.complete",
    ...swallowed("perform payments.reward_referrer(complete.payment_id, complete.caused_by);"),
    path: "D1 a top-up that was quoted",
    red: /^faulty at \d+, a write of (payments.reward|ledger\.)/,
  },
  {
    what: "a promo code whose use fails is used all the same",
    routine: "payments.finalize",
    from: "v_fits := payments.redeem(finalize.id, finalize.caused_by);",
    to: `begin v_fits := payments.redeem(finalize.id, finalize.caused_by); exception when others then v_fits := true; end;`,
    path: "D2 a plan's period at the provider, with a promo code",
    red: /a write of (payments.redemption|ledger\.)/,
  },
  {
    what: "a payment that cannot be kept is left out of a renewal",
    routine: "billing.renew_due",
    ...swallowed(`perform payments.record_renewals(v_row.payments, v_row.workspaces, v_row.ids, v_row.names, v_row.amounts, v_row.currencies,
      v_now);`),
    path: "D5 renewals, three",
    red: /^passing at \d+, a write of payments.payment/,
  },
  {
    what: "a key that cannot be revoked lives on",
    routine: "billing.end_due",
    ...swallowed("perform billing.follow(v_row.workspace_id);"),
    path: "D24 periods that are not renewed",
    red: /^passing at \d+, a write of (people.workspace|access.key)/,
  },
  {
    what: "a referrer's part that cannot be taken back stays",
    routine: "payments.reckon",
    ...swallowed("perform payments.reckon_reward(reckon.id, reckon.caused_by);"),
    path: "D7 a refund of a top-up by hand",
    red: /^faulty at \d+, a write of ledger\./,
  },
  {
    what: "nobody is told",
    routine: "payments.complete",
    from: "perform messages.enqueue(",
    to: "perform concat(",
    path: "D7 a token from the balance",
    red: /the tables whose writes were met/,
  },
  {
    what: "the same request is not known again",
    routine: "ops.admit",
    from: "r.workspace_id = admit.workspace_id and",
    to: "false and",
    path: "D7 a token from the balance",
    red: /request_once/,
  },
  {
    what: "the same event is not known again",
    routine: "ops.receive_event",
    from: "receive_event.duplicate := not found;",
    to: "receive_event.duplicate := false;",
    path: "D1 a top-up through the provider's event",
    red: /^repeated after its commit/,
  },
];

test.for(mutants)(
  "D6 the crash matrix sees it: $what",
  patient,
  async ({ routine, from, to, path, red }, { calm, mined }) => {
    const found = [...purchases, ...renewals, ...refunds].find(({ name }) => name.startsWith(path));
    if (found === undefined) throw new Error(`there is no path ${path}`);
    await calm.altered(routine, from, to, () =>
      mined.altered(routine, from, to, async () => {
        await expect(proven(found, calm, mined)).rejects.toThrow(red);
      }),
    );
  },
);
