import * as z from "zod";
import type { HttpProvisioner } from "../../env.ts";
import { askPeer, demandOk, type Answer, Unavailable } from "../peer.ts";
import { signedHeaders } from "../webhook/sign.ts";
import type { Listing, Provisioner } from "./provisioner.ts";

const page = z.object({ keys: z.array(z.uuid().lowercase()), next: z.uuid().lowercase().nullable() });

/** The operator's own provisioner, by the contract that README describes ("Provisioning"). */
export function httpProvisioner({ url, secret }: HttpProvisioner): Provisioner {
  /** `path` follows the configured address; what is signed is what the receiver sees in its request's first line, and its body. */
  const ask = (method: string, path: string, id: string, body = ""): Promise<Answer> => {
    const target = new URL(`${url}${path}`);
    const headers = signedHeaders([secret], id, `${method} ${target.pathname}${target.search}\n${body}`);
    return askPeer(target.href, body === "" ? { method, headers } : { method, headers, body });
  };
  return {
    add: async ({ key, key_id, workspace_id, message_id }) => {
      demandOk(await ask("PUT", `/keys/${key}`, message_id, JSON.stringify({ key, key_id, workspace_id, message_id })));
    },
    remove: async ({ key, message_id }) => {
      const answer = await ask("DELETE", `/keys/${key}`, message_id);
      if (answer.status !== 404) demandOk(answer);
    },
    list: async (after, limit) => {
      const query = `${after === null ? "" : `after=${after}&`}limit=${limit}`;
      const answer = await ask("GET", `/keys?${query}`, crypto.randomUUID());
      demandOk(answer);
      return listingOf(answer.text, after, limit);
    },
  };
}

/** Whatever does not keep to the contract is not believed: keys are removed by what a list says. */
function listingOf(text: string, after: string | null, limit: number): Listing {
  const { keys, next } = parsed(text);
  const last = keys.at(-1) ?? null;
  const ascends = keys.every((key, i) => key > (i === 0 ? (after ?? "") : (keys[i - 1] ?? "")));
  if (!ascends || keys.length > limit || (next !== null && next !== last)) {
    throw new Unavailable("its list is not sorted, is longer than was asked for, or goes on elsewhere", null);
  }
  return { keys, shut: [], next };
}

function parsed(text: string): z.infer<typeof page> {
  try {
    return page.parse(JSON.parse(text));
  } catch (error) {
    throw new Unavailable("its list cannot be read", null, { cause: error });
  }
}
