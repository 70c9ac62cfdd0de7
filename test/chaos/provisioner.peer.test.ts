import { describe, expect } from "vitest";
import { agrees, mixture } from "../support/door-mixture.ts";
import { outbox, reconcile, testAt } from "../support/doorkeeper.ts";
import { advance } from "../support/scenario.ts";
import type { Behaviour } from "../world/peer.ts";

for (const kind of ["http", "marzban"] as const) {
  const test = testAt(kind);

  describe(`a provisioner by ${kind}`, () => {
    test.for<Behaviour>(["error", "throttled", "redirect", "garbage", "huge", "cut", "silent", "slow"])(
      "D21 D24 the provisioner is %s, whatever it is asked: then all is as it should be",
      async (behaviour, { door }) => {
        const all = await mixture(door);
        for (const sweep of [outbox, reconcile]) {
          door.peer.behave(behaviour, 2);
          await door.sweep(sweep);
          door.peer.behave("ok");
          await advance(door.db, "31 minutes");
        }
        await door.mend();
        // An answer that was never believed may have been done, and a removal that was done already is not done again.
        const { leaving, foreign } = all;
        expect(door.deeds(leaving.key).removed).toBe(1);
        expect(door.deeds(foreign).removed).toBe(1);
        await agrees(door, all);
      },
    );
  });
}
