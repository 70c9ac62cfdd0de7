import type { ClientBase } from "pg";
import { parseArgs } from "node:util";
import type { StripeAccount } from "../../src/env.ts";
import { runAsCommand } from "./command.ts";
import { withClient } from "./connect.ts";
import { ownerUrl, stripeAccount } from "./local.ts";
import { explained } from "./refusal.ts";
import { makeEndpoint } from "./stripe/endpoint.ts";
import { publishPrices } from "./stripe/prices.ts";

/** Where a setup is done, and for which Worker. */
export interface SetupOptions {
  /** The Worker's address, for its webhook; without one, no endpoint is made. */
  address?: string | undefined;
  log?: (line: string) => void;
}

/** Makes at Stripe what the Worker needs there, and is not there yet. Done again, it changes nothing. */
export async function setUpStripe(
  owner: ClientBase,
  account: StripeAccount,
  options: SetupOptions = {},
): Promise<void> {
  const { address, log = console.log } = options;
  let told = 0;
  const tell = (line: string) => {
    told += 1;
    log(line);
  };
  await publishPrices(owner, account, tell);
  if (address !== undefined) await makeEndpoint(account, address, tell);
  if (told === 0) log("Everything is there already.");
}

const help = `npm run stripe:setup -- [address]
  Makes products, prices and, for the Worker's address (https://tollgate.example.workers.dev), the webhook's endpoint at
  Stripe, and writes the prices' ids to the database. What is there already stays.
  DATABASE_URL: the owner's connection string (without it: the local stack's). STRIPE_SECRET_KEY: the account, in the
  environment or in .dev.vars (of a local stack that runs its own Stripe: that one).`;

runAsCommand(import.meta, async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { help: { type: "boolean", short: "h" } },
  });
  const [address, more] = positionals;
  if (values.help === true || more !== undefined) {
    console.log(help);
    return;
  }
  try {
    const account = stripeAccount();
    await withClient(ownerUrl(), (owner) => setUpStripe(owner, account, { address }));
  } catch (error) {
    throw explained(error);
  }
});
