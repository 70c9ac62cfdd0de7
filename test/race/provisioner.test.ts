import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { race, tally, until } from "../support/barrier.ts";
import { type Doorkeeper, outbox, reconcile, testAt } from "../support/doorkeeper.ts";
import { Guest } from "../support/guest.ts";
import { advance, outcome, rows } from "../support/scenario.ts";
import { dueAgain } from "../support/sweeping.ts";
import { deadlocks } from "./arena.ts";

/** Several Workers run these sweeps at once, whatever their claims of sweeps say: only what they do is to keep them apart. */
async function pumps(door: Doorkeeper, count: number, run: (i: number) => Promise<unknown>): Promise<void> {
  for (const name of [outbox, reconcile]) await door.sweep(name);
  await race(count, async (i) => {
    const { worker } = door.workers[i % door.workers.length] ?? {};
    for (let round = 0; round < 3; round += 1) {
      await dueAgain(door.db, i % 2 === 0 ? [outbox] : [outbox, reconcile]);
      await worker?.tick();
      await run(i);
    }
  });
}

/** In the whole file Postgres never has to end a deadlock (B14): a Worker whose sweep was its victim would only say so in its log. */
const calm = (kind: Doorkeeper["kind"], workers: number) =>
  testAt(kind, { workers }).extend("calm", { scope: "file", auto: true }, ({ world }, { onCleanup }) => {
    onCleanup(async () => expect(await deadlocks(world.database)).toBe(0));
    return true;
  });

for (const kind of ["http", "marzban"] as const) {
  const test = calm(kind, 4);

  test.for([2, 8])(
    `D11 D23 %i pumps and passes at once at a provisioner by ${kind}, while customers come and go`,
    async (count, { door }) => {
      const seed = Math.floor(Math.random() * 2 ** 31);
      console.log(`seed ${seed}`);
      let dice = seed;
      const roll = (below: number) => {
        dice = (Math.imul(dice, 1_103_515_245) + 12_345) & 0x7fffffff;
        return dice % below;
      };
      const guests = await race(12, () => Guest.withKey(door.db));
      const foreign = Array.from({ length: 3 }, () => randomUUID());
      for (const key of foreign) door.have(key);
      const outcomes: string[] = [];
      await pumps(door, count, async () => {
        const guest = guests[roll(guests.length)];
        if (guest === undefined) return;
        const what = roll(4);
        if (what === 0) outcomes.push(await outcome(guest.pay()));
        else if (what === 1) outcomes.push(await outcome(guest.end()));
        else if (what === 2) door.lose((await guest.key()).key);
        else {
          const fresh = await Guest.withKey(door.db);
          guests.push(fresh);
        }
      });
      // Who has ended, and has paid no more, says so.
      expect(Object.keys(tally(outcomes)).filter((what) => what !== "done" && what !== "no_subscription")).toEqual([]);
      await door.mend();
      expect(door.there()).toEqual(await door.paid());
      expect(await rows(door.db, "select from access.key where state in ('pending', 'removing')")).toEqual([]);
      // No key is added twice that was never lost, and none comes back that was removed.
      for (const { key, adds, state } of await rows<{ key: string; adds: number; state: string }>(
        door.db,
        "select key, adds, state from access.key",
      )) {
        const { added, removed } = door.deeds(key);
        expect(added, `${state} ${key}`).toBeLessThanOrEqual(adds + 1);
        expect(removed).toBeLessThanOrEqual(state === "removed" ? 1 : 0);
      }
      for (const key of foreign) expect(door.deeds(key)).toEqual({ added: 0, removed: 1 });
    },
  );
}

const test = calm("http", 2);

test("D17 no lock is held while the provisioner is asked: customers, their keys and messages are in nobody's hand", async ({
  door,
}) => {
  const { guest, key } = await door.admitted();
  await guest.end();
  const coming = await Guest.withKey(door.db);
  let [asked, locked] = [0, 0];
  // While it has not answered, whoever wants the rows has them at once.
  const answer = door.peer.hold();
  const started = door.peer.requests.length;
  const sweeping = door.sweep(outbox, reconcile);
  await until("it is asked", async () => door.peer.requests.length >= started + 3);
  for (const table of ["access.key", "messages.outbox", "ops.cursor", "people.workspace", "billing.subscription"]) {
    asked += 1;
    await door.db.query(`select from ${table} for update nowait`).catch(() => (locked += 1));
  }
  answer();
  await sweeping;
  expect([asked, locked]).toEqual([5, 0]);
  await door.mend();
  expect(door.there()).toEqual(await door.paid());
  expect(door.there()).not.toContain(key);
  expect(await coming.key()).toMatchObject({ state: "active" });
});

test("D22 at most four questions of a tick are open at once, and all keys are told of", async ({ door }) => {
  const guests = await race(30, () => Guest.withKey(door.db));
  await door.mend();
  for (const guest of guests) await guest.end();
  await advance(door.db, "31 minutes");
  door.peer.delay_ms = 20;
  await door.sweep(outbox, reconcile);
  expect(door.peer.mostOpen()).toBeLessThanOrEqual(4);
  await door.mend();
  expect(door.there()).toEqual(await door.paid());
});
