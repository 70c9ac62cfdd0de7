import { randomUUID } from "node:crypto";
import { Keeper } from "./keeper.ts";
import { call, rows } from "./scenario.ts";

/** What a person is answered who has strays removed. */
export interface Approval {
  strays: number;
  approved_until: string | null;
}

/** A keeper of a deployment that has so many keys, whose list also has others. Everything before it is gone. */
export class Strayed extends Keeper {
  async empty(): Promise<void> {
    this.keys.clear();
    for (const table of ["access.stray", "access.key", "messages.outbox", "ops.alarm", "ops.cursor"]) {
      await this.db.query(`delete from ${table}`);
    }
    await this.anotherDay();
  }

  /** Keys that are there. Their subscriptions are nobody's. */
  async live(count: number, state: "pending" | "active" | "removing" = "active"): Promise<void> {
    const made = await rows<{ key: string }>(
      this.db,
      `insert into access.key (id, key, workspace_id, subscription_id, state, created_at)
       select uuidv7(), gen_random_uuid(), uuidv7(), uuidv7(), 'pending', ops.now() from generate_series(1, $1)
       returning key`,
      [count],
    );
    const keys = made.map(({ key }) => key);
    for (const key of keys) this.keys.add(key);
    if (state === "active") {
      await this.db.query("update access.key set state = 'active', activated_at = ops.now() where key = any ($1)", [
        keys,
      ]);
    } else if (state === "removing") {
      await this.db.query("update access.key set state = 'removing', revoked_at = ops.now() where key = any ($1)", [
        keys,
      ]);
    }
  }

  /** Keys that nobody here knows. */
  foreign(count: number): string[] {
    const strays = Array.from({ length: count }, () => randomUUID());
    for (const key of strays) this.keys.add(key);
    return strays;
  }

  approve(most: number): Promise<Approval> {
    return call<Approval>(this.db, "access.approve_strays", { most, caused_by: "key:somebody" });
  }

  /** How many went by themselves within the last day or before it, as it is counted. */
  async counted(): Promise<number> {
    const [row] = await rows<{ n: number }>(this.db, "select cardinality(removed_at) as n from access.stray_day");
    return row?.n ?? 0;
  }

  /** So many strays come, and go by themselves, now. */
  async removed(count: number): Promise<void> {
    this.foreign(count);
    await this.pass();
    await this.pass();
    await this.pump();
    await this.pass();
  }

  /**
   * Two passes that are to be ended, each of which has seen strays for the second time that the other did not: they answer when they
   * began.
   */
  async twoPasses(first: number, second: number): Promise<[string, string]> {
    const theirs = this.foreign(first);
    await this.pass();
    const early = await this.begin();
    this.foreign(second);
    await this.part(early);
    for (const key of theirs) this.keys.delete(key);
    const late = await this.beginAnew();
    await this.part(late);
    return [early, late];
  }

  /** What the open alarm says; null: there is none. */
  async alarm(): Promise<unknown> {
    const [row] = await rows<{ detail: unknown }>(
      this.db,
      "select detail from ops.alarm where code = 'strays_many' and closed_at is null",
    );
    return row?.detail ?? null;
  }

  /** What the audit says of strays, since a row's id. */
  audited() {
    return rows<{ actor: string; detail: unknown }>(
      this.db,
      "select actor, detail from ops.audit where action = 'strays.approve' order by id",
    );
  }
}
