import { placesOf } from "../../currency.ts";

/** An amount in a currency's smallest unit, as BTCPay reads it: `"19.00"`. */
export function decimalOf(minor: number, currency: string): string {
  const places = placesOf(currency);
  const text = String(minor).padStart(places + 1, "0");
  return places === 0 ? text : `${text.slice(0, -places)}.${text.slice(-places)}`;
}

/** What BTCPay writes: digits, and a fraction. */
export const decimal = /^\d{1,30}(?:\.\d{1,30})?$/;

/**
 * A decimal in a currency's smallest unit, exactly: digit by digit, and never through a floating-point number. What is less than a unit
 * is left out (`rest`): nobody is given money that did not come. Null where it is no such decimal, or too large to be exact.
 */
export function minorOf(text: string, currency: string): { minor: number; rest: boolean } | null {
  if (!decimal.test(text)) return null;
  const places = placesOf(currency);
  const [whole = "", fraction = ""] = text.split(".");
  const minor = Number(BigInt(whole + fraction.slice(0, places).padEnd(places, "0")));
  if (!Number.isSafeInteger(minor)) return null;
  return { minor, rest: /[1-9]/.test(fraction.slice(places)) };
}
