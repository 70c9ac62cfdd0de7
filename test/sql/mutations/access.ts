import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { compose } from "../../../src/db/write.ts";
import { Door, spending } from "../../support/door.ts";
import { Account, advance, call, outcome } from "../../support/scenario.ts";
import type { Lab, Mutation } from "./lab.ts";

const spend = (workspace: string, key: string) => ({ routine: "ledger.spend", args: spending(1), workspace, key });

/** A workspace that is read-only from an interval from now on, and a spend of its own. */
async function readOnly(lab: Lab, from: string) {
  const door = await Door.open(lab.db, (routine) => compose(routine, true));
  const workspace = await door.workspace(10);
  const act = () => door.write({ routine: "ledger.spend", args: spending(1), workspace, key: "k" });
  const close = () =>
    lab.db.query("select people.set_read_only($1, ops.now() + $2::interval, 'past_due')", [workspace, from]);
  return { act, close };
}

/** Who is let in: API keys, their scopes and their workspaces; and which workspaces may write. */
export const access: Mutation[] = [
  {
    guard: "a key of another scope is refused",
    routine: "people.authenticate",
    changes: [[/authenticate\.scope <> all \([a-z_.]+\)/g, "false"]],
    probe: async (lab) => {
      const door = await lab.door();
      const workspace = await door.workspace(10);
      const { hash } = await door.key({ workspace, scopes: ["credits:read"] });
      expect(await outcome(door.write({ ...spend(workspace, "k"), credential: hash }))).toBe("forbidden");
    },
  },
  {
    guard: "another workspace's key is refused",
    routine: "people.authenticate",
    changes: [
      [
        /when (authenticate\.workspace <> k\.workspace_id|k\.workspace_id <> authenticate\.workspace) then 'not_found'/g,
        "",
      ],
    ],
    probe: async (lab) => {
      const door = await lab.door();
      const [own, foreign] = [await door.workspace(), await door.workspace(10)];
      const { hash } = await door.key({ workspace: own, scopes: ["credits:write"] });
      expect(await outcome(door.write({ ...spend(foreign, "k"), credential: hash }))).toBe("not_found");
      expect(await new Account(lab.db, { owner: foreign }).sums()).toEqual([10, 0, 0]);
    },
  },
  {
    guard: "what is the operator's takes an operator's key",
    routine: "people.authenticate",
    changes: [[/when [^\n]* then 'operator_key_required'/g, ""]],
    probe: async (lab) => {
      const door = await lab.door();
      const { hash } = await door.key({ workspace: await door.workspace(), scopes: ["workspaces:read"] });
      const permit = { key_hash: hash, scope: "workspaces:read", workspace: null };
      expect(await outcome(call(lab.db, "ops.permit", permit))).toBe("operator_key_required");
    },
  },
  {
    guard: "a revoked key is unknown",
    routine: "people.authenticate",
    changes: [["and k.revoked_at is null", ""]],
    probe: async (lab) => {
      const door = await lab.door();
      const workspace = await door.workspace(10);
      const { id, hash } = await door.key();
      await call(lab.db, "people.revoke_api_key", { id, caused_by: "test" });
      expect(await outcome(door.write({ ...spend(workspace, "k"), credential: hash }))).toBe("unauthenticated");
    },
  },
  {
    guard: "an expired key is unknown",
    routine: "people.authenticate",
    changes: [[/when k\.expires_at [^\n]* then 'unauthenticated'/g, ""]],
    probe: async (lab) => {
      const door = await lab.door();
      const workspace = await door.workspace(10);
      const { hash } = await door.key({ expires_in: "1 minute" });
      await advance(lab.db, "1 minute");
      expect(await outcome(door.write({ ...spend(workspace, "k"), credential: hash }))).toBe("unauthenticated");
    },
  },
  {
    guard: "a workspace's key holds no operator's scope",
    routine: "people.create_api_key",
    changes: [["elsif create_api_key.workspace_id is not null then", "elsif false then"]],
    probe: async (lab) => {
      const door = await lab.door();
      const workspace = await door.workspace();
      expect(await outcome(door.key({ workspace, scopes: ["keys:write"] }))).toBe("scope_not_for_workspace");
    },
  },
  {
    guard: "a key gives no scope that it lacks",
    routine: "people.create_api_key",
    changes: [["if v_scope <> all (v_given) then", "if false then"]],
    probe: async (lab) => {
      const { id } = await (await lab.door()).key({ scopes: ["keys:write"] });
      const making = call(lab.db, "people.create_api_key", {
        workspace_id: null,
        name: "more than it has",
        scopes: ["ledger:adjust"],
        hash: randomUUID().replaceAll("-", "").repeat(2),
        prefix: "tg_",
        expires_in: null,
        caused_by: "test",
        granted_by: id,
      });
      expect(await outcome(making)).toBe("forbidden");
    },
  },
  {
    guard: "a workspace that is read-only is refused",
    routine: "ops.admit",
    changes: [["if not admit.even_read_only and admit.replay is null then", "if false then"]],
    probe: async (lab) => {
      const { act, close } = await readOnly(lab, "0");
      await close();
      expect(await outcome(act())).toBe("workspace_read_only");
    },
  },
  {
    guard: "what a workspace was answered it is answered again, read-only or not",
    routine: "ops.admit",
    changes: [["and admit.replay is null then", "then"]],
    probe: async (lab) => {
      const { act, close } = await readOnly(lab, "0");
      await act();
      await close();
      expect(await act()).toMatchObject({ replayed: true });
    },
  },
  {
    guard: "a grace that lasts refuses nobody",
    routine: "people.access_of",
    changes: [["and w.read_only_from <= ops.now()", ""]],
    probe: async (lab) => {
      const { act, close } = await readOnly(lab, "1 day");
      await close();
      expect(await outcome(act())).toBe("done");
    },
  },
];
