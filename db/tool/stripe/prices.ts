import type { ClientBase } from "pg";
import type { Stripe } from "stripe";
import type { StripeAccount } from "../../../src/env.ts";
import { ask, askFor } from "../../../src/outside/stripe/client.ts";

/** A price of ours, and what it is a price of. */
interface PriceRow {
  lookup_key: string;
  provider_id: string | null;
  code: string;
  name: string;
  currency: string;
  amount_minor: number;
  interval_unit: "day" | "week" | "month" | "year" | null;
  interval_count: number | null;
}

/** As many as Stripe looks for at once. */
const lookups = 10;

/**
 * Makes at Stripe what is sold and is not there yet: a product for each code of a plan or pack, and each version's prices,
 * found by their lookup keys; and writes down what they are called there. Done again, it changes nothing.
 * Throws where Stripe has another price under one of our keys: somebody moved it, and nobody may be charged that.
 */
export async function publishPrices(
  owner: ClientBase,
  account: StripeAccount,
  log: (line: string) => void,
): Promise<void> {
  const rows = await pricesOf(owner);
  const names = new Map(rows.map(({ code, name }) => [code, name]));
  for (const [code, name] of names) await makeProduct(account, code, name, log);
  const known = await findPrices(account, rows);
  for (const row of rows) {
    const found = known.get(row.lookup_key);
    if (found !== undefined) refuseOther(row, found);
    const price = found ?? (await makePrice(account, row));
    if (found === undefined) log(`price    ${row.lookup_key}  made: ${price.id}`);
    else if (!price.active) log(`price    ${row.lookup_key}  is archived at Stripe and cannot be bought`);
    if (row.provider_id !== price.id) {
      await owner.query("select from billing.publish_price(lookup_key => $1, provider_id => $2)", [
        row.lookup_key,
        price.id,
      ]);
      log(`price    ${row.lookup_key}  can be bought`);
    }
  }
}

/** Every price, the oldest version first, so that the newest one's name is the product's; a plan's before a pack's. */
async function pricesOf(owner: ClientBase): Promise<PriceRow[]> {
  const { rows } = await owner.query<PriceRow>(
    `select r.lookup_key, r.provider_id, coalesce(p.code, k.code) as code, coalesce(p.name, k.name) as name,
            r.currency, r.amount_minor::float8 as amount_minor, r.interval_unit, r.interval_count
       from billing.price r
       left join billing.plan p on p.id = r.plan_id
       left join billing.pack k on k.id = r.pack_id
      order by r.pack_id is null, coalesce(p.number, k.number), r.lookup_key`,
  );
  return rows;
}

/** A product's id is made from the code: nothing is written down to find it again. */
async function makeProduct(
  account: StripeAccount,
  code: string,
  name: string,
  log: (line: string) => void,
): Promise<void> {
  const id = `tollgate_${code}`;
  const found = await askFor(account, (stripe) => stripe.products.retrieve(id));
  if (found === null) {
    // Whoever made it meanwhile is told by Stripe, by the id: the second one fails, and finds it when it is run again.
    await ask(account, (stripe) =>
      stripe.products.create({ id, name, metadata: { tollgate_code: code } }, { idempotencyKey: newKey() }),
    );
    log(`product  ${id}  made: ${name}`);
  } else if (found.name !== name) {
    await ask(account, (stripe) => stripe.products.update(id, { name }, { idempotencyKey: newKey() }));
    log(`product  ${id}  is called ${name}`);
  }
}

/** What makes a repeat harmless here is the id or the lookup key; a key of Stripe's only serves the package's own retries. */
function newKey(): string {
  return `tollgate:setup:${crypto.randomUUID()}`;
}

async function findPrices(account: StripeAccount, rows: PriceRow[]): Promise<Map<string, Stripe.Price>> {
  const found = new Map<string, Stripe.Price>();
  for (let start = 0; start < rows.length; start += lookups) {
    const lookup_keys = rows.slice(start, start + lookups).map((row) => row.lookup_key);
    const page = await ask(account, (stripe) => stripe.prices.list({ lookup_keys, limit: 100 }));
    for (const price of page.data) if (price.lookup_key !== null) found.set(price.lookup_key, price);
  }
  return found;
}

async function makePrice(account: StripeAccount, row: PriceRow): Promise<Stripe.Price> {
  const recurring =
    row.interval_unit === null
      ? {}
      : { recurring: { interval: row.interval_unit, interval_count: row.interval_count ?? 1 } };
  return ask(account, (stripe) =>
    stripe.prices.create(
      {
        product: `tollgate_${row.code}`,
        lookup_key: row.lookup_key,
        currency: row.currency,
        unit_amount: row.amount_minor,
        ...recurring,
      },
      { idempotencyKey: newKey() },
    ),
  );
}

function refuseOther(row: PriceRow, price: Stripe.Price): void {
  const ours = [row.currency, row.amount_minor, row.interval_unit, row.interval_count].join(" ");
  const { recurring } = price;
  const theirs = [price.currency, price.unit_amount, recurring?.interval, recurring?.interval_count].join(" ");
  if (ours !== theirs) {
    throw new Error(
      `Stripe's ${price.id} has our lookup key ${row.lookup_key}, and is another price: ${theirs} and not ${ours}. ` +
        "Take the key away from it at Stripe, and run this again.",
    );
  }
}
