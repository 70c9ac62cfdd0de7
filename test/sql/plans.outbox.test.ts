import { expect, test as plain } from "vitest";
import { createTestDatabase } from "../support/database.ts";
import { Planned } from "../support/plans.ts";
import type { Reading } from "../support/plans.ts";
import { withClient } from "../world/roles.ts";

// What the outbox costs must not depend on how much was said, how much waits, or how much an endpoint that is down has not heard
// (DESIGN §7). The plans are as they were really run, generic ones included.

const uuid = (n: string) => `lpad(to_hex(${n}), 32, '0')::uuid`;
const down = "00000000-0000-0000-0000-00000000d00d";
const up = "00000000-0000-0000-0000-00000000001d";
const columns = "(id, channel, kind, dedupe_key, body, state, attempts, due_at, settled_at, created_at, endpoint_id)";

/** Written past the triggers, by a superuser. */
const crowd = [
  `insert into messages.endpoint (id, url, description, events, created_at)
   values ('${down}', 'https://down.example/', '', '{*}', now()), ('${up}', 'https://up.example/', '', '{*}', now())`,
  `update messages.endpoint set failures = 9, open_until = now() + interval '20 minutes' where id = '${down}'`,
  // Said; to be said later; and dead.
  `insert into messages.outbox ${columns}
   select ${uuid("i")}, 'email', 'told', 'said ' || i, '{}', 'delivered', 1, null, now() - interval '1 day', now(), null
     from generate_series(1, 60000) i`,
  `insert into messages.outbox ${columns}
   select ${uuid("100000 + i")}, case when i % 2 = 0 then 'email' else 'provisioner' end, 'told', 'later ' || i, '{}', 'queued', 1,
          now() + interval '1 day', null, now(), null
     from generate_series(1, 40000) i`,
  `insert into messages.outbox ${columns}
   select ${uuid("200000 + i")}, 'provisioner', 'told', 'dead ' || i, '{}', 'dead', 14, null, null, now(), null
     from generate_series(1, 50) i`,
  // Not heard by the endpoint that is down, and put off already; and due to the one that listens.
  `insert into messages.outbox ${columns}
   select ${uuid("300000 + i")}, 'webhook', 'told', 'unheard ' || i, '{}', 'queued', 2, now() + interval '20 minutes', null, now(), '${down}'
     from generate_series(1, 20000) i`,
  `insert into messages.outbox ${columns}
   select ${uuid("400000 + i")}, 'webhook', 'told', 'due ' || i, '{}', 'queued', 0, now() - interval '1 second', null, now(), '${up}'
     from generate_series(1, 30) i`,
  `insert into messages.channel (name, claimed_at, changed_at)
   select name, now(), now() from unnest('{email,provisioner,webhook}'::text[]) name`,
];

const test = plain
  // oxlint-disable-next-line no-empty-pattern -- vitest reads a fixture's needs from its pattern and takes no other
  .extend("database", { scope: "file" }, async ({}, { onCleanup }) => {
    const database = await createTestDatabase();
    onCleanup(() => database.drop());
    await withClient(database.superuserUrl, async (client) => {
      await client.query("set session_replication_role = replica");
      for (const statement of crowd) await client.query(statement);
      await client.query("analyze");
    });
    return database;
  })
  .extend("planned", { scope: "file" }, async ({ database }, { onCleanup }) => {
    const planned = await Planned.open(database);
    onCleanup(() => planned.close());
    return planned;
  });

/** How many rows of the outbox a statement looked at; none may read it from end to end. */
function lookedAt(readings: Reading[]): number {
  const outbox = readings.filter(({ table }) => table === "outbox");
  expect(outbox.filter(({ how }) => how === "Seq Scan")).toEqual([]);
  return Math.max(0, ...outbox.map(({ rows }) => rows));
}

test.for<[what: string, statement: string, most: number]>([
  ["a claim where nothing is due", "select messages.claim('email', 25, '2 minutes')", 0],
  [
    "a claim of what is due beside 20,000 that an endpoint has not heard",
    "select messages.claim('webhook', 25, '2 minutes')",
    25,
  ],
  [
    "settling what was claimed",
    `select messages.settle_many(array(select ${uuid("400000 + i")} from generate_series(1, 25) i), array_fill(uuidv7(), '{25}'))`,
    25,
  ],
  ["the lag", "select messages.lag_seconds()", 3],
  ["sending again what is dead", "select messages.retry_dead('provisioner', 'test')", 50],
])("D16 %s looks at no more than that", async ([, statement, most], { planned }) => {
  // A plan of plpgsql's becomes generic with its sixth run.
  for (let run = 0; run < 7; run += 1) {
    expect(lookedAt(await planned.readings(statement))).toBeLessThanOrEqual(most);
  }
});

test("D16 what an endpoint that is down has not heard is put off 1,000 at a time", async ({ planned }) => {
  const due = { text: "update messages.outbox set due_at = now() where endpoint_id = $1", values: [down] };
  expect(lookedAt(await planned.readings("select messages.hold_back('webhook')", [], due))).toBeLessThanOrEqual(1000);
});
