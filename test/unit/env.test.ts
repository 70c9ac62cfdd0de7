import { expect, test } from "vitest";
import { settings } from "../../src/env.ts";
import { Problem } from "../../src/http/problem.ts";

const DATABASE_URL = "postgresql://tollgate_worker:secret@ep-cool.eu-central-1.aws.neon.tech/tollgate?sslmode=require";

test("the bindings, parsed once for each env", () => {
  const env = { DATABASE_URL };
  expect(settings(env)).toEqual({ database: { url: DATABASE_URL, fetch_endpoint: null }, assets: null });
  expect(settings(env)).toBe(settings(env));
});

test.each(["http://127.0.0.1:4444/sql", "http://localhost:4444/sql", "http://[::1]:4444/sql"])(
  "a fetch endpoint on this machine: %s",
  (endpoint) => {
    const env = { DATABASE_URL, DATABASE_FETCH_ENDPOINT: endpoint };
    expect(settings(env).database.fetch_endpoint).toBe(endpoint);
  },
);

test.each([
  "https://evil.example/sql",
  "http://127.0.0.1.evil.example/sql",
  "http://localhost.evil.example/sql",
  "http://127.0.0.1@evil.example/sql",
  "http://user@127.0.0.1/sql",
  "http://10.0.0.1/sql",
  "http://0.0.0.0/sql",
  "https://127.0.0.1/sql",
  "ftp://127.0.0.1/sql",
  "127.0.0.1:4444",
  "",
])("any other fetch endpoint is refused, for it would be told the password: %s", (endpoint) => {
  const env = { DATABASE_URL, DATABASE_FETCH_ENDPOINT: endpoint };
  expect(() => settings(env)).toThrow(new Problem("misconfigured"));
});

test("a refusal names the binding and never its value", () => {
  for (const url of [undefined, "", "secret", "mysql://u:secret@h/d", "postgres://host/secret"]) {
    let problem: unknown;
    try {
      settings({ DATABASE_URL: url });
    } catch (error) {
      problem = error;
    }
    expect(problem).toMatchObject({ code: "misconfigured" });
    const cause = problem instanceof Error && problem.cause instanceof Error ? problem.cause.message : "";
    expect(cause).toContain("DATABASE_URL");
    expect(cause).not.toContain("secret");
  }
});
