import { Stripe } from "stripe";
import type { Account } from "./account.ts";
import { expand } from "./expand.ts";
import { Failure, invalid } from "./failure.ts";
import type { Fault, Faults } from "./faults.ts";
import { IdempotencyKeys } from "./idempotency.ts";
import { newId } from "./ids.ts";
import { Params } from "./params.ts";
import type { Route } from "./route.ts";
import { findRoute } from "./routes.ts";
import type { StoredAnswer } from "./state.ts";

/** A call that came in, as a test may look at it. */
export interface LoggedCall {
  method: string;
  /** Without its query: `/v1/customers`. */
  path: string;
  /** Of the body and of the query. */
  params: unknown;
  idempotencyKey: string | null;
  /** The `Stripe-Version` header. */
  version: string | null;
  requestId: string;
  /** What was answered; null while it is not, or when the connection was cut. */
  status: number | null;
  /** Whether the answer was one that is kept under the idempotency key. */
  replayed: boolean;
}

/** A request of the API. */
export interface ApiRequest {
  method: string;
  url: URL;
  headers: Headers;
  body: string;
}

/** An answer of the API; null when the connection is to be cut. */
export interface ApiAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** What holds an answer back: a fault's delay, or its silence. Resolves false when the client has gone away. */
export type Wait = (fault: Fault) => Promise<boolean>;

/** The calls of `/v1`: who asks, with which key, whether it was asked before; then the route does it. */
export class Api {
  readonly calls: LoggedCall[] = [];
  readonly #account: Account;
  readonly #faults: Faults;
  readonly #keys: IdempotencyKeys;

  constructor(account: Account, faults: Faults) {
    this.#account = account;
    this.#faults = faults;
    this.#keys = new IdempotencyKeys(account);
  }

  /** Answers a call. `wait` does the delays of faults. */
  async answer(request: ApiRequest, wait: Wait): Promise<ApiAnswer | null> {
    const { method, url, headers } = request;
    const call: LoggedCall = {
      method,
      path: url.pathname,
      params: null,
      idempotencyKey: headers.get("idempotency-key"),
      version: headers.get("stripe-version"),
      requestId: newId("req", 14),
      status: null,
      replayed: false,
    };
    this.calls.push(call);
    const fault = this.#faults.take(method, url.pathname);
    const answer = await this.#answer(request, call, fault, wait).catch((error: unknown) => errorAnswer(error));
    call.status = answer?.status ?? null;
    return answer === null
      ? null
      : {
          ...answer,
          headers: {
            "Request-Id": call.requestId,
            "Stripe-Version": call.version ?? Stripe.API_VERSION,
            ...(call.idempotencyKey === null ? {} : { "Idempotency-Key": call.idempotencyKey }),
            ...answer.headers,
          },
        };
  }

  async #answer(
    request: ApiRequest,
    call: LoggedCall,
    fault: Fault | undefined,
    wait: Wait,
  ): Promise<ApiAnswer | null> {
    const { method, url, headers, body } = request;
    authenticate(headers);
    const found = findRoute(method, url.pathname);
    const form = new URLSearchParams(url.search);
    for (const [name, value] of new URLSearchParams(body)) {
      form.append(name, value);
    }
    const params = Params.of(form);
    call.params = params.toJSON();
    if (found === undefined) {
      throw new Failure(404, {
        type: "invalid_request_error",
        message: `Unrecognized request URL (${method}: ${url.pathname}). Please see https://stripe.com/docs or we can help at https://support.stripe.com/.`,
      });
    }
    // Only a POST has an idempotency key: the other methods are idempotent as they are.
    const key = method === "POST" ? call.idempotencyKey : null;
    const stored = key === null ? undefined : this.#keys.claim(key, url.pathname, form.toString());
    try {
      if (fault !== undefined && fault.when !== "after") {
        const ended = await endedBy(fault, wait);
        if (ended !== undefined) {
          if (key !== null && stored === undefined) {
            this.#keys.release(key);
          }
          return ended;
        }
      }
      const answer = stored === undefined ? this.#first(found, params, call, fault) : replayOf(stored);
      call.replayed = stored !== undefined;
      if (key !== null && stored === undefined) {
        this.#keys.keep(key, url.pathname, form.toString(), { ...answer, request: call.requestId });
      }
      if (fault?.when === "after" && fault.kind !== "500") {
        const ended = await endedBy(fault, wait);
        // Null is an end too: the connection is cut.
        return ended === undefined ? answer : ended;
      }
      return answer;
    } catch (error) {
      if (key !== null && stored === undefined) {
        this.#keys.release(key);
      }
      throw error;
    }
  }

  /** Does a call for the first time. */
  #first(
    { route, parts: path }: { route: Route; parts: Record<string, string> },
    params: Params,
    call: LoggedCall,
    fault: Fault | undefined,
  ): ApiAnswer {
    const account = this.#account;
    account.cause = { id: call.requestId, idempotency_key: call.idempotencyKey };
    try {
      refuseUnknown(route, params);
      const result = route.run({ account, params, path });
      const answer = ok(expand(account, result, params.texts("expand")));
      return fault?.kind === "500" ? errorAnswer(new Error("A fault that was asked for.")) : answer;
    } catch (error) {
      return errorAnswer(error);
    } finally {
      account.cause = null;
    }
  }
}

/** An answer that is kept, told as one. */
function replayOf({ status, body, request }: StoredAnswer): ApiAnswer {
  return { status, headers: { "Idempotent-Replayed": "true", "Original-Request": request }, body };
}

/** What a fault ends a call with: an answer, or null for a cut connection; undefined when the call goes on. */
async function endedBy(fault: Fault, wait: Wait): Promise<ApiAnswer | null | undefined> {
  switch (fault.kind) {
    case "500":
      return errorAnswer(new Error("A fault that was asked for."));
    case "429":
      return errorAnswer(
        new Failure(429, {
          type: "invalid_request_error",
          code: "rate_limit",
          message:
            "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
        }),
      );
    case "drop":
      return null;
    case "delay":
    case "hang":
      return (await wait(fault)) ? undefined : null;
  }
}

function authenticate(headers: Headers): void {
  const [scheme = "", credential = ""] = (headers.get("authorization") ?? "").split(" ");
  const key = scheme.toLowerCase() === "basic" ? atob(credential).replace(/:$/, "") : credential;
  if (key === "") {
    throw new Failure(401, {
      type: "invalid_request_error",
      message:
        "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
    });
  }
  if (!/^(?:sk|rk)_test_\w+$/.test(key)) {
    throw new Failure(401, {
      type: "invalid_request_error",
      message: `Invalid API Key provided: ${key.slice(0, 8)}${"*".repeat(Math.max(0, key.length - 8))}`,
    });
  }
}

function refuseUnknown(route: Route, params: Params): void {
  const known = new Set(["expand", ...route.takes.split(" ")]);
  const unknown = params.names().find((name) => !known.has(name));
  if (unknown !== undefined) {
    throw invalid(`Received unknown parameter: ${unknown}`, unknown, "parameter_unknown");
  }
}

function ok(value: object): ApiAnswer {
  return { status: 200, headers: {}, body: JSON.stringify(value, null, 2) };
}

/** The answer to a refusal; anything else that was thrown is an error of the stand-in's own, and says so. */
export function errorAnswer(error: unknown): ApiAnswer {
  const failure =
    error instanceof Failure
      ? error
      : new Failure(500, {
          type: "api_error",
          message: `An unknown error occurred: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        });
  return { status: failure.status, headers: {}, body: JSON.stringify({ error: failure.error }, null, 2) };
}
