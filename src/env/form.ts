import * as z from "zod";
import { Problem } from "../http/problem.ts";

/** The names of this machine. */
export const loopback: ReadonlySet<string> = new Set(["127.0.0.1", "[::1]", "localhost"]);

/** A binding that may be left out, or be left empty in a file of bindings. */
export function optional<Schema extends z.ZodType>(schema: Schema) {
  return z.preprocess((value) => (value === "" ? undefined : value), schema.optional());
}

/**
 * An address that stands in for Neon or Stripe: every statement or secret key would go there, so one that leaves this
 * machine is refused. It exists for the local stack.
 */
export const localEndpoint = z.string().refine((text) => {
  const url = URL.parse(text);
  return url !== null && url.protocol === "http:" && url.username === "" && loopback.has(url.hostname);
}, "must be http on a loopback address");

/** Where a peer is whom we tell secrets. Plain http is for this machine, and only on the local stack. */
export const peerUrl = z
  .string()
  .refine((text) => {
    const url = URL.parse(text);
    const plain = url !== null && url.username === "" && url.password === "" && url.search === "" && url.hash === "";
    return plain && (url.protocol === "https:" || (url.protocol === "http:" && loopback.has(url.hostname)));
  }, "must be https, with no user, query or fragment in it")
  .transform((text) => text.replace(/\/+$/, ""));

/** The answer to bindings that are not what they should be: `faults` name them, and never their values. */
export function refused(faults: readonly string[]): Problem {
  return new Problem("misconfigured", {}, { cause: new Error(`bindings refused: ${faults.join("; ")}`) });
}

/** Refuses an address that may be plain http on the local stack only. */
export function refusePlain(name: string, url: string, local: boolean): void {
  if (!url.startsWith("http:") || local) return;
  throw refused([`${name}: must be https: only the local stack has one on this machine`]);
}
