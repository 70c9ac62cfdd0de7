import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import * as z from "zod";
import { settings, type StripeAccount } from "../../src/env.ts";
import { Problem } from "../../src/http/problem.ts";
import { projectRoot } from "./command.ts";

/** What a command that was given no address takes: the local stack, and the file of `wrangler dev`. */

const stackFile = z.looseObject({ database_url: z.string(), stripe_url: z.string().nullish() });

/** The local stack that runs, as it wrote itself down; null: none does. */
function localStack(): z.infer<typeof stackFile> | null {
  const path = join(projectRoot, ".tollgate/dev.json");
  return existsSync(path) ? stackFile.parse(JSON.parse(readFileSync(path, "utf8"))) : null;
}

/** The owner's connection string: DATABASE_URL, else the running local stack's. */
export function ownerUrl(): string {
  const given = process.env["DATABASE_URL"] ?? "";
  const url = given === "" ? localStack()?.database_url : given;
  if (url === undefined) {
    throw new Error("Which database? Set DATABASE_URL to the owner's connection string, or start npm run dev.");
  }
  return url;
}

/**
 * The Stripe account: the stand-in of the local stack, where its database is the one; else STRIPE_SECRET_KEY (and
 * STRIPE_API_BASE) of the environment, else of .dev.vars. A stack that runs the stand-in must not get a real account's prices.
 */
export function stripeAccount(): StripeAccount {
  const vars = { ...devVars(), ...process.env };
  const stack = (process.env["DATABASE_URL"] ?? "") === "" ? localStack() : null;
  const given = { STRIPE_SECRET_KEY: vars["STRIPE_SECRET_KEY"], STRIPE_API_BASE: vars["STRIPE_API_BASE"] };
  const standIn = { STRIPE_SECRET_KEY: "sk_test_local", STRIPE_API_BASE: stack?.stripe_url ?? undefined };
  const local = standIn.STRIPE_API_BASE !== undefined;
  const { stripe } = bound({ DATABASE_URL: ownerUrl(), ...(local ? standIn : given) });
  if (stripe === null) {
    throw new Error("Which Stripe account? Set STRIPE_SECRET_KEY to its secret key (sk_test_… or sk_live_…).");
  }
  return stripe;
}

/** As the Worker reads them, with the same rules; the binding that is wrong is named, and its value is not. */
function bound(env: object) {
  try {
    return settings(env);
  } catch (error) {
    throw error instanceof Problem && error.cause instanceof Error ? error.cause : error;
  }
}

function devVars(): NodeJS.Dict<string> {
  const path = join(projectRoot, ".dev.vars");
  return existsSync(path) ? parseEnv(readFileSync(path, "utf8")) : {};
}
