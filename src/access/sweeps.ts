import { courierSweep } from "../messages/pump.ts";
import { courier } from "./courier.ts";
import { reconciliation } from "./reconcile.ts";

/** A key is at the provisioner within a minute, and gone from there as soon; what differs all the same is mended every ten. */
export const sweeps = [courierSweep("provisioner_outbox", courier), reconciliation];
