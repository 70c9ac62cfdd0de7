import { Client, escapeIdentifier, escapeLiteral } from "pg";

/** The role that owns the database and migrates it, as a Neon project's owner does. */
export const ownerRole = "tollgate_owner";

/** The role that the Worker connects as. */
export const workerRole = "tollgate_worker";

/** Makes the owner's role with what the owner of a Neon project has and no more: it is no superuser. */
export async function createOwner(superuserUrl: string, password: string): Promise<void> {
  await withClient(superuserUrl, async (client) => {
    const found = await client.query("select from pg_roles where rolname = $1", [ownerRole]);
    const verb = found.rowCount === 0 ? "create" : "alter";
    await client.query(
      `${verb} role ${ownerRole} login nosuperuser createrole nocreatedb password ${escapeLiteral(password)}`,
    );
    await client.query(`grant pg_monitor to ${ownerRole}`);
  });
}

/** Makes an empty database that the owner's role owns, unless it is there; true when it was made. */
export async function createDatabase(superuserUrl: string, name: string): Promise<boolean> {
  return await withClient(superuserUrl, async (client) => {
    const found = await client.query("select from pg_database where datname = $1", [name]);
    if (found.rowCount === 0) {
      await client.query(`create database ${escapeIdentifier(name)} owner ${ownerRole}`);
    }
    return found.rowCount === 0;
  });
}

/** The same connection string for another database and, where given, another role. */
export function urlFor(url: string, database: string, user?: string, password?: string): string {
  const changed = new URL(url);
  changed.pathname = `/${encodeURIComponent(database)}`;
  if (user !== undefined && password !== undefined) {
    changed.username = encodeURIComponent(user);
    changed.password = encodeURIComponent(password);
  }
  return changed.href;
}

/** Runs something on one connection and closes it. */
export async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
