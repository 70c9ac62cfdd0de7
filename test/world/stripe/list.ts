import type Stripe from "stripe";
import { invalid } from "./failure.ts";
import type { Params } from "./params.ts";
import type { Call } from "./route.ts";

interface Listed {
  id: string;
  created?: number;
}

/** A page of a list, newest first, as `limit`, `starting_after`, `ending_before` and `created` ask for it. */
export function page<Item extends Listed>(call: Call, url: string, oldestFirst: Iterable<Item>): Stripe.ApiList<Item> {
  const { params } = call;
  const limit = params.integer("limit") ?? 10;
  if (limit < 1 || limit > 100) {
    throw invalid(`Invalid integer: ${limit} (must be between 1 and 100)`, "limit");
  }
  const items = [...oldestFirst].filter(createdWithin(params)).toReversed();
  const [after, before] = [params.text("starting_after"), params.text("ending_before")];
  if (after !== undefined && before !== undefined) {
    throw invalid("You may only specify one of these parameters: ending_before, starting_after.");
  }
  if (before !== undefined) {
    const end = placeOf(items, before, "ending_before");
    const start = Math.max(0, end - limit);
    return { object: "list", url, has_more: start > 0, data: items.slice(start, end) };
  }
  const start = after === undefined ? 0 : placeOf(items, after, "starting_after") + 1;
  return { object: "list", url, has_more: items.length > start + limit, data: items.slice(start, start + limit) };
}

/** A list inside of an object: all of it. */
export function whole<Item>(url: string, data: Item[]): Stripe.ApiList<Item> {
  return { object: "list", data, has_more: false, url };
}

function placeOf(items: Listed[], id: string, param: string): number {
  const place = items.findIndex((item) => item.id === id);
  if (place === -1) {
    throw invalid(`No such object: '${id}'`, param, "resource_missing");
  }
  return place;
}

function createdWithin(params: Params): (item: Listed) => boolean {
  if (!params.has("created")) {
    return () => true;
  }
  const exactly = params.isPlain("created") ? params.integer("created") : undefined;
  const range = params.isPlain("created") ? undefined : params.inside("created");
  const [gt, gte] = [range?.integer("gt") ?? -Infinity, range?.integer("gte") ?? -Infinity];
  const [lt, lte] = [range?.integer("lt") ?? Infinity, range?.integer("lte") ?? Infinity];
  return ({ created = 0 }) =>
    exactly === undefined ? created > gt && created >= gte && created < lt && created <= lte : created === exactly;
}
