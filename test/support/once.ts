import type { Client } from "pg";
import { inject } from "vitest";
import { withClient } from "../world/roles.ts";

/**
 * Has one worker of the run make what all of them need, while the others wait. Workers are processes of their own and
 * share nothing but the run's Postgres, so it holds the lock.
 */
export async function oncePerRun(
  what: string,
  isMade: (client: Client) => Promise<boolean>,
  make: (client: Client) => Promise<void>,
): Promise<void> {
  await withClient(inject("postgres").superuserUrl, async (client) => {
    await client.query("select pg_advisory_lock(hashtextextended($1, 0))", [what]);
    if (!(await isMade(client))) {
      await make(client);
    }
  });
}
