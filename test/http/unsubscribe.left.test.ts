import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { Endpoint, eventsOf, silence } from "../support/endpoints.ts";
import { test } from "../support/leaving.ts";
import { rows } from "../support/scenario.ts";

describe("D13 who has left broadcasts", () => {
  test.for<[string, object]>([
    ["his opt-outs are what an app says they are", { opt_outs: ["reminder"] }],
    ["he has none", { opt_outs: [] }],
    ["his address is tried again", { silenced: false }],
    ["his language is another", { language: "de" }],
    ["nothing is changed", {}],
  ])("D13 is sent none when %s", async ([, wish], { post, readers }) => {
    const [ada, bob] = [await readers.one(), await readers.one()];
    await readers.press(await readers.invited(ada));
    const at = await readers.leftAt(ada);
    const changed = await readers.change(ada, wish);
    expect(changed.body).toMatchObject({ ...wishOf(wish), left_at: expect.stringMatching(/Z$/) });
    const { kind } = await readers.broadcast();
    await post.run();
    expect([readers.mails(ada, kind).length, readers.mails(bob, kind).length]).toEqual([0, 1]);
    expect(await readers.leftAt(ada)).toBe(at);
  });

  test("D13 is sent them again when the operator says so, and by that alone; the audit has it", async ({
    post,
    readers,
  }) => {
    const ada = await readers.one();
    await readers.press(await readers.invited(ada));
    const shown = await post.api.get(`/v1/workspaces/${ada.workspace}/contacts`);
    expect(shown.body["data"]).toMatchObject([{ id: ada.id, opt_outs: [], left_at: expect.stringMatching(/Z$/) }]);
    expect((await readers.change(ada, { left: false })).body).toMatchObject({ left_at: null });
    const { kind } = await readers.broadcast();
    await post.run();
    expect(readers.mails(ada, kind)).toHaveLength(1);
    const told = await readers.change(ada, { left: true });
    expect(told.body).toMatchObject({ left_at: expect.stringMatching(/Z$/), opt_outs: [] });
    expect((await readers.change(ada, { left: true })).body).toEqual(told.body);
    const next = await readers.broadcast();
    await post.run();
    expect(readers.mails(ada, next.kind)).toEqual([]);
    const audit = await rows<{ action: string; left: unknown }>(
      post.db,
      "select action, detail -> 'left' as left from ops.audit where subject = 'contact:' || $1 order by id",
      [ada.id],
    );
    expect(audit.filter(({ action }) => action !== "contact.create")).toEqual([
      { action: "contact.unsubscribe", left: null },
      ...[false, true, true].map((left) => ({ action: "contact.change", left })),
    ]);
  });

  test("D13 leaves also where his workspace says that he hears nothing: by its word he may hear again, by his he does not", async ({
    post,
    readers,
  }) => {
    const ada = await readers.one();
    const path = await readers.invited(ada);
    await readers.change(ada, { opt_outs: ["*"] });
    expect((await readers.open(path)).html).toContain("<button");
    await readers.press(path);
    await readers.change(ada, { opt_outs: [] });
    const { kind } = await readers.broadcast();
    await post.run();
    expect(readers.mails(ada, kind)).toEqual([]);
    expect(await readers.audited(ada)).toHaveLength(1);
  });

  test("D13 has as many opt-outs as before: what a client reads, it may write", async ({ readers }) => {
    const most = Array.from({ length: 50 }, (_, i) => `broadcast.other_${i}`);
    const ada = await readers.one({ opt_outs: most });
    await readers.press(await readers.invited(ada));
    const read = (await readers.change(ada, {})).body["opt_outs"];
    expect(read).toEqual(most);
    expect((await readers.change(ada, { opt_outs: read })).status).toBe(200);
  });

  test("D13 is told of once each time, without his address; who is deleted and added again has not left", async ({
    post,
    readers,
  }) => {
    await silence(post.db);
    const endpoint = await Endpoint.listening(post.db, ["contact.*"]);
    const ada = await readers.one();
    const path = await readers.invited(ada);
    for (let i = 0; i < 2; i += 1) await readers.press(path);
    await readers.change(ada, { left: false });
    await readers.press(path);
    const events = await eventsOf(post.db, ada.id);
    expect(await endpoint.hears()).toEqual(["contact.unsubscribed 1", "contact.unsubscribed 2"]);
    expect(events.map(({ type, version, data }) => [type, version, data["workspace_id"], data["channel"]])).toEqual(
      [1, 2].map((version) => ["contact.unsubscribed", version, ada.workspace, "email"]),
    );
    expect(JSON.stringify(events)).not.toContain(ada.address);
    await post.api.call("DELETE", readers.path(ada));
    const again = await post.api.post(
      `/v1/workspaces/${ada.workspace}/contacts`,
      { channel: "email", address: ada.address },
      randomUUID(),
    );
    expect(again.body).toMatchObject({ left_at: null });
    const { kind } = await readers.broadcast();
    await post.run();
    expect(readers.mails(ada, kind)).toHaveLength(1);
  });
});

/** What of a wish an answer shows. */
const wishOf = (wish: object): object =>
  Object.fromEntries(Object.entries(wish).filter(([member]) => member !== "silenced"));
