import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test as plain } from "vitest";
import { findChromium } from "../browser/chromium.ts";
import { readDeveloperVars } from "../world/stack/developer-vars.ts";
import { welcome } from "../world/stack/welcome.ts";

const test = plain.extend(
  "folder",
  // oxlint-disable-next-line no-empty-pattern -- vitest reads a fixture's needs from its pattern and takes no other
  ({}, { onCleanup }) => {
    const folder = mkdtempSync(join(tmpdir(), "tollgate-unit-"));
    onCleanup(() => rmSync(folder, { recursive: true, force: true }));
    return folder;
  },
);

test("the local stack has Stripe in miniature where nobody gives it a key", ({ folder }) => {
  expect(readDeveloperVars(folder, {})).toEqual({ stripe: null, origins: [] });
  writeFileSync(
    join(folder, ".dev.vars"),
    "# STRIPE_SECRET_KEY=sk_test_1\nSTRIPE_SECRET_KEY=\nDATABASE_URL=postgresql://x\n",
  );
  expect(readDeveloperVars(folder, {})).toEqual({ stripe: null, origins: [] });
});

test("the local stack takes a test key and its webhook's secret, of the environment before those of .dev.vars", ({
  folder,
}) => {
  const file = [
    "STRIPE_SECRET_KEY=sk_test_file",
    'STRIPE_WEBHOOK_SECRET="whsec_file"',
    "CHECKOUT_ORIGINS=https://a, https://b",
  ];
  writeFileSync(join(folder, ".dev.vars"), file.join("\n"));
  expect(readDeveloperVars(folder, {})).toEqual({
    stripe: { STRIPE_SECRET_KEY: "sk_test_file", STRIPE_WEBHOOK_SECRET: "whsec_file" },
    origins: ["https://a", "https://b"],
  });
  expect(readDeveloperVars(folder, { STRIPE_SECRET_KEY: "rk_test_mine" }).stripe).toEqual({
    STRIPE_SECRET_KEY: "rk_test_mine",
    STRIPE_WEBHOOK_SECRET: "whsec_file",
  });
  expect(readDeveloperVars(folder, { STRIPE_SECRET_KEY: "" }).stripe).toBeNull();
});

test("the local stack refuses a live key, and does not repeat it", ({ folder }) => {
  const live = { STRIPE_SECRET_KEY: "sk_live_secret" };
  expect(() => readDeveloperVars(folder, live)).toThrow(/is a live key/);
  expect(() => readDeveloperVars(folder, live)).not.toThrow(/sk_live_secret/);
});

test("who has an account at Stripe is told how its events come here", () => {
  const address = {
    url: "http://127.0.0.1:8787",
    operator_key: "tg_x",
    workspace_id: "w",
    database_url: "",
    worker_database_url: "",
    bridge_url: "",
    provisioner_url: "http://127.0.0.1:5",
    receiver_url: "http://127.0.0.1:6",
    mail_url: "http://127.0.0.1:8",
    telegram_url: "http://127.0.0.1:9",
    btcpay_url: "http://127.0.0.1:7",
    outside_log: "outside.log",
    dev_url: "http://127.0.0.1:1",
    pid: 1,
  };
  const own = welcome({ ...address, stripe_url: null }, "dev.json");
  expect(own).toContain("stripe listen --forward-to http://127.0.0.1:8787/webhooks/stripe");
  expect(own).toContain("npm run stripe:setup");
  const miniature = welcome({ ...address, stripe_url: "http://127.0.0.1:2" }, "dev.json");
  expect(miniature).toContain("http://127.0.0.1:2");
  expect(miniature).not.toContain("stripe listen");
});

test("a machine without Chromium is told how to get it", ({ folder }) => {
  const chromium = join(folder, "chromium");
  expect(() => findChromium({ PATH: "", CHROMIUM_PATH: chromium })).toThrow(chromium);
  writeFileSync(chromium, "");
  expect(findChromium({ PATH: "", CHROMIUM_PATH: chromium })).toBe(chromium);
  expect(findChromium({ PATH: `/nowhere:${folder}` })).toBe(chromium);
  rmSync(chromium);
  expect(() => findChromium({ PATH: folder }, [])).toThrow(/apt-get install -y --no-install-recommends chromium/);
});
