import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { startBtcpay } from "../btcpay.ts";
import { freePort } from "../free-port.ts";
import { startMail } from "../mail.ts";
import type { Peer } from "../peer.ts";
import { startProvisioner } from "../provisioner.ts";
import { startReceiver } from "../receiver.ts";
import { startTelegram } from "../telegram.ts";
import type { Diary } from "./diary.ts";

/** The outside world in miniature, besides Stripe: what the Worker tells something, as a local stack has it. */
export interface Outside {
  /** The Worker's bindings of it. */
  vars: Record<string, string>;
  /** Where each part is. */
  addresses: Record<"provisioner_url" | "receiver_url" | "mail_url" | "telegram_url" | "btcpay_url", string>;
  /** The stack's clocks were moved to here, in milliseconds. */
  moved(to: number): void;
  /** Has the Worker, which is there by now, tell the receiver of all events; once for each database. */
  subscribe(worker: { url: string; operatorKey: string }): Promise<void>;
  stop(): Promise<void>;
}

/** How to start it. */
interface OutsideOptions {
  /** Where ports and secrets are kept. */
  directory: string;
  diary: Diary;
  /** Whether the database is a new one. */
  reset: boolean;
  /** Where the Worker will be. */
  workerUrl: string;
}

const kept = z.object({ endpoint: z.string(), secret: z.string() });

/**
 * Starts the parts, each at the port that it had the last time, where that is free. What they keep they keep for as long as they run:
 * after a new start the provisioner has no key, and the sweep that compares adds them again.
 */
export async function startOutside({ directory, diary, reset, workerUrl }: OutsideOptions): Promise<Outside> {
  const keyFile = join(directory, "webhook_signing_key");
  const receiverFile = join(directory, "receiver.json");
  if (reset) fs.rmSync(receiverFile, { force: true });
  if (!fs.existsSync(keyFile)) fs.writeFileSync(keyFile, randomBytes(32).toString("base64"), { mode: 0o600 });
  /** By how much the stack's clocks are ahead. */
  let ahead = 0;
  const ports = keptPorts(join(directory, "outside_ports.json"));
  const stops: (() => Promise<void>)[] = [];
  try {
    const provisioner = await startProvisioner({ port: await ports.choose("provisioner") });
    stops.push(() => provisioner.stop());
    const known = fs.existsSync(receiverFile)
      ? kept.safeParse(JSON.parse(fs.readFileSync(receiverFile, "utf8")))
      : null;
    const receiver = await startReceiver({
      port: await ports.choose("receiver"),
      secrets: known?.data === undefined ? [] : [known.data.secret],
    });
    stops.push(() => receiver.stop());
    const mail = await startMail({ port: await ports.choose("mail") });
    stops.push(() => mail.stop());
    const telegram = await startTelegram({ port: await ports.choose("telegram") });
    stops.push(() => telegram.stop());
    const btcpay = await startBtcpay({ port: await ports.choose("btcpay"), now: () => Date.now() + ahead });
    stops.push(() => btcpay.stop());
    const btcpaySecret = randomBytes(24).toString("base64url");
    btcpay.listen({ url: `${workerUrl}/webhooks/btcpay`, secret: btcpaySecret });
    ports.keep({ provisioner, receiver: receiver.peer, mail, telegram, btcpay: btcpay.peer });

    provisioner.watch = ({ method, path }, { status }) => {
      const key = path.split("/").at(-1) ?? "";
      if (method === "PUT" && status < 300) diary.write("provisioner", `has key ${key}`);
      if (method === "DELETE" && status < 300) diary.write("provisioner", `no longer has key ${key}`);
    };
    receiver.peer.watch = ({ text }, { status }) => {
      diary.write("webhook", status < 300 ? saidBy(text) : `refused with ${status}`);
    };
    let [mails, texts] = [0, 0];
    mail.watch = (_request, { status }) => {
      // The same one, sent again, is taken once.
      const fresh = mail.mails.slice(mails);
      mails = mail.mails.length;
      for (const { to, subject, headers } of fresh) {
        const way = headers?.["List-Unsubscribe"];
        diary.write("mail", `to ${to}: ${subject}${way === undefined ? "" : ` (to leave: ${way})`}`);
      }
      if (status >= 300) diary.write("mail", `refused with ${status}`);
    };
    telegram.watch = (_request, { status }) => {
      const fresh = telegram.texts.slice(texts);
      texts = telegram.texts.length;
      for (const { chat, text } of fresh) diary.write("telegram", `to ${chat}: ${text.replaceAll(/\s+/g, " ").trim()}`);
      if (status >= 300) diary.write("telegram", `refused with ${status}`);
    };
    btcpay.peer.watch = ({ method, path }, { status }) => {
      const [, id = "", act] = /^\/i\/(\w+)\/(\w+)$/.exec(path) ?? [];
      if (method === "POST" && act !== undefined && status < 400) diary.write("btcpay", `invoice ${id}: ${act}`);
      if (method === "POST" && path.endsWith("/invoices") && status < 300) diary.write("btcpay", "makes an invoice");
    };
    return {
      vars: {
        ...provisioner.bindings,
        ...mail.bindings,
        ...telegram.bindings,
        PUBLIC_URL: workerUrl,
        WEBHOOK_SIGNING_KEY: fs.readFileSync(keyFile, "utf8"),
        BTCPAY_URL: btcpay.url,
        BTCPAY_API_KEY: btcpay.api_key,
        BTCPAY_STORE_ID: btcpay.store_id,
        BTCPAY_WEBHOOK_SECRET: btcpaySecret,
      },
      addresses: {
        provisioner_url: provisioner.url,
        receiver_url: receiver.url,
        mail_url: mail.url,
        telegram_url: telegram.url,
        btcpay_url: btcpay.url,
      },
      moved: (to) => {
        ahead = to - Date.now();
      },
      subscribe: async ({ url, operatorKey }) => {
        if (known?.data !== undefined) return;
        const answer = await fetch(`${url}/v1/webhook_endpoints`, {
          method: "POST",
          headers: { Authorization: `Bearer ${operatorKey}`, "Content-Type": "application/json" },
          body: JSON.stringify({ url: receiver.url, events: ["*"], description: "The local stack's receiver" }),
        });
        if (!answer.ok) throw new Error(`The receiver was not taken: ${answer.status} ${await answer.text()}`);
        const made = z.object({ id: z.string(), secret: z.string() }).parse(await answer.json());
        receiver.secrets.push(made.secret);
        fs.writeFileSync(receiverFile, JSON.stringify({ endpoint: made.id, secret: made.secret }), { mode: 0o600 });
      },
      stop: () => stopAll(stops),
    };
  } catch (error) {
    await stopAll(stops);
    throw error;
  }
}

const event = z.object({ type: z.string(), data: z.looseObject({ id: z.string(), version: z.int() }) });

/** What an event says, in a line. */
function saidBy(text: string): string {
  const { data } = event.safeParse(JSON.parse(text));
  if (data === undefined) return text.slice(0, 200);
  const { id, version, state } = data.data;
  return `${data.type}${typeof state === "string" ? ` (${state})` : ""}  ${id} v${version}`;
}

async function stopAll(stops: (() => Promise<void>)[]): Promise<void> {
  for (const stop of stops.toReversed()) await stop();
}

const portFile = z.record(z.string(), z.int());

/** Ports of the last start, so that what was written down of an address goes on working. */
function keptPorts(file: string) {
  const last = fs.existsSync(file) ? portFile.parse(JSON.parse(fs.readFileSync(file, "utf8"))) : {};
  return {
    choose: (name: string): Promise<number> => freePort(last[name] ?? 0),
    keep: (peers: Record<string, Peer>): void => {
      const ports = Object.entries(peers).map(([name, { url }]) => [name, Number(new URL(url).port)]);
      fs.writeFileSync(file, JSON.stringify(Object.fromEntries(ports)));
    },
  };
}
