/**
 * Currencies whose smallest unit is not a hundredth, as Stripe counts them (https://docs.stripe.com/currencies): a price is the same
 * money wherever it is paid, and wherever it is told. What ISO 4217 or a browser's tables say of a currency is something else.
 */
export const placesNotTwo: ReadonlyMap<string, number> = new Map([
  ...["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"].map(
    (currency) => [currency, 0] as const,
  ),
  ...["bhd", "jod", "kwd", "omr", "tnd"].map((currency) => [currency, 3] as const),
]);

/** How many decimal places a currency's amounts have. */
export const placesOf = (currency: string): number => placesNotTwo.get(currency) ?? 2;
