import { app } from "../src/app.ts";

/** Every HTTPS request. */
export const fetch: ExportedHandlerFetchHandler<Env> = (request, env, context) => app.fetch(request, env, context);
