import { randomBytes } from "node:crypto";
import type { Catalogue } from "./catalogue.ts";
import { readCatalogue } from "./catalogue.ts";
import { changes, compose } from "./compose.ts";
import { withClient } from "./connect.ts";
import type { Places } from "./places.ts";
import { migrate, prepare } from "./migrate.ts";
import { readSource } from "./source.ts";
import { snapshotOf } from "./tables.ts";

/** What the two ways from zero made. */
export interface FromZero {
  /** By the migrations, one after the other. */
  migrated: Catalogue;
  /** By the source alone, as a first migration would. */
  source: Catalogue;
  /** The database that was migrated; it is gone afterwards. */
  url: string;
}

/** Makes the schema both ways, in a Postgres of its own that ends with `work`. */
export async function fromZero<T>(places: Places, work: (made: FromZero) => Promise<T>): Promise<T> {
  // Only a developer's machine and CI come here: what is deployed has no tests and no embedded Postgres beside it.
  const { startEphemeralCluster } = await import("../../test/world/postgres.ts");
  const { createDatabase, createOwner, ownerRole, urlFor } = await import("../../test/world/roles.ts");
  const tables = snapshotOf(places.tables);
  const schemas = Object.values(tables.schemas);
  const cluster = await startEphemeralCluster();
  try {
    const [superuser, password] = [cluster.url("postgres"), randomBytes(16).toString("base64url")];
    await createOwner(superuser, password);
    const make = async (name: string) => {
      await createDatabase(superuser, name);
      return urlFor(superuser, name, ownerRole, password);
    };
    const url = await make("migrated");
    await migrate(url, { directory: places.migrations });
    const first = await changes([], readSource(places.sql), snapshotOf({}), tables);
    const source = await withClient(await make("source"), async (client) => {
      await client.query("begin");
      await prepare(client);
      await client.query(first === null ? "" : compose(first, []));
      await client.query("commit");
      return readCatalogue(client, schemas);
    });
    const migrated = await withClient(url, (client) => readCatalogue(client, schemas));
    return await work({ migrated, source, url });
  } finally {
    await cluster.stop();
  }
}
