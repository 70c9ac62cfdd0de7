import { Hono } from "hono";
import { settings } from "../env.ts";
import type { AppEnv } from "./context.ts";

const page = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Tollgate API</title><link rel="stylesheet" href="/docs/swagger-ui.css"></head>
<body><div id="docs"></div><script src="/docs/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script></body>
</html>`;

const start = `SwaggerUIBundle({ url: "/openapi.json", dom_id: "#docs", deepLinking: true });`;

/** Swagger UI styles elements inline and draws its icons from data: addresses; everything else is ours. */
const policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

const files = ["swagger-ui.css", "swagger-ui-bundle.js"];

/**
 * /docs: Swagger UI over /openapi.json, from this deployment and no CDN. Its two files are static assets (wrangler.toml):
 * in the bundle they would cost every cold start a megabyte and a half.
 */
export const docs = new Hono<AppEnv>();

docs.get("/docs", (c) => c.html(page, 200, { "Content-Security-Policy": policy }));
docs.get("/docs/start.js", (c) => c.body(start, 200, { "Content-Type": "text/javascript" }));
for (const file of files) {
  docs.get(`/docs/${file}`, async (c) => {
    const asset = await settings(c.env).assets?.fetch(new Request(new URL(`/${file}`, c.req.url)));
    if (asset === undefined || !asset.ok || asset.body === null) return c.notFound();
    const type = asset.headers.get("Content-Type") ?? "application/octet-stream";
    return c.body(asset.body, 200, { "Content-Type": type, "Cache-Control": "public, max-age=3600" });
  });
}
