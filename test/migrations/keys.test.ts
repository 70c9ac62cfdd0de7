import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { projectRoot } from "../../db/tool/command.ts";
import { interval } from "../../db/tool/keys.ts";
import { createTestDatabase } from "../support/database.ts";
import type { TestDatabase } from "../support/database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

test("a key is made, shown once, listed by its prefix, and revoked", async () => {
  const made = await keys("create", "--name", "till", "--scopes", "credits:read,ops:read", "--expires", "90d");
  const { id = "", key = "" } = /^id {3}(?<id>\S+)\nkey {2}(?<key>tg_[\w-]{43})$/m.exec(made.output)?.groups ?? {};
  const { rows } = await database.owner.query(
    "select hash, scopes, workspace_id, expires_at - created_at = interval '90 days' as ninety from people.api_key where id = $1",
    [id],
  );
  const hash = createHash("sha256").update(key).digest("hex");
  expect(rows).toEqual([{ hash, scopes: ["credits:read", "ops:read"], workspace_id: null, ninety: true }]);

  const listed = (await keys("list")).output;
  expect(listed).toContain(key.slice(0, 10));
  expect(listed).not.toContain(key.slice(0, 12));
  expect(listed).not.toContain(hash);

  const revoked = await keys("revoke", id);
  expect(revoked.output).toMatch(/^revoked \d{4}-/);
  // Again: the same answer, and nothing more in the audit.
  expect((await keys("revoke", id)).output).toBe(revoked.output);
  const audit = await database.owner.query("select action, actor from ops.audit where subject = $1 order by id", [
    `api_key:${id}`,
  ]);
  expect(audit.rows).toEqual([
    { action: "api_key.create", actor: "command:keys" },
    { action: "api_key.revoke", actor: "command:keys" },
  ]);
});

test.each([
  [["create", "--name", "x", "--scopes", "everything"], 'Refused: scope_unknown {"scope": "everything"}'],
  [["create", "--name", "x", "--workspace", "019a0000-0000-7000-8000-000000000000"], "Refused: not_found"],
  [["create", "--name", "x", "--workspace", "nobody"], "An id is a UUID."],
  [["create", "--name", "x", "--expires", "soon"], "--expires soon: a number and h, d, w or y"],
  [["create"], "npm run keys"],
  [["revoke", "019a0000-0000-7000-8000-000000000000"], "Refused: not_found"],
])("what cannot be done says why, in one line: %s", async (words, message) => {
  const { code, output } = await keys(...words);
  expect(code).toBe(1);
  expect(output).toContain(message);
  expect(output).not.toContain("    at ");
});

test("an expiry has one reading", () => {
  expect(interval("36h")).toBe("36 hours");
  for (const words of ["1m", "0d", "-1d", "1.5d", "d", "1 d", "999999d"]) {
    expect(() => interval(words)).toThrow("--expires");
  }
});

/** Runs `npm run keys -- …`. */
async function keys(...words: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [join(projectRoot, "db/tool/keys.ts"), ...words], {
    env: { ...process.env, DATABASE_URL: database.ownerUrl },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [output, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, output: output + errors };
}
