import * as z from "zod";
import { pageQuery } from "../http/pagination.ts";
import { futureMoment, moment, name, uuid } from "../http/parameters.ts";
import { channel, language } from "./contact-model.ts";
import { broadcastData } from "./kinds.ts";

const state = z.enum(["draft", "running", "stopped", "done"]);

export type BroadcastState = z.infer<typeof state>;

const standing = z.enum(["trialing", "active", "past_due", "unpaid", "paused", "none"]);
const planCode = z.string().regex(/^[a-z][a-z0-9_]{0,49}$/, "must be a plan's code");
const some = <Item extends z.ZodType>(item: Item) => z.array(item).min(1).max(50).optional();

const segment = z
  .strictObject({
    all: z.literal(true).optional().meta({ description: "Everybody; alone." }),
    plans: some(planCode).meta({
      description: "Whose workspace's subscription is of one of these plans, of any version.",
    }),
    subscriptions: some(standing).meta({ description: "In which state that is; `none`: there is none that lives." }),
    languages: some(language).meta({ description: "`de` is `de-AT`, too." }),
    created_after: futureMoment.optional().meta({ description: "The contact was added then or later." }),
    created_before: futureMoment.optional().meta({ description: "The contact was added before." }),
  })
  .superRefine((wish, context) => {
    const conditions = Object.entries(wish).filter(([member, value]) => member !== "all" && value !== undefined);
    if ((wish.all === true) === conditions.length > 0) {
      const message = "must be { all: true }, or conditions";
      context.addIssue({ code: "custom", path: [], message, input: wish });
    }
    const { created_after, created_before } = wish;
    if (
      created_after !== undefined &&
      created_before !== undefined &&
      Date.parse(created_before) <= Date.parse(created_after)
    ) {
      context.addIssue({
        code: "custom",
        path: ["created_before"],
        message: "must be after created_after",
        input: wish,
      });
    }
  })
  .meta({ description: "To whom: those for whom all of it is so.", example: { plans: ["pro"], languages: ["de"] } });

export const broadcastParams = z.strictObject({ broadcast: uuid });
export const broadcastsQuery = z.strictObject(pageQuery);
export const moveBody = z.strictObject({});

export const broadcastBody = z
  .strictObject({
    name: name.meta({ description: "For you." }),
    channel,
    kind: z
      .string()
      .regex(/^broadcast\.[a-z0-9_]{1,50}$/, "must be broadcast.<name>")
      .meta({ description: "Its text, which must be there in at least one language.", example: "broadcast.spring" }),
    segment,
    data: broadcastData.default({}).meta({ description: "What its texts name." }),
  })
  .meta({
    example: {
      name: "Spring",
      channel: "email",
      kind: "broadcast.spring",
      segment: { all: true },
      data: { code: "SPRING26" },
    },
  });

const shown = () => ({
  id: uuid,
  name: z.string(),
  channel,
  kind: z.string(),
  segment: z.record(z.string(), z.unknown()),
  data: z.record(z.string(), z.unknown()),
  state: state.meta({ description: "`done`: its last message has gone its way." }),
  queued: z.int().min(0).meta({ description: "How many messages it has become." }),
  started_at: moment.nullable(),
  ended_at: moment.nullable(),
  created_at: moment,
});

export const broadcastItem = () => z.object(shown());

export const progressAnswer = () =>
  z.object({
    ...shown(),
    total: z.int().min(0).nullable().meta({
      description: "Of a draft: how many contacts it would go to, of the first 100,000 of its channel. Else null.",
    }),
    waiting: z.int().min(0).meta({ description: "Queued, and not sent yet." }),
    delivered: z.int().min(0).meta({ description: "Of the last 35 days." }),
    dead: z.int().min(0),
    canceled: z.int().min(0).meta({ description: "Its reader had opted out by then. Of the last 35 days." }),
  });

export const movedAnswer = () => z.object({ id: uuid, state, started_at: moment.nullable() });

export const countAnswer = () =>
  z.object({
    total: z.int().min(0).meta({ description: "Of the first 100,000 contacts of its channel." }),
    more: z.boolean().meta({ description: "There are others: it would go to so many at least." }),
  });
