import { DatabaseError, Pool } from "pg";
import { until } from "./barrier.ts";
import type { TestDatabase } from "./database.ts";
import { rows } from "./scenario.ts";
import type { Db } from "./scenario.ts";

/** What befalls a statement at a row that it writes: its backend ends, an error of the moment, an error of the row. */
export type Blow = "killed" | "passing" | "faulty";

const sqlstates = { killed: "57P01", passing: "40001", faulty: "23514" } as const;

/**
 * Has statements fail at the n-th row that they write: of those connections only that were armed. Once each: the count is a
 * sequence, which a rollback does not take back.
 */
export class Bomb {
  readonly #db: Pool;
  /** Apart, so that the connections of all others stay warm. */
  readonly #doomed: Pool;
  hits = 0;

  private constructor({ owner, ownerUrl }: TestDatabase) {
    this.#db = owner;
    this.#doomed = new Pool({ connectionString: ownerUrl, max: 1, application_name: "doomed" });
    this.#doomed.on("error", () => undefined);
  }

  static async lay(database: TestDatabase): Promise<Bomb> {
    const { owner } = database;
    await owner.query(`
      create schema bomb;
      create sequence bomb.written;
      create function bomb.step() returns trigger language plpgsql as $$
      begin
        if pg_catalog.nextval('bomb.written') <> pg_catalog.current_setting('bomb.row')::bigint then
          return null;
        elsif pg_catalog.current_setting('bomb.sqlstate') = '57P01' then
          perform pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid());
        end if;
        perform pg_catalog.pg_sleep(0);
        raise exception using errcode = pg_catalog.current_setting('bomb.sqlstate'), message = 'a fault of the walk''s';
      end $$`);
    const tables = await rows<{ name: string }>(
      owner,
      `select format('%I.%I', n.nspname, c.relname) as name
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind = 'r' and n.nspname in ('ledger', 'people', 'ops', 'messages', 'billing', 'payments', 'access')`,
    );
    for (const { name } of tables) {
      await owner.query(
        `create trigger bomb after insert or update or delete on ${name} for each row
           when (coalesce(pg_catalog.current_setting('bomb.row', true), '') <> '') execute function bomb.step()`,
      );
    }
    return new Bomb(database);
  }

  async close(): Promise<void> {
    await this.#doomed.end();
  }

  /**
   * Does something on a connection whose n-th written row fails. Answers whether it was done, or refused, all the same: it
   * wrote fewer; what it was is then answered or thrown. Nobody is at work any more when this returns.
   */
  async under<Answer>(blow: Blow, nth: number, act: (db: Db) => Promise<Answer>): Promise<{ answer: Answer } | null> {
    const killed = blow === "killed";
    const connection = await (killed ? this.#doomed : this.#db).connect();
    const ignored = (): void => undefined;
    connection.on("error", ignored);
    let hit = false;
    try {
      await connection.query(
        `select set_config('bomb.row', $1, false), set_config('bomb.sqlstate', $2, false), setval('bomb.written', 1, false)`,
        [String(nth), sqlstates[blow]],
      );
      return { answer: await act(connection) };
    } catch (error) {
      hit = error instanceof DatabaseError ? error.code === sqlstates[blow] : killed;
      if (!hit) throw error;
      this.hits += 1;
      return null;
    } finally {
      connection.off("error", ignored);
      if (!killed) await connection.query("select set_config('bomb.row', '', false)");
      connection.release(killed && hit);
      // Its client hears of its end before its locks are free, and a sweep waits for nobody's.
      if (killed && hit) await until("it is gone", () => this.#isGone());
      else if (killed) await this.#doomed.query("select set_config('bomb.row', '', false)");
    }
  }

  async #isGone(): Promise<boolean> {
    const found = await this.#db.query(
      "select from pg_stat_activity where datname = current_database() and application_name = 'doomed'",
    );
    return found.rowCount === 0;
  }
}
