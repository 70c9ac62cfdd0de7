import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, inject } from "vitest";
import { Api } from "../support/api.ts";
import { test } from "../support/world.ts";
import { findBuiltWorker } from "../world/bundle.ts";

/** Words that only the local stack has: its clock, its shop's pages, Stripe in miniature, and where it keeps things. */
const localWords = /[Mm]iniature|set clock_offset|nextDue|Nothing was paid|TOLLGATE_|\.tollgate|dev\.json|sk_test_/;

/** Ways in that only the local stack has. */
const localRoutes = [
  ["GET", "/clock"],
  ["POST", "/clock"],
  ["POST", "/tick"],
  ["GET", "/thanks"],
  ["GET", "/canceled"],
  ["POST", "/miniature/clock"],
  ["GET", "/miniature/events"],
  ["GET", "/pay/cs_test_1"],
  ["POST", "/pay/cs_test_1"],
  ["GET", "/portal/bps_1"],
  ["GET", "/v1/charges"],
] as const;

test("nothing of the local stack is in what is deployed: no word of it, and no way in", async ({ world }) => {
  const folder = dirname(findBuiltWorker(inject("bundle"))?.script ?? "");
  const scripts = readdirSync(folder).filter((name) => name.endsWith(".js"));
  expect(scripts).not.toEqual([]);
  for (const name of scripts) {
    const text = readFileSync(join(folder, name), "utf8");
    // Whatever a minifier does to names, words in quotes stay: one of ours must be found.
    expect(text).toContain("workspace_read_only");
    expect(localWords.exec(text)).toBeNull();
  }
  const api = new Api(world.url, world.operatorKey);
  for (const [method, path] of localRoutes) {
    const { status, body } = await api.call(method, path, method === "POST" ? { body: { advance: "1 day" } } : {});
    expect([method, path, status, body["code"]]).toEqual([method, path, 404, "route_not_found"]);
  }
});
