import { z } from "zod";

/** What the stack asks of the process that runs the Worker. That process ends when the channel closes. */
export const workerOrder = z.object({
  config: z.string(),
  environment: z.string(),
  port: z.int(),
  vars: z.record(z.string(), z.string()),
});
export type WorkerOrder = z.infer<typeof workerOrder>;

/** What that process says. */
export const workerReport = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("ready"), url: z.string() }),
  z.object({ kind: z.literal("failed"), message: z.string() }),
]);
export type WorkerReport = z.infer<typeof workerReport>;
