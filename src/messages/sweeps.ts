import { sweep } from "../sweeps/sweep.ts";
import { emailCourier, telegramCourier } from "./people.ts";
import { courierSweep } from "./pump.ts";
import { stripeCourier } from "./stripe.ts";
import { webhookCourier } from "./webhook-courier.ts";

/**
 * A message is on its way within a minute; what was delivered is dropped after 35 days. Notices are handed to contacts, and broadcasts
 * come on by 25 contacts a statement.
 */
export const sweeps = [
  courierSweep("stripe_outbox", stripeCourier),
  courierSweep("webhook_outbox", webhookCourier),
  sweep("messages", "notices", 60, 25),
  courierSweep("email_outbox", emailCourier),
  courierSweep("telegram_outbox", telegramCourier),
  sweep("messages", "broadcasts", 60, 25),
  sweep("messages", "outbox_expire", 3600),
  sweep("messages", "webhook_events_expire", 3600),
];
