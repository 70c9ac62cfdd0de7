import * as z from "zod";
import { routine } from "../db/routine.ts";
import type { ProvisionerAccount } from "../env.ts";
import type { Courier, Delivery } from "../messages/courier.ts";
import { Refused } from "../outside/peer.ts";
import { openProvisioner } from "../outside/provisioner/open.ts";
import type { Provisioner } from "../outside/provisioner/provisioner.ts";

/** Settles what was sent together with the move of its keys. */
const provisionedCall = routine({
  name: "access.provisioned",
  context: {},
  args: z.strictObject({ ids: z.array(z.string()), tokens: z.array(z.string()) }),
  result: z.object({ settled: z.array(z.string()), lost: z.int(), moved: z.int() }),
});

const key = z.string();

/** What the provisioner may be told to do. */
const order = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("add_key"), body: z.object({ key, key_id: z.string() }) }),
  z.object({ kind: z.literal("remove_key"), body: z.object({ key }) }),
  z.object({ kind: z.literal("remove_stray"), body: z.object({ key }) }),
]);

async function deliver(provisioner: Provisioner, { id, kind, body, workspace_id }: Delivery): Promise<void> {
  const { data, error } = order.safeParse({ kind, body });
  if (data === undefined) throw new Refused("nobody can read what it asks", { cause: error });
  if (data.kind === "add_key") await provisioner.add({ ...data.body, workspace_id, message_id: id });
  else await provisioner.remove({ ...data.body, message_id: id });
}

/** Tells the provisioner which keys to add and which to remove. */
export const courier: Courier<ProvisionerAccount> = {
  channel: "provisioner",
  account: ({ provisioner }) => provisioner,
  // A panel is asked five times for one key, at most: a removal waits until that is over.
  lease: "4 minutes",
  settle: provisionedCall,
  sender: async (_shift, account) => {
    const provisioner = openProvisioner(account);
    return (delivery) => deliver(provisioner, delivery);
  },
};
