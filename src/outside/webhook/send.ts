import { askPeer, Gone, Refused, retryAfter, Unavailable } from "../peer.ts";
import { urlFault } from "./address.ts";
import { signedHeaders } from "./sign.ts";

/** A webhook as it leaves: to where, under which id, what it says, and what it is signed with. */
export interface Webhook {
  url: string;
  /** The local stack: its receivers are on this machine. */
  local: boolean;
  id: string;
  body: string;
  secrets: readonly string[];
  /** How long its receiver has for an answer. */
  timeout_ms: number;
}

/**
 * Posts a webhook. Any 2xx is a success. Throws `Gone` for a 410, `Refused` for an address that nothing may be sent to (it was looked at
 * when it was saved, too: rules may grow, and rows be written otherwise), and `Unavailable` for any other answer, a redirect among
 * them: it is not followed. Nothing of the answer's body is read, so nobody learns by an endpoint what an address answers.
 */
export async function postWebhook({ url, local, id, body, secrets, timeout_ms }: Webhook): Promise<void> {
  const fault = urlFault(url, { local });
  if (fault !== null) throw new Refused(`nothing may be sent there: ${fault}`);
  const headers = { ...signedHeaders(secrets, id, body), "user-agent": "Tollgate-Webhooks" };
  const answer = await askPeer(url, { method: "POST", headers, body }, { limit_bytes: 0, timeout_ms });
  if (answer.status >= 200 && answer.status < 300) return;
  if (answer.status === 410) throw new Gone("answered 410", url);
  throw new Unavailable(`answered ${answer.status}`, retryAfter(answer.headers.get("Retry-After")));
}
