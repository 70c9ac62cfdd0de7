import * as z from "zod";
import { pageQuery } from "../http/pagination.ts";
import { futureMoment, moment, uuid } from "../http/parameters.ts";
import { longestUrl } from "../outside/webhook/address.ts";

/** Every type of event, by family. `webhook.test` goes to the endpoint that is tested, whatever it listens to. */
export const eventTypes = [
  "credits.low",
  "subscription.created",
  "subscription.renewed",
  "subscription.updated",
  "subscription.canceled",
  "purchase.created",
  "purchase.paid",
  "purchase.partly_refunded",
  "purchase.refunded",
  "purchase.expired",
  "purchase.canceled",
  "access.created",
  "access.activated",
  "access.revoked",
  "access.removed",
  "hold.expired",
  "contact.unsubscribed",
  "alarm.opened",
  "alarm.closed",
] as const;

const type = z.enum([...eventTypes, "webhook.test"]);
export type EventType = z.infer<typeof type>;

const families = [...new Set(eventTypes.map((name) => `${name.split(".")[0] ?? ""}.*`))];
const filter = z.enum(["*", ...families, ...eventTypes]);

const events = z
  .array(filter)
  .min(1)
  .max(50)
  .refine((listed) => new Set(listed).size === listed.length, "must not repeat a type")
  .meta({ description: "Types of events: `subscription.renewed`, `subscription.*`, or `*` for all.", example: ["*"] });

const url = z.string().min(1).max(longestUrl).meta({
  description: "Where events go: https, on a public host.",
  example: "https://app.example/webhooks/tollgate",
});

const description = z
  .string()
  .max(200)
  // Everything but control characters, written so that it means the same without the flag u, which OpenAPI cannot show.
  .regex(/^[ -~\u00a0-\uffff]*$/, "must not contain control characters")
  .meta({ example: "the shop's backend" });

export const endpointBody = z.strictObject({ url, description: description.default(""), events });

export const endpointChange = z
  .strictObject({
    url: url.optional(),
    description: description.optional(),
    events: events.optional(),
    enabled: z.boolean().optional().meta({ description: "Disabled, it is told nothing, neither what waits." }),
  })
  .superRefine((body, context) => {
    if (Object.values(body).every((value) => value === undefined)) {
      context.addIssue({ code: "custom", path: [], message: "give what is to change", input: body });
    }
  })
  .meta({ example: { events: ["subscription.*", "credits.low"] } });

export const endpointParams = z.strictObject({ endpoint: uuid });
export const endpointsQuery = z.strictObject(pageQuery);
export const nothingBody = z.strictObject({});

export const rotateBody = z.strictObject({
  keep_old_for: z
    .int()
    .min(0)
    .max(7 * 24 * 60 * 60)
    .default(24 * 60 * 60)
    .meta({
      description: "Seconds for which the old secret signs too, 7 days at most; 0: it is known to somebody else.",
    }),
});

export const replaySinceBody = z.strictObject({ since: futureMoment });
export const replayBody = z.strictObject({
  endpoint_id: uuid.optional().meta({ description: "Without it: to all that listen to its type." }),
});

export const eventParams = z.strictObject({ event: uuid });
export const eventsQuery = z.strictObject({ ...pageQuery, type: type.optional() });
export const deliveriesQuery = z.strictObject(pageQuery);

const secret = z.string().meta({
  description: "What deliveries are signed with. Shown by the calls that make it and no other.",
  example: "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
});

export const endpointItem = () =>
  z.object({
    id: uuid,
    url: z.string(),
    description: z.string(),
    events: z.array(z.string()),
    enabled: z.boolean(),
    disabled_at: moment.nullable(),
    disabled_reason: z.string().nullable().meta({
      description: "`operator`; `gone`: it answered 410; `failing`: nothing could be delivered for 5 days.",
    }),
    failing_since: moment.nullable().meta({ description: "Nothing could be delivered since then." }),
    error: z.string().nullable().meta({ description: "What its last failure was." }),
    old_secret_until: moment.nullable().meta({ description: "Until then the secret before signs too." }),
    created_at: moment,
  });

export const endpointMade = () => endpointItem().extend({ secret });

export const rotatedAnswer = () => z.object({ id: uuid, secret, old_secret_until: moment.nullable() });
export const deletedAnswer = () => z.object({ id: uuid, deleted_at: moment });
export const testedAnswer = () => z.object({ event_id: uuid, delivery_id: uuid });

export const replayedAnswer = () =>
  z.object({ id: uuid, deliveries: z.array(z.object({ id: uuid, endpoint_id: uuid })) });

export const replayedSinceAnswer = () =>
  z.object({
    id: uuid,
    replayed: z.int().min(0),
    more: z.boolean().meta({ description: "There may be more: call again." }),
  });

export const eventItem = () =>
  z.object({
    id: uuid.meta({ description: "The `webhook-id` of its deliveries." }),
    type,
    workspace_id: uuid.nullable(),
    data: z.record(z.string(), z.unknown()),
    created_at: moment,
  });

export const deliveryItem = () =>
  z.object({
    id: uuid,
    event_id: uuid,
    type,
    state: z.enum(["queued", "sending", "delivered", "dead", "canceled"]).meta({
      description: "`dead`: it was tried ten times; `canceled`: the endpoint was disabled or deleted.",
    }),
    attempts: z.int().min(0),
    due_at: moment.nullable().meta({ description: "When it is tried next." }),
    error: z.string().nullable().meta({ description: "What its last failure was." }),
    settled_at: moment.nullable(),
    created_at: moment,
  });
