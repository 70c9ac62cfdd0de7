import { randomUUID } from "node:crypto";
import { DatabaseError } from "pg";
import * as z from "zod";
import { routine } from "../../src/db/routine.ts";
import type { Routine } from "../../src/db/routine.ts";
import { Problem } from "../../src/http/problem.ts";
import { declared } from "./envelope.ts";
import type { Envelope } from "./envelope.ts";
import { paid } from "./model.ts";
import type { Operation, Outcome } from "./model.ts";
import { bodyInWords, columnsInWords } from "./model-words.ts";
import { rows } from "./scenario.ts";
import type { Db } from "./scenario.ts";

/** What a call came back with, in the model's words and as it stood. */
export interface Heard {
  outcome: Outcome;
  replayed: boolean;
  /** To be compared with another answer to the same request. */
  raw: unknown;
}

/** The same request, to be sent as often as one likes. */
export type Request = () => Promise<Heard>;

/** When an hour of the model's ends, as a request gives it. */
export type Instant = (hour: number) => string;

const moving = { owner_id: "workspace_id", idempotency_key: "idempotency_key", caused_by: "caused_by" } as const;

/** As the Worker's, but for a payment. */
const grant = routine({
  name: "ledger.grant",
  context: moving,
  args: z.strictObject({
    unit: z.string(),
    pool: z.string(),
    amount: z.int(),
    expires_at: z.string().nullable(),
    reason: z.null(),
    payment_id: z.string().nullable(),
  }),
  result: z.looseObject({}),
});
const takeBack = routine({
  name: "public.model_take_back",
  context: moving,
  args: z.strictObject({ payment_id: z.string(), refunded: z.int(), lost: z.int(), paid: z.int() }),
  result: z.looseObject({}),
});
const setLimit = routine({
  name: "ledger.set_limit",
  context: moving,
  args: z.strictObject({ unit: z.string(), amount: z.int() }),
  result: z.looseObject({}),
});

/**
 * The envelope calls only what the Worker may, and only what answers a composite; ledger.take_back is called by payments'
 * routines. So it is called through one here.
 */
export async function preparePayments(db: Db): Promise<void> {
  await db.query(`
    create function public.model_take_back(
      owner_id uuid, payment_id uuid, refunded bigint, lost bigint, paid bigint, idempotency_key text, caused_by text,
      out taken bigint, out of uuid) language plpgsql security definer as
      'begin of := payment_id; taken := (ledger.take_back(owner_id, payment_id, refunded, lost, paid, idempotency_key, caused_by)).taken; end';
    grant execute on function public.model_take_back to tollgate_worker`);
}

/** The client of one workspace, who calls the routines in their envelope. */
export class ModelClient {
  readonly workspace: string;
  readonly #envelope: Envelope;
  readonly #db: Db;

  constructor(workspace: string, envelope: Envelope, db: Db) {
    this.workspace = workspace;
    this.#envelope = envelope;
    this.#db = db;
  }

  /** Makes a request out of an operation of the model's. */
  async request(key: string, operation: Operation, instant: Instant): Promise<Request> {
    const unit = "credit";
    const until = (ends: number | null) => (ends === null ? null : instant(ends));
    switch (operation.kind) {
      case "grant": {
        const { pool, amount, ends, payment } = operation;
        const payment_id = payment === null ? null : this.#paymentId(payment);
        return this.#calling(key, grant, { unit, pool, amount, expires_at: until(ends), reason: null, payment_id });
      }
      case "reset": {
        const { amount, ends } = operation;
        const given = { unit, pool: "subscription", amount, expires_at: until(ends), reason: null };
        return this.#calling(key, declared("ledger.reset"), given);
      }
      case "spend":
        return this.#calling(key, declared("ledger.spend"), { unit, amount: operation.amount, reason: null });
      case "batch": {
        const { items } = operation;
        return this.#calling(key, declared("ledger.spend_many"), {
          unit,
          keys: items.map((item) => item.key),
          amounts: items.map((item) => item.amount),
          reasons: items.map(() => null),
        });
      }
      case "hold": {
        const { amount, hours } = operation;
        const wish = { unit, amount, expires_in: `${hours * 3600 + 1800} seconds`, reason: null };
        return this.#calling(key, declared("ledger.hold"), wish);
      }
      case "settle": {
        const hold_id = await this.find("hold_id", operation.hold);
        return this.#calling(key, declared("ledger.settle"), { unit, hold_id, amount: operation.amount });
      }
      case "release": {
        const hold_id = await this.find("hold_id", operation.hold);
        return this.#calling(key, declared("ledger.release"), { unit, hold_id });
      }
      case "adjust":
        return this.#calling(key, declared("ledger.adjust"), { unit, amount: operation.amount, reason: "model" });
      case "reverse": {
        const transaction_id = await this.find("id", operation.transaction);
        return this.#calling(key, declared("ledger.reverse"), { unit, transaction_id, reason: "model" });
      }
      case "take_back": {
        const { payment, refunded, lost } = operation;
        return this.#calling(key, takeBack, { payment_id: this.#paymentId(payment), refunded, lost, paid });
      }
      case "limit":
        return this.#calling(key, setLimit, { unit, amount: operation.amount });
    }
  }

  async balance(): Promise<Outcome> {
    const [row] = await rows<Record<string, unknown>>(this.#db, "select * from ledger.balance_of($1, 'credit')", [
      this.workspace,
    ]);
    return columnsInWords(row ?? {});
  }

  /** State by the key that made it. */
  async holds(): Promise<Record<string, string>> {
    const found = await rows<{ key: string; state: string }>(
      this.#db,
      `select t.idempotency_key as key, h.state from ledger.hold h
         join ledger.transaction t on t.owner_id = h.owner_id and t.hold_id = h.id and t.kind = 'hold'
        where h.owner_id = $1`,
      [this.workspace],
    );
    return Object.fromEntries(found.map(({ key, state }) => [key, state]));
  }

  async verified(): Promise<boolean> {
    const [row] = await rows<{ oks: boolean[] }>(this.#db, "select oks from ledger.verify($1)", [this.workspace]);
    return row?.oks.every(Boolean) ?? false;
  }

  /** The id that a key's transaction has, or that of its hold; one that nobody has where there is none. */
  protected async find(column: "id" | "hold_id", key: string): Promise<string> {
    const [row] = await rows<{ id: string }>(
      this.#db,
      `select ${column} as id from ledger.transaction where owner_id = $1 and idempotency_key = $2`,
      [this.workspace, key],
    );
    return row?.id ?? randomUUID();
  }

  /** A payment of this workspace's, the same for the same name. */
  #paymentId(name: string): string {
    return `${this.workspace.slice(0, -2)}${Buffer.from(name).toString("hex").slice(-2)}`;
  }

  #calling(key: string, called: Routine, args: Record<string, unknown>): Request {
    const fingerprint = Buffer.from(JSON.stringify([called.name, args])).toString("hex");
    return async () => {
      for (let attempt = 0; attempt < 50; attempt += 1) {
        try {
          const sending = { workspace: this.workspace, key, fingerprint };
          const { answer, replayed } = await this.#envelope.write(called, args, sending);
          return { outcome: columnsInWords(answer), replayed, raw: answer };
        } catch (error) {
          const refused = refusalOf(error);
          if (refused === "again") continue;
          return { outcome: refused, replayed: false, raw: refused };
        }
      }
      throw new Error(`${called.name}: nobody knows`);
    };
  }
}

/** A refusal with its members; "again" where a client is to repeat; everything else is thrown on. */
function refusalOf(error: unknown): Outcome | "again" {
  if (error instanceof DatabaseError && error.code === "TG001") {
    return bodyInWords({ ...z.looseObject({}).parse(JSON.parse(error.detail ?? "{}")), code: error.message });
  }
  if (!(error instanceof Problem) || error.code === "internal_error") throw error;
  if (["outcome_unknown", "database_busy", "database_unavailable"].includes(error.code)) return "again";
  return bodyInWords({ ...error.members, code: error.code });
}
