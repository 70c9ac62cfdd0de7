import { createHash } from "node:crypto";
import { DatabaseError, Pool } from "pg";
import type { PoolClient } from "pg";
import * as z from "zod";
import { routine } from "../../src/db/routine.ts";
import { registry } from "../../src/sweeps/registry.ts";
import { until } from "./barrier.ts";
import { createTestDatabase } from "./database.ts";
import type { TestDatabase } from "./database.ts";
import { Door } from "./door.ts";
import { rows } from "./scenario.ts";
import type { Db } from "./scenario.ts";

/**
 * How a statement ends at a write: its backend is ended, connection and all; an error of the moment, which everybody raises
 * again; an error of the row, which a sweep bears and the inbox keeps.
 */
export type Blow = "killed" | "passing" | "faulty";

/** Where a statement ends: at its n-th row written, from 1, or when it commits, with everything written. */
export type Place = number | "commit";

/** What a statement fails with. */
export const sqlstates = { killed: "57P01", passing: "40001", faulty: "23514" } as const;

/** Does something, on this connection; the same again is the same request. */
export type Act = (db: Db) => Promise<unknown>;

/** What is in a database, but for what was there at first: alike in two databases to which the same was done. */
export interface Contents {
  /** Its rows without their ids: what a difference is read in. */
  rows: string[];
  /** Its rows with names for ids, each made of all rows that the id stands in: who belongs to whom. */
  bound: string[];
}

const schemas = "('ledger', 'people', 'ops', 'messages', 'billing', 'payments', 'access')";

/** The frozen time: two databases to which the same was done have the same times in them. */
const began = "2027-01-10T12:00:00Z";

/** Who runs a sweep, and since when: written around what it does. */
const unmined: ReadonlySet<string> = new Set(["ops.sweep", "ops.sweep_run"]);

/** Ids, and the names that tests and the provider give. */
const id = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[a-z]+_[0-9a-f]{8,12}(?![0-9a-f])/g;

/**
 * A database with a mine under every row that is written: at most one of them is live. The n-th row that anybody writes from the
 * moment at which it was armed sets it off. The count, and what was hit, are sequences: a rollback does not take them back.
 */
export class Minefield {
  readonly database: TestDatabase;
  readonly door: Door;
  readonly #control: PoolClient;
  /** Each of its connections is ended on purpose, so that the others stay warm: a routine's first call costs most. */
  readonly #doomed: Pool;
  readonly #tables: readonly string[];
  /** What was there when the mines were laid. */
  #first: Record<string, string> = {};

  private constructor(database: TestDatabase, door: Door, control: PoolClient, tables: readonly string[]) {
    this.database = database;
    this.door = door;
    this.#control = control;
    this.#doomed = new Pool({ connectionString: database.ownerUrl, max: 1, application_name: "doomed" });
    this.#doomed.on("error", ignored);
    this.#tables = tables;
  }

  /** Lays the mines in a database, as only a superuser can; `frozen`: its time stands still, but for who moves it. */
  static async lay(database?: TestDatabase, { frozen = true } = {}): Promise<Minefield> {
    const of = database ?? (await createTestDatabase());
    const door = await Door.open(of.owner);
    const superusers = new Pool({ connectionString: of.superuserUrl, max: 1 });
    const control = await superusers.connect();
    await control.query(laying);
    if (frozen) await control.query(freezing);
    const tables = await rows<{ name: string }>(control, listing);
    const names = tables.map(({ name }) => name);
    for (const name of names) {
      await control.query(`create table mine."${name}" as table ${name}`);
      if (unmined.has(name)) continue;
      await control.query(
        `create trigger mine after insert or update or delete on ${name} for each row execute function mine.step();
         create constraint trigger mine_at_commit after insert or update or delete on ${name}
           deferrable initially deferred for each row execute function mine.commit()`,
      );
    }
    const sums = names.map((name) => `(select coalesce(sum(hashtextextended(t::text, 0)), 0)::text from ${name} t)`);
    // A routine's plans are kept: it is asked some thousand times.
    await control.query(
      `create function mine.digest() returns text[] language plpgsql as $$ begin return array[${sums.join(", ")}]; end $$;
       grant usage on schema mine to public; grant select on all tables in schema mine to public`,
    );
    const field = new Minefield(of, door, control, names);
    field.#first = await field.digest();
    return field;
  }

  get db(): Pool {
    return this.database.owner;
  }

  /** All is as it was when the mines were laid. Past the append-only triggers, as only a superuser can. */
  async clear(): Promise<void> {
    await this.disarm();
    const texts = this.#tables.map((name) => `delete from ${name}; insert into ${name} table mine."${name}";`);
    await this.#control.query(`begin; set local session_replication_role = replica; ${texts.join("")} commit`);
  }

  /** Ends its connections; the database stays, with its mines. */
  async leave(): Promise<void> {
    this.#control.release(true);
    await this.#doomed.end();
  }

  async close(): Promise<void> {
    await this.leave();
    await this.database.drop();
  }

  /** The next statement that gets to this place ends there. */
  async arm(at: Place, blow: Blow): Promise<void> {
    await this.#control.query(
      `select setval('mine.written', 1, false), setval('mine.hit', 0, false);
       update mine.live set nth = ${at === "commit" ? "null" : at}, at_commit = ${at === "commit"}, blow = '${blow}',
         sqlstate = '${sqlstates[blow]}'`,
    );
  }

  /** No mine is live any more. Answers the table whose write set it off, or null. */
  async disarm(): Promise<string | null> {
    await this.#control.query("update mine.live set nth = null, at_commit = false");
    const [hit] = await rows<{ name: string | null }>(
      this.#control,
      `select case when h.is_called then h.last_value::oid::regclass::text end as name from mine.hit h`,
    );
    return hit?.name ?? null;
  }

  /**
   * Does something over a live mine, on a connection of its own. `hit`: which table's write set it off; null: none did.
   * `failure`: how the act failed, if it did: an SQLSTATE, or what is no error of the database's.
   */
  async over(at: Place, blow: Blow, act: Act): Promise<{ hit: string | null; failure: unknown }> {
    const connection = await (blow === "killed" ? this.#doomed : this.db).connect();
    connection.on("error", ignored);
    await this.arm(at, blow);
    let failure: unknown = null;
    try {
      await act(connection);
    } catch (error) {
      failure = error instanceof DatabaseError ? error.code : error;
    }
    connection.off("error", ignored);
    connection.release(blow === "killed");
    // Its client hears of its end before its locks are free, and a sweep waits for nobody's.
    if (blow === "killed") await until("it is gone", () => this.#isGone());
    return { hit: await this.disarm(), failure };
  }

  async #isGone(): Promise<boolean> {
    const found = await this.#control.query(
      "select from pg_stat_activity where datname = current_database() and application_name = 'doomed'",
    );
    return found.rowCount === 0;
  }

  /** The same, but for the end: nothing of it stays, and `look` sees what would have, where it has not failed. */
  async supposing(
    at: Place,
    blow: Blow,
    act: Act,
    look: (seen: { hit: string | null; answer: unknown; db: Db }) => Promise<void>,
  ): Promise<{ hit: string | null; failure: unknown }> {
    const db = await this.db.connect();
    try {
      await db.query("begin");
      await this.arm(at, blow);
      const answer = await act(db);
      await db.query("set constraints all immediate");
      const hit = await this.disarm();
      await look({ hit, answer, db });
      return { hit, failure: null };
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      return { hit: await this.disarm(), failure: error.code };
    } finally {
      await db.query("rollback");
      db.release();
    }
  }

  /** Does something on a connection of its own. */
  async alone(act: Act): Promise<unknown> {
    const connection = await this.db.connect();
    try {
      return await act(connection);
    } finally {
      connection.release();
    }
  }

  /** Does something, and answers besides how many rows it wrote. */
  async counting(act: Act): Promise<{ answer: unknown; writes: number }> {
    await this.#control.query("select setval('mine.written', 1, false)");
    const answer = await this.alone(act);
    const [{ writes } = { writes: 0 }] = await rows<{ writes: number }>(
      this.#control,
      "select case when is_called then last_value else 0 end as writes from mine.written",
    );
    return { answer, writes };
  }

  /** A digest of every table there is. Equal before and after: nothing has been written. */
  async digest(db: Db = this.#control): Promise<Record<string, string>> {
    const [row] = await rows<{ sums: string[] }>(db, "select mine.digest() as sums");
    return Object.fromEntries(this.#tables.map((name, i) => [name, row?.sums[i] ?? ""]));
  }

  async contents(db: Db = this.#control): Promise<Contents> {
    const now = await this.digest(db);
    const texts = this.#tables
      .filter((name) => now[name] !== this.#first[name])
      .map(
        (name) =>
          `select '${name}' as name, to_jsonb(t)::text as text from ${name} t
           except all select '${name}', to_jsonb(t)::text from mine."${name}" t`,
      );
    return canonical(await rows<Written>(db, texts.join(" union all ")));
  }

  /** Runs every sweep that is a routine, until none has more to do. */
  async sweep(): Promise<void> {
    for (const { calls, batch } of registry) {
      if (Object.keys(calls[0]?.args.shape ?? {}).join() !== "batch") continue;
      for (let more = true; more;) {
        const [run] = await rows<{ more: boolean }>(this.db, `select more from ${calls[0]?.name}($1)`, [batch]);
        more = run?.more ?? false;
      }
    }
  }

  /** Does something while a routine's text is another: `from`, which must stand in it, is `to`. */
  async altered(name: string, from: string, to: string, work: () => Promise<void>): Promise<void> {
    const [sound] = await rows<{ text: string }>(this.#control, "select pg_get_functiondef($1::regproc) as text", [
      name,
    ]);
    if (sound === undefined || !sound.text.includes(from)) throw new Error(`${name} no longer contains: ${from}`);
    await this.#control.query(sound.text.replace(from, () => to));
    try {
      await work();
    } finally {
      await this.#control.query(sound.text);
    }
  }

  /** Moves the frozen time to this instant. */
  async travel(at: string): Promise<void> {
    await this.db.query("update ops.clock set clock_offset = $1::timestamptz - $2::timestamptz", [at, began]);
  }

  /** A workspace's request, in the Worker's envelope, under a key: the same again is a replay. */
  request(workspace: string, name: `${string}.${string}`, args: Record<string, unknown>, key = "mine"): Act {
    const called = routine({
      name,
      context: { workspace_id: "workspace_id", caused_by: "caused_by" },
      args: z.object(Object.fromEntries(Object.keys(args).map((of) => [of, z.unknown()]))),
      result: z.object({}),
    });
    return async (db) => (await this.door.write({ workspace, routine: called, args, key }, db)).answer;
  }
}

/** A connection whose backend is ended on purpose says so twice. */
const ignored = (): void => undefined;

interface Written {
  name: string;
  text: string;
}

/** Rows as text, in an order and with names that do not depend on the ids which they happened to get. */
function canonical(written: readonly Written[]): Contents {
  let names = new Map<string, string>();
  const shown = ({ name, text }: Written): string => `${name} ${text.replaceAll(id, (of) => names.get(of) ?? "<id>")}`;
  const plain = written.map(shown).toSorted();
  // Each round, an id is known by what it stands in, and where: three rounds reach from a payment to its owner's other rows.
  for (let round = 0; round < 3; round += 1) {
    const standsIn = new Map<string, string[]>();
    for (const row of written) {
      const text = shown(row);
      for (const [i, [of]] of [...row.text.matchAll(id)].entries()) {
        standsIn.set(of, [...(standsIn.get(of) ?? []), `${i} ${text}`]);
      }
    }
    names = new Map(
      [...standsIn].map(([of, places]) => [
        of,
        `<${createHash("sha256").update(places.toSorted().join("\n")).digest("hex").slice(0, 12)}>`,
      ]),
    );
  }
  return { rows: plain, bound: written.map(shown).toSorted() };
}

const listing = `
  select format('%I.%I', n.nspname, c.relname) as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind = 'r' and n.nspname in ${schemas} order by 1`;

const laying = `
  create schema mine;
  create sequence mine.written minvalue 0;
  create sequence mine.hit minvalue 0;
  create table mine.live (nth bigint, at_commit boolean not null, blow text, sqlstate text);
  insert into mine.live (at_commit) values (false);

  create function mine.blow(relid oid, blow text, sqlstate text) returns void language plpgsql as $$
  begin
    perform pg_catalog.setval('mine.hit', blow.relid::bigint);
    if blow.blow = 'killed' then
      perform pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid());
    end if;
    raise exception using errcode = case blow.blow when 'killed' then 'XX000' else blow.sqlstate end, message = 'a mine';
  end $$;

  create function mine.step() returns trigger language plpgsql security definer set search_path = '' as $$
  declare
    v_nth bigint := nextval('mine.written');
    v_live record;
  begin
    select l.nth, l.blow, l.sqlstate into v_live from mine.live l;
    if v_live.nth = v_nth then
      perform mine.blow(tg_relid, v_live.blow, v_live.sqlstate);
    end if;
    return null;
  end $$;

  create function mine.commit() returns trigger language plpgsql security definer set search_path = '' as $$
  declare
    v_live record;
  begin
    select l.blow, l.sqlstate into v_live from mine.live l where l.at_commit;
    if found and not (select h.is_called from mine.hit h) then
      perform mine.blow(tg_relid, v_live.blow, v_live.sqlstate);
    end if;
    return null;
  end $$;`;

const freezing = `
  create or replace function ops.now() returns timestamptz language plpgsql volatile security definer set search_path = '' as $$
  declare
    v_offset interval;
  begin
    select c.clock_offset into v_offset from ops.clock c;
    return timestamptz '${began}' + v_offset;
  end $$`;
