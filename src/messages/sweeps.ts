import { sweep } from "../sweeps/sweep.ts";
import { courierSweep } from "./pump.ts";
import { stripeCourier } from "./stripe.ts";

/** A message is on its way within a minute; what was delivered is dropped after 35 days. */
export const sweeps = [courierSweep("stripe_outbox", stripeCourier), sweep("messages", "outbox_expire", 3600)];
