import { Client } from "pg";
import type { ClientConfig } from "pg";

/** How to reach a database as its owner: by TCP, encrypted and verified wherever that leaves the machine. */
export function connectionTo(connectionString: string): ClientConfig {
  let url: URL;
  try {
    url = new URL(connectionString);
  } catch {
    // The text may hold a password: it is not repeated.
    throw new Error("This is not a connection string. It looks like postgresql://owner:password@host/database");
  }
  if (url.protocol !== "postgres:" && url.protocol !== "postgresql:") {
    throw new Error(`A connection string begins with postgresql://, not with ${url.protocol}//`);
  }
  if (/^[^.]+-pooler\./.test(url.hostname)) {
    throw new Error(
      `${url.hostname} is Neon's pooler, which mixes the sessions of many clients. ` +
        `Use the unpooled address: ${url.hostname.replace("-pooler.", ".")}`,
    );
  }
  const local = isLocal(url.hostname);
  const mode = url.searchParams.get("sslmode");
  if (!local && (mode === "disable" || mode === "no-verify")) {
    throw new Error(`sslmode=${mode} would let anybody between here and ${url.hostname} read or change everything.`);
  }
  if (!local) {
    // `require` alone verifies nothing in libpq's sense of the word; pg warns about that at every start.
    url.searchParams.set("sslmode", "verify-full");
  }
  return { connectionString: url.href, application_name: "tollgate", connectionTimeoutMillis: 30_000 };
}

/** Is it this machine? */
export function isLocal(hostname: string): boolean {
  return ["127.0.0.1", "localhost", "[::1]"].includes(hostname);
}

/** Runs `work` with a connection of its own, which is closed whatever happens. */
export async function withClient<T>(connectionString: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client(connectionTo(connectionString));
  // A connection that breaks while no query waits has nobody else to tell; the next query then fails with the reason.
  client.on("error", () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** The owner's connection string: the command's argument, else DATABASE_URL. */
export function databaseUrl(argument: string | undefined): string {
  const url = namedUrl(argument);
  if (url === undefined) {
    throw new Error("Which database? Set DATABASE_URL to the owner's unpooled connection string.");
  }
  return url;
}

/**
 * As `databaseUrl`, for a command that knows what to do without. An argument names a database of this machine only: npm
 * prints arguments, shells keep them, and every user of the machine can list them.
 */
export function namedUrl(argument: string | undefined): string | undefined {
  if (argument === undefined) {
    const url = process.env["DATABASE_URL"];
    return url === "" ? undefined : url;
  }
  connectionTo(argument);
  const { hostname, password } = new URL(argument);
  if (password !== "" && !isLocal(hostname)) {
    throw new Error(`An argument is no place for a password to ${hostname}: set DATABASE_URL.`);
  }
  return argument;
}
