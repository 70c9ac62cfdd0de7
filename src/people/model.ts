import * as z from "zod";
import { moment, name, reason, uuid } from "../http/parameters.ts";
import { scopes } from "../http/route.ts";

/** A key that outlives this is one that nobody rotates. */
const longestKeySeconds = 366 * 24 * 60 * 60;

export const workspaceBody = z.strictObject({ name });
export const workspaceParams = z.strictObject({ workspace: uuid });
export const workspaceAnswer = () => z.object({ id: uuid, name: z.string(), created_at: moment });
export const workspaceItem = () =>
  workspaceAnswer().extend({
    read_only_from: moment.nullable().meta({
      description: "From then on the workspace is read-only: its subscription is not paid, or over. It may lie ahead.",
    }),
    frozen_at: moment.nullable().meta({ description: "Since when the workspace is frozen." }),
  });

export const freezeBody = z.strictObject({ reason });
export const unfreezeBody = z.strictObject({});
export const frozenAnswer = () =>
  z.object({ id: uuid, frozen_at: moment.nullable(), frozen_reason: z.string().nullable() });

const scope = z.enum(scopes);

export const keyBody = z.strictObject({
  workspace_id: uuid.optional().meta({ description: "Whose key it is; without it, the operator's." }),
  name,
  scopes: z
    .array(scope)
    .min(1)
    .max(scopes.length)
    .refine((listed) => new Set(listed).size === listed.length, "must not repeat a scope"),
  expires_in: z.int().min(60).max(longestKeySeconds).optional().meta({
    description: "Seconds until the key stops working, 366 days at most; without it, it works until it is revoked.",
    example: 7_776_000,
  }),
});

export const keyParams = z.strictObject({ key: uuid });
export const revokeBody = z.strictObject({});

export const keyItem = () =>
  z.object({
    id: uuid,
    workspace_id: uuid.nullable(),
    name: z.string(),
    prefix: z.string().meta({ description: "The key's first characters.", example: "tg_3fA9xQe" }),
    scopes: z.array(z.string()),
    expires_at: moment.nullable(),
    revoked_at: moment.nullable(),
    created_at: moment,
  });

export const keyAnswer = () =>
  keyItem().extend({
    key: z.string().nullable().meta({
      description: "The key itself, this once: only its hash is kept. Null when a repeated call is replayed.",
    }),
  });

export const revokedAnswer = () => z.object({ id: uuid, revoked_at: moment });
