import * as z from "zod";
import { pageQuery } from "../http/pagination.ts";
import { moment, uuid } from "../http/parameters.ts";

export const workspaceParams = z.strictObject({ workspace: uuid });

export const referrerBody = z.strictObject({
  referrer: uuid.meta({ description: "The workspace that brought this one." }),
});

export const referrerAnswer = () =>
  z.object({
    workspace_id: uuid,
    referrer_id: uuid.nullable().meta({ description: "Null where nobody brought the workspace." }),
    created_at: moment.nullable(),
  });

export const policyBody = z
  .strictObject({
    percent: z.int().min(0).max(100).meta({
      description: "Of what is paid, rounded down to the currency's smallest unit; 0: nothing.",
    }),
    recurring: z.boolean().meta({ description: "Of each payment, and not only of the first that is rewarded." }),
  })
  .meta({ example: { percent: 10, recurring: false } });

export const policyAnswer = () => policyBody;

export const listQuery = z.strictObject(pageQuery);

const amounts = {
  currency: z.string(),
  amount_minor: z.int().meta({ description: "What was given, in the currency's smallest unit.", example: 190 }),
  taken_back: z.int().meta({ description: "What of it was taken back, as payments were refunded or disputed." }),
};

/** What one workspace earned its referrer in one currency. */
export const earned = z.object(amounts);

export const referralItem = () =>
  z.object({
    workspace_id: uuid.meta({ description: "The workspace that was brought." }),
    earned: z.array(earned),
    created_at: moment,
  });

export const rewardItem = () =>
  z.object({
    payment_id: uuid,
    workspace_id: uuid.meta({ description: "Who paid." }),
    ...amounts,
    created_at: moment,
  });
