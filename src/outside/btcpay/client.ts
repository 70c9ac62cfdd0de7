import * as z from "zod";
import type { BtcpayAccount } from "../../env.ts";
import { Problem } from "../../http/problem.ts";
import { redact } from "../../http/request.ts";
import { type Answer, askPeer, demandOk, Refused, Unavailable } from "../peer.ts";

/** Three of these, and a lease of ours still runs. */
const timeout_ms = 8_000;
/** A list of a purchase's invoices with all of their payments. */
const limit_bytes = 500_000;

interface Question {
  method: "GET" | "POST";
  /** Below the store. */
  path: string;
  body?: object;
}

/** Asks BTCPay of the store. Null: it has no such thing. Throws `Problem`: `provider_unavailable` or `provider_refused`. */
export async function ask(account: BtcpayAccount, { method, path, body }: Question): Promise<unknown> {
  const url = `${account.url}/api/v1/stores/${encodeURIComponent(account.store_id)}${path}`;
  const headers: Record<string, string> = { Authorization: `token ${account.api_key}`, Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    const answer = await askPeer(
      url,
      { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) },
      { timeout_ms, limit_bytes },
    );
    if (answer.status === 404 && method === "GET") return null;
    refuse(answer);
    return parsed(answer);
  } catch (error) {
    throw error instanceof Unavailable ? unavailable(error) : error;
  }
}

/** What it answered is none of what it documents: asked again, it may be. */
export function unreadable(cause: unknown): Problem {
  return unavailable(new Unavailable("the answer is not what is documented", null, { cause }));
}

function unavailable(error: Unavailable): Problem {
  const cause = new Error(`BTCPay: ${error.message}`, { cause: error });
  return new Problem("provider_unavailable", { retry_after: Math.min(error.retry_after ?? 2, 60) }, { cause });
}

function parsed({ text }: Answer): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Unavailable("the answer is not JSON", null, { cause });
  }
}

const said = z.union([
  z.object({ code: z.string(), message: z.string() }),
  z
    .array(z.object({ path: z.string(), message: z.string() }))
    .min(1)
    .transform((faults) => ({
      code: "validation-error",
      message: faults.map(({ path, message }) => `${path}: ${message}`).join("; "),
    })),
]);

/** Throws `provider_refused` with BTCPay's own words where it will never take this. */
function refuse(answer: Answer): void {
  try {
    demandOk(answer);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const words = said.safeParse(wordsOf(answer)).data;
    const cause = new Error(`BTCPay: ${error.message} ${words?.code ?? ""}`, { cause: error });
    const detail = redact(words?.message ?? error.message).slice(0, 500);
    throw new Problem("provider_refused", { detail, provider_code: words?.code ?? null }, { cause });
  }
}

function wordsOf({ text }: Answer): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // It says nothing but its status.
    return null;
  }
}
