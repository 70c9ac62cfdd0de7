import type { Account } from "../account.ts";
import type { ApiAnswer, ApiRequest } from "../api.ts";
import type { Control } from "../control.ts";
import { Failure, invalid, missing } from "../failure.ts";
import { parseObject } from "../json.ts";
import type { Json } from "../json.ts";
import { Params } from "../params.ts";
import { createRefund } from "../resources/refunds.ts";
import { redirect } from "./html.ts";

/**
 * What a call under `/miniature/` does, over HTTP what {@link Control} is in a program. It takes a form or JSON; a form
 * comes from a page, which is shown again, and JSON gets JSON.
 */
export async function control(request: ApiRequest, account: Account, people: Control): Promise<ApiAnswer> {
  const isJson = (request.headers.get("content-type") ?? "").includes("json");
  const values = new Values(isJson ? readJson(request.body) : Object.fromEntries(new URLSearchParams(request.body)));
  const result = await act(request.url.pathname.split("/").slice(2), values, account, people);
  return isJson
    ? { status: 200, headers: {}, body: JSON.stringify(result ?? {}, null, 2) }
    : redirect(sameOrigin(request.headers.get("referer")) ?? "/");
}

async function act(
  [what = "", id = "", verb = ""]: string[],
  values: Values,
  account: Account,
  people: Control,
): Promise<unknown> {
  switch (`${what}${id === "" ? "" : "/:id"}${verb === "" ? "" : `/${verb}`}`) {
    case "clock": {
      const now = new Date(values.text("now") ?? Number.NaN);
      if (Number.isNaN(now.getTime())) {
        throw invalid("Give `now`, an instant as RFC 3339 has it.", "now");
      }
      await people.travel(now);
      return { now: new Date(account.now()).toISOString() };
    }
    case "customers/:id/card": {
      const declines = values.flag("declines");
      people.setCard(id, declines ? "declines" : "pays");
      return { card: declines ? "declines" : "pays" };
    }
    case "sessions/:id/payment":
      return people.settlePayment(id, values.flag("succeeds"));
    case "refunds":
      return createRefund(
        account,
        Params.of(new URLSearchParams({ payment_intent: values.text("payment_intent") ?? "" })),
      );
    case "refunds/:id/fail":
      return people.failRefund(id);
    case "disputes": {
      const [amount, reason] = [values.text("amount"), values.text("reason")];
      return people.openDispute({
        payment: values.text("payment_intent") ?? values.text("charge") ?? "",
        ...(amount === undefined ? {} : { amount: Number(amount) }),
        ...(reason === undefined ? {} : { reason }),
      });
    }
    case "disputes/:id/close":
      return people.closeDispute(id, values.text("status") === "won" ? "won" : "lost");
    case "events/:id/deliver":
      return await people.deliver(id);
    default:
      throw missing("control", [what, id, verb].join("/"));
  }
}

/** What a form or a JSON object says, as text. */
class Values {
  readonly #values: Record<string, unknown>;

  constructor(values: Record<string, unknown>) {
    this.#values = values;
  }

  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
      ? String(value)
      : undefined;
  }

  flag(name: string): boolean {
    return this.text(name) === "true";
  }
}

function readJson(body: string): Json {
  try {
    return body === "" ? {} : parseObject(body);
  } catch (error) {
    throw new Failure(400, { type: "invalid_request_error", message: `Not a JSON object: ${String(error)}` });
  }
}

/** The path of the page that a form was on. */
function sameOrigin(referer: string | null): string | null {
  return referer !== null && URL.canParse(referer) ? new URL(referer).pathname : null;
}
