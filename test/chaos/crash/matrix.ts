import { expect, test as plain } from "vitest";
import { Minefield, sqlstates } from "../../support/crash.ts";
import type { Act, Blow, Place } from "../../support/crash.ts";
import { assertStanding } from "../../support/invariants.ts";
import type { Path } from "./path.ts";

// The crash matrix: each path is broken at every row that it writes, and at its commit, in every way; then its caller repeats it.
// What a crash leaves is compared with what was before it, row by row of all tables. Since that is the same database, one
// prepared path can be broken at all its places, one after another; who repeats it after the last repeats it after each.

/** `test` with two databases of the file's own, in which the time stands still. */
export const test = plain
  // oxlint-disable-next-line no-empty-pattern -- vitest reads a fixture's needs from its pattern and takes no other
  .extend("calm", { scope: "file" }, async ({}, { onCleanup }) => {
    const field = await Minefield.lay();
    onCleanup(() => field.close());
    return field;
  })
  // oxlint-disable-next-line no-empty-pattern -- as above
  .extend("mined", { scope: "file" }, async ({}, { onCleanup }) => {
    const field = await Minefield.lay();
    onCleanup(() => field.close());
    return field;
  });

/** A client is told of any error; for a sweep and the inbox it matters which it is. */
const blows = { request: ["killed", "faulty"], event: ["killed", "passing"], sweep: ["killed", "passing"] } as const;

/** A path has some hundred crashes. */
export const patient = { timeout: 240_000 };

/** Every path against every place. */
export function matrix(paths: readonly Path[]): void {
  const titled = paths.map((path) => [path.name, path] as const);
  test.for(titled)("%s: killed at any point, all or nothing; repeated, once", patient, ([, path], { calm, mined }) =>
    proven(path, calm, mined),
  );
}

/** Breaks a path at every place, in one database, and holds what is left against the other, where nothing happened to it. */
export async function proven(path: Path, calm: Minefield, mined: Minefield): Promise<void> {
  const right = await undisturbed(calm, path);
  await mined.clear();
  const act = await path.prepare(mined);
  const before = await mined.digest();

  const met = new Set<string>();
  for (const at of places(right.writes)) {
    for (const blow of blows[path.by]) met.add(await broken(mined, act, before, at, blow));
    if (path.by !== "request" && at !== "commit") await faulty(mined, act, before, at, path.by, right);
  }
  expect([...met].toSorted(), "the tables whose writes were met").toEqual(path.writes.toSorted());

  expect(idless(await mined.alone(act))).toEqual(right.answer);
  expect(await mined.contents(), "done once, after all crashes").toEqual(right.contents);

  // It was done, and nobody heard of it.
  const done = await mined.digest();
  const again = await mined.alone(act);
  if (path.by === "request") expect(idless(again)).toEqual(right.answer);
  expect(await mined.digest(), "repeated after its commit").toEqual(done);

  await mined.sweep();
  const swept = await mined.digest();
  expect(await mined.contents(), "and the sweeps have run").toEqual(right.swept);
  await mined.sweep();
  expect(await mined.digest(), "the sweeps run again").toEqual(swept);
  await assertStanding(mined.db);
}

const places = (writes: number): Place[] => [...Array.from({ length: writes }, (_, i) => i + 1), "commit"];

type Right = Awaited<ReturnType<typeof undisturbed>>;

/** What the path leaves where nothing happens to it, in a database of its own; and how many rows it writes. */
async function undisturbed(calm: Minefield, path: Path) {
  await calm.clear();
  const act = await path.prepare(calm);
  const { answer, writes } = await calm.counting(act);
  const contents = await calm.contents();
  await calm.sweep();
  return { answer: idless(answer), writes, contents, swept: await calm.contents() };
}

/** The act ends at this place with the blow, and has changed nothing at all. Answers the table whose write it was. */
async function broken(
  mined: Minefield,
  act: Act,
  before: Record<string, string>,
  at: Place,
  blow: Blow,
): Promise<string> {
  const { hit, failure } = await mined.over(at, blow, act);
  const place = `${blow} at ${at}, a write of ${hit}`;
  expect([hit === null, failure], place).toEqual([false, sqlstates[blow]]);
  expect(await mined.digest(), `${place}: nothing has changed`).toEqual(before);
  return hit ?? "";
}

/** An error that is none of the moment: a client is told; a sweep does row by row what it could not do at once; an event waits. */
async function faulty(
  mined: Minefield,
  act: Act,
  before: Record<string, string>,
  at: Place,
  by: "sweep" | "event",
  right: Right,
): Promise<void> {
  const place = `faulty at ${at}`;
  const { hit, failure } = await mined.supposing(at, "faulty", act, async ({ answer, db }) => {
    if (by === "sweep") {
      expect(idless(answer), place).toEqual(right.answer);
      expect(await mined.contents(db), place).toEqual(right.contents);
      return;
    }
    const after = await mined.digest(db);
    const changed = Object.keys(after).filter((table) => after[table] !== before[table]);
    expect(changed, place).toEqual(["ops.event"]);
    await db.query("update ops.event set next_attempt_at = ops.now() where next_attempt_at is not null");
    await db.query("select from ops.events_retry(100)");
    const others = (rows: string[]) => rows.filter((row) => !row.startsWith("ops.event "));
    expect(others((await mined.contents(db)).rows), place).toEqual(others(right.contents.rows));
  });
  // What cannot be kept with its event is not taken: its sender repeats it.
  const refused = by === "event" && hit === "ops.event";
  expect([hit === null, failure], `${place}, a write of ${hit}`).toEqual([false, refused ? sqlstates.faulty : null]);
}

/** An answer without the ids in it. */
function idless(answer: unknown): unknown {
  return JSON.parse(JSON.stringify(answer).replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "<id>"));
}
