import { randomInt } from "node:crypto";
import { describe, expect } from "vitest";
import { idOf } from "../support/api.ts";
import { type Post, test } from "../support/post.ts";
import { newContact, newWorkspace, notify } from "../support/readers.ts";
import { advance, rows } from "../support/scenario.ts";
import type { Behaviour } from "../world/peer.ts";

// D8, D13, D24: whoever writes to people dies at each thing that it asks for, and everybody that it asks fails in every way.

const paid = {
  purchase_id: "0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b",
  kind: "credit_pack",
  provider: "manual",
  quantity: 1,
  amount_minor: 900,
  currency: "eur",
};

/** A workspace of three who read, by mail and at Telegram, with something to hear. */
async function news(post: Post) {
  const workspace = await newWorkspace(post.db);
  const chats = [0, 1, 2].map(() => String(randomInt(1, 1e12)));
  const addresses = [0, 1, 2].map((i) => `reader${i}@${workspace}.example`);
  for (const address of addresses) await newContact(post.db, { workspace, address });
  for (const chat of chats) await newContact(post.db, { workspace, channel: "telegram", address: chat });
  await notify(post.db, workspace, "purchase_paid", paid);
  return { workspace, chats, addresses };
}

const mailed = ({ mail }: Post, addresses: string[]) =>
  mail.mails.filter(({ to }) => addresses.includes(to)).map(({ to }) => to);
const chatted = ({ telegram }: Post, chats: string[]) =>
  telegram.texts.map(({ chat }) => String(chat)).filter((chat) => chats.includes(chat));

const steps = ["messages.notices", "messages.claim", "messages.letters", "POST /emails", "messages.settle_many"];

describe("D24 who writes to people", () => {
  test.for(steps.flatMap((what) => (["before", "after"] as const).map((when) => ({ what, when }))))(
    "D8 D24 dies $when $what: each has his mail once, under one name; a chat has it twice only where nobody could know",
    async ({ what, when }, { post }) => {
      const { chats, addresses, workspace } = await news(post);
      const trip = post.wires.trip({ nth: 1, when, how: "dead", of: (step) => step.what === what });
      await post.run().catch(() => undefined);
      expect(trip.done).toBe(true);
      await post.mend();
      expect(mailed(post, addresses).toSorted()).toEqual(addresses.toSorted());
      expect(new Set(chatted(post, chats))).toEqual(new Set(chats));
      expect(chatted(post, chats).length).toBeLessThanOrEqual(6);
      const names = new Map<string, Set<string>>();
      for (const { headers, text } of post.mail.requests) {
        const to = addresses.find((address) => text.includes(address));
        if (to !== undefined) names.set(to, (names.get(to) ?? new Set()).add(headers["idempotency-key"] ?? ""));
      }
      expect([...names.values()].map(({ size }) => size)).toEqual([1, 1, 1]);
      const states = await rows<{ state: string }>(
        post.db,
        "select distinct state from messages.outbox where workspace_id = $1",
        [workspace],
      );
      expect(states).toEqual([{ state: "delivered" }]);
    },
  );

  test.for(["before", "after"] as const)(
    "D13 D24 dies %s a batch of a broadcast: everybody has it once",
    async (when, { post }) => {
      await post.db.query("delete from messages.contact");
      const { addresses } = await news(post);
      const workspace = await newWorkspace(post.db);
      const more = Array.from({ length: 60 }, (_, i) => `many${i}@${workspace}.example`);
      for (const address of more) await newContact(post.db, { workspace, address });
      await post.api.put("/v1/templates", {
        kind: "broadcast.spring",
        channel: "email",
        language: "en",
        subject: "Spring",
        body: "Spring {{code}}",
      });
      const made = await post.api.post("/v1/broadcasts", {
        name: "Spring",
        channel: "email",
        kind: "broadcast.spring",
        segment: { all: true },
        data: { code: when },
      });
      await post.api.post(`/v1/broadcasts/${idOf(made)}/start`);
      for (const nth of [1, 2, 3]) {
        post.wires.trip({ nth, when, how: "dead", of: (step) => step.what === "messages.broadcasts" });
        await post.sweep("broadcasts").catch(() => undefined);
        post.wires.mend();
        await advance(post.db, "2 minutes");
      }
      await post.mend();
      const told = post.mail.mails.filter(({ text }) => text === `Spring ${when}`).map(({ to }) => to);
      expect(told.toSorted()).toEqual([...addresses, ...more].toSorted());
      expect((await post.api.get(`/v1/broadcasts/${idOf(made)}`)).body).toMatchObject({
        state: "done",
        queued: 63,
        delivered: 63,
        waiting: 0,
      });
    },
  );
});

test.for<Behaviour>(["error", "throttled", "garbage", "redirect", "huge", "cut"])(
  "D8 D21 the mail service and the Bot API are %s: what was not taken is sent later, each mail once",
  async (behaviour, { post }) => {
    const { chats, addresses } = await news(post);
    post.mail.behave(behaviour, 2);
    post.telegram.behave(behaviour, 2);
    await post.run();
    await post.mend();
    expect(mailed(post, addresses).toSorted()).toEqual(addresses.toSorted());
    expect(new Set(chatted(post, chats))).toEqual(new Set(chats));
  },
);

test("D8 one chat that blocked the bot is silenced, without an alarm, and the others hear", async ({ post }) => {
  const { chats, workspace } = await news(post);
  const [blocked = "", ...others] = chats;
  post.telegram.blocked.add(Number(blocked));
  await post.run();
  expect(chatted(post, chats).toSorted()).toEqual(others.toSorted());
  const contacts = await post.api.get(`/v1/workspaces/${workspace}/contacts`);
  const found = Array.isArray(contacts.body["data"]) ? contacts.body["data"] : [];
  const silenced = found.filter(({ silenced_at }) => silenced_at !== null);
  expect(silenced).toMatchObject([{ address: blocked, silenced_reason: "blocked by the user" }]);
  expect((await post.api.get("/v1/alarms")).body["data"]).toEqual([]);
  await notify(post.db, workspace, "purchase_paid", paid);
  await post.run();
  expect(chatted(post, chats)).toHaveLength(4);
  post.telegram.blocked.delete(Number(blocked));
  await post.api.call("PATCH", `/v1/workspaces/${workspace}/contacts/${silenced[0].id}`, { body: { silenced: false } });
  await notify(post.db, workspace, "purchase_paid", paid);
  await post.run();
  expect(chatted(post, chats)).toHaveLength(7);
});
