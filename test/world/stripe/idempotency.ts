import { createHash } from "node:crypto";
import type { Account } from "./account.ts";
import { Failure } from "./failure.ts";
import type { StoredAnswer } from "./state.ts";

/** Stripe may forget a key after a day. */
const keptMs = 24 * 3600_000;

/** The answers that are kept under idempotency keys, and the keys whose call is still being done. */
export class IdempotencyKeys {
  readonly #account: Account;
  readonly #busy = new Set<string>();

  constructor(account: Account) {
    this.#account = account;
  }

  /**
   * Claims a key for a call. An answer: the call was done before, and this is what it said. Refuses a key that was used
   * for something else, and one whose call is not over.
   */
  claim(key: string, path: string, body: string): StoredAnswer | undefined {
    if (key.length > 255) {
      throw refusal(400, `Idempotency keys can be at most 255 characters.`);
    }
    if (this.#busy.has(key)) {
      throw refusal(
        409,
        `There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and the other request is still going through): ${key}. Please try again later.`,
        "idempotency_key_in_use",
      );
    }
    const stored = this.#account.state.answers.get(key);
    if (stored === undefined || stored.created + keptMs < this.#account.now()) {
      this.#busy.add(key);
      return undefined;
    }
    if (stored.path !== path) {
      throw refusal(
        400,
        `Keys for idempotent requests can only be used for the same endpoint they were first used for ('${path}' vs '${stored.path}'). Try using a key other than '${key}' if you meant to execute a different request.`,
      );
    }
    if (stored.fingerprint !== fingerprint(body)) {
      throw refusal(
        400,
        `Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '${key}' if you meant to execute a different request.`,
      );
    }
    return stored;
  }

  /** Keeps an answer. One that refused the parameters is not kept: with those, nothing was begun. */
  keep(key: string, path: string, body: string, answer: { status: number; body: string; request: string }): void {
    this.#busy.delete(key);
    if (answer.status < 300 || answer.status === 402 || answer.status >= 500) {
      this.#account.state.answers.set(key, {
        ...answer,
        path,
        fingerprint: fingerprint(body),
        created: this.#account.now(),
      });
    }
  }

  /** Gives a claimed key back: its call never began. */
  release(key: string): void {
    this.#busy.delete(key);
  }
}

function fingerprint(body: string): string {
  const form = new URLSearchParams(body);
  form.sort();
  return createHash("sha256").update(form.toString()).digest("base64");
}

function refusal(status: number, message: string, code?: string): Failure {
  return new Failure(status, { type: "idempotency_error", message, ...(code === undefined ? {} : { code }) });
}
