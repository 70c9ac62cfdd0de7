import { chromium } from "playwright-core";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Api, textOf } from "../support/api.ts";
import type { Workspace } from "../support/api.ts";
import { StackFolder } from "../support/stack.ts";
import type { Address } from "../support/stack.ts";
import { findChromium } from "./chromium.ts";

let browser: Browser;
let folder: StackFolder;
let stack: Address;
let api: Api;

beforeAll(async () => {
  browser = await chromium.launch({ executablePath: findChromium() });
  folder = new StackFolder();
  stack = await folder.running(folder.start());
  api = new Api(stack.url, stack.operator_key);
});

afterAll(async () => {
  await browser?.close();
  await folder?.remove();
});

/** Longer than anything takes on a busy machine, a month of the local stack's included. */
const patience = { timeout: 100_000, interval: 100 };

async function newPage(): Promise<Page> {
  const page = await browser.newPage();
  page.setDefaultTimeout(patience.timeout);
  return page;
}

/** A person at a browser, who is sent to pay for something. */
async function sentToPay(workspace: Workspace, what: object): Promise<Page> {
  const answer = await api.post(`${workspace.path}/checkout`, {
    currency: "eur",
    ...what,
    success_url: `${stack.dev_url}/thanks?workspace=${workspace.id}`,
    cancel_url: `${stack.dev_url}/canceled`,
  });
  const page = await newPage();
  await page.goto(textOf(answer, "url"));
  return page;
}

async function click(page: Page, name: string): Promise<void> {
  await page.getByRole("button", { name, exact: true }).click();
}

/** The page that thanks, once it shows so many credits; and the API says the same. */
async function expectThanks(page: Page, workspace: Workspace, credits: number): Promise<void> {
  await page.getByRole("heading", { name: "Thank you" }).waitFor();
  await page
    .locator("#credits")
    .filter({ hasText: new RegExp(`^${credits}$`) })
    .waitFor();
  await expect.poll(async () => (await api.get(workspace.credits)).body["available"], patience).toBe(credits);
}

test("a person buys a pack on the pay page, comes back, and sees the credits", async () => {
  const workspace = await api.workspace();
  const page = await sentToPay(workspace, { pack: "credits_100" });
  await page.getByText("100 credits").waitFor();
  await page.getByText("€9.00").first().waitFor();
  await click(page, "Pay");
  await expectThanks(page, workspace, 100);

  const more = await sentToPay(workspace, { pack: "credits_100", quantity: 2 });
  await click(more, "Pay");
  await expectThanks(more, workspace, 300);
});

test("a person buys a plan on the pay page, comes back, and sees its credits", async () => {
  const workspace = await api.workspace({ bulk: 50 });
  const page = await sentToPay(workspace, { plan: "pro" });
  await page.getByLabel("Email").fill("ada@example.com");
  await click(page, "Pay");
  await expectThanks(page, workspace, 550);
  await page.getByText("500 of them subscription").waitFor();
  const { body } = await api.get(`${workspace.path}/subscription`);
  expect(body).toMatchObject({ plan: { code: "pro" }, state: "trialing" });
});

test("a person whose card declines stays where they can pay, and one who goes back has paid nothing", async () => {
  const workspace = await api.workspace();
  const page = await sentToPay(workspace, { pack: "credits_100" });
  const till = page.url();
  await click(page, "Pay (card declines)");
  await page.getByRole("alert").filter({ hasText: "declined" }).waitFor();
  await click(page, "Cancel");
  await page.getByRole("heading", { name: "Nothing was paid" }).waitFor();
  expect((await api.get(workspace.credits)).body).toMatchObject({ available: 0 });
  await page.goto(till);
  await click(page, "Pay");
  await expectThanks(page, workspace, 100);
});

test("a person watches a month from the overview: a button moves the time, and the plan renews", async () => {
  const workspace = await api.workspace();
  await click(await sentToPay(workspace, { plan: "team" }), "Pay");
  await expect.poll(async () => (await api.get(workspace.credits)).body["available"], patience).toBe(2500);
  await api.post(`${workspace.credits}/spend`, { amount: 1000 });
  const page = await newPage();
  await page.goto(stack.stripe_url);
  await click(page, "+ 31 days");
  await expect.poll(async () => (await api.get(workspace.credits)).body["available"], patience).toBe(4000);
  const { body } = await api.get(`${workspace.path}/subscription`);
  expect(body).toMatchObject({ state: "active", read_only: false });
});
