import { describe, expect } from "vitest";
import { agrees, mixture } from "../support/door-mixture.ts";
import { outbox, reconcile, testAt } from "../support/doorkeeper.ts";
import type { Step } from "../support/wires.ts";

// D24: the Worker dies at each thing that it asks for outside. Then the sweeps run again.

const asks = (side: Step["side"], what: RegExp) => (step: Step) => step.side === side && what.test(step.what);

const ways = {
  http: { add: /^PUT/, remove: /^DELETE/, list: /^GET/, login: null },
  marzban: { add: /^POST \/api\/user$/, remove: /^DELETE/, list: /^GET \/api\/users/, login: /token$/ },
} as const;

for (const kind of ["http", "marzban"] as const) {
  const test = testAt(kind, { wired: true });
  const { add, remove, list, login } = ways[kind];
  const steps: [name: string, sweep: string, of: (step: Step) => boolean][] = [
    ["claim", outbox, asks("database", /^messages\.claim$/)],
    ["add", outbox, asks("peer", add)],
    ["remove", outbox, asks("peer", remove)],
    ["settle", outbox, asks("database", /^access\.provisioned$/)],
    ["open the cursor", reconcile, asks("database", /^ops\.open_cursor$/)],
    ["list", reconcile, asks("peer", list)],
    ["reconcile", reconcile, asks("database", /^access\.reconcile$/)],
    ["remove strays", reconcile, asks("database", /^access\.remove_strays$/)],
    ["move the cursor", reconcile, asks("database", /^ops\.move_cursor$/)],
    ...(login === null
      ? []
      : [["log in", outbox, asks("peer", login)] satisfies [string, string, (step: Step) => boolean]]),
  ];

  describe(`a provisioner by ${kind}`, () => {
    test.for(
      steps.flatMap(([name, sweep, of]) => (["before", "after"] as const).map((when) => ({ name, sweep, of, when }))),
    )(
      "D24 the Worker dies $when $name: then all is as it should be, and nothing was done twice",
      async ({ sweep, of, when }, { door }) => {
        const all = await mixture(door);
        const trip = door.wires.trip({ nth: 1, when, how: "dead", of });
        await door.sweep(sweep).catch(() => undefined);
        expect(trip.done).toBe(true);
        await door.mend();
        await agrees(door, all);
      },
    );
  });
}
