import type { ApiAnswer } from "../api.ts";

/** Markup that needs no more escaping. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Markup from a template: what is put in is escaped, unless it is markup itself. */
export function html(parts: TemplateStringsArray, ...values: (Html | Html[] | string | number | null)[]): Html {
  const text = parts.map((part, i) => part + (i < values.length ? escaped(values[i] ?? null) : "")).join("");
  return new Html(text);
}

function escaped(value: Html | Html[] | string | number | null): string {
  if (Array.isArray(value)) {
    return value.map(({ text }) => text).join("");
  }
  if (value instanceof Html) {
    return value.text;
  }
  return String(value ?? "").replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

const style = new Html(
  "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}" +
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ddd}" +
    "button{font:inherit;padding:.3rem .8rem;margin:.2rem .2rem .2rem 0}form{display:inline}small{color:#666}",
);

/** A whole page. */
export function htmlPage(title: string, body: Html, status = 200): ApiAnswer {
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>${title}</title>
        <style>
          ${style}
        </style>
      </head>
      <body>
        <h1>${title}</h1>
        ${body}
        <p><small>A stand-in for Stripe, for tests and development. No money moves here.</small></p>
      </body>
    </html> `;
  return { status, headers: { "Content-Type": "text/html; charset=utf-8" }, body: page.text };
}

/** A button that does something. */
export function button(action: string, label: string, values: Record<string, string> = {}): Html {
  const fields = Object.entries(values).map(
    ([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`,
  );
  return html`<form method="post" action="${action}">${fields}<button type="submit">${label}</button></form>`;
}

/** Sends the browser on with a GET. */
export function redirect(to: string): ApiAnswer {
  return { status: 303, headers: { Location: to, "Content-Type": "text/plain" }, body: "" };
}

/** An amount in the words of people. */
export function money(amount: number | null, currency: string | null): string {
  const format = new Intl.NumberFormat("en", { style: "currency", currency: currency ?? "usd" });
  return format.format((amount ?? 0) / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
}

/** An instant in seconds, for people; empty when there is none. */
export function instant(seconds: number | null | undefined): string {
  return seconds == null ? "" : new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}
