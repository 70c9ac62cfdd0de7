import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { besideOpen, blockedBackends, race } from "../support/barrier.ts";
import { newContact, newWorkspace, notify, pumpAll, saveText, sweepMessages } from "../support/readers.ts";
import type { ContactWish } from "../support/readers.ts";
import { advance, call, outcome, refusal, rows } from "../support/scenario.ts";
import type { Db } from "../support/scenario.ts";
import { soldPlan, Subscriber } from "../support/subscriber.ts";
import { test as inSql } from "../support/sql.ts";

/** Those of a test's own language, so that other tests' contacts are nobody's. */
const languages = (function* make() {
  for (const a of "abcdefghijklmnopqrstuvwxyz") for (const b of "abcdefghijklmnopqrstuvwxyz") yield `q${a}${b}`;
})();

/** A broadcast to those of one language. */
class Letter {
  readonly db: Db;
  readonly language: string;
  readonly channel: string;
  id = "";

  constructor(db: Db, channel: string) {
    this.db = db;
    this.channel = channel;
    this.language = languages.next().value ?? "";
  }

  reader(wish: ContactWish = {}): Promise<string> {
    return newContact(this.db, {
      language: this.language,
      channel: this.channel === "email" ? "email" : "telegram",
      ...wish,
    });
  }

  async readers(n: number): Promise<string[]> {
    const all: string[] = [];
    let workspace = "";
    for (let i = 0; i < n; i += 1) {
      // More it may not have.
      if (i % 100 === 0) workspace = await newWorkspace(this.db);
      all.push(await this.reader({ workspace }));
    }
    return all;
  }

  async draft(segment: object = {}, data: object = {}): Promise<void> {
    const kind = `broadcast.${this.language}`;
    await saveText(this.db, { kind, channel: this.channel });
    const args = { name: "Spring", channel: this.channel, kind, data: JSON.stringify(data), caused_by: "test" };
    const all = JSON.stringify({ languages: [this.language], ...segment });
    this.id = (await call<{ id: string }>(this.db, "messages.create_broadcast", { ...args, segment: all })).id;
  }

  move(move: "start" | "stop" | "resume") {
    return call<{ state: string }>(this.db, "messages.move_broadcast", { id: this.id, move, caused_by: "test" });
  }

  async start(segment: object = {}): Promise<void> {
    await this.draft(segment);
    await this.move("start");
  }

  /** To whom it was queued, once each. */
  async queued(): Promise<string[]> {
    const found = await rows<{ contact_id: string }>(
      this.db,
      "select contact_id from messages.outbox where broadcast_id = $1 order by contact_id",
      [this.id],
    );
    return found.map(({ contact_id }) => contact_id);
  }

  async states(): Promise<Record<string, number>> {
    const found = await rows<{ state: string; n: number }>(
      this.db,
      "select state, count(*)::int as n from messages.outbox where broadcast_id = $1 group by state",
      [this.id],
    );
    return Object.fromEntries(found.map(({ state, n }) => [state, n]));
  }

  async row(): Promise<{ state: string; queued: number; position: string | null }> {
    const [row] = await rows<{ state: string; queued: number; position: string | null }>(
      this.db,
      "select state, queued, position from messages.broadcast where id = $1",
      [this.id],
    );
    if (row === undefined) throw new Error("no broadcast");
    return row;
  }

  /** Queues until nothing more may be. */
  async sweep(db: Db = this.db): Promise<void> {
    for (let more = true; more;) more = (await sweepMessages(db, "broadcasts", 25)).more;
  }

  /** Queues and sends until it is done. */
  async finish(): Promise<void> {
    for (let rounds = 0; (await this.row()).state !== "done"; rounds += 1) {
      if (rounds > 50) throw new Error(`it is not done: ${JSON.stringify([await this.row(), await this.states()])}`);
      await this.sweep();
      await pumpAll(this.db, this.channel);
      await advance(this.db, "21 seconds");
    }
  }
}

/** Without other tests' contacts, which every broadcast comes by. */
const test = inSql.extend("letter", async ({ db }) => {
  await db.query("delete from messages.contact");
  return new Letter(db, "telegram");
});

describe("D13 a broadcast", () => {
  test("D13 goes to each of its segment once, 25 a statement, and is done when its last message has gone its way", async ({
    db,
    letter,
  }) => {
    const readers = await letter.readers(60);
    await letter.start();
    const { processed } = await sweepMessages(db, "broadcasts", 25);
    expect(processed).toBe(25);
    const [first] = [await letter.row()];
    expect(first).toMatchObject({ state: "running", position: expect.any(String) });
    await letter.sweep();
    expect(await letter.queued()).toEqual(readers.toSorted());
    expect(await letter.row()).toMatchObject({ state: "running", queued: 60 });
    await letter.finish();
    expect(await letter.states()).toEqual({ delivered: 60 });
    await letter.sweep();
    await pumpAll(db, "telegram");
    expect(await letter.queued()).toEqual(readers.toSorted());
  });

  test.for([2, 8])("D13 of %i sweeps and pumps at once, each reader has it once", async (n, { db, letter }) => {
    const readers = await letter.readers(130);
    await letter.start();
    const sent = await race(n, async (i) => {
      const mine: string[] = [];
      for (let turn = 0; turn < 6; turn += 1) {
        if ((i + turn) % 2 === 0) await letter.sweep();
        else mine.push(...(await pumpAll(db, "telegram")));
      }
      return mine;
    });
    await letter.finish();
    expect(await letter.queued()).toEqual(readers.toSorted());
    expect(await letter.states()).toEqual({ delivered: 130 });
    expect(new Set(sent.flat()).size).toBe(sent.flat().length);
  });

  test("D13 that dies in any batch, before or after it was written, skips nobody and tells nobody twice", async ({
    db,
    letter,
  }) => {
    const readers = await letter.readers(80);
    await letter.start();
    for (let i = 0; i < 8; i += 1) {
      const dying = await db.connect();
      await dying.query("begin");
      await sweepMessages(dying, "broadcasts", 25);
      await dying.query(i % 2 === 0 ? "rollback" : "commit");
      dying.release(true);
    }
    await letter.finish();
    expect(await letter.queued()).toEqual(readers.toSorted());
    expect(await letter.row()).toMatchObject({ queued: 80 });
  });

  test("D13 that is stopped sends nothing of what is queued, and goes on where it was: nobody is skipped or told twice", async ({
    db,
    letter,
  }) => {
    const readers = await letter.readers(60);
    await letter.start();
    await sweepMessages(db, "broadcasts", 25);
    await sweepMessages(db, "broadcasts", 25);
    await pumpAll(db, "telegram", 10);
    // Ten more are with somebody who dies.
    await call(db, "messages.claim", { channel: "telegram", batch: 10, lease: "2 minutes" });
    expect(await letter.move("stop")).toMatchObject({ state: "stopped" });
    expect(await letter.move("stop")).toMatchObject({ state: "stopped" });
    for (const later of ["1 second", "3 minutes", "3 minutes", "2 days"]) {
      await advance(db, later);
      await letter.sweep();
      expect(await pumpAll(db, "telegram")).toEqual([]);
    }
    expect(await letter.row()).toMatchObject({ state: "stopped", queued: 50 });
    expect((await letter.states())["delivered"]).toBe(10);
    expect(await letter.move("resume")).toMatchObject({ state: "running" });
    await advance(db, "3 minutes");
    await letter.finish();
    expect(await letter.queued()).toEqual(readers.toSorted());
    expect(await letter.states()).toEqual({ delivered: 60 });
  });

  test("D13 has at most 500 messages unsent: a reminder does not wait behind it, and a stop is quick", async ({
    db,
    letter,
  }) => {
    await db.query(
      `insert into messages.contact (id, workspace_id, channel, address, language, opt_outs, created_at)
       select uuidv7(), uuidv7(), 'telegram', (1000000 + i)::text, $1, '{}', ops.now() from generate_series(1, 800) i`,
      [letter.language],
    );
    await letter.start();
    await letter.sweep();
    expect(await letter.states()).toEqual({ queued: 500 });
    await letter.sweep();
    expect(await letter.row()).toMatchObject({ queued: 500, state: "running" });
    await pumpAll(db, "telegram", 100);
    await advance(db, "21 seconds");
    await letter.sweep();
    expect(await letter.states()).toEqual({ delivered: 100, queued: 500 });
    const workspace = await newWorkspace(db);
    await newContact(db, { workspace, channel: "telegram" });
    await notify(db, workspace);
    await sweepMessages(db, "notices", 100);
    const sent = await pumpAll(db, "telegram", 501);
    const kinds = await rows<{ kind: string }>(db, "select kind from messages.outbox where id = any ($1)", [sent]);
    expect(kinds.map(({ kind }) => kind)).toContain("purchase_paid");
    await letter.finish();
    expect(await letter.states()).toEqual({ delivered: 800 });
  });

  test("D13 to nobody is done at once", async ({ letter }) => {
    await letter.start();
    await letter.sweep();
    expect(await letter.row()).toEqual({ state: "done", queued: 0, position: null });
    expect(await outcome(letter.move("stop"))).toBe("broadcast_moved_on");
  });

  test("D13 is for who was there when it started, and asks each batch whether he is of its segment, and wants it", async ({
    db,
    letter,
  }) => {
    const readers = await letter.readers(25);
    const late = await letter.reader();
    const out = await letter.reader({ opt_outs: ["broadcast.*"] });
    const comes = await letter.reader({ language: "zz" });
    await letter.start();
    const after = await letter.reader();
    await sweepMessages(db, "broadcasts", 25);
    await db.query("update messages.contact set language = 'zz' where id = any ($1)", [[readers[0], late]]);
    await db.query("update messages.contact set language = $1 where id = $2", [letter.language, comes]);
    await letter.finish();
    const told = await letter.queued();
    // The first batch was decided before.
    expect(told).toEqual([...readers, comes].toSorted());
    expect(told).not.toContain(out);
    expect(told).not.toContain(after);
    expect(await letter.states()).toEqual({ delivered: 26 });
  });

  test("D13 goes to who was being added when it was started: the start waits for him", async ({ db, letter }) => {
    const told = await letter.readers(1);
    await letter.draft();
    await besideOpen(
      db,
      async (adding) => {
        told.push(await newContact(adding, { language: letter.language, channel: "telegram" }));
        // Who comes after him and is there before him: the position would be past him.
        told.push(await letter.reader());
      },
      async () => {
        await letter.move("start");
        await letter.sweep();
      },
    );
    expect(await letter.queued()).toEqual(told.toSorted());
  });

  test("D13 does not go to who is added while its start waits", async ({ db, letter }) => {
    await letter.draft();
    const adding = await db.connect();
    try {
      await adding.query("begin");
      const before = await newContact(adding, { language: letter.language, channel: "telegram" });
      await Promise.all([
        letter.move("start"),
        blockedBackends(db, 1).then(() => letter.reader()),
        blockedBackends(db, 2).then(() => adding.query("commit")),
      ]);
      await letter.sweep();
      expect(await letter.queued()).toEqual([before]);
    } finally {
      adding.release(true);
    }
  });

  test("D13 is held against the text that was being saved when it was started", async ({ db, letter }) => {
    await letter.draft();
    const kind = `broadcast.${letter.language}`;
    const start = await besideOpen(
      db,
      (saving) => saveText(saving, { kind, channel: "telegram", body: "{{code}}", variables: ["code"] }),
      () => refusal(letter.move("start")),
    );
    expect(start).toEqual({ code: "data_missing", missing: ["code"] });
  });

  test("D13 says to everybody what its text was when it started", async ({ db, letter }) => {
    const [one] = await letter.readers(1);
    await letter.start();
    await saveText(db, { kind: `broadcast.${letter.language}`, channel: "telegram", body: "another" });
    await letter.sweep();
    const [message] = await rows<{ id: string }>(db, "select id from messages.outbox where contact_id = $1", [one]);
    expect(await call(db, "messages.letters", { ids: [message?.id] })).toMatchObject({
      languages: [letter.language],
      text_languages: ["en"],
      bodies: ["Hello"],
    });
  });

  test("D13 that cannot go on is parked alone under an alarm, and another goes on", async ({ db, letter }) => {
    const other = new Letter(db, "telegram");
    const [readers] = [await other.readers(3), await letter.readers(3)];
    await letter.start();
    await other.start();
    await db.query(`update messages.broadcast set segment = '{"created_after": "soon"}' where id = $1`, [letter.id]);
    await letter.sweep();
    expect(await other.queued()).toEqual(readers.toSorted());
    expect(await letter.queued()).toEqual([]);
    const alarms = () =>
      rows(db, "select from ops.alarm where code = 'row_parked' and subject = $1 and closed_at is null", [
        `broadcasts:${letter.id}`,
      ]);
    expect(await alarms()).toHaveLength(1);
    await db.query("update messages.broadcast set segment = $1 where id = $2", [
      JSON.stringify({ languages: [letter.language] }),
      letter.id,
    ]);
    await advance(db, "2 minutes");
    await letter.finish();
    expect(await letter.queued()).toHaveLength(3);
    expect(await alarms()).toEqual([]);
  });

  test("D13 needs a text and the data that it names, to be drafted and to be started", async ({ db, letter }) => {
    const kind = `broadcast.${letter.language}`;
    const make = (data: object, of = kind, channel = "email") =>
      call<{ id: string }>(db, "messages.create_broadcast", {
        name: "x",
        channel,
        kind: of,
        segment: JSON.stringify({ all: true }),
        data: JSON.stringify(data),
        caused_by: "test",
      });
    await saveText(db, { kind, language: "en", variables: ["code"] });
    await saveText(db, { kind, language: "de", variables: ["name", "gone"] });
    await saveText(db, { kind, language: "de", variables: ["name"], body: "newer" });
    expect(await refusal(make({}, "broadcast.nobody"))).toMatchObject({ code: "template_unknown" });
    expect(await refusal(make({}, kind, "telegram"))).toMatchObject({ code: "template_unknown" });
    expect(await refusal(make({ name: "x" }))).toEqual({ code: "data_missing", missing: ["code"] });
    expect(await refusal(make({}))).toEqual({ code: "data_missing", missing: ["code", "name"] });
    letter.id = (await make({ name: "x", code: "y", more: 1 })).id;
    await saveText(db, { kind, language: "fr", variables: ["another"] });
    expect(await refusal(letter.move("start"))).toEqual({ code: "data_missing", missing: ["another"] });
    expect(await letter.row()).toMatchObject({ state: "draft" });
    letter.id = randomUUID();
    expect(await outcome(letter.move("start"))).toBe("not_found");
  });

  test("D13 moves as its lifecycle says, and an audit row tells of each move once", async ({ db, letter }) => {
    await letter.readers(1);
    await letter.draft();
    expect(await outcome(letter.move("stop"))).toBe("broadcast_moved_on");
    expect(await outcome(letter.move("resume"))).toBe("broadcast_moved_on");
    await race(8, () => letter.move("start"));
    await race(8, () => letter.move("stop"));
    expect(await outcome(letter.move("start"))).toBe("broadcast_moved_on");
    await race(8, () => letter.move("resume"));
    const audit = await rows<{ action: string }>(db, "select action from ops.audit where subject = $1 order by id", [
      `broadcast:${letter.id}`,
    ]);
    expect(audit.map(({ action }) => action)).toEqual([
      "broadcast.create",
      "broadcast.start",
      "broadcast.stop",
      "broadcast.resume",
    ]);
  });
});

test("a segment is plans, states, languages and days, and a dry run counts them", async ({ db, letter }) => {
  const plans = [await soldPlan(db, { trial_days: 7 }), await soldPlan(db)];
  const people: Record<string, string> = {};
  const add = async (name: string, make: (customer: Subscriber) => Promise<unknown>, language?: string) => {
    const customer = await Subscriber.make(db, 5000);
    await make(customer);
    people[name] = await letter.reader({ workspace: customer.workspace, ...(language !== undefined && { language }) });
  };
  await add("trying", (c) => c.tryOut(plans[0] ?? { code: "", id: "", price: "" }));
  await add("paying", (c) => c.buy(plans[1] ?? { code: "", id: "", price: "" }));
  await add("nothing", async () => undefined);
  await add("austrian", async () => undefined, `${letter.language}-AT`);
  const [between] = await rows<{ at: string }>(db, "select ops.now()::text as at");
  await add("young", async () => undefined);
  people["silent"] = await letter.reader({ opt_outs: ["*"] });
  const of = async (wish: object) => {
    const segment = JSON.stringify({ languages: [letter.language], ...wish });
    const kind = `broadcast.${letter.language}`;
    const ids = Object.values(people);
    const [row] = await rows<{ found: string[]; n: number }>(
      db,
      `select messages.recipients($1::uuid[], $2, $3) as found, (messages.count_recipients('telegram', $3, $2)).total as n`,
      [ids, segment, kind],
    );
    expect(row?.n).toBe(row?.found.length);
    return Object.keys(people).filter((name) => row?.found.includes(people[name] ?? ""));
  };
  expect(await of({})).toEqual(["trying", "paying", "nothing", "austrian", "young"]);
  expect(await of({ plans: [plans[0]?.code] })).toEqual(["trying"]);
  expect(await of({ plans: plans.map(({ code }) => code) })).toEqual(["trying", "paying"]);
  expect(await of({ subscriptions: ["active"] })).toEqual(["paying"]);
  expect(await of({ subscriptions: ["none", "trialing"] })).toEqual(["trying", "nothing", "austrian", "young"]);
  expect(await of({ subscriptions: ["active"], plans: [plans[0]?.code] })).toEqual([]);
  expect(await of({ languages: [`${letter.language}-AT`] })).toEqual(["austrian"]);
  expect(await of({ created_after: between?.at })).toEqual(["young"]);
  expect(await of({ created_before: between?.at, subscriptions: ["none"] })).toEqual(["nothing", "austrian"]);
});

test("a dry run looks at so many contacts, and says when there are others", async ({ db, letter }) => {
  const add = (n: number) =>
    db.query(
      `insert into messages.contact (id, workspace_id, channel, address, language, opt_outs, created_at)
       select uuidv7(), uuidv7(), 'telegram', (2000000 + i)::text, $1, '{}', ops.now() from generate_series(1, $2::int) i`,
      [letter.language, n],
    );
  const count = async (thousands: number) => {
    const [row] = await rows<{ total: number; more: boolean }>(
      db,
      "select total, more from messages.count_recipients('telegram', 'broadcast.x', $1, thousands => $2)",
      [JSON.stringify({ languages: [letter.language] }), thousands],
    );
    return row;
  };
  await add(2000);
  expect(await count(1)).toEqual({ total: 1000, more: true });
  expect(await count(2)).toEqual({ total: 2000, more: false });
  await add(1);
  expect(await count(2)).toEqual({ total: 2000, more: true });
  expect(await count(3)).toEqual({ total: 2001, more: false });
});
