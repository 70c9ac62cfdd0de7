import * as z from "zod";
import { pageQuery } from "../http/pagination.ts";
import { moment, uuid } from "../http/parameters.ts";

const state = z.enum(["queued", "sending", "delivered", "dead", "canceled"]);

export type MessageState = z.infer<typeof state>;

const name = z.string().regex(/^[a-z0-9][a-z0-9_.-]{0,63}$/);

export const messagesQuery = z.strictObject({
  ...pageQuery,
  state: state.optional(),
  channel: name.optional(),
  kind: name.optional(),
});
export type MessagesFilter = Pick<z.infer<typeof messagesQuery>, "state" | "channel" | "kind">;
export const channelParams = z.strictObject({ channel: name });
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

const channelItem = () =>
  z.object({
    channel: z.string().meta({ example: "stripe" }),
    circuit: z.enum(["closed", "half_open", "open"]).meta({
      description:
        "`open`: it failed several times in a row, or asked to wait, and nothing is sent before `open_until`; `half_open`: then one " +
        "message is, by way of trial.",
    }),
    open_until: moment.nullable(),
    failures: z.int().min(0).meta({ description: "In a row; 0: what was sent last was taken." }),
    error: z.string().nullable(),
    attended_at: moment.meta({ description: "When a sweep last asked for its messages, within a minute." }),
    lag_seconds: z.int().min(0).meta({ description: "For how long the oldest message that is due has waited." }),
    due: z.int().min(0),
    waiting: z.int().min(0).meta({ description: "Not due yet: to be sent later, or again." }),
    sending: z.int().min(0),
    dead: z.int().min(0),
  });

export const channelsAnswer = () => z.object({ data: z.array(channelItem()) });

export const channelRetryAnswer = () =>
  z.object({
    channel: z.string(),
    retried: z.int().min(0),
    more: z.boolean().meta({ description: "There were more than 1,000: call again." }),
  });
