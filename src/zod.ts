/**
 * What the bundle takes for "zod" (wrangler.toml, [alias]): all of it but the namespace object `z`, which would drag in
 * every locale and 300 KiB. @hono/zod-openapi imports `z`, and uses only the class whose prototype it extends.
 */
import { ZodType } from "zod/v4";

export * from "zod/v4";
export const z = { ZodType };
