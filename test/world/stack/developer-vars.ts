import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";

/** What a developer gives the local stack's Worker: in the environment, else in `.dev.vars`. */
export interface DeveloperVars {
  /** Bindings of a Stripe account of their own, in test mode; null: Stripe in miniature is to be started. */
  stripe: Record<string, string> | null;
  /** More origins that a checkout may send people back to. */
  origins: string[];
}

const names = ["STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "STRIPE_WEBHOOK_SECRET_OLD"];

/**
 * Reads them. The environment goes before the file, also where it says that there is none: `STRIPE_SECRET_KEY= npm run dev`
 * is with Stripe in miniature, whatever the file has. Throws for a live key: what is tried out must not cost anybody money.
 */
export function readDeveloperVars(root: string, environment: NodeJS.Dict<string>): DeveloperVars {
  const file = join(root, ".dev.vars");
  const kept: NodeJS.Dict<string> = existsSync(file) ? parseEnv(readFileSync(file, "utf8")) : {};
  const given = (name: string): string => (environment[name] ?? kept[name] ?? "").trim();
  const key = given("STRIPE_SECRET_KEY");
  if (/^[sr]k_live_/.test(key)) {
    throw new Error(
      "STRIPE_SECRET_KEY is a live key, and the local stack is for trying things out: give it a test key (sk_test_…), " +
        "or none (STRIPE_SECRET_KEY= npm run dev) for Stripe in miniature.",
    );
  }
  const filled = names.map((name) => [name, given(name)] as const).filter(([, value]) => value !== "");
  return {
    stripe: key === "" ? null : Object.fromEntries(filled),
    origins: given("CHECKOUT_ORIGINS")
      .split(",")
      .map((origin) => origin.trim())
      .filter((origin) => origin !== ""),
  };
}
