import { expect } from "vitest";
import { call, outcome, rows } from "../../support/scenario.ts";
import { besideOpen } from "../../support/barrier.ts";
import { Told, both } from "./billing.shop.ts";
import type { Lab, Mutation } from "./lab.ts";

/** One that was told of in two ways within one second: it is in doubt. */
async function doubtful(lab: Lab): Promise<Told> {
  const told = await Told.open(lab);
  await told.tell(60, { event: "created" });
  await told.tell(50);
  const [row] = await rows<{ at: number }>(
    lab.db,
    "select extract(epoch from seen_at)::int8 as at from billing.subscription where provider_id = $1",
    [told.id],
  );
  await told.till.send("x", told.fact({ quantity: 2 }), row?.at);
  return told;
}

/** A claim whose answer comes after another doubt. */
async function slow(lab: Lab, answer: Record<string, unknown>): Promise<void> {
  const told = await doubtful(lab);
  const late = await told.ask();
  const [row] = await rows<{ at: number }>(
    lab.db,
    "select extract(epoch from seen_at)::int8 as at from billing.subscription where provider_id = $1",
    [told.id],
  );
  await told.till.send("x", told.fact({ quantity: 5 }), row?.at);
  await late(told.fact(answer));
  expect(await told.row()).toMatchObject({ quantity: 1, due: true });
}

export const state: Mutation[] = [
  {
    guard: "B2 deleted is final",
    routine: "billing.apply_subscription",
    changes: [["v_row.ended_at is not null", "false"]],
    probe: async (lab) => {
      const told = await Told.open(lab);
      await told.tell(60, { event: "deleted", status: "canceled", ended_at: 1_790_000_000 });
      expect(await told.tell(10)).toMatchObject({ outcome: "final" });
    },
  },
  {
    guard: "B2 deleted applies whenever it comes",
    routine: "billing.apply_subscription",
    changes: [["elsif v_rank < 2 then", "else"]],
    probe: async (lab) => {
      const told = await Told.open(lab);
      await told.tell(10);
      await told.tell(60, { event: "deleted", status: "canceled", ended_at: 1_790_000_000 });
      expect((await told.row()).state).toBe("canceled");
    },
  },
  {
    guard: "B2 what is older is left",
    routine: "billing.apply_subscription",
    changes: [["(apply_subscription.occurred_at, v_rank) < (v_row.seen_at, v_row.seen_rank)", "false"]],
    probe: async (lab) => {
      const told = await Told.open(lab);
      await told.tell(10, { quantity: 2 });
      await told.tell(60, { quantity: 9 });
      expect((await told.row()).quantity).toBe(2);
    },
  },
  {
    guard: "B2 of one second nobody knows the order: it is asked",
    routine: "billing.apply_subscription",
    changes: [
      ["elsif (apply_subscription.occurred_at, v_rank) = (v_row.seen_at, v_row.seen_rank) then", "elsif false then"],
    ],
    probe: async (lab) => {
      expect(await (await doubtful(lab)).row()).toMatchObject({ quantity: 1, due: true });
    },
  },
  {
    guard: "B2 within one second created is older",
    routine: "billing.apply_subscription",
    changes: [["when 'created' then 0", ""]],
    probe: async (lab) => {
      const told = await Told.open(lab);
      const at = 1_790_000_000;
      await told.till.send("x", told.fact({ event: "created", status: "incomplete" }), at);
      expect(await told.till.send("x", told.fact(), at)).toMatchObject({ outcome: "written" });
    },
  },
  {
    guard: "B2 what was told before the object was fetched is in doubt",
    routine: "billing.apply_subscription",
    changes: [["apply_subscription.occurred_at <= v_row.synced_at + interval '1 minute'", "false"]],
    probe: async (lab) => {
      const told = await doubtful(lab);
      await (
        await told.ask()
      )(told.fact({ quantity: 5 }));
      expect(await told.tell(10, { quantity: 7 })).toMatchObject({ outcome: "doubt" });
      expect((await told.row()).quantity).toBe(5);
    },
  },
  {
    guard: "B2 an answer is written only at the generation that was asked for",
    routine: "billing.sync_subscription",
    changes: [["elsif v_row.version <> sync_subscription.generation then", "elsif false then"]],
    probe: (lab) => slow(lab, { quantity: 3 }),
  },
  {
    guard: "B2 an answer that agrees does not settle a doubt that is newer",
    routine: "billing.sync_subscription",
    changes: [
      [
        "sync_subscription.outcome := 'same';\n    else",
        "sync_subscription.outcome := 'same'; update billing.subscription s set sync_due_at = null where s.id = sync_subscription.id;\n    else",
      ],
    ],
    probe: (lab) => slow(lab, {}),
  },
  {
    guard: "B2 a doubt steps the generation, also where the row is due",
    routine: "billing.mark_sync",
    changes: [
      [
        "s.ended_at is null and s.collection = 'stripe';",
        "s.ended_at is null and (s.sync_due_at is null or s.sync_due_at > ops.now() or s.sync_token is not null);",
      ],
    ],
    probe: async (lab) => {
      const told = await doubtful(lab);
      const { version } = await told.row();
      const [row] = await rows<{ at: number }>(
        lab.db,
        "select extract(epoch from seen_at)::int8 as at from billing.subscription where provider_id = $1",
        [told.id],
      );
      await told.till.send("x", told.fact({ quantity: 5 }), row?.at);
      expect((await told.row()).version).toBeGreaterThan(version);
    },
  },
  {
    guard: "B2 an answer about one that is over changes nothing",
    routine: "billing.sync_subscription",
    changes: [["if v_row.ended_at is not null then", "if false then"]],
    probe: async (lab) => {
      const told = await Told.open(lab);
      await told.tell(60, { event: "deleted", status: "canceled", ended_at: 1_790_000_000 });
      const { id, version } = await told.row();
      const answer = { id, generation: version, asked_at: new Date().toISOString(), fact: JSON.stringify(told.fact()) };
      expect(await outcome(call(lab.db, "billing.sync_subscription", answer))).toBe("done");
      expect((await told.row()).state).toBe("canceled");
    },
  },
  {
    guard: "a claim for a fetch is one Worker's",
    routine: "billing.claim_syncs",
    changes: [[/set sync_due_at = ops\.now\(\) \+ greatest\([\s\S]*?9\)\)\)\),/g, "set sync_due_at = s.sync_due_at,"]],
    probe: async (lab) => {
      await doubtful(lab);
      const claim = () => call<{ ids: string[] }>(lab.db, "billing.claim_syncs", { batch: 10, lease: "1 minute" });
      const claims = [await claim(), await claim()];
      expect(claims.flatMap(({ ids }) => ids)).toHaveLength(1);
    },
  },
  {
    guard: "another workspace's subscription is nobody else's",
    routine: "billing.ensure_subscription",
    changes: [["v_row.workspace_id <> ensure_subscription.workspace_id", "false"]],
    probe: async (lab) => {
      const told = await Told.open(lab);
      await told.tell(60, { event: "created" });
      const other = await told.till.customer();
      const event = told.till.event("x", { ...told.fact({ quantity: 9 }), customer: other.customer });
      expect(await told.till.deliver(event)).toMatchObject({ state: "failed" });
    },
  },
  {
    guard: "a workspace has one live subscription, by constraint",
    ddl: {
      apply: "drop index billing.subscription_live_once",
      undo: `create unique index subscription_live_once on billing.subscription (workspace_id)
              where ended_at is null and superseded_by is null`,
    },
    probe: async (lab) => {
      const { other } = await both(lab);
      const alone = lab.db.query("update billing.subscription set superseded_by = null where provider_id = $1", [
        other.id,
      ]);
      await expect(alone).rejects.toMatchObject({ constraint: "subscription_live_once" });
    },
  },
  {
    guard: "B14 a workspace's events move one after the other",
    routine: "billing.apply_subscription",
    changes: [["perform people.lock_workspace(v_workspace);", ""]],
    probe: async (lab) => {
      const told = await Told.open(lab);
      const other = await Told.open(lab, {}, told.of);
      const received = await besideOpen(
        lab.db,
        (gate) => told.till.deliver(told.till.event("x", told.fact()), gate),
        () => told.till.deliver(told.till.event("x", other.fact())),
      );
      expect(received).toMatchObject({ state: "applied" });
    },
  },
];
