import type { Api, Workspace } from "./api.ts";
import type { Envelope } from "./envelope.ts";
import { ModelClient } from "./model-client.ts";
import type { Heard, Instant, Request } from "./model-client.ts";
import type { Operation, Outcome } from "./model.ts";
import { bodyInWords } from "./model-words.ts";
import type { Db } from "./scenario.ts";

/** The client of one workspace, who goes through the Worker wherever there is a route. */
export class ApiClient extends ModelClient {
  readonly #api: Api;
  readonly #paths: Workspace;

  constructor(api: Api, workspace: Workspace, envelope: Envelope, db: Db) {
    super(workspace.id, envelope, db);
    this.#api = api;
    this.#paths = workspace;
  }

  override async request(key: string, operation: Operation, instant: Instant): Promise<Request> {
    const { credits } = this.#paths;
    const post = (path: string, body: unknown) => () => this.#heard("POST", `${credits}/${path}`, body, key);
    const until = (ends: number | null) => (ends === null ? {} : { expires_at: instant(ends) });
    switch (operation.kind) {
      case "grant": {
        const { pool, amount, ends, payment } = operation;
        if (payment !== null) return await super.request(key, operation, instant);
        return post("grants", { pool, amount, ...until(ends) });
      }
      case "reset": {
        const body = { amount: operation.amount, ...until(operation.ends) };
        return () => this.#heard("PUT", `${credits}/pools/subscription`, body, key);
      }
      case "spend":
        return post("spend", { amount: operation.amount });
      case "batch":
        return post("spend/batch", { items: operation.items });
      case "hold":
        return post("holds", { amount: operation.amount, expires_in: operation.hours * 3600 + 1800 });
      case "settle": {
        const { hold, amount } = operation;
        return post(`holds/${await this.find("hold_id", hold)}/settle`, amount === null ? {} : { amount });
      }
      case "release":
        return post(`holds/${await this.find("hold_id", operation.hold)}/release`, {});
      case "adjust":
        return post("adjustments", { amount: operation.amount, reason: "model" });
      case "reverse":
        return post(`transactions/${await this.find("id", operation.transaction)}/reverse`, { reason: "model" });
      case "take_back":
      case "limit":
        return await super.request(key, operation, instant);
    }
  }

  override async balance(): Promise<Outcome> {
    return bodyInWords((await this.#api.get(this.#paths.credits)).body);
  }

  override async verified(): Promise<boolean> {
    return (await this.#api.get(`${this.#paths.path}/ledger/verify`)).body["ok"] === true;
  }

  /** Sends until somebody knows: what a client does that hears 503. */
  async #heard(method: string, path: string, body: unknown, key: string): Promise<Heard> {
    for (let attempt = 0; attempt < 50; attempt += 1) {
      const { status, body: raw, headers } = await this.#api.call(method, path, { body, key });
      if (status === 503) continue;
      if (status >= 500) throw new Error(`${method} ${path}: ${JSON.stringify(raw)}`);
      return { outcome: bodyInWords(raw), replayed: headers.get("Idempotent-Replayed") === "true", raw };
    }
    throw new Error(`${method} ${path}: nobody knows`);
  }
}
