import { randomUUID } from "node:crypto";

/** What the Worker answered, read whole. */
export interface Answer {
  status: number;
  headers: Headers;
  body: Readonly<Record<string, unknown>>;
}

/** A call beyond what {@link Api} has words for. */
export interface Call {
  body?: unknown;
  /** The Idempotency-Key; null sends none. Without it, POST and PUT get a new one. */
  key?: string | null;
  headers?: Record<string, string>;
}

/** Talks to a Worker with one API key, as a client would. */
export class Api {
  readonly url: string;
  readonly apiKey: string;

  constructor(url: string, apiKey: string) {
    this.url = url;
    this.apiKey = apiKey;
  }

  /** The same Worker with another API key. */
  as(apiKey: string): Api {
    return new Api(this.url, apiKey);
  }

  get(path: string): Promise<Answer> {
    return this.call("GET", path);
  }

  post(path: string, body: unknown = {}, key: string | null = randomUUID()): Promise<Answer> {
    return this.call("POST", path, { body, key });
  }

  put(path: string, body: unknown, key: string | null = randomUUID()): Promise<Answer> {
    return this.call("PUT", path, { body, key });
  }

  /** Sends a request; a body that is not text or bytes goes as JSON. */
  async call(method: string, path: string, { body, key = null, headers = {} }: Call = {}): Promise<Answer> {
    const raw = typeof body === "string" || body instanceof Uint8Array;
    const response = await fetch(`${this.url}${path}`, {
      method,
      redirect: "manual",
      headers: {
        Authorization: `Bearer ${this.apiKey}`,
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...(key === null ? {} : { "Idempotency-Key": key }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: raw ? body : JSON.stringify(body) }),
    });
    return { status: response.status, headers: response.headers, body: objectOf(await response.text()) };
  }

  /** Makes a workspace and, where asked, gives it credits; answers the path of its credits. */
  async workspace(pools: { subscription?: number; bulk?: number; promo?: number } = {}): Promise<Workspace> {
    const made = await this.post("/v1/workspaces", { name: "Acme" });
    const id = idOf(made);
    const workspace = { id, path: `/v1/workspaces/${id}`, credits: `/v1/workspaces/${id}/credits` };
    for (const [pool, amount] of Object.entries(pools)) {
      const granted = await this.post(`${workspace.credits}/grants`, { pool, amount });
      if (granted.status !== 201) throw new Error(`not granted: ${JSON.stringify(granted.body)}`);
    }
    return workspace;
  }

  /** Makes an API key, of the operator's or of a workspace's, and answers a client that uses it. */
  async withKey(scopes: string[], workspace_id?: string): Promise<Api> {
    const made = await this.post("/v1/keys", { name: "a test's", scopes, ...(workspace_id && { workspace_id }) });
    return this.as(textOf(made, "key"));
  }
}

/** A workspace of a test's. */
export interface Workspace {
  id: string;
  path: string;
  /** The path of its credits. */
  credits: string;
}

/** The `id` of what was made. */
export function idOf(answer: Answer): string {
  return textOf(answer, "id");
}

/** A member that must be text. */
export function textOf(answer: Answer, member: string): string {
  const value = answer.body[member];
  if (typeof value !== "string") throw new Error(`no ${member} in ${answer.status} ${JSON.stringify(answer.body)}`);
  return value;
}

function objectOf(text: string): Record<string, unknown> {
  if (text === "") return {};
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error(`not an object: ${text}`);
  return { ...value };
}
