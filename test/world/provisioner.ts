import { randomBytes } from "node:crypto";
import { Webhook } from "standardwebhooks";
import * as z from "zod";
import { type Peer, type PeerAnswer, type PeerRequest, startPeer } from "./peer.ts";

/** Something that was done to a provisioner's keys. Asking for what is so already does nothing. */
export interface Deed {
  did: "added" | "removed";
  key: string;
  /** The message by which it was asked for. */
  message: string;
}

/** An operator's provisioner in miniature: README's contract ("Provisioning"). */
export interface ProvisionerMiniature extends Peer {
  /** What the Worker is configured with. */
  bindings: Record<string, string>;
  /** Which keys it has, and what was said of each. */
  keys: Map<string, { key_id: string; workspace_id: string | null }>;
  history: Deed[];
  /** Answers instead of it, and does nothing; null: itself. */
  answers: ((request: PeerRequest) => PeerAnswer) | null;
}

const order = z.object({
  key: z.string(),
  key_id: z.string(),
  workspace_id: z.string().nullable(),
  message_id: z.string(),
});

/** Keys that know their order; it is made anew when one came or went. */
class Keys extends Map<string, { key_id: string; workspace_id: string | null }> {
  #sorted: string[] | null = null;

  override set(key: string, value: { key_id: string; workspace_id: string | null }): this {
    if (!this.has(key)) this.#sorted = null;
    return super.set(key, value);
  }

  override delete(key: string): boolean {
    this.#sorted = null;
    return super.delete(key);
  }

  override clear(): void {
    this.#sorted = null;
    super.clear();
  }

  sorted(): readonly string[] {
    return (this.#sorted ??= [...this.keys()].toSorted());
  }
}

/** Starts one. It believes no request without a good signature. */
export async function startProvisioner({
  port = 0,
  secret = `whsec_${randomBytes(24).toString("base64")}`,
} = {}): Promise<ProvisionerMiniature> {
  const keys = new Keys();
  const history: Deed[] = [];
  const webhook = new Webhook(secret);

  const handle = (request: PeerRequest): PeerAnswer => {
    if (miniature.answers !== null) return miniature.answers(request);
    const { method, path, query, headers, text } = request;
    const target = query.size === 0 ? path : `${path}?${query.toString()}`;
    try {
      webhook.verify(`${method} ${target}\n${text}`, headers, { jsonParse: false });
    } catch {
      return { status: 401, body: { message: "The signature is not good." } };
    }
    const message = headers["webhook-id"] ?? "";
    const [, key = ""] = /^\/keys\/([0-9a-f-]{36})$/.exec(path) ?? [];
    if (method === "GET" && path === "/keys") return list(query);
    if (method === "PUT" && key !== "") {
      const { key_id, workspace_id } = order.parse(JSON.parse(text));
      if (!keys.has(key)) history.push({ did: "added", key, message });
      keys.set(key, { key_id, workspace_id });
      return { status: 204 };
    }
    if (method === "DELETE" && key !== "") {
      if (!keys.delete(key)) return { status: 404, body: { message: "There is no such key." } };
      history.push({ did: "removed", key, message });
      return { status: 204 };
    }
    return { status: 404, body: { message: "There is no such path." } };
  };

  const list = (query: URLSearchParams): PeerAnswer => {
    const sorted = keys.sorted();
    const limit = Number(query.get("limit") ?? 1000);
    const after = query.get("after") ?? "";
    const from = after === "" ? 0 : placeAfter(sorted, after);
    const page = sorted.slice(from, from + limit);
    return { status: 200, body: { keys: page, next: from + limit < sorted.length ? page.at(-1) : null } };
  };

  const peer = await startPeer({ port, handle });
  const bindings = { PROVISIONER_KIND: "http", PROVISIONER_URL: peer.url, PROVISIONER_SECRET: secret };
  const miniature: ProvisionerMiniature = Object.assign(peer, { bindings, keys, history, answers: null });
  return miniature;
}

/** The place of the first that is greater. */
function placeAfter(sorted: readonly string[], key: string): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? "") <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}
