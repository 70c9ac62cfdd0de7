import type { ProvisionerAccount } from "../../env.ts";
import { httpProvisioner } from "./http.ts";
import { Marzban } from "./marzban.ts";
import type { Provisioner } from "./provisioner.ts";

/** The deployment's provisioner, for one run. */
export function openProvisioner(account: ProvisionerAccount): Provisioner {
  return account.kind === "http" ? httpProvisioner(account) : new Marzban(account);
}
