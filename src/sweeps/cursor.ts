import * as z from "zod";
import { routine } from "../db/routine.ts";
import { instant } from "../http/time.ts";

/** Where a pass over a list of the outside's goes on; `lost`: the alarm's code where it has forgotten what nobody had read. */
export const openCursorCall = routine({
  name: "ops.open_cursor",
  context: {},
  args: z.strictObject({
    name: z.string(),
    overlap: z.string(),
    furthest: z.string(),
    lost: z.string().nullable(),
  }),
  result: z.object({ since: instant, until: instant, position: z.string().nullable() }),
});

/** How far the pass up to `until` has come; late, when that pass is over, it moves nothing. */
export const moveCursorCall = routine({
  name: "ops.move_cursor",
  context: {},
  args: z.strictObject({ name: z.string(), position: z.string().nullable(), done: z.boolean(), until: z.string() }),
  result: z.object({ name: z.string(), since: instant }),
});
