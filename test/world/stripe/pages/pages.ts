import type { Account } from "../account.ts";
import { errorAnswer } from "../api.ts";
import type { ApiAnswer, ApiRequest } from "../api.ts";
import type { Control } from "../control.ts";
import type { Deliveries } from "../delivery.ts";
import { Failure } from "../failure.ts";
import type { Pages } from "../server.ts";
import { control } from "./control-routes.ts";
import { eventLog } from "./event-log.ts";
import { html, htmlPage } from "./html.ts";
import { overview } from "./overview.ts";
import { clickPay, payPage } from "./pay.ts";
import { clickPortal, portalPage } from "./portal.ts";

/** Everything that is not the API: what people see and click. */
export function pagesOf(account: Account, people: Control, deliveries: Deliveries): Pages {
  return async (request) => {
    try {
      refuseForeign(request);
      return await answer(request);
    } catch (error) {
      return error instanceof Failure && request.method === "GET"
        ? htmlPage("Stripe in miniature", html`<p>${error.message}</p>`, error.status)
        : errorAnswer(error);
    }
  };

  async function answer(request: ApiRequest): Promise<ApiAnswer | undefined> {
    const [, place = "", id = ""] = request.url.pathname.split("/");
    const form = new URLSearchParams(request.method === "POST" ? request.body : "");
    switch (`${request.method} ${place}`) {
      case "GET ":
        return overview(account);
      case "GET pay":
        return payPage(account, id);
      case "POST pay":
        return await clickPay(account, people, () => deliveries.settled(), id, form);
      case "GET portal":
        return portalPage(account, id);
      case "POST portal":
        return clickPortal(account, id, form);
      case "GET miniature":
        return id === "events" ? eventLog(account) : undefined;
      case "POST miniature":
        return await control(request, account, people);
      default:
        return undefined;
    }
  }
}

/** Any web page that the developer has open could send a form: only our own may. */
function refuseForeign({ method, headers }: ApiRequest): void {
  const origin = headers.get("origin");
  if (method === "POST" && origin !== null && (!URL.canParse(origin) || new URL(origin).host !== headers.get("host"))) {
    throw new Failure(403, { type: "invalid_request_error", message: "Not for other pages." });
  }
}
