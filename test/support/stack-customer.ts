import { expect } from "vitest";
import { z } from "zod";
import { withClient } from "../world/roles.ts";
import { Api, textOf } from "./api.ts";
import type { Address } from "./stack.ts";

const journey = z.object({ now: z.string(), tick: z.literal("ok"), sweeps: z.array(z.unknown()).length(0) });
const message = z.object({
  id: z.string(),
  channel: z.string(),
  kind: z.string(),
  workspace_id: z.string().nullable(),
});
const messagePage = z.object({ data: z.array(message), next_cursor: z.string().nullable() });

/** A customer of a service that sells access at the local stack. */
export class Customer {
  readonly api: Api;
  readonly path: string;
  readonly #stack: Address;
  readonly #id: string;
  /** What was seen of the outbox: what left it is dropped after 35 days. */
  readonly #seen = new Map<string, z.infer<typeof message>>();

  constructor(stack: Address, id: string) {
    this.api = new Api(stack.url, stack.operator_key);
    this.path = `/v1/workspaces/${id}`;
    this.#stack = stack;
    this.#id = id;
  }

  static async at(stack: Address): Promise<Customer> {
    return new Customer(stack, (await new Api(stack.url, stack.operator_key).workspace()).id);
  }

  /** Puts money on the balance as a person does: on Stripe's page. */
  async topUp(topup_minor: number): Promise<void> {
    const { dev_url } = this.#stack;
    const places = { success_url: `${dev_url}/thanks`, cancel_url: `${dev_url}/canceled` };
    const answer = await this.api.post(`${this.path}/checkout`, { topup_minor, currency: "eur", ...places });
    const page = textOf(answer, "url");
    const paid = await fetch(page, {
      method: "POST",
      redirect: "manual",
      body: new URLSearchParams({ outcome: "pay" }),
    });
    expect(paid.status).toBe(303);
  }

  async balance(): Promise<unknown> {
    const { data } = (await this.api.get(`${this.path}/balance`)).body;
    return Array.isArray(data) ? data[0]?.available : null;
  }

  async subscription(): Promise<Readonly<Record<string, unknown>>> {
    return (await this.api.get(`${this.path}/subscription`)).body;
  }

  /** Its keys: all that it ever had. */
  async keys(): Promise<string[]> {
    const { data } = (await this.api.get(`${this.path}/access_keys`)).body;
    return z
      .array(z.object({ key: z.string() }))
      .parse(data)
      .map(({ key }) => key);
  }

  async door(key: string): Promise<unknown> {
    return (await this.api.get(`/v1/access/${key}`)).body;
  }

  /** Moves the clock to `by` milliseconds after a moment, with the cron running on the way. */
  async reach(moment: unknown, by = 0): Promise<void> {
    const { now } = z.object({ now: z.string() }).parse(await (await fetch(`${this.#stack.dev_url}/clock`)).json());
    const seconds = Math.ceil((Date.parse(String(moment)) + by - Date.parse(now)) / 1000);
    const body = JSON.stringify({ advance: `${seconds} seconds` });
    journey.parse(await (await fetch(`${this.#stack.dev_url}/clock`, { method: "POST", body })).json());
  }

  /** Moves the database's clock alone: no sweep has run since. */
  async reachUnswept(moment: unknown, by = 0): Promise<void> {
    await withClient(this.#stack.database_url, (owner) =>
      owner.query(
        `update ops.clock set clock_offset = clock_offset + greatest($1::timestamptz - ops.now(), interval '0')`,
        [new Date(Date.parse(String(moment)) + by).toISOString()],
      ),
    );
  }

  async tick(): Promise<void> {
    expect((await fetch(`${this.#stack.dev_url}/tick`, { method: "POST" })).ok).toBe(true);
  }

  /** What it was told, and what whoever provisions was, in the order in which it came. */
  async told(): Promise<{ notices: string[]; keys: string[] }> {
    let page = "/v1/messages?limit=100";
    for (let more = true; more;) {
      const { data, next_cursor } = messagePage.parse((await this.api.get(page)).body);
      for (const one of data) this.#seen.set(one.id, one);
      page = `/v1/messages?limit=100&cursor=${next_cursor ?? ""}`;
      more = next_cursor !== null;
    }
    const own = [...this.#seen.values()]
      .filter(({ workspace_id }) => workspace_id === this.#id)
      .toSorted((one, other) => (one.id < other.id ? -1 : 1));
    const kinds = (of: string) => own.filter(({ channel }) => channel === of).map(({ kind }) => kind);
    return { notices: kinds("notice"), keys: kinds("provisioner") };
  }
}
