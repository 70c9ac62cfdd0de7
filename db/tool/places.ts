import { join } from "node:path";
import { projectRoot } from "./command.ts";

/** Where the truth is, and where its history goes. */
export interface Places {
  /** What db/schema/index.ts exports. */
  tables: Record<string, unknown>;
  /** `db/sql` */
  sql: string;
  /** `migrations` */
  migrations: string;
}

/** This project's tables, routines and history. */
export async function ourPlaces(): Promise<Places> {
  const tables: Record<string, unknown> = await import("../schema/index.ts");
  return { tables, sql: join(projectRoot, "db/sql"), migrations: join(projectRoot, "migrations") };
}
