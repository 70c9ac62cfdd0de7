import { call, rows } from "./scenario.ts";
import type { Db } from "./scenario.ts";
import type { Told } from "./guest.ts";

/** What a part of a pass did. */
export interface Reconciled {
  strays: number;
  added: number;
  reached: string | null;
  more: boolean;
}

/** A pass over the list: when it began, by the database, and what it did in all. */
export interface Pass {
  listed_at: string;
  strays: number;
  added: number;
  forgotten: number;
  removing: number;
}

/** A provisioner in memory, and the Worker's side of it call by call, with nothing between that could fail. */
export class Keeper {
  readonly db: Db;
  /** Those that let somebody in, and those that are there and do not. */
  readonly keys = new Set<string>();
  readonly shut = new Set<string>();

  constructor(db: Db) {
    this.db = db;
  }

  /** Claims what is due, whoever it is of. */
  async claim(lease = "5 minutes"): Promise<Told[]> {
    const { ids, kinds, bodies, tokens } = await call<{
      ids: string[];
      kinds: string[];
      bodies: Told["body"][];
      tokens: string[];
    }>(this.db, "messages.claim", { channel: "provisioner", batch: 1000, lease });
    return ids.flatMap((id, i) => {
      const [kind = "", body, token = ""] = [kinds[i], bodies[i], tokens[i]];
      return body === undefined ? [] : [{ id, kind, body, token }];
    });
  }

  /** Does what messages say. */
  take(told: readonly Told[]): void {
    for (const { kind, body } of told) {
      this.shut.delete(body.key);
      if (kind === "add_key") this.keys.add(body.key);
      else this.keys.delete(body.key);
    }
  }

  settle(told: readonly Told[]) {
    return call<{ settled: string[]; lost: number; moved: number }>(this.db, "access.provisioned", {
      ids: told.map(({ id }) => id),
      tokens: told.map(({ token }) => token),
    });
  }

  /** Claims, does and settles all that is due. Answers what that was, as "add_key". */
  async pump(): Promise<string[]> {
    const told = await this.claim();
    this.take(told);
    await this.settle(told);
    return told.map(({ kind }) => kind);
  }

  /** Whatever went by itself, it was yesterday. */
  async anotherDay(): Promise<void> {
    await this.db.query("update access.stray_day set removed_at = default");
  }

  async begin(): Promise<string> {
    const [row] = await rows<{ until: string }>(
      this.db,
      "select until::text from ops.open_cursor('provisioner_reconcile', '0', '1 day')",
    );
    return row?.until ?? "";
  }

  /** A pass of its own, whatever another has left open. */
  async beginAnew(): Promise<string> {
    await this.db.query("update ops.cursor set until = null, position = null where name = 'provisioner_reconcile'");
    return this.begin();
  }

  /** One part: what comes after a key, up to another. */
  part(listed_at: string, wish: { after?: string | null; until?: string | null; batch?: number } = {}) {
    const { after = null, until = null, batch = 1000 } = wish;
    const within = (key: string) => key > (after ?? "") && (until === null || key <= until);
    return call<Reconciled>(this.db, "access.reconcile", {
      after,
      until,
      keys: [...this.keys].filter(within).toSorted(),
      shut: [...this.shut].filter(within).toSorted(),
      listed_at,
      batch,
    });
  }

  end(listed_at: string) {
    return call<{ forgotten: number; removing: number; more: boolean }>(this.db, "access.remove_strays", { listed_at });
  }

  /** A whole pass, by pages of so many keys. */
  async pass({ page = 1000, batch = 1000 } = {}): Promise<Pass> {
    const listed_at = await this.begin();
    const done: Pass = { listed_at, strays: 0, added: 0, forgotten: 0, removing: 0 };
    const all = [...this.keys, ...this.shut].toSorted();
    let after: string | null = null;
    for (let i = page; ; i += page) {
      const until: string | null = i < all.length ? (all[i - 1] ?? null) : null;
      for (let more = true; more;) {
        const part: Reconciled = await this.part(listed_at, { after, until, batch });
        done.strays += part.strays;
        done.added += part.added;
        [after, more] = [part.reached, part.more];
      }
      if (until === null) break;
    }
    for (let more = true; more;) {
      const ended = await this.end(listed_at);
      done.forgotten += ended.forgotten;
      done.removing += ended.removing;
      more = ended.more;
    }
    await this.db.query("select ops.move_cursor('provisioner_reconcile', null, true, $1)", [listed_at]);
    return done;
  }
}
