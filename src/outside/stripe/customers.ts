import type { StripeAccount } from "../../env.ts";
import { ask, askFor } from "./client.ts";

/** The member of a customer's metadata that names its workspace. A hint: the database's row decides. */
const owner = "tollgate_workspace";

/**
 * Makes a workspace's customer; the same number is the same customer for as long as Stripe keeps the key (a day at
 * least). Nothing that may change goes with it, for the key is bound to what it was first sent with. Throws `Problem`.
 */
export async function createCustomer(account: StripeAccount, workspace: string, number: number): Promise<string> {
  const made = await ask(account, (stripe) =>
    stripe.customers.create(
      { metadata: { [owner]: workspace } },
      { idempotencyKey: `tollgate:customer:${workspace}:${number}` },
    ),
  );
  return made.id;
}

/** A workspace's customer by its metadata, the oldest; what was made in the last minute may be missing. Throws `Problem`. */
export async function findCustomer(account: StripeAccount, workspace: string): Promise<string | null> {
  const found = await ask(account, (stripe) =>
    stripe.customers.search({ query: `metadata["${owner}"]:"${workspace}"`, limit: 100 }),
  );
  // The index is behind: what was deleted may still be in it.
  const living = found.data.filter((customer) => !("deleted" in customer));
  return living.toSorted((a, b) => a.created - b.created)[0]?.id ?? null;
}

/** Whether a customer lives, was deleted, or Stripe has none of that id. Throws `Problem`. */
export async function standingOfCustomer(
  account: StripeAccount,
  customer: string,
): Promise<"living" | "deleted" | "unknown"> {
  const found = await askFor(account, (stripe) => stripe.customers.retrieve(customer));
  if (found === null) return "unknown";
  return found.deleted === true ? "deleted" : "living";
}
