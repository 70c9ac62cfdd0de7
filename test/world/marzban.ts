import { randomUUID } from "node:crypto";
import * as z from "zod";
import { type Peer, type PeerAnswer, type PeerRequest, startPeer } from "./peer.ts";
import type { Deed } from "./provisioner.ts";

/** A user of the panel, as it answers one. */
export interface PanelUser {
  username: string;
  status: string;
  note: string | null;
  expire: number | null;
  data_limit: number | null;
  proxies: Record<string, Record<string, string>>;
  inbounds: Record<string, string[]>;
}

/** Marzban in miniature: what its 0.8.4 answers to what the Worker asks of it. */
export interface PanelMiniature extends Peer {
  bindings: Record<string, string>;
  /** By name. */
  users: Map<string, PanelUser>;
  history: Omit<Deed, "message">[];
  /** Answers instead of it, but for a login; null: itself. */
  answers: ((request: PeerRequest) => PeerAnswer) | null;
  /** How its database sorts names: SQLite's knows no case, MySQL's goes by bytes. */
  order: "nocase" | "bytes";
  /** Whoever is logged in is so no longer. */
  logOut(): void;
  /** Makes a user as a person does, who knows nothing of us. */
  make(username: string, more?: Partial<PanelUser>): void;
}

const wish = z.object({
  username: z.string().optional(),
  status: z.enum(["active", "disabled", "on_hold"]).optional(),
  note: z.string().nullish(),
  expire: z.int().nullish(),
  data_limit: z.int().nullish(),
  proxies: z.record(z.string(), z.record(z.string(), z.string())).default({}),
  inbounds: z.record(z.string(), z.array(z.string())).default({}),
});

const name = /^(?=\w{3,32}\b)[a-zA-Z0-9-_@.]+(?:_[a-zA-Z0-9-_@.]+)*$/;
const tags: Record<string, string[]> = { vless: ["VLESS TCP REALITY", "VLESS WS"], trojan: ["Trojan WS"] };
const problem = (status: number, detail: string): PeerAnswer => ({ status, body: { detail } });

/** Starts a panel whose administrator is `tollgate`. */
export async function startPanel({ port = 0, password = "secret" } = {}): Promise<PanelMiniature> {
  const users: PanelMiniature["users"] = new Map();
  const history: PanelMiniature["history"] = [];
  const tokens = new Set<string>();

  const make = (username: string, more: Partial<PanelUser> = {}): PanelUser => {
    const made = { username, status: "active", note: null, expire: null, data_limit: null, proxies: {}, inbounds: {} };
    users.set(username, { ...made, ...more });
    return { ...made, ...more };
  };

  const logIn = (text: string): PeerAnswer => {
    const form = new URLSearchParams(text);
    if (form.get("username") !== "tollgate" || form.get("password") !== password) {
      return problem(401, "Incorrect username or password");
    }
    const token = randomUUID();
    tokens.add(token);
    return { status: 200, body: { access_token: token, token_type: "bearer" } };
  };

  const create = (text: string): PeerAnswer => {
    const { username = "", proxies, inbounds, note, expire, data_limit } = wish.parse(JSON.parse(text));
    if (!name.test(username)) return problem(422, "Username only can be 3 to 32 characters");
    if (Object.keys(proxies).length === 0) return problem(422, "Each user needs at least one proxy");
    for (const protocol of Object.keys(proxies)) {
      if (tags[protocol] === undefined) return problem(400, `Protocol ${protocol} is disabled on your server`);
    }
    if (users.has(username)) return problem(409, "User already exists");
    const taken = Object.fromEntries(Object.keys(proxies).map((of) => [of, inbounds[of] ?? tags[of] ?? []]));
    const more = { note: note ?? null, expire: expire || null, data_limit: data_limit || null };
    history.push({ did: "added", key: username });
    return { status: 200, body: make(username, { proxies, inbounds: taken, ...more }) };
  };

  const modify = (there: PanelUser, text: string): PeerAnswer => {
    const { status, note, expire, data_limit, proxies, inbounds } = wish.parse(JSON.parse(text));
    if (Object.keys(proxies).length > 0) there.proxies = proxies;
    Object.assign(there.inbounds, inbounds);
    if (status !== undefined) there.status = status;
    // Null is no change, and zero is no limit.
    if (typeof note === "string") there.note = note;
    if (typeof expire === "number") there.expire = expire || null;
    if (typeof data_limit === "number") there.data_limit = data_limit || null;
    return { status: 200, body: there };
  };

  const list = (query: URLSearchParams): PeerAnswer => {
    const all = [...users.values()];
    if (query.get("sort") === "username") {
      const sorted = (of: PanelUser) => (miniature.order === "nocase" ? of.username.toLowerCase() : of.username);
      all.sort((a, b) => (sorted(a) < sorted(b) ? -1 : 1));
    }
    const [offset, limit] = [Number(query.get("offset") ?? 0), Number(query.get("limit") ?? 0)];
    return {
      status: 200,
      body: { users: all.slice(offset, limit === 0 ? undefined : offset + limit), total: all.length },
    };
  };

  const handle = (request: PeerRequest): PeerAnswer => {
    const { method, path, query, headers, text } = request;
    if (method === "POST" && path === "/api/admin/token") return logIn(text);
    if (miniature.answers !== null) return miniature.answers(request);
    if (!tokens.has(headers["authorization"]?.replace("Bearer ", "") ?? ""))
      return problem(401, "Could not validate credentials");
    if (method === "POST" && path === "/api/user") return create(text);
    if (method === "GET" && path === "/api/users") return list(query);
    const there = users.get(/^\/api\/user\/([^/]+)$/.exec(path)?.[1] ?? "");
    if (there === undefined) return problem(404, "User not found");
    if (method === "GET") return { status: 200, body: there };
    if (method === "PUT") return modify(there, text);
    if (method !== "DELETE") return problem(405, "Method Not Allowed");
    users.delete(there.username);
    history.push({ did: "removed", key: there.username });
    return { status: 200, body: { detail: "User successfully deleted" } };
  };

  const peer = await startPeer({ port, handle });
  const bindings = {
    PROVISIONER_KIND: "marzban",
    PROVISIONER_URL: peer.url,
    PROVISIONER_USER: "tollgate",
    PROVISIONER_PASSWORD: password,
  };
  const miniature: PanelMiniature = Object.assign(peer, {
    bindings,
    users,
    history,
    answers: null,
    order: "nocase" as const,
    logOut: () => tokens.clear(),
    make: (username: string, more?: Partial<PanelUser>) => void make(username, more),
  });
  return miniature;
}
