import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { race, tally } from "../support/barrier.ts";
import { fanned, newContact, newWorkspace, notify, pumpAll, saveText, sweepMessages } from "../support/readers.ts";
import { advance, call, outcome, refusal, rows } from "../support/scenario.ts";
import type { Db } from "../support/scenario.ts";
import { test } from "../support/sql.ts";
import { soldPlan, Subscriber, sweepAll, travelTo } from "../support/subscriber.ts";
import type { SoldPlan } from "../support/subscriber.ts";

const notices = (db: Db, batch = 100) => sweepMessages(db, "notices", batch);

const alarms = (db: Db, subject: string) =>
  rows<{ code: string }>(db, "select code from ops.alarm where subject = $1 and closed_at is null", [subject]);

describe("D8 a notice", () => {
  test("D8 becomes one message for each contact that takes it, and is settled with that", async ({ db }) => {
    const workspace = await newWorkspace(db);
    const mail = await newContact(db, { workspace });
    const chat = await newContact(db, { workspace, channel: "telegram" });
    const choosy = await newContact(db, { workspace, opt_outs: ["reminder", "broadcast.*"] });
    await newContact(db, { workspace, opt_outs: ["purchase_paid"] });
    await newContact(db, { workspace, opt_outs: ["*"] });
    const bounced = await newContact(db, { workspace });
    await call(db, "messages.silence", { contact_id: bounced, reason: "bounced" });
    await newContact(db);
    const notice = await notify(db, workspace, "purchase_paid", { quantity: 3 });
    expect(await notices(db)).toMatchObject({ failed: 0, more: false });
    const { state, messages } = await fanned(db, notice);
    expect(state).toBe("delivered");
    expect(messages.map(({ contact_id }) => contact_id)).toEqual([mail, chat, choosy].toSorted());
    expect(messages.find(({ contact_id }) => contact_id === chat)).toMatchObject({
      channel: "telegram",
      kind: "purchase_paid",
      state: "queued",
      body: { quantity: 3 },
    });
    expect(await notices(db)).toEqual({ processed: 0, failed: 0, more: false });
  });

  test("D8 to nobody is canceled, and so is one that only those hear who want none", async ({ db }) => {
    const [nobody, silent] = [await newWorkspace(db), await newWorkspace(db)];
    await newContact(db, { workspace: silent, opt_outs: ["*"] });
    const both = [await notify(db, nobody), await notify(db, silent)];
    await notices(db);
    for (const notice of both) expect(await fanned(db, notice)).toEqual({ state: "canceled", messages: [] });
  });

  test("D8 is handed to each contact once, whoever runs at once, and one that died leaves nothing half", async ({
    db,
  }) => {
    const workspaces = await Promise.all(Array.from({ length: 12 }, () => newWorkspace(db)));
    for (const workspace of workspaces) {
      await newContact(db, { workspace });
      await newContact(db, { workspace, channel: "telegram" });
    }
    const all = await Promise.all(
      Array.from({ length: 60 }, (_, i) => notify(db, workspaces[i % workspaces.length] ?? "")),
    );
    // That it attends its channel is written down, so that nobody waits for who does.
    await notices(db, 0);
    const dying = await db.connect();
    await dying.query("begin");
    await sweepMessages(dying, "notices", 7);
    const ran = await race(8, async () => {
      let processed = 0;
      for (let more = true; more;) {
        const done = await notices(db, 5);
        processed += done.processed;
        more = done.more;
      }
      return processed;
    });
    expect(ran.reduce((a, b) => a + b, 0)).toBe(53);
    await dying.query("rollback");
    dying.release();
    expect((await notices(db)).processed).toBe(7);
    for (const notice of all) {
      const { state, messages } = await fanned(db, notice);
      expect([state, messages.length]).toEqual(["delivered", 2]);
    }
  });

  test("D8 that cannot be read is parked alone with its error, under an alarm, and goes once it is mended", async ({
    db,
  }) => {
    const workspace = await newWorkspace(db);
    await newContact(db, { workspace });
    const before = await notify(db, workspace);
    const bad = await notify(db, workspace, "reminder", { subscription_id: "no id" });
    const after = await notify(db, workspace);
    expect(await notices(db)).toEqual({ processed: 2, failed: 1, more: false });
    expect(await notices(db)).toEqual({ processed: 0, failed: 0, more: false });
    expect([(await fanned(db, before)).state, (await fanned(db, after)).state]).toEqual(["delivered", "delivered"]);
    expect(await fanned(db, bad)).toEqual({ state: "queued", messages: [] });
    expect(await alarms(db, `notices:${bad}`)).toEqual([{ code: "row_parked" }]);
    await db.query("update messages.outbox set kind = 'purchase_paid' where id = $1", [bad]);
    await advance(db, "2 minutes");
    expect(await notices(db)).toEqual({ processed: 1, failed: 0, more: false });
    expect(await fanned(db, bad)).toMatchObject({ state: "delivered", messages: [{ state: "queued" }] });
    expect(await alarms(db, `notices:${bad}`)).toEqual([]);
  });

  test("D8 is sent to who opted out, was silenced or was deleted after it was queued no more", async ({ db }) => {
    const workspace = await newWorkspace(db);
    const [out, silenced, gone, there] = [
      await newContact(db, { workspace }),
      await newContact(db, { workspace }),
      await newContact(db, { workspace }),
      await newContact(db, { workspace }),
    ];
    const notice = await notify(db, workspace);
    await notices(db);
    const change = (id: string, wish: object) =>
      call(db, "messages.change_contact", {
        workspace_id: workspace,
        id,
        language: null,
        opt_outs: null,
        silenced: null,
        caused_by: "test",
        ...wish,
      });
    await change(out, { opt_outs: ["purchase_paid"] });
    await change(silenced, { silenced: true });
    await call(db, "messages.delete_contact", { workspace_id: workspace, id: gone, caused_by: "test" });
    await pumpAll(db, "email");
    const { messages } = await fanned(db, notice);
    expect(Object.fromEntries(messages.map(({ contact_id, state }) => [contact_id, state]))).toEqual({
      [out]: "canceled",
      [silenced]: "canceled",
      [gone]: "canceled",
      [there]: "delivered",
    });
  });
});

/** What a customer is told, what may become of it before he is, and whether it is still to be said then. */
interface Reason {
  told: string;
  meanwhile: string;
  holds: boolean;
  /** Makes the house say it. */
  make: (customer: Subscriber, plan: SoldPlan) => Promise<void>;
  after?: (customer: Subscriber, db: Db) => Promise<unknown>;
}

/** Travels to an hour after this long before its period ends: months differ. */
async function beforeItsEnd(customer: Subscriber, before: string): Promise<void> {
  const { current_period_end } = await customer.standing();
  const [row] = await rows<{ at: string }>(
    customer.db,
    "select $1::timestamptz - $2::interval + interval '1 hour' as at",
    [current_period_end, before],
  );
  await travelTo(customer.db, row?.at ?? "");
}

async function reminded(customer: Subscriber, plan: SoldPlan): Promise<void> {
  await customer.topup(5000);
  await customer.buy(plan);
  await beforeItsEnd(customer, "7 days");
  await sweepAll(customer.db, "reminders");
}

async function tried(customer: Subscriber, plan: SoldPlan): Promise<void> {
  await customer.tryOut(plan, { auto_renew: true });
  await advance(customer.db, "4 days 1 hour");
  await sweepAll(customer.db, "trial_notice");
}

async function failed(customer: Subscriber, plan: SoldPlan): Promise<void> {
  await customer.topup(500);
  await customer.buy(plan);
  await beforeItsEnd(customer, "0 days");
  await sweepAll(customer.db, "auto_renew");
}

async function ended(customer: Subscriber, plan: SoldPlan): Promise<void> {
  await customer.topup(500);
  await customer.buy(plan, { auto_renew: false });
  await beforeItsEnd(customer, "-5 days");
  await sweepAll(customer.db, "expire");
}

async function travel(customer: Subscriber, by: string, ...sweeps: string[]): Promise<void> {
  await advance(customer.db, by);
  for (const sweep of sweeps) await sweepAll(customer.db, sweep);
}

const reasons: Reason[] = [
  { told: "reminder", meanwhile: "nothing happens", holds: true, make: reminded },
  {
    told: "reminder",
    meanwhile: "it renews",
    holds: false,
    make: reminded,
    after: (c) => travel(c, "8 days", "auto_renew"),
  },
  { told: "reminder", meanwhile: "it will not renew", holds: false, make: reminded, after: (c) => c.renewal(false) },
  {
    told: "reminder",
    meanwhile: "it is canceled at once",
    holds: false,
    make: reminded,
    after: (c) => c.change("cancel_now"),
  },
  {
    told: "reminder",
    meanwhile: "another price is next",
    holds: false,
    make: reminded,
    after: (c) => c.renewal(true, { quantity: 2 }),
  },
  { told: "reminder", meanwhile: "three days go by", holds: true, make: reminded, after: (c) => travel(c, "3 days") },
  {
    told: "reminder",
    meanwhile: "the next one is due",
    holds: false,
    make: reminded,
    after: (c) => travel(c, "4 days 1 hour"),
  },
  { told: "trial_notice", meanwhile: "nothing happens", holds: true, make: tried },
  {
    told: "trial_notice",
    meanwhile: "it is paid for",
    holds: false,
    make: tried,
    after: async (c) => {
      await c.topup(5000);
      await travel(c, "4 days", "auto_renew");
    },
  },
  { told: "renewal_failed", meanwhile: "nothing happens", holds: true, make: failed },
  {
    told: "renewal_failed",
    meanwhile: "it is paid",
    holds: false,
    make: failed,
    after: async (c) => {
      await c.topup(5000);
      await travel(c, "2 hours", "auto_renew");
    },
  },
  {
    told: "renewal_failed",
    meanwhile: "its time is over, and nobody has ended it yet",
    holds: false,
    make: failed,
    after: (c) => travel(c, "10 days"),
  },
  {
    told: "renewal_failed",
    meanwhile: "it is over",
    holds: false,
    make: failed,
    after: (c) => travel(c, "10 days", "expire"),
  },
  { told: "subscription_ended", meanwhile: "nothing happens", holds: true, make: ended },
  {
    told: "subscription_ended",
    meanwhile: "another one is bought",
    holds: false,
    make: ended,
    after: async (c, db) => {
      await c.topup(5000);
      await c.buy(await soldPlan(db));
    },
  },
];

test.for(
  reasons.flatMap((reason) =>
    (["handed to contacts", "sent"] as const).map((moment) => Object.assign({ moment }, reason)),
  ),
)(
  "D8 $told, when $meanwhile before it is $moment: still said is $holds",
  async ({ told, holds, make, after, moment }, { db }) => {
    const customer = await Subscriber.make(db);
    const contact = await newContact(db, { workspace: customer.workspace });
    const plan = await soldPlan(db, { trial_days: 7, grace_days: 3 });
    await make(customer, plan);
    const said = (channel: string) =>
      rows<{ state: string }>(
        db,
        `select state from messages.outbox where workspace_id = $1 and kind = $2 and channel = $3 order by created_at, id limit 1`,
        [customer.workspace, told, channel],
      );
    expect(await said("notice")).toEqual([{ state: "queued" }]);
    if (moment === "handed to contacts") await after?.(customer, db);
    await notices(db);
    expect(await said("notice")).toEqual([{ state: holds || moment === "sent" ? "delivered" : "canceled" }]);
    if (moment === "sent") {
      await after?.(customer, db);
      await pumpAll(db, "email");
      expect(await said("email")).toEqual([{ state: holds ? "delivered" : "canceled" }]);
    } else {
      expect(await said("email")).toEqual(holds ? [{ state: "queued" }] : []);
      await call(db, "messages.delete_contact", { workspace_id: customer.workspace, id: contact, caused_by: "test" });
    }
  },
);

describe("letters", () => {
  test("are by the newest text of the reader's language, else of it without its country, else in English, else none", async ({
    db,
  }) => {
    const kind = "purchase_paid";
    const workspace = await newWorkspace(db);
    const readers = ["de-AT", "de-CH", "de", "fr", "fr-CA", "en"];
    for (const language of readers) await newContact(db, { workspace, language });
    const notice = await notify(db, workspace, kind);
    await notices(db);
    const letters = async () => {
      const { messages } = await fanned(db, notice);
      const ids = messages.map(({ id }) => id);
      const found = await call<{ languages: string[]; text_languages: (string | null)[]; bodies: (string | null)[] }>(
        db,
        "messages.letters",
        { ids },
      );
      return Object.fromEntries(found.languages.map((language, i) => [language, found.bodies[i]]));
    };
    const none = Object.fromEntries(readers.map((language) => [language, null]));
    expect(await letters()).toEqual(none);
    await saveText(db, { kind, language: "de", body: "deutsch 1" });
    await saveText(db, { kind, language: "de", body: "deutsch 2" });
    await saveText(db, { kind, language: "de-CH", body: "schweizerisch" });
    await saveText(db, { kind, channel: "telegram", language: "fr", body: "elsewhere" });
    const german = { ...none, de: "deutsch 2", "de-AT": "deutsch 2", "de-CH": "schweizerisch" };
    expect(await letters()).toEqual(german);
    await saveText(db, { kind, language: "en", body: "english" });
    expect(await letters()).toEqual({ ...german, en: "english", fr: "english", "fr-CA": "english" });
  });

  test("of nobody, and of nothing, are empty in their place", async ({ db }) => {
    const workspace = await newWorkspace(db);
    const id = await newContact(db, { workspace, address: "ada@example.com" });
    const notice = await notify(db, workspace);
    await notices(db);
    const [message] = (await fanned(db, notice)).messages;
    const ids = [randomUUID(), message?.id, randomUUID()];
    expect(await call(db, "messages.letters", { ids })).toMatchObject({ addresses: [null, "ada@example.com", null] });
    await call(db, "messages.delete_contact", { workspace_id: workspace, id, caused_by: "test" });
    expect(await call(db, "messages.letters", { ids })).toMatchObject({ addresses: [null, null, null] });
  });

  test("a text's numbers follow each other, whoever saves at once; the same again is no new one", async ({ db }) => {
    const kind = `broadcast.${randomUUID().slice(0, 8)}`;
    await race(8, (i) => saveText(db, { kind, body: `text ${i}` }));
    await saveText(db, { kind, body: "text last" });
    await saveText(db, { kind, body: "text last" });
    const found = await rows<{ number: number }>(
      db,
      "select number from messages.template where kind = $1 order by number",
      [kind],
    );
    expect(found.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });
});

test("a workspace has 100 contacts at most, whoever adds some at once", async ({ db }) => {
  const workspace = await newWorkspace(db);
  await db.query(
    `insert into messages.contact (id, workspace_id, channel, address, language, opt_outs, created_at)
     select uuidv7(), $1, 'email', i || '@full.example', 'en', '{}', ops.now() from generate_series(1, 93) i`,
    [workspace],
  );
  const told = await race(20, () => outcome(newContact(db, { workspace })));
  expect(tally(told)).toEqual({ done: 7, contact_limit_reached: 13 });
  expect(await refusal(newContact(db, { workspace }))).toEqual({ code: "contact_limit_reached", limit: 100 });
  expect(await outcome(newContact(db, { workspace, address: "1@full.example" }))).toBe("contact_exists");
  expect(await rows(db, "select from messages.contact where workspace_id = $1", [workspace])).toHaveLength(100);
  await db.query("delete from messages.contact where workspace_id = $1 and address = '1@full.example'", [workspace]);
  expect(await outcome(newContact(db, { workspace }))).toBe("done");
});
