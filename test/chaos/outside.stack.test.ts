import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { StackFolder } from "../support/stack.ts";
import { Customer } from "../support/stack-customer.ts";

// Two months are some seconds on a quiet machine; a busy one may take minutes.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 240_000 });

const minute = 60_000;
const day = 1440 * minute;

let folder: StackFolder;

beforeEach(() => {
  folder = new StackFolder();
});

afterEach(() => folder.remove());

test("D25 a trial's notice, a purchase, its key, reminders, a renewal, the end and the key's removal leave the house, in a log that a person can read", async () => {
  const stack = await folder.running(folder.start());
  const customer = await Customer.at(stack);
  const { api, path } = customer;
  const prices = [{ currency: "eur", interval: "month", amount_minor: 1000 }];
  const plan = { code: "vpn", name: "VPN", included_credits: 0, access: true, trial_days: 14, grace_days: 0, prices };
  expect((await api.post("/v1/plans", plan)).status).toBe(201);
  const address = { channel: "email", address: "ada@example.org", language: "en" };
  expect((await api.post(`${path}/contacts`, address)).status).toBe(201);
  const order = { plan: "vpn", currency: "eur" };

  await customer.topUp(2000);
  const trial = await api.post(`${path}/subscription/trial`, { ...order, identity: randomUUID() });
  const [key = ""] = await customer.keys();
  await customer.reach(trial.body["trial_end"], -2 * day);
  expect((await api.post(`${path}/purchases`, order)).status).toBe(201);
  const first = await customer.subscription();
  await customer.reach(first["current_period_end"], 10 * minute);
  const second = await customer.subscription();
  expect(second).toMatchObject({ state: "active", period: 2 });
  // Nothing is left: it ends with its period.
  await customer.reach(second["current_period_end"], 2 * day);
  expect(await customer.subscription()).toMatchObject({ state: "canceled", ended_reason: "unpaid" });

  const log = readFileSync(stack.outside_log, "utf8");
  const lines = log.trimEnd().split("\n");
  // The day, the minute, who was told, and what.
  for (const line of lines) expect(line).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d {2}\w+ +\S/);
  const told = (who: string) =>
    lines
      .filter((line) => line.slice(18).startsWith(`${who} `))
      .map((line) => line.slice(18 + 13).replaceAll(key, "KEY"));
  const reminders = (until: unknown) => {
    const date = new Date(String(until)).toLocaleDateString("en", { dateStyle: "long", timeZone: "UTC" });
    return Array.from({ length: 3 }, () => `to ada@example.org: Your subscription renews on ${date}`);
  };
  expect(told("mail")).toEqual([
    "to ada@example.org: We have received your payment",
    expect.stringMatching(/^to ada@example\.org: Your trial ends on /),
    "to ada@example.org: We have received your payment",
    ...reminders(first["current_period_end"]),
    "to ada@example.org: Your subscription was renewed",
    ...reminders(second["current_period_end"]),
    "to ada@example.org: Your subscription has ended",
  ]);
  expect(told("provisioner")).toEqual(["has key KEY", "no longer has key KEY"]);
  const place = (text: string) => lines.findIndex((line) => line.includes(text));
  expect(place("has key")).toBeLessThan(place("Your trial ends"));
  expect(place("no longer has key")).toBeGreaterThan(place("was renewed"));

  // What the operator's own system was told agrees: each resource ends where it is, by its version.
  const events = lines
    .filter((line) => line.includes("  webhook  "))
    .map((line) => line.slice(18).replaceAll(/ +/g, " "));
  for (const word of [
    "subscription.created",
    "subscription.renewed",
    "subscription.canceled",
    "access.activated",
    "access.removed",
    "purchase.paid",
  ]) {
    expect(
      events.some((line) => line.startsWith(`webhook ${word} `)),
      word,
    ).toBe(true);
  }
  expect((await api.get("/v1/messages?state=dead")).body["data"]).toEqual([]);
  const channels = (await api.get("/v1/channels")).body["data"];
  expect(channels).toEqual(
    expect.arrayContaining(
      ["email", "provisioner", "webhook"].map((channel) =>
        expect.objectContaining({ channel, circuit: "closed", due: 0, sending: 0 }),
      ),
    ),
  );
});
