import type { StackAddress } from "../stack.ts";

/** What `npm run dev` says when it runs: where everything is, and what to try. `file` is where the same is written. */
export function welcome(address: StackAddress, file: string): string {
  const credits = `${address.url}/v1/workspaces/${address.workspace_id}/credits`;
  const key = `-H "Authorization: Bearer ${address.operator_key}"`;
  const json = `${key} -H "Content-Type: application/json"`;
  return `
Tollgate runs at   ${address.url}   (API: ${address.url}/docs)
Operator's key     ${address.operator_key}
Stripe             ${address.stripe_url ?? "the account of your STRIPE_SECRET_KEY"}${address.stripe_url === null ? "" : "   (in miniature: cards, refunds, disputes)"}
Clock and cron     ${address.dev_url}   (POST /clock {"advance": "31 days"}, POST /tick)
What leaves        ${address.dev_url}/outside   (access keys, messages, webhooks: to whom and what, as they go)
Everything else    ${file}

Grant ten credits, have twenty spenders spend one each at once, and look at what is left:

curl -s ${credits}/grants ${json} -H "Idempotency-Key: grant-1" -d '{"pool":"bulk","amount":10}'
seq 20 | xargs -P 20 -I{} curl -s -o /dev/null -w '%{http_code}\\n' ${credits}/spend ${json} -H "Idempotency-Key: spend-{}" -d '{"amount":1}' | sort | uniq -c
curl -s ${credits} ${key}

Buy a pack of 100: open the "url" that this answers, click Pay, and look at what is left again:

${checkout(address, json)}
${address.stripe_url === null ? ownAccount(address) : ""}
Ctrl-C stops it.
`;
}

function checkout({ url, dev_url, workspace_id }: StackAddress, json: string): string {
  const body = {
    pack: "credits_100",
    currency: "eur",
    success_url: `${dev_url}/thanks`,
    cancel_url: `${dev_url}/canceled`,
  };
  return `curl -s ${url}/v1/workspaces/${workspace_id}/checkout ${json} -H "Idempotency-Key: pack-1" -d '${JSON.stringify(body)}'`;
}

/** What somebody with an account at Stripe does besides. */
function ownAccount({ url }: StackAddress): string {
  return `
Before that, once: npm run stripe:setup makes the prices in your account. And as long as you try it out, in another terminal:

stripe listen --forward-to ${url}/webhooks/stripe

It prints a secret, whsec_…: put it beside the key as STRIPE_WEBHOOK_SECRET, and start this again. Time travel moves the
database's clock only: Stripe's own goes on as ever.
`;
}
