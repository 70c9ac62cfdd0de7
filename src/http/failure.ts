import type { ErrorHandler, Hono, NotFoundHandler } from "hono";
import { TrieRouter } from "hono/router/trie-router";
import type { AppContext, AppEnv } from "./context.ts";
import { Problem, render } from "./problem.ts";

/** Every error leaves as a problem; what is not a Problem is a failure of ours, and its text stays in the log. */
export const onError: ErrorHandler<AppEnv> = (error, c) => answer(c, problemOf(error));

function problemOf(error: Error): Problem {
  return error instanceof Problem ? error : new Problem("internal_error", {}, { cause: error });
}

/** 404 `route_not_found`, or 405 `method_not_allowed` with `Allow` where another method has the path. */
export function notFound(app: Hono<AppEnv>): NotFoundHandler<AppEnv> {
  let methods: TrieRouter<string> | undefined;
  return (c) => {
    methods ??= methodsByPath(app);
    const allowed = new Set(methods.match("ALL", c.req.path)[0].map(([method]) => method));
    if (allowed.has("GET")) allowed.add("HEAD");
    if (allowed.size === 0) return answer(c, new Problem("route_not_found"));
    const allow = [...allowed].toSorted().join(", ");
    const response = answer(c, new Problem("method_not_allowed", { detail: `send ${allow}` }));
    response.headers.set("Allow", allow);
    return response;
  };
}

function methodsByPath(app: Hono<AppEnv>): TrieRouter<string> {
  const router = new TrieRouter<string>();
  for (const { method, path } of app.routes) if (method !== "ALL") router.add("ALL", path, method);
  return router;
}

function answer(c: AppContext, problem: Problem): Response {
  const requestId = c.get("requestId");
  c.get("trace").code = problem.code;
  return render(problem, requestId, new Headers({ "Request-Id": requestId, "Cache-Control": "no-store" }));
}
