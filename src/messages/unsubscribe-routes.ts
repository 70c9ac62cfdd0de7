import { Hono } from "hono";
import { readBytes } from "../http/body.ts";
import type { AppContext, AppEnv } from "../http/context.ts";
import { page } from "./unsubscribe-pages.ts";
import { leaverOf, reader, unsubscribe } from "./unsubscribing.ts";

/** A page for people: no script, no style, nothing of another host's, nothing to remember, and no other page may show it. */
const headers = {
  "Content-Security-Policy": "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "X-Robots-Tag": "noindex",
};

/** A link that ends with a slash is the same link. */
const paths = ["/unsubscribe/:token", "/unsubscribe/:token/"];

/**
 * Where List-Unsubscribe of a broadcast's mail leads. GET shows a button and changes nothing, for whatever looks at mail follows its links;
 * POST is RFC 8058's one click, and that button's. They are no part of the API's document: nobody calls them who has a key.
 */
export const leaving = new Hono<AppEnv>();

leaving.on("GET", paths, async (c) => {
  const leaver = await leaverIn(c);
  if (leaver === null) return c.html(page("none", null), 404, headers);
  const { language, has_left } = await reader(c, leaver);
  return c.html(page(has_left === false ? "ask" : "done", language), 200, headers);
});

leaving.on("POST", paths, async (c) => {
  // Whatever is in it: who posts here can mean one thing only.
  await readBytes(c.req.raw);
  const leaver = await leaverIn(c);
  if (leaver === null) return c.html(page("none", null), 404, headers);
  const { language, changed } = await unsubscribe(c, leaver);
  c.get("trace").about = { contact: leaver.contact_id, changed };
  return c.html(page("done", language), 200, headers);
});

function leaverIn(c: AppContext) {
  c.get("trace").route = "/unsubscribe/{token}";
  return leaverOf(c, c.req.param("token") ?? "");
}
