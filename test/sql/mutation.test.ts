import { expect } from "vitest";
import { unwatched } from "../support/sql.ts";
import { access } from "./mutations/access.ts";
import { accessKeys } from "./mutations/access_keys.ts";
import { balance } from "./mutations/balance.ts";
import { circuits } from "./mutations/circuits.ts";
import { charging } from "./mutations/charging.ts";
import { Lab, noticed } from "./mutations/lab.ts";
import { holds } from "./mutations/holds.ts";
import { house } from "./mutations/house.ts";
import { inbox } from "./mutations/inbox.ts";
import { keys } from "./mutations/keys.ts";
import { outbox } from "./mutations/outbox.ts";
import { promo } from "./mutations/promo.ts";
import { purchases } from "./mutations/purchases.ts";
import { referrals } from "./mutations/referrals.ts";
import { refunds } from "./mutations/refunds.ts";
import { returns } from "./mutations/returns.ts";
import { spending } from "./mutations/spending.ts";
import { takeBacks } from "./mutations/take-backs.ts";

// That the tests can fail: each guard is taken out once, and its probe must notice. A mutation whose text is no longer
// found fails too, so that this table cannot fall behind the code.

const test = unwatched.extend("lab", { scope: "file" }, ({ database }) => new Lab(database));

test.for([
  ...spending,
  ...holds,
  ...returns,
  ...keys,
  ...access,
  ...accessKeys,
  ...house,
  ...inbox,
  ...purchases,
  ...refunds,
  ...referrals,
  ...takeBacks,
  ...outbox,
  ...balance,
  ...promo,
  ...charging,
  ...circuits,
])("without it somebody notices: $guard", async (mutation, { lab }) => {
  await mutation.probe(lab);
  await lab.stands();
  await lab.without(mutation, async () => {
    expect(await noticed(mutation, lab), "nobody noticed that the guard was gone").not.toBeNull();
  });
});
