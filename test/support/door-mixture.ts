import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { type Doorkeeper, reconcile } from "./doorkeeper.ts";
import { Guest } from "./guest.ts";
import { rows } from "./scenario.ts";

/** Something for each sweep to do: a key to add, one to remove, one that was lost, and one that nobody here knows, seen once. */
export async function mixture(door: Doorkeeper) {
  const leaving = await door.admitted();
  const lost = await door.admitted();
  const staying = await door.admitted();
  const foreign = randomUUID();
  door.have(foreign);
  await door.sweep(reconcile);
  const coming = await Guest.withKey(door.db);
  await leaving.guest.end();
  door.lose(lost.key);
  return { leaving, lost, staying, foreign, coming };
}

type Mixture = Awaited<ReturnType<typeof mixture>>;

/** Both sides agree: who pays is there, nobody else; each row and each message is at its end. */
export async function agrees(door: Doorkeeper, { leaving, lost, staying, foreign, coming }: Mixture) {
  expect(door.there()).toEqual(await door.paid());
  expect(await coming.key()).toMatchObject({ state: "active" });
  expect(await leaving.guest.key()).toMatchObject({ state: "removed" });
  expect(await rows(door.db, "select from access.key where state in ('pending', 'removing')")).toEqual([]);
  expect(
    await rows(
      door.db,
      "select kind, state from messages.outbox where channel = 'provisioner' and state not in ('delivered', 'canceled')",
    ),
  ).toEqual([]);
  expect(await rows(door.db, "select from access.stray")).toEqual([]);
  // Nothing was removed twice, and who stayed was let alone.
  expect(door.deeds(leaving.key)).toEqual({ added: 1, removed: 1 });
  expect(door.deeds(staying.key)).toEqual({ added: 1, removed: 0 });
  expect(door.deeds(lost.key)).toEqual({ added: 2, removed: 0 });
  expect(door.deeds(foreign)).toEqual({ added: 0, removed: 1 });
  expect(door.deeds((await coming.key()).key)).toEqual({ added: 1, removed: 0 });
}
