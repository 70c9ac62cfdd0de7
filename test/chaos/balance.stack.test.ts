import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { z } from "zod";
import { StackFolder } from "../support/stack.ts";
import { Customer } from "../support/stack-customer.ts";

// Three months are some seconds on a quiet machine; a busy one may take minutes.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 240_000 });

const minute = 60_000;

let folder: StackFolder;

beforeEach(() => {
  folder = new StackFolder();
});

afterEach(() => folder.remove());

test("D18 a customer tops up, tries, buys, renews, runs dry, comes back, runs dry again and expires; the door is right at each step", async () => {
  const customer = await Customer.at(await folder.running(folder.start()));
  const { api, path } = customer;
  const prices = [{ currency: "eur", interval: "month", amount_minor: 1000 }];
  const plan = { code: "vpn", name: "VPN", included_credits: 0, access: true, trial_days: 14, grace_days: 7, prices };
  expect((await api.post("/v1/plans", plan)).status).toBe(201);
  const order = { plan: "vpn", currency: "eur" };

  // Tops up, and tries.
  await customer.topUp(1000);
  expect(await customer.balance()).toBe(1000);
  const trial = await api.post(`${path}/subscription/trial`, { ...order, identity: randomUUID() });
  expect(trial.body).toMatchObject({ state: "trialing", period: 0 });
  const [key = ""] = await customer.keys();
  expect(await customer.door(key)).toEqual({ valid: true, expires_at: trial.body["trial_end"] });
  expect(await customer.door(randomUUID())).toEqual({ valid: false, expires_at: null });
  const told = ["purchase_paid"];
  expect((await customer.told()).notices).toEqual(told);

  // Two days before the trial's end it has been told, and buys: the paid period begins now.
  await customer.reach(trial.body["trial_end"], -2 * 1440 * minute);
  told.push("trial_notice");
  expect((await customer.told()).notices).toEqual(told);
  const bought = await api.post(`${path}/purchases`, order);
  expect([bought.status, bought.body]).toMatchObject([201, { state: "paid", amount_minor: 1000, available: 0 }]);
  const first = await customer.subscription();
  expect(first).toMatchObject({ id: trial.body["id"], state: "active", period: 1, auto_renew: true });
  expect(await customer.door(key)).toEqual({ valid: true, expires_at: first["current_period_end"] });
  // The trial's end ends nothing.
  await customer.reach(trial.body["trial_end"], minute);
  expect(await customer.subscription()).toMatchObject({ state: "active", period: 1 });
  expect(await customer.door(key)).toEqual({ valid: true, expires_at: first["current_period_end"] });
  told.push("purchase_paid");

  // Renews.
  await customer.topUp(1000);
  await customer.reach(first["current_period_end"], minute);
  const second = await customer.subscription();
  expect(second).toMatchObject({ state: "active", period: 2, current_period_start: first["current_period_end"] });
  expect(await customer.balance()).toBe(0);
  expect(await customer.door(key)).toEqual({ valid: true, expires_at: second["current_period_end"] });
  told.push("purchase_paid", "reminder", "reminder", "reminder", "subscription_renewed");
  expect((await customer.told()).notices).toEqual(told);

  // Runs dry: first nobody has looked, then the sweep has; its grace lets it in.
  await customer.reach(second["current_period_end"], -10 * minute);
  const grace = new Date(Date.parse(String(second["current_period_end"])) + 7 * 1440 * minute).getTime();
  const expiry = async () =>
    z.object({ valid: z.literal(true), expires_at: z.string() }).parse(await customer.door(key));
  await customer.reachUnswept(second["current_period_end"], 1000);
  expect(Date.parse((await expiry()).expires_at)).toBe(grace);
  await customer.tick();
  const owing = await customer.subscription();
  expect(owing).toMatchObject({ state: "past_due", period: 2, read_only: false });
  expect(Date.parse(String(owing["ends_at"]))).toBe(grace);
  expect(Date.parse((await expiry()).expires_at)).toBe(grace);
  told.push("reminder", "reminder", "reminder", "renewal_failed");
  expect((await customer.told()).notices).toEqual(told);

  // Is woken by a top-up, hours before it is tried again anyway: its period began where the last one ended.
  await customer.reach(second["current_period_end"], 3 * 1440 * minute);
  expect(await customer.subscription()).toMatchObject({ state: "past_due" });
  await customer.topUp(1000);
  await customer.reach(second["current_period_end"], (3 * 1440 + 10) * minute);
  const third = await customer.subscription();
  expect(third).toMatchObject({ state: "active", period: 3, current_period_start: second["current_period_end"] });
  expect(await customer.balance()).toBe(0);
  expect(await customer.door(key)).toEqual({ valid: true, expires_at: third["current_period_end"] });
  told.push("purchase_paid", "subscription_renewed");
  expect((await customer.told()).notices).toEqual(told);

  // Runs dry again, and expires; the door knows it before any sweep does.
  await customer.reach(third["current_period_end"], 6 * 1440 * minute);
  expect(await customer.subscription()).toMatchObject({ state: "past_due", period: 3 });
  const { ends_at } = await customer.subscription();
  expect(await customer.door(key)).toEqual({ valid: true, expires_at: ends_at });
  await customer.reachUnswept(ends_at, -10 * minute);
  expect(await customer.door(key)).toEqual({ valid: true, expires_at: ends_at });
  await customer.reachUnswept(ends_at, 1000);
  expect(await customer.door(key)).toEqual({ valid: false, expires_at: null });
  await customer.tick();
  expect(await customer.subscription()).toMatchObject({ state: "canceled", ended_reason: "unpaid", read_only: true });
  expect(await customer.door(key)).toEqual({ valid: false, expires_at: null });
  told.push("reminder", "reminder", "reminder", "renewal_failed", "subscription_ended");
  // One key from the first day to the last.
  expect(await customer.told()).toEqual({ notices: told, keys: ["add_key", "remove_key"] });
  expect(await customer.keys()).toEqual([key]);

  // Who comes back has another key; the old one stays what it is.
  await customer.reach(ends_at, 5 * minute);
  await customer.topUp(1000);
  const again = await api.post(`${path}/purchases`, { ...order, auto_renew: false });
  expect([again.status, again.body]).toMatchObject([201, { state: "paid", available: 0 }]);
  const [anew = ""] = await customer.keys();
  expect(anew).not.toBe(key);
  expect(await customer.door(anew)).toMatchObject({ valid: true });
  expect(await customer.door(key)).toEqual({ valid: false, expires_at: null });
  expect((await api.get(`${path}/payments`)).body["data"]).toHaveLength(8);
});
