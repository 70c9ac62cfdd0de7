import { placesOf } from "../currency.ts";

/** How amounts, days and numbers are written in a language, and when it is: in UTC, as everything that the house reckons. */
export interface Speaker {
  money(of: { amount_minor: number; currency: string }): string;
  date(moment: string): string;
  count(number: number): string;
}

/** Speaks a language (`de`, `de-AT`). One that nobody knows is spoken as English. */
export function speakerOf(language: string): Speaker {
  const tags = [language, "en"];
  return {
    money({ amount_minor, currency }) {
      const places = placesOf(currency);
      const format = new Intl.NumberFormat(tags, {
        style: "currency",
        currency: currency.toUpperCase(),
        minimumFractionDigits: places,
        maximumFractionDigits: places,
      });
      return format.format(amount_minor / 10 ** places);
    },
    date: (moment) => new Intl.DateTimeFormat(tags, { dateStyle: "long", timeZone: "UTC" }).format(Date.parse(moment)),
    count: (number) => new Intl.NumberFormat(tags).format(number),
  };
}

/**
 * In which language what stands in a text is written: the reader's own where the text is of the same language (an Austrian's
 * amounts in a German text), else the text's, for nobody wants a French date in an English sentence.
 */
export function spokenIn(reader: string, text: string): string {
  return reader.split("-")[0] === text.split("-")[0] ? reader : text;
}
