import { describe, expect, test } from "vitest";
import { settings } from "../../src/env.ts";
import { Problem } from "../../src/http/problem.ts";
import { decimalOf, minorOf } from "../../src/outside/btcpay/decimal.ts";
import { readInvoice } from "../../src/outside/btcpay/invoice.ts";

const DATABASE_URL = "postgresql://tollgate_worker:secret@ep-cool.eu-central-1.aws.neon.tech/tollgate?sslmode=require";
const store = {
  BTCPAY_URL: "https://pay.example.com/btcpay/",
  BTCPAY_API_KEY: "a1b2c3d4e5",
  BTCPAY_STORE_ID: "Store1",
};

describe("amounts are exact, digit by digit", () => {
  test.each([
    [1900, "eur", "19.00"],
    [5, "eur", "0.05"],
    [1501, "jpy", "1501"],
    [1501, "kwd", "1.501"],
    [0, "eur", "0.00"],
    [9_007_199_254_740_991, "eur", "90071992547409.91"],
  ])("%i %s is %s", (minor, currency, text) => {
    expect(decimalOf(minor, currency)).toBe(text);
    expect(minorOf(text, currency)).toEqual({ minor, rest: false });
  });

  test.each([
    ["19", "eur", 1900, false],
    ["19.9", "eur", 1990, false],
    ["0.1", "eur", 10, false],
    ["1.10", "eur", 110, false],
    ["8.29", "eur", 829, false],
    ["19.999", "eur", 1999, true],
    ["19.990", "eur", 1999, false],
    ["1501.9", "jpy", 1501, true],
    ["00019.00", "eur", 1900, false],
  ] as const)("%s %s is %i", (text, currency, minor, rest) => {
    expect(minorOf(text, currency)).toEqual({ minor, rest });
  });

  test.each(["", "-1", "+1", "1e3", "1,00", ".5", "5.", "NaN", "0x10", " 1", "90071992547409.92", "9".repeat(31)])(
    "%o is none",
    (text) => {
      expect(minorOf(text, "eur")).toBeNull();
    },
  );
});

const invoice = (changes: object = {}) => ({
  id: "Invoice1",
  storeId: "Store1",
  amount: "19.00",
  paidAmount: "0",
  currency: "EUR",
  type: "Standard",
  status: "New",
  additionalStatus: "None",
  checkoutLink: "https://pay.example.com/i/Invoice1",
  createdTime: 1_790_000_000,
  expirationTime: 1_790_000_900,
  monitoringExpiration: 1_790_087_300,
  metadata: { orderId: "01a20225-971a-77cf-bd60-b9d3b116cf76" },
  paymentMethods: [],
  ...changes,
});
const methods = (...statuses: string[]) => [
  { payments: statuses.map((status, i) => ({ receivedDate: 1_790_000_000 + i, status })) },
];

test("an invoice, read: what counts, whether it is confirmed, and of which purchase", () => {
  const read = readInvoice(
    invoice({ status: "Processing", paidAmount: "19.004", paymentMethods: methods("Settled", "Processing") }),
  );
  expect(read).toMatchObject({
    whole: true,
    store: "Store1",
    fact: { amount_minor: 1900, paid_minor: 1900, currency: "eur", unconfirmed: true, paid_at: 1_790_000_001 },
  });
  expect(readInvoice(invoice({ paymentMethods: undefined }))).toMatchObject({ whole: false });
  expect(readInvoice(invoice({ paymentMethods: methods("Settled", "Invalid") })).fact.unconfirmed).toBe(false);
  for (const orderId of ["order 1", 7, null, { a: 1 }]) {
    expect(readInvoice(invoice({ metadata: { orderId } })).fact.purchase).toBeNull();
  }
  expect(readInvoice(invoice({ metadata: null })).fact.purchase).toBeNull();
  // Neither is any purchase's: of no amount, or of one that the currency does not have.
  for (const odd of [{ type: "TopUp" }, { amount: "19.001" }])
    expect(readInvoice(invoice(odd)).fact.amount_minor).toBe(0);
});

test.each([
  { amount: 19 },
  { amount: "1e400" },
  { paidAmount: undefined },
  { status: "Paid" },
  { currency: "eur" },
  { checkoutLink: "javascript:alert(1)" },
  { expirationTime: 9e15 },
  { paymentMethods: methods("Unknown") },
])("an invoice of another shape is none: %o", (changes) => {
  expect(() => readInvoice(invoice(changes))).toThrow();
});

test("the bindings: a store where all three are there, and both secrets while one is rolled", () => {
  expect(settings({ DATABASE_URL, ...store }).btcpay).toEqual({
    url: "https://pay.example.com/btcpay",
    api_key: "a1b2c3d4e5",
    store_id: "Store1",
    webhook_secrets: [],
  });
  const rolling = { BTCPAY_WEBHOOK_SECRET: "the-new-secret", BTCPAY_WEBHOOK_SECRET_OLD: "the-old-secret" };
  expect(settings({ DATABASE_URL, ...store, ...rolling }).btcpay?.webhook_secrets).toEqual(Object.values(rolling));
  for (const lacking of Object.keys(store)) {
    expect(settings({ DATABASE_URL, ...store, [lacking]: "" }).btcpay).toBeNull();
  }
});

test("plain http is for the local stack's own, and for nobody else: the API key goes there", () => {
  const bound =
    (BTCPAY_URL: string, more: object = {}) =>
    () =>
      settings({ DATABASE_URL, ...store, BTCPAY_URL, ...more }).btcpay?.url;
  const local = { DATABASE_FETCH_ENDPOINT: "http://127.0.0.1:4444/sql" };
  expect(bound("http://127.0.0.1:23000", local)()).toBe("http://127.0.0.1:23000");
  for (const url of [
    "http://pay.example.com",
    "http://10.0.0.1",
    "https://user:pw@pay.example.com",
    "https://pay.example.com/?a=1",
    "https://pay.example.com/#a",
    "ftp://pay.example.com",
    "pay.example.com",
  ]) {
    expect(bound(url, local), url).toThrow(new Problem("misconfigured"));
  }
  expect(bound("http://127.0.0.1:23000")).toThrow(new Problem("misconfigured"));
});
