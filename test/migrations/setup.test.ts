import { spawn } from "node:child_process";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { Stripe } from "stripe";
import { afterAll, beforeAll, expect, test } from "vitest";
import { projectRoot } from "../../db/tool/command.ts";
import { readPlanFile, seed } from "../../db/tool/seed.ts";
import { withClient } from "../../db/tool/connect.ts";
import { eventTypes } from "../../src/outside/stripe/fact.ts";
import { createTestDatabase } from "../support/database.ts";
import type { TestDatabase } from "../support/database.ts";
import { startStripe } from "../world/stripe.ts";
import type { StripeMiniature } from "../world/stripe.ts";

let database: TestDatabase;
let stripe: StripeMiniature;
beforeAll(async () => {
  database = await createTestDatabase();
  stripe = await startStripe();
  const file = readPlanFile(join(projectRoot, "db/plans.json"));
  await withClient(database.ownerUrl, (owner) => seed(owner, file, () => undefined));
});
afterAll(async () => {
  await stripe.stop();
  await database.drop();
});

const address = "https://tollgate.example.workers.dev";

test("one command makes products, prices and the webhook's endpoint; run twice, it changes nothing", async () => {
  const first = await setup(address);
  expect([first.code, first.output]).toEqual([
    0,
    expect.stringContaining("price    tollgate_pro_1_eur_1year  made: price_"),
  ]);
  expect([...stripe.state.products.keys()].toSorted((a, b) => a.localeCompare(b))).toEqual(
    ["credits_100", "credits_1000", "free", "pro", "single_report", "team"].map((code) => `tollgate_${code}`),
  );
  const rows = await prices();
  expect(rows).toHaveLength(16);
  for (const { lookup_key, provider_id, amount_minor, interval_unit } of rows) {
    expect(stripe.state.prices.get(provider_id ?? "")).toMatchObject({
      lookup_key,
      unit_amount: Number(amount_minor),
      recurring: interval_unit === null ? null : { interval: interval_unit },
    });
  }
  const [endpoint, ...others] = stripe.state.endpoints.values();
  expect(others).toEqual([]);
  expect(endpoint).toMatchObject({
    url: `${address}/webhooks/stripe`,
    api_version: Stripe.API_VERSION,
    status: "enabled",
  });
  expect(endpoint?.enabled_events.toSorted()).toEqual(eventTypes.toSorted());
  expect(first.output).toContain(`STRIPE_WEBHOOK_SECRET=${stripe.secret()}`);

  stripe.calls.length = 0;
  const again = await setup(address);
  expect(again).toEqual({ code: 0, output: "Everything is there already.\n" });
  expect(stripe.calls.filter(({ method }) => method !== "GET")).toEqual([]);
  expect(await prices()).toEqual(rows);
});

test("what came after is made, and what is there is left", async () => {
  await setup(address);
  const before = new Map((await prices()).map(({ lookup_key, provider_id }) => [lookup_key, provider_id]));
  await withClient(database.ownerUrl, async (owner) => {
    const file = readPlanFile(join(projectRoot, "db/plans.json"));
    const plans = file.plans.map((plan) =>
      plan.code === "pro" ? { ...plan, name: "Pro 2", included_credits: 600 } : plan,
    );
    await seed(owner, { ...file, plans }, () => undefined);
  });
  const { output } = await setup();
  expect(output.match(/made: price_/g)).toHaveLength(4);
  expect(output).toContain("product  tollgate_pro  is called Pro 2");
  const after = await prices();
  expect(after).toHaveLength(20);
  for (const { lookup_key, provider_id } of after) {
    expect(provider_id).toBe(before.get(lookup_key) ?? provider_id);
    expect(provider_id).not.toBeNull();
  }
});

test("a database that was set up at another account learns this one's names", async () => {
  await setup();
  const before = await prices();
  await database.owner.query("update billing.price set provider_id = 'elsewhere_' || lookup_key");
  await setup();
  expect(await prices()).toEqual(before);
});

test("an endpoint that lacks events is given them; one of another version stays until a person deletes it", async () => {
  await setup(address);
  const [endpoint] = stripe.state.endpoints.values();
  if (endpoint === undefined) throw new Error("no endpoint");
  endpoint.enabled_events = ["invoice.paid"];
  expect((await setup(address)).output).toContain("sends what Tollgate reads");
  expect(stripe.state.endpoints.get(endpoint.id)?.enabled_events).toHaveLength(eventTypes.length);
  endpoint.api_version = "2020-08-27";
  const { output } = await setup(address);
  expect(output).toContain("STRIPE_WEBHOOK_SECRET=whsec_");
  expect(output).toContain(`endpoint ${endpoint.id}  speaks 2020-08-27 and not ${Stripe.API_VERSION}`);
  expect(stripe.state.endpoints.size).toBe(2);
  expect((await setup(address)).output).not.toContain("made");
});

test("a price that somebody put under our key is refused, and nobody is charged it", async () => {
  await setup();
  const [row] = await prices();
  const price = stripe.state.prices.get(row?.provider_id ?? "");
  if (price === undefined) throw new Error("no price");
  const amount = price.unit_amount;
  price.unit_amount = 1;
  const { code, output } = await setup();
  price.unit_amount = amount;
  expect([code, output]).toEqual([1, expect.stringContaining(`has our lookup key ${row?.lookup_key ?? ""}`)]);
});

test("what is missing or wrong is said in one line, and no secret is repeated", async () => {
  const none = await setup(undefined, { STRIPE_SECRET_KEY: "" });
  expect([none.code, none.output]).toEqual([1, expect.stringMatching(/^Which Stripe account\? .*\n$/)]);
  const wrong = await setup(undefined, { STRIPE_SECRET_KEY: "pk_live_secret" });
  expect([wrong.code, wrong.output]).toEqual([1, expect.stringContaining("STRIPE_SECRET_KEY")]);
  expect(wrong.output).not.toContain("pk_live_secret");
  const far = await setup(undefined, { STRIPE_API_BASE: "http://stripe.example" });
  expect([far.code, far.output]).toEqual([1, expect.stringContaining("STRIPE_API_BASE")]);
  expect((await setup("nowhere")).output).toContain("nowhere is no address");
});

interface Row {
  lookup_key: string;
  provider_id: string | null;
  amount_minor: string;
  interval_unit: string | null;
}

async function prices(): Promise<Row[]> {
  const { rows } = await database.owner.query<Row>(
    "select lookup_key, provider_id, amount_minor, interval_unit from billing.price order by lookup_key",
  );
  return rows;
}

/** Runs `npm run stripe:setup -- …`. */
async function setup(
  word?: string,
  env: Record<string, string> = {},
): Promise<{ code: number | null; output: string }> {
  const child = spawn(
    process.execPath,
    [join(projectRoot, "db/tool/stripe.ts"), ...(word === undefined ? [] : [word])],
    {
      env: {
        ...process.env,
        DATABASE_URL: database.ownerUrl,
        STRIPE_SECRET_KEY: "sk_test_setup",
        STRIPE_API_BASE: stripe.url,
        ...env,
      },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [output, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, output: output + errors };
}
