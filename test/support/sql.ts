import { test as plain } from "vitest";
import { createTestDatabase } from "./database.ts";
import { Door } from "./door.ts";
import { assertInvariants } from "./invariants.ts";
import { Account } from "./scenario.ts";

/** `test` with a database of the file's own, for what only looks at it: `db` is a pool of the owner's role. */
export const unwatched = plain
  // oxlint-disable-next-line no-empty-pattern -- vitest reads a fixture's needs from its pattern and takes no other
  .extend("database", { scope: "file" }, async ({}, { onCleanup }) => {
    const database = await createTestDatabase();
    onCleanup(() => database.drop());
    return database;
  })
  .extend("db", { scope: "file" }, ({ database }) => database.owner);

/**
 * The same for what changes it: `account` is a new account of a new owner, `door` the envelope. After each test the
 * invariants must hold over the whole database, and each first answer that is still kept be what a replay answers.
 */
export const test = unwatched
  .extend("account", ({ db }) => new Account(db))
  .extend("door", async ({ db }, { onCleanup }) => {
    const door = await Door.open(db);
    onCleanup(() => door.assertReplays());
    return door;
  })
  .extend("invariants", { auto: true }, ({ db }, { onCleanup }) => {
    onCleanup(() => assertInvariants(db));
    return true;
  });
