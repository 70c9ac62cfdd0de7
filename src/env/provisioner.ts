import * as z from "zod";
import { optional, peerUrl, refused, refusePlain } from "./form.ts";

/** The operator's own provisioner, which keeps our contract (README, "Provisioning"). */
export interface HttpProvisioner {
  readonly kind: "http";
  /** Without a slash at its end. */
  readonly url: string;
  readonly secret: string;
}

/** What a panel's user is to be made with, by protocol. */
export type PanelProxies = z.infer<typeof panelProxies>;

/** A VPN panel, and who we are there. */
export interface MarzbanPanel {
  readonly kind: "marzban";
  readonly url: string;
  readonly user: string;
  readonly password: string;
  readonly proxies: PanelProxies;
}

/** What lets customers in by their keys. */
export type ProvisionerAccount = HttpProvisioner | MarzbanPanel;

const signingSecret = z
  .string()
  .regex(
    /^whsec_(?:[A-Za-z\d+/]{4}){8,}(?:[A-Za-z\d+/]{2}==|[A-Za-z\d+/]{3}=)?$/,
    "must be whsec_ and 24 bytes or more in base64",
  );

const panelProxies = z
  .partialRecord(
    z.enum(["vmess", "vless", "trojan", "shadowsocks"]),
    z.strictObject({
      flow: z.string().optional(),
      method: z.string().optional(),
      inbounds: z.array(z.string()).optional(),
    }),
  )
  .refine((proxies) => Object.keys(proxies).length > 0, "must name a protocol");

const jsonOf = <Schema extends z.ZodType>(schema: Schema) =>
  z
    .string()
    .transform((text, context): unknown => {
      try {
        return JSON.parse(text);
      } catch {
        context.addIssue({ code: "custom", message: "must be JSON" });
        return z.NEVER;
      }
    })
    .pipe(schema);

export const provisionerBindings = {
  PROVISIONER_KIND: optional(z.enum(["http", "marzban"])),
  PROVISIONER_URL: optional(peerUrl),
  PROVISIONER_SECRET: optional(signingSecret),
  PROVISIONER_USER: optional(z.string()),
  PROVISIONER_PASSWORD: optional(z.string()),
  PROVISIONER_PROXIES: optional(jsonOf(panelProxies)),
};

export function provisionerAccount(
  bound: z.infer<z.ZodObject<typeof provisionerBindings>>,
  local: boolean,
): ProvisionerAccount | null {
  const kind = bound.PROVISIONER_KIND;
  if (kind === undefined) return null;
  const needed = <Value>(name: string, value: Value | undefined): Value => {
    if (value === undefined) throw refused([`${name}: is needed where PROVISIONER_KIND is ${kind}`]);
    return value;
  };
  const url = needed("PROVISIONER_URL", bound.PROVISIONER_URL);
  refusePlain("PROVISIONER_URL", url, local);
  if (kind === "http") return { kind, url, secret: needed("PROVISIONER_SECRET", bound.PROVISIONER_SECRET) };
  return {
    kind,
    url,
    user: needed("PROVISIONER_USER", bound.PROVISIONER_USER),
    password: needed("PROVISIONER_PASSWORD", bound.PROVISIONER_PASSWORD),
    proxies: bound.PROVISIONER_PROXIES ?? { vless: {} },
  };
}
