import { DatabaseError } from "pg";
import type { Pool } from "pg";
import { compose } from "../../../src/db/write.ts";
import { assertStanding } from "../../support/invariants.ts";
import { Door } from "../../support/door.ts";
import { Account, rows } from "../../support/scenario.ts";
import type { TestDatabase } from "../../support/database.ts";
import { withClient } from "../../world/roles.ts";

/** One guard, how it is taken out, and a probe that passes with it and must fail without it. */
export interface Mutation {
  /** What the guard holds. */
  guard: string;
  /** The routine whose text changes. */
  routine?: string;
  /** Each `from` must stand in the text, and becomes `to` wherever it stands. */
  changes?: [from: string | RegExp, to: string][];
  /** A constraint that goes, or becomes another of its name. */
  constraint?: { table: string; name: string; becomes?: string };
  /** A trigger that goes. */
  trigger?: { table: string; name: string };
  /** The envelope's statement, which `src/db/write.ts` composes. */
  envelope?: (statement: string) => string;
  /** A statement besides, and what undoes it. */
  ddl?: { apply: string; undo: string };
  probe: (lab: Lab) => Promise<void>;
}

/** A database on which one guard after another is taken out and put back. */
export class Lab {
  readonly database: TestDatabase;
  envelope: (statement: string) => string = (statement) => statement;

  constructor(database: TestDatabase) {
    this.database = database;
  }

  get db(): Pool {
    return this.database.owner;
  }

  account(unit = "credit"): Account {
    return new Account(this.db, { unit });
  }

  /** An account with `amount` of pool bulk. */
  async credited(amount: number): Promise<Account> {
    const account = this.account();
    await account.grant(amount);
    return account;
  }

  door(): Promise<Door> {
    return Door.open(this.db, (routine) => this.envelope(compose(routine)));
  }

  /** Every invariant, as the database stands. */
  stands(): Promise<void> {
    return assertStanding(this.db);
  }

  /** Takes the guard out, lets `work` run, and puts all back: the guard, and the rows that the mutant has spoiled. */
  async without(mutation: Mutation, work: () => Promise<void>): Promise<void> {
    const restore = await this.#takeOut(mutation);
    try {
      await work();
    } finally {
      await this.#empty();
      await restore();
    }
  }

  async #takeOut({
    routine,
    changes = [],
    constraint,
    trigger,
    envelope,
    ddl,
  }: Mutation): Promise<() => Promise<unknown>> {
    if (routine !== undefined) {
      const sound = await this.#one("select pg_get_functiondef($1::regproc) as text", [routine]);
      await this.db.query(changed(sound, changes, routine));
      return () => this.db.query(sound);
    }
    if (constraint !== undefined) {
      const { table, name, becomes } = constraint;
      const definition = await this.#one(
        "select pg_get_constraintdef(oid) as text from pg_constraint where conrelid = $1::regclass and conname = $2",
        [table, name],
      );
      const drop = `alter table ${table} drop constraint ${name}`;
      await this.db.query(becomes === undefined ? drop : `${drop}, add constraint ${name} ${becomes}`);
      return () =>
        this.db.query(`alter table ${table} drop constraint if exists ${name}, add constraint ${name} ${definition}`);
    }
    if (trigger !== undefined) {
      const definition = await this.#one(
        "select pg_get_triggerdef(oid) as text from pg_trigger where tgrelid = $1::regclass and tgname = $2",
        [trigger.table, trigger.name],
      );
      await this.db.query(`drop trigger ${trigger.name} on ${trigger.table}`);
      return () => this.db.query(definition);
    }
    if (ddl !== undefined) {
      await this.db.query(ddl.apply);
      return () => this.db.query(ddl.undo);
    }
    if (envelope === undefined) throw new Error("the mutation changes nothing");
    this.envelope = envelope;
    return async () => {
      this.envelope = (statement) => statement;
    };
  }

  async #one(text: string, values: unknown[]): Promise<string> {
    const [row] = await rows<{ text: string }>(this.db, text, values);
    if (row === undefined) throw new Error(`there is no ${values.join(" ")} to take out`);
    return row.text;
  }

  /** Past the append-only triggers, as only a superuser can. */
  async #empty(): Promise<void> {
    await withClient(this.database.superuserUrl, async (client) => {
      await client.query("set session_replication_role = replica");
      await client.query(
        `truncate ledger.account, ledger.lot, ledger.hold, ledger.transaction, ops.request, ops.audit, ops.alarm, ops.parked,
           ops.sweep, ops.sweep_run, ops.event, messages.outbox, messages.endpoint, messages.webhook_event, people.api_key, people.workspace, billing.renewal,
           billing.subscription, payments.customer, payments.purchase, payments.payment, payments.intent, payments.refund,
           payments.dispute, payments.campaign, payments.promo_code, payments.redemption, payments.referral, payments.reward,
           billing.trial, access.key, access.stray, messages.contact, messages.template, messages.broadcast, messages.channel`,
      );
      await client.query("update billing.policy set after_end = default, shortfall = default");
      await client.query("update access.stray_day set removed_at = default");
      await client.query("update payments.referral_policy set percent = default, recurring = default");
      await client.query("update ops.clock set clock_offset = interval '0'");
    });
  }
}

/** The text with every change made. Throws when a text to be replaced is not there: then the guard has moved. */
function changed(text: string, changes: [from: string | RegExp, to: string][], name: string): string {
  return changes.reduce((now, [from, to]) => {
    const then = now.replaceAll(from, to);
    if (then === now) throw new Error(`${name} no longer contains: ${String(from)}`);
    return then;
  }, text);
}

/**
 * How a probe failed; null when it passed. A mutant that Postgres cannot even run proves nothing, so its error is thrown
 * (class 42: syntax, unknown names), but for a missing privilege (42501).
 */
async function failureOf(probe: Promise<void>): Promise<unknown> {
  try {
    await probe;
    return null;
  } catch (error) {
    if (error instanceof DatabaseError && error.code?.startsWith("42") && error.code !== "42501") throw error;
    return error;
  }
}

/**
 * The failure by which a probe notices that its guard is gone; null: it did not. A probe that races is given ten goes: what happens at
 * once is not in the same order each time.
 */
export async function noticed(mutation: Mutation, lab: Lab): Promise<unknown> {
  let failure: unknown = null;
  for (let goes = 0; failure === null && goes < 10; goes += 1) failure = await failureOf(mutation.probe(lab));
  return failure;
}
