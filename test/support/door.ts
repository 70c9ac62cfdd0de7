import { createHash, randomUUID } from "node:crypto";
import type { Pool } from "pg";
import { isDeepStrictEqual } from "node:util";
import type { Routine } from "../../src/db/routine.ts";
import { compose } from "../../src/db/write.ts";
import { scopes as allScopes } from "../../src/http/route.ts";
import { declared } from "./declarations.ts";
import { call, rows } from "./scenario.ts";
import type { Db } from "./scenario.ts";

/** One request, as the Worker would send it. */
export interface Request {
  /** As the Worker declares it, by its name; or a declaration. */
  routine: string | Routine;
  args: Record<string, unknown>;
  workspace: string | null;
  /** The presented key's hash; without it, the door's operator. */
  credential?: string;
  scope?: string;
  key?: string | null;
  /** Hex; the same for the same request. */
  fingerprint?: string;
  request_id?: string;
}

/** What the envelope answered. */
export interface Answered {
  replayed: boolean;
  answer: Record<string, unknown>;
}

/**
 * The envelope over a plain connection: the very statement that `src/db/write.ts` composes, without the Worker and
 * without HTTP, in the name of an operator's key of its own.
 */
export class Door {
  readonly db: Pool;
  readonly operator: string;
  readonly #compose: (routine: Routine) => string;
  readonly #first: { request: Required<Request>; answered: Answered }[] = [];

  private constructor(db: Pool, operator: string, composed: (routine: Routine) => string) {
    this.db = db;
    this.operator = operator;
    this.#compose = composed;
  }

  /** Makes an operator's key and a door for it. `composed` makes the statement; it is `src/db/write.ts`'s unless told. */
  static async open(db: Pool, composed: (routine: Routine) => string = compose): Promise<Door> {
    return new Door(db, (await makeKey(db)).hash, composed);
  }

  /** Makes a workspace, and gives it credits where asked. */
  async workspace(credits = 0): Promise<string> {
    const { id } = await call<{ id: string }>(this.db, "people.create_workspace", { name: "Acme", caused_by: "test" });
    if (credits > 0) await this.write({ workspace: id, routine: "ledger.grant", args: granting(credits) });
    return id;
  }

  /** Makes a key; answers its id and its hash, which is what a request presents. */
  key(
    wish: { scopes?: string[]; workspace?: string; expires_in?: string } = {},
  ): Promise<{ id: string; hash: string }> {
    return makeKey(this.db, wish);
  }

  /** Sends a request on its way, on a connection of the pool or on the one given. */
  async write(request: Request, on: Db = this.db): Promise<Answered> {
    // A request that is repeated must be the same request, so what was left out is settled here.
    const whole: Required<Request> = {
      credential: this.operator,
      scope: "credits:write",
      key: null,
      fingerprint: "00",
      request_id: randomUUID(),
      ...request,
    };
    const answered = await this.#send(on, whole);
    if (on === this.db && whole.key !== null && !answered.replayed) this.#first.push({ request: whole, answered });
    return answered;
  }

  /** A replay equals the first answer: sends every request again whose answer is still kept, under a new request id. */
  async assertReplays(): Promise<void> {
    for (const { request, answered } of this.#first) {
      const { rowCount } = await this.db.query(
        "select from ops.request where workspace_id is not distinct from $1 and idempotency_key = $2",
        [request.workspace, request.key],
      );
      if (rowCount === 0) continue;
      const repeat = { ...request, credential: this.operator, request_id: randomUUID() };
      const again = await this.#send(this.db, repeat);
      if (!again.replayed || !isDeepStrictEqual(again.answer, answered.answer)) {
        throw new Error(
          `not so: a replay equals the first answer: ${named(request.routine).name} under ${request.key}`,
        );
      }
    }
  }

  async #send(on: Db, request: Required<Request>): Promise<Answered> {
    const { credential, scope, workspace, key, fingerprint, request_id, args } = request;
    const routine = named(request.routine);
    const given: unknown[] = Object.keys(routine.args.shape).map((name) => args[name]);
    const envelope: unknown[] = [credential, scope, workspace, key, fingerprint, request_id];
    const [row] = await rows<Answered>(on, this.#compose(routine), envelope.concat(given));
    if (row === undefined) throw new Error(`${routine.name} answered nothing`);
    return row;
  }
}

const named = (of: string | Routine): Routine => (typeof of === "string" ? declared(of) : of);

/** The arguments of a grant to pool `bulk`. */
export const granting = (amount: number) => ({ unit: "credit", pool: "bulk", amount, expires_at: null, reason: null });

/** The arguments of a spend. */
export const spending = (amount: number) => ({ unit: "credit", amount, reason: null });

async function makeKey(
  db: Db,
  {
    scopes = [...allScopes],
    workspace,
    expires_in,
  }: { scopes?: string[]; workspace?: string; expires_in?: string } = {},
): Promise<{ id: string; hash: string }> {
  const hash = createHash("sha256").update(randomUUID()).digest("hex");
  const { id } = await call<{ id: string }>(db, "people.create_api_key", {
    workspace_id: workspace ?? null,
    name: "a test's",
    scopes,
    hash,
    prefix: "tg_test",
    expires_in: expires_in ?? null,
    caused_by: "test",
  });
  return { id, hash };
}
