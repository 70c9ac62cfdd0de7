import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { withClient } from "../../world/roles.ts";
import { advance, call, outcome, refusal, rows } from "../../support/scenario.ts";
import type { Lab, Mutation } from "./lab.ts";

const claim = (lab: Lab, name: string, every = "1 minute", lease = "1 minute") =>
  call<{ names: string[]; run_ids: string[] }>(lab.db, "ops.claim_sweeps", {
    names: [name],
    intervals: [every],
    lease,
  });

const finish = (lab: Lab, run_id: string | undefined, error: string | null = null) =>
  call(lab.db, "ops.finish_sweep", { run_id, processed: 0, failed: 0, more: false, error });

const audited = (lab: Lab, owner: string) =>
  rows(lab.db, "select action from ops.audit where workspace_id = $1", [owner]);

async function unbalanced(lab: Lab): Promise<void> {
  const { owner } = await lab.credited(5);
  const insert = lab.db.query(
    `insert into ledger.transaction
       (owner_id, unit, id, kind, amount, sides, lots, amounts, idempotency_key, caused_by, created_at)
     select owner_id, unit, uuidv7(), 'spend', 1, '{available,spent}', lots, '{-1,2}', 'x', 'test', ops.now()
       from ledger.transaction where owner_id = $1`,
    [owner],
  );
  expect(await refusal(insert)).toMatchObject({ constraint: "transaction_balanced" });
}

const appendOnly = (table: string, name: string): Mutation => ({
  guard: `B9 ${table} is append-only`,
  trigger: { table, name },
  probe: async (lab) => {
    await (await lab.credited(5)).adjust(1);
    for (const change of [`delete from ${table}`, `truncate ${table}`, `update ${table} set created_at = created_at`]) {
      expect([change, await outcome(lab.db.query(change))]).toEqual([change, "TG002"]);
    }
  },
});

export const house: Mutation[] = [
  appendOnly("ledger.transaction", "transaction_append_only"),
  appendOnly("ops.audit", "audit_append_only"),
  {
    guard: "B9 TRUNCATE is refused too",
    ddl: {
      apply:
        "create or replace trigger audit_append_only before update or delete on ops.audit for each statement execute function ops.append_only()",
      undo: "create or replace trigger audit_append_only before update or delete or truncate on ops.audit for each statement execute function ops.append_only()",
    },
    probe: async (lab) => expect(await outcome(lab.db.query("truncate ops.audit"))).toBe("TG002"),
  },
  {
    guard: "B9 an adjustment leaves its audit row",
    routine: "ops.record_change",
    changes: [["insert into ops.audit", "perform 1; return; insert into ops.audit"]],
    probe: async (lab) => {
      const account = lab.account();
      await account.adjust(5);
      expect(await audited(lab, account.owner)).toEqual([{ action: "ledger.adjust" }]);
    },
  },
  {
    guard: "A12 entries sum to zero, by a trigger",
    trigger: { table: "ledger.transaction", name: "transaction_balanced" },
    probe: async (lab) =>
      expect(await refusal(lab.account().grant(0))).toMatchObject({ constraint: "transaction_balanced" }),
  },
  {
    guard: "A12 entries sum to zero, whatever else is right of them",
    routine: "ledger.balanced",
    changes: [["return v_total = 0;", "return true;"]],
    probe: unbalanced,
  },
  {
    guard: "A12 a spend from one lot, which is seen at once, sums to zero too",
    routine: "ledger.refuse_unbalanced",
    changes: [["and new.amounts[1] = -new.amounts[2] ", ""]],
    probe: unbalanced,
  },
  {
    guard: "the Worker's role writes no table",
    ddl: {
      apply: "grant update on ledger.account to tollgate_worker",
      undo: "revoke update on ledger.account from tollgate_worker",
    },
    probe: async (lab) => {
      const write = withClient(lab.database.workerUrl, (client) =>
        client.query("update ledger.account set held = held"),
      );
      expect(await outcome(write)).toBe("42501");
    },
  },
  {
    guard: "the Worker's role calls no routine that is not its own",
    ddl: {
      apply: "grant execute on all functions in schema ledger to tollgate_worker",
      undo: `do $$ declare r record; begin
        for r in select p.oid::regprocedure as routine from pg_proc p join pg_namespace n on n.oid = p.pronamespace
                  where n.nspname = 'ledger' and p.proname not in
                    ('adjust', 'balance_of', 'grant', 'hold', 'holds_expire', 'lots_expire', 'release', 'reset', 'reverse',
                     'set_limit', 'settle', 'spend', 'spend_many', 'verify')
        loop execute format('revoke execute on function %s from tollgate_worker', r.routine); end loop; end $$`,
    },
    probe: async (lab) => {
      const { owner } = await lab.credited(5);
      const taking = withClient(lab.database.workerUrl, (client) =>
        client.query("select ledger.take(owner_id => $1, unit => 'credit', amount => 5)", [owner]),
      );
      expect(await outcome(taking)).toBe("42501");
    },
  },
  {
    guard: "D22 a sweep that runs is not claimed again",
    routine: "ops.claim_sweeps",
    changes: [["(s.leased_until is null or s.leased_until <= ops.now())", "true"]],
    probe: async (lab) => {
      await claim(lab, "a_sweep", "0");
      expect((await claim(lab, "a_sweep", "0")).names).toEqual([]);
      await lab.db.query("delete from ops.sweep");
    },
  },
  {
    guard: "a sweep that ran lately is not due",
    routine: "ops.claim_sweeps",
    changes: [["and (s.more or s.started_at + v_due.every <= ops.now())", ""]],
    probe: async (lab) => {
      const { run_ids } = await claim(lab, "a_sweep");
      await finish(lab, run_ids[0]);
      expect((await claim(lab, "a_sweep")).names).toEqual([]);
      await lab.db.query("delete from ops.sweep");
    },
  },
  {
    guard: "the late report of a dead run gives no other run's lease back",
    routine: "ops.finish_sweep",
    changes: [["and s.run_id = finish_sweep.run_id", ""]],
    probe: async (lab) => {
      const dead = await claim(lab, "a_sweep", "0", "1 minute");
      await advance(lab.db, "2 minutes");
      await claim(lab, "a_sweep", "0", "1 hour");
      await finish(lab, dead.run_ids[0]);
      expect((await claim(lab, "a_sweep", "0")).names).toEqual([]);
      await lab.db.query("delete from ops.sweep");
    },
  },
  {
    guard: "a run is told once",
    routine: "ops.finish_sweep",
    changes: [["and r.finished_at is null", ""]],
    probe: async (lab) => {
      const { run_ids } = await claim(lab, "a_sweep");
      await finish(lab, run_ids[0]);
      expect(await finish(lab, run_ids[0])).toMatchObject({ finished: false });
      await lab.db.query("delete from ops.sweep");
    },
  },
  {
    guard: "D21 a failed sweep opens an alarm",
    routine: "ops.finish_sweep",
    changes: [["if finish_sweep.error is null then", "if true then"]],
    probe: async (lab) => {
      const name = `sweep of ${randomUUID()}`;
      const { run_ids } = await claim(lab, name);
      await finish(lab, run_ids[0], "on fire");
      expect(await rows(lab.db, "select from ops.alarm where subject = $1", [name])).toHaveLength(1);
    },
  },
  {
    guard: "a stored answer is kept for 35 days",
    routine: "ops.requests_expire",
    changes: [["interval '35 days'", "interval '34 days'"]],
    probe: async (lab) => {
      const door = await lab.door();
      await door.workspace(5);
      await advance(lab.db, "34 days 1 hour");
      expect(await rows(lab.db, "select processed from ops.requests_expire(100)")).toEqual([{ processed: 0 }]);
    },
  },
  {
    guard: "a stored answer is found by its age",
    routine: "ops.requests_expire",
    changes: [["where r.created_at <= (select ops.now()) - interval '35 days'", "where true"]],
    probe: async (lab) => {
      const door = await lab.door();
      await door.workspace(5);
      expect(await rows(lab.db, "select processed from ops.requests_expire(100)")).toEqual([{ processed: 0 }]);
    },
  },
];
