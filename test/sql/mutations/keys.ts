import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { besideOpen } from "../../support/barrier.ts";
import { spending } from "../../support/door.ts";
import { advance, call, outcome, refusal, rows } from "../../support/scenario.ts";
import type { Lab, Mutation } from "./lab.ts";

const spend = (workspace: string, key: string) => ({ routine: "ledger.spend", args: spending(1), workspace, key });

const remember = (lab: Lab, workspace_id: string | null, key: string, answer: string | null = "{}") =>
  call(lab.db, "ops.remember", {
    workspace_id,
    idempotency_key: key,
    fingerprint: "00",
    request_id: randomUUID(),
    answer,
  });

/** Two calls with one key, the second while the first is not yet committed. */
async function twiceAtOnce(lab: Lab): Promise<void> {
  const door = await lab.door();
  const workspace = await door.workspace(10);
  const second = await besideOpen(
    lab.db,
    (gate) => door.write(spend(workspace, "k"), gate),
    () => door.write(spend(workspace, "k")),
  );
  expect(second.replayed).toBe(true);
}

/** A routine whose effect has no key of its own: only the envelope keeps it from happening twice. */
async function runsOnce(lab: Lab): Promise<void> {
  const door = await lab.door();
  const name = `Acme ${randomUUID()}`;
  const make = { routine: "people.create_workspace", args: { name }, workspace: null, scope: "workspaces:write" };
  for (let i = 0; i < 3; i += 1) await door.write({ ...make, key: name });
  expect(await rows(lab.db, "select from people.workspace where name = $1", [name])).toHaveLength(1);
}

export const keys: Mutation[] = [
  {
    guard: "A11 CASE decides whether the routine runs: a WHERE around it does not",
    envelope: (statement) => {
      const routine = /to_json\((people\.create_workspace\(.*?\))\)/.exec(statement)?.[1];
      if (routine === undefined) return statement;
      const from = statement.slice(statement.indexOf("from ops.admit"));
      return `select c.replay is not null as replayed,
          coalesce(c.replay, ops.remember(
            workspace_id => c.workspace_id, idempotency_key => c.idempotency_key, fingerprint => c.fingerprint,
            request_id => c.request_id, answer => r.answer)) as answer
        ${from}
        left join lateral (select to_json(f) as answer from ${routine} f where c.replay is null) r on true`;
    },
    probe: runsOnce,
  },
  {
    guard: "A11 the answer is remembered",
    envelope: (statement) => statement.replace(/ops\.remember\([\s\S]*answer => (to_json\(.*\))\)\n/, "$1\n"),
    probe: runsOnce,
  },
  {
    guard: "A11 the second of two calls with one key waits for the first",
    routine: "ops.admit",
    changes: [
      ["pg_advisory_xact_lock(hashtextextended(concat(admit.workspace_id, admit.idempotency_key), 0)) is null", "null"],
    ],
    probe: twiceAtOnce,
  },
  {
    guard: "A11 the stored answer is read after that wait, with a fresh snapshot",
    routine: "ops.admit",
    changes: [
      [
        "  admit.own := pg_advisory_xact_lock(hashtextextended(concat(admit.workspace_id, admit.idempotency_key), 0)) is null;\n",
        "",
      ],
      [
        "  if v_fingerprint <> decode(",
        "  perform pg_advisory_xact_lock(hashtextextended(concat(admit.workspace_id, admit.idempotency_key), 0));\n  if v_fingerprint <> decode(",
      ],
    ],
    probe: twiceAtOnce,
  },
  {
    guard: "A11 another request under a used key is refused",
    routine: "ops.admit",
    changes: [["if v_fingerprint <> decode(admit.fingerprint, 'hex') then", "if false then"]],
    probe: async (lab) => {
      const door = await lab.door();
      const workspace = await door.workspace(10);
      await door.write({ ...spend(workspace, "k"), fingerprint: "aa" });
      expect(await outcome(door.write({ ...spend(workspace, "k"), fingerprint: "bb" }))).toBe("idempotency_key_reused");
    },
  },
  {
    guard: "A11 one answer a key",
    constraint: { table: "ops.request", name: "request_once" },
    probe: async (lab) => {
      const door = await lab.door();
      const workspace = await door.workspace();
      await remember(lab, workspace, "k");
      expect(await refusal(remember(lab, workspace, "k"))).toMatchObject({ constraint: "request_once" });
    },
  },
  {
    guard: "A11 one answer a key of the operator's, whose workspace is null",
    constraint: { table: "ops.request", name: "request_once", becomes: "unique (workspace_id, idempotency_key)" },
    probe: async (lab) => {
      const key = randomUUID();
      await remember(lab, null, key);
      expect(await refusal(remember(lab, null, key))).toMatchObject({ constraint: "request_once" });
    },
  },
  {
    guard: "a null answer is a fault",
    routine: "ops.remember",
    changes: [["if remember.answer is null then", "if false then"]],
    probe: async (lab) => expect(await outcome(remember(lab, null, randomUUID(), null))).toBe("22004"),
  },
  {
    guard: "A11 a key stands on its transaction for ever",
    constraint: {
      table: "ledger.transaction",
      name: "transaction_key_once",
      becomes: "unique (owner_id, idempotency_key, id)",
    },
    probe: async (lab) => {
      const account = lab.account();
      await account.grant(5, { key: "k" });
      expect(await outcome(account.grant(5, { key: "k" }))).toBe("idempotency_key_reused");
    },
  },
  {
    guard: "A11 a used key is told by name, with what was done under it",
    routine: "ledger.post",
    changes: [["\n  on conflict on constraint transaction_key_once do nothing;", ";"]],
    probe: async (lab) => {
      const account = lab.account();
      await account.grant(5, { key: "k" });
      expect(await outcome(account.grant(5, { key: "k" }))).toBe("idempotency_key_reused");
    },
  },
  {
    guard: "A11 a spend finds that an item of a batch had its key",
    routine: "ledger.spend",
    changes: [["  on conflict on constraint transaction_key_once do nothing\n", ""]],
    probe: async (lab) => {
      const account = await lab.credited(10);
      await account.spendMany([{ key: "k", amount: 3 }]);
      expect(await outcome(account.spend(3, { key: "k" }))).toBe("done");
    },
  },
  {
    guard: "A11 a spend that finds its key used puts everything back",
    routine: "ledger.spend",
    changes: [
      [
        "update ledger.account a set available = a.available + spend.amount",
        "update ledger.account a set available = a.available",
      ],
    ],
    probe: async (lab) => {
      const account = await lab.credited(10);
      await account.spend(3, { key: "k" });
      await account.spend(3, { key: "k" });
      expect(await account.sums()).toEqual([7, 0, 0]);
      await lab.stands();
    },
  },
  {
    guard: "A11 a spend of another amount is no replay",
    routine: "ledger.spent_before",
    changes: [["and t.amount = spent_before.amount", ""]],
    probe: async (lab) => {
      const account = await lab.credited(10);
      await account.spend(3, { key: "k" });
      expect(await outcome(account.spend(4, { key: "k" }))).toBe("idempotency_key_reused");
    },
  },
  {
    guard: "A11 an item of another amount is no replay",
    routine: "ledger.spend_many",
    changes: [["and t.amount = i.amount", ""]],
    probe: async (lab) => {
      const account = await lab.credited(10);
      await account.spend(3, { key: "k" });
      expect(await account.spendMany([{ key: "k", amount: 4 }])).toMatchObject({ codes: ["idempotency_key_reused"] });
    },
  },
  {
    guard: "A11 after 35 days a single spend's key is expired",
    routine: "ledger.spent_before",
    changes: [["\n      and t.created_at > ops.now() - interval '35 days'", ""]],
    probe: async (lab) => {
      const account = await lab.credited(10);
      await account.spend(3, { key: "k" });
      await advance(lab.db, "35 days");
      expect(await outcome(account.spend(3, { key: "k" }))).toBe("idempotency_key_expired");
    },
  },
  {
    guard: "A11 after 35 days an item's key is expired",
    routine: "ledger.spend_many",
    changes: [["elsif not v_item.recent then", "elsif false then"]],
    probe: async (lab) => {
      const account = await lab.credited(10);
      await account.spend(3, { key: "k" });
      await advance(lab.db, "35 days");
      expect(await account.spendMany([{ key: "k", amount: 3 }])).toMatchObject({ codes: ["idempotency_key_expired"] });
    },
  },
  {
    guard: "A11 after 35 days any used key is expired",
    routine: "ledger.refuse_used_key",
    changes: [["interval '35 days'", "interval '350 days'"]],
    probe: async (lab) => {
      const account = lab.account();
      await account.grant(3, { key: "k" });
      await advance(lab.db, "35 days");
      expect(await outcome(account.grant(3, { key: "k" }))).toBe("idempotency_key_expired");
    },
  },
];
