import * as z from "zod";
import { pageQuery } from "../http/pagination.ts";
import { moment, uuid } from "../http/parameters.ts";

const state = z.enum(["pending", "active", "removing", "removed"]);
const unfinished = z.enum(["pending", "removing"]);
const confirmed = z.enum(["active", "removed"]);

export type KeyState = z.infer<typeof state>;
export type UnfinishedState = z.infer<typeof unfinished>;
export type ConfirmedState = z.infer<typeof confirmed>;

export const accessParams = z.strictObject({ key: uuid });
export const workspaceParams = z.strictObject({ workspace: uuid });
export const keyParams = z.strictObject({ access_key: uuid });
export const keysQuery = z.strictObject(pageQuery);
export const unfinishedQuery = z.strictObject({ ...pageQuery, state: unfinished.optional() });
export const differencesQuery = z.strictObject({ cursor: pageQuery.cursor });
export const confirmBody = z.strictObject({ state: confirmed });

export const strayBody = z.strictObject({
  most: z.int().min(1).max(2_147_483_647).meta({
    description: "How many strays you have seen that wait, as the alarm `strays_many` says it: more are not removed.",
    example: 12,
  }),
});

const expiry = moment.nullable().meta({ description: "Until when it is paid for; null: it is not valid." });

export const accessAnswer = () => z.object({ valid: z.boolean(), expires_at: expiry });

const moments = () => ({
  activated_at: moment.nullable(),
  revoked_at: moment.nullable(),
  removed_at: moment.nullable(),
});

export const keyItem = () =>
  z.object({
    id: uuid,
    key: uuid.meta({ description: "What its customer shows at the door." }),
    workspace_id: uuid,
    subscription_id: uuid,
    state: state.meta({
      description:
        "`pending`: it is to be added wherever it opens; `active`: it was. `removing`: it was revoked, and is to be removed; " +
        "`removed`: it was.",
    }),
    valid: z.boolean(),
    expires_at: expiry,
    ...moments(),
    created_at: moment,
  });

export const confirmedAnswer = () => z.object({ id: uuid, state: confirmed, ...moments() });

export const differencesAnswer = () =>
  z.object({
    data: z.array(
      z.object({
        does: z.enum(["add", "remove"]).meta({
          description:
            "`add`: the key is paid for, and the provisioner lacks it. `remove`: the provisioner has it, and no key here is of that name.",
        }),
        key: uuid,
        access_key_id: uuid.nullable(),
        workspace_id: uuid.nullable(),
        seen: z.int().min(0).nullable().meta({
          description:
            "In how many passes it was seen already; of those to remove. Seen in two, it is removed; where those are many, in a day, once you have said so.",
        }),
      }),
    ),
    listed: z.int().min(0).meta({ description: "How many keys the provisioner has on this page." }),
    next_cursor: z.string().nullable().meta({ description: "For `?cursor=`; null on the last page." }),
  });

export const strayAnswer = () =>
  z.object({
    strays: z
      .int()
      .min(0)
      .meta({ description: "How many the next pass removes; 0: none waits, and nothing was approved." }),
    approved_until: moment.nullable().meta({ description: "Until when it may; null where none waits." }),
  });
