import { Webhook } from "standardwebhooks";

/**
 * The headers of a request in the name of Standard Webhooks. `id` names what is sent, the same at every try; the time is that of the
 * sending, real time, for its receiver compares it with his own clock; each secret signs, for while one is rotated two are valid.
 */
export function signedHeaders(secrets: readonly string[], id: string, body: string): Record<string, string> {
  const now = new Date(Date.now());
  return {
    "content-type": "application/json",
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
    "webhook-signature": secrets.map((secret) => new Webhook(secret).sign(id, now, body)).join(" "),
  };
}
