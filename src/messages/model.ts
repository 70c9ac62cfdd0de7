import * as z from "zod";
import { pageQuery } from "../http/pagination.ts";
import { moment, uuid } from "../http/parameters.ts";

const state = z.enum(["queued", "sending", "delivered", "dead", "canceled"]);

export type MessageState = z.infer<typeof state>;

export const messagesQuery = z.strictObject({ ...pageQuery, state: state.optional() });
export const messageParams = z.strictObject({ message: uuid });
export const retryBody = z.strictObject({});

export const messageItem = () =>
  z.object({
    id: uuid,
    channel: z.string().meta({ example: "stripe" }),
    kind: z.string().meta({ example: "undo_subscription" }),
    workspace_id: uuid.nullable(),
    state: state.meta({ description: "`dead`: it was tried often enough; its alarm says so." }),
    attempts: z.int().min(0),
    due_at: moment.nullable(),
    error: z.string().nullable(),
    settled_at: moment.nullable(),
    created_at: moment,
  });

export const retryAnswer = () => z.object({ id: uuid, state });
