import * as z from "zod";
import { routine } from "../db/routine.ts";
import type { ProvisionerAccount } from "../env.ts";
import { openProvisioner } from "../outside/provisioner/open.ts";
import { moveCursorCall, openCursorCall } from "../sweeps/cursor.ts";
import type { Done, Shift } from "../sweeps/shift.ts";
import type { Sweep } from "../sweeps/sweep.ts";

/** Keys of one page, and keys that one statement adds again. */
export const pageOfKeys = 1000;

const reconcileCall = routine({
  name: "access.reconcile",
  context: {},
  args: z.strictObject({
    after: z.string().nullable(),
    until: z.string().nullable(),
    keys: z.array(z.string()),
    shut: z.array(z.string()),
    listed_at: z.string(),
    batch: z.int(),
  }),
  result: z.object({ strays: z.int(), added: z.int(), reached: z.string().nullable(), more: z.boolean() }),
});

const removeStraysCall = routine({
  name: "access.remove_strays",
  context: {},
  args: z.strictObject({ listed_at: z.string() }),
  result: z.object({ forgotten: z.int(), removing: z.int(), more: z.boolean() }),
});

const name = "provisioner_reconcile";

/** Where a pass goes on is kept as the last key, and the provisioner's own place where it has one. */
const positionOf = (after: string, place: string | undefined) => (place === undefined ? after : `${after} ${place}`);

function placeOf(position: string | null): { after: string | null; place: string | undefined } {
  const [after = null, ...place] = position?.split(" ") ?? [];
  return { after, place: place.length === 0 ? undefined : place.join(" ") };
}

/**
 * What the provisioner has is held against the rows, page by page, in the order of the keys. What is missing there is added again; what
 * nobody here knows is counted, and when the list was read to its end, that which two passes saw is removed. A page that cannot
 * be had, or cannot be believed, ends the run: the next one goes on there.
 */
async function reconcile(shift: Shift, account: ProvisionerAccount): Promise<Done> {
  const done: Done = { processed: 0, failed: 0, more: true };
  const provisioner = openProvisioner(account);
  const pass = { name, overlap: "0", furthest: "1 day", lost: null };
  const { until: listed_at, position } = await shift.call(openCursorCall, pass);
  let { after, place } = placeOf(position);
  while (!shift.over()) {
    const [from, at] = [after, place];
    const { keys, shut, next, place: goesOn } = await shift.ask(() => provisioner.list(from, pageOfKeys, at));
    // What was read is held against the rows, however long that took: another run would read it again, and be as late.
    for (let more = true; more;) {
      const part = { after, until: next, keys, shut, listed_at, batch: pageOfKeys };
      const { added, reached, more: cutOff } = await shift.call(reconcileCall, part);
      done.processed += added;
      [after, more] = [reached, cutOff];
      // Within a part, the provisioner's own place is another.
      place = cutOff ? undefined : goesOn;
      if (after !== null) {
        await shift.call(moveCursorCall, { name, position: positionOf(after, place), done: false, until: listed_at });
      }
      if (more && shift.over()) return done;
    }
    if (next === null) {
      done.more = await finish(shift, listed_at, done);
      return done;
    }
  }
  return done;
}

/** The list was read to its end. Answers whether something is left to do for this pass. */
async function finish(shift: Shift, listed_at: string, done: Done): Promise<boolean> {
  for (let more = true; more;) {
    const strays = await shift.call(removeStraysCall, { listed_at });
    done.processed += strays.removing;
    more = strays.more;
    // The cursor stays where it is: the next run comes here by the last part again.
    if (more && shift.over()) return true;
  }
  await shift.call(moveCursorCall, { name, position: null, done: true, until: listed_at });
  return false;
}

/** Every ten minutes; where no provisioner is configured there is nothing to ask, and that is no error. */
export const reconciliation: Sweep = {
  name,
  interval_seconds: 600,
  batch: pageOfKeys,
  budget_ms: 15_000,
  calls: [openCursorCall, reconcileCall, removeStraysCall, moveCursorCall],
  work: async (shift) => {
    const { provisioner } = shift.settings;
    return provisioner === null ? { processed: 0, failed: 0, more: false } : reconcile(shift, provisioner);
  },
};
