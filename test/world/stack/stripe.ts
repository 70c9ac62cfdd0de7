import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { Stripe } from "stripe";
import { readPlanFile, seed } from "../../../db/tool/seed.ts";
import { setUpStripe } from "../../../db/tool/stripe.ts";
import { projectRoot } from "../bundle.ts";
import { freePort, isFree } from "../free-port.ts";
import { withClient } from "../roles.ts";
import { startStripe } from "../stripe.ts";
import type { StripeMiniature } from "../stripe.ts";

/** How to start the local stack's Stripe. */
export interface LocalStripeOptions {
  /** Where the account is kept. */
  directory: string;
  /** Without it: the last start's port if free, else any. */
  port: number | undefined;
  /** Whether what was kept is to be forgotten. */
  reset: boolean;
  ownerUrl: string;
  /** Where the Worker will be. */
  workerUrl: string;
  /** Moves all clocks of the stack, when a page of the stand-in's asks for it. */
  travel: (to: Date) => Promise<void>;
}

/** Stripe in miniature with Tollgate's prices and webhook endpoint in it. */
export interface LocalStripe {
  miniature: StripeMiniature;
  /** The Worker's bindings of it. */
  vars: Record<string, string>;
}

/** Any would do; it is one in test mode. */
const secretKey = "sk_test_miniature";

/**
 * Starts Stripe in miniature and sets it up as `npm run stripe:setup` does. It delivers nothing before it is told to: the
 * Worker, which needs the endpoint's secret to start, is not there yet.
 */
export async function startLocalStripe(options: LocalStripeOptions): Promise<LocalStripe> {
  const { directory, ownerUrl, workerUrl } = options;
  const file = join(directory, "stripe.json");
  if (options.reset) {
    fs.rmSync(file, { force: true });
  }
  const secret = keptSecret(directory);
  const webhook = `${workerUrl}/webhooks/stripe`;
  const miniature = await startStripe({
    port: await choosePort(directory, options.port),
    file,
    ticks: true,
    deliveries: "held",
    // The last start's, by its secret: it goes to where the Worker is now, and speaks what the package speaks now.
    endpoints: [{ url: webhook, secret, api_version: Stripe.API_VERSION, description: "Tollgate" }],
    travel: options.travel,
  });
  try {
    const account = { secret_key: secretKey, live: false, webhook_secrets: [], api_base: miniature.url };
    await withClient(ownerUrl, (owner) => setUpStripe(owner, account, { address: webhook, log: () => undefined }));
    return {
      miniature,
      vars: { STRIPE_SECRET_KEY: secretKey, STRIPE_API_BASE: miniature.url, STRIPE_WEBHOOK_SECRET: secret },
    };
  } catch (error) {
    await miniature.stop();
    throw error;
  }
}

/** Loads the example plans into a database that has none; one that has some is its developer's. */
export async function seedExamples(ownerUrl: string): Promise<void> {
  await withClient(ownerUrl, async (owner) => {
    const { rowCount } = await owner.query("select from billing.plan limit 1");
    if (rowCount === 0) {
      await seed(owner, readPlanFile(join(projectRoot, "db/plans.json")), () => undefined);
    }
  });
}

/** The endpoint's secret, the same at each start and after `--reset`, as the operator's key is. */
function keptSecret(directory: string): string {
  const file = join(directory, "webhook_secret");
  if (!fs.existsSync(file)) {
    fs.writeFileSync(file, `whsec_${randomBytes(24).toString("base64url")}`, { mode: 0o600 });
  }
  return fs.readFileSync(file, "utf8");
}

/** The last start's port, where it is free: a pay page that is open in a browser stays one. */
async function choosePort(directory: string, chosen: number | undefined): Promise<number> {
  if (chosen !== undefined && !(await isFree(chosen))) {
    throw new Error(`Port ${chosen} of 127.0.0.1, chosen for Stripe in miniature, is taken.`);
  }
  const last = join(directory, "stripe_port");
  const port = chosen ?? (await freePort(fs.existsSync(last) ? Number(fs.readFileSync(last, "utf8")) : 0));
  fs.writeFileSync(last, String(port));
  return port;
}
