import { sweep } from "../sweeps/sweep.ts";
import { courierSweep } from "./pump.ts";
import { stripeCourier } from "./stripe.ts";
import { webhookCourier } from "./webhook-courier.ts";

/** A message is on its way within a minute; what was delivered is dropped after 35 days. */
export const sweeps = [
  courierSweep("stripe_outbox", stripeCourier),
  courierSweep("webhook_outbox", webhookCourier),
  sweep("messages", "outbox_expire", 3600),
  sweep("messages", "webhook_events_expire", 3600),
];
