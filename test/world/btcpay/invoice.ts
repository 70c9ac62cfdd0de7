/** A store's invoices, as BTCPay Server keeps and moves them (BTCPayServer/HostedServices/InvoiceWatcher.cs, 2.4). */

export type Status = "New" | "Processing" | "Settled" | "Expired" | "Invalid";
export type Additional = "None" | "PaidLate" | "PaidPartial" | "Marked" | "Invalid" | "PaidOver";

/** Coins that came, by what they were worth in the invoice's smallest unit. */
export interface Coins {
  id: string;
  minor: number;
  status: "Processing" | "Settled" | "Invalid";
  /** Unix seconds. */
  received: number;
}

export interface Invoice {
  id: string;
  minor: number;
  currency: string;
  metadata: Record<string, unknown>;
  redirect: string | null;
  status: Status;
  additional: Additional;
  /** Unix seconds, these four. */
  created: number;
  expires: number;
  monitored: number;
  archived: boolean;
  coins: Coins[];
}

/** Something that happened to an invoice: the type of its webhook, and what that says besides. */
export interface Happening {
  type: string;
  more: Record<string, unknown>;
}

const places = (currency: string) => ({ JPY: 0, KRW: 0, CLP: 0, ISK: 0, KWD: 3, BHD: 3 })[currency] ?? 2;

/** As a decimal with the currency's own places. */
export function decimal(minor: number, currency: string): string {
  const most = places(currency);
  const text = String(minor).padStart(most + 1, "0");
  return most === 0 ? text : `${text.slice(0, -most)}.${text.slice(-most)}`;
}

/** The smallest units of a decimal, what is less rounded away: BTCPay keeps no more places than the currency has. */
export function minorOf(text: string, currency: string): number {
  const [whole = "0", fraction = ""] = text.split(".");
  const most = places(currency);
  const digits = `${whole}${fraction.padEnd(most + 1, "0").slice(0, most)}`;
  return Number(digits) + (Number(fraction.padEnd(most + 1, "0")[most]) >= 5 ? 1 : 0);
}

const sum = (coins: readonly Coins[]) => coins.reduce((all, { minor }) => all + minor, 0);

/** Coins that count: what was replaced or forgotten by the chain does not. */
export const accounted = ({ coins }: Invoice): Coins[] => coins.filter(({ status }) => status !== "Invalid");

export const paidMinor = (invoice: Invoice): number => sum(accounted(invoice));

/** Moves an invoice to where its coins and the time put it. Answers what its webhooks are to tell. */
export function move(invoice: Invoice, now: number): Happening[] {
  const happened: Happening[] = [];
  if (invoice.status === "New" && invoice.expires <= now) {
    invoice.status = "Expired";
    happened.push({ type: "InvoiceExpired", more: { partiallyPaid: invoice.additional === "PaidPartial" } });
  }
  const paid = paidMinor(invoice);
  const [under, over] = [paid < invoice.minor, paid > invoice.minor];
  if (invoice.status === "New" || invoice.status === "Expired") {
    if (!under && invoice.status === "New") {
      invoice.status = "Processing";
      invoice.additional = over ? "PaidOver" : "None";
      happened.push({ type: "InvoiceProcessing", more: { overPaid: over } });
    } else if (!under) {
      invoice.additional = "PaidLate";
    } else if (paid > 0) {
      invoice.additional = "PaidPartial";
    }
  }
  if (invoice.status === "Processing") {
    // One of its payments was replaced.
    invoice.additional = over ? "PaidOver" : "None";
    if (under) {
      invoice.status = "New";
      invoice.additional = paid > 0 ? "PaidPartial" : "None";
      return [...happened, ...(invoice.expires <= now ? move(invoice, now) : [])];
    }
    const confirmed = sum(invoice.coins.filter(({ status }) => status === "Settled"));
    if (confirmed >= invoice.minor) {
      invoice.status = "Settled";
      happened.push({ type: "InvoiceSettled", more: { manuallyMarked: false, overPaid: over } });
    } else if (invoice.monitored < now) {
      invoice.status = "Invalid";
      happened.push({ type: "InvoiceInvalid", more: { manuallyMarked: false } });
    }
  }
  return happened;
}

/** May a person mark it so? */
export function mayMark({ status, additional }: Invoice, as: "Settled" | "Invalid"): boolean {
  if (as === "Settled") return status !== "Settled";
  return (
    status === "New" ||
    status === "Processing" ||
    status === "Expired" ||
    (status !== "Invalid" && additional === "Marked")
  );
}

/** An invoice as the Greenfield API shows it. */
export function shown(invoice: Invoice, { store, url, payments }: { store: string; url: string; payments: boolean }) {
  const { id, currency, status, additional, created, expires, monitored, archived, metadata, redirect } = invoice;
  const methods = [
    {
      paymentMethodId: "BTC-CHAIN",
      currency: "BTC",
      payments: accounted(invoice).map((coins) => ({
        id: coins.id,
        receivedDate: coins.received,
        value: "0.00012345",
        fee: "0.0",
        status: coins.status,
        destination: "bcrt1qexample",
      })),
    },
  ];
  return {
    id,
    storeId: store,
    amount: decimal(invoice.minor, currency),
    paidAmount: decimal(paidMinor(invoice), currency),
    currency,
    type: "Standard",
    checkoutLink: `${url}/i/${id}`,
    createdTime: created,
    expirationTime: expires,
    monitoringExpiration: monitored,
    status,
    additionalStatus: additional,
    availableStatusesForManualMarking: (["Settled", "Invalid"] as const).filter((as) => mayMark(invoice, as)),
    archived,
    metadata,
    checkout: { speedPolicy: "MediumSpeed", paymentTolerance: 0, redirectURL: redirect },
    receipt: { enabled: null },
    ...(payments ? { paymentMethods: methods } : {}),
  };
}
