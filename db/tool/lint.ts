import { runAsCommand } from "./command.ts";
import { next } from "./generate.ts";
import { ourPlaces } from "./places.ts";
import type { Places } from "./places.ts";
import { readMigrations } from "./history.ts";
import { statements } from "./sql.ts";
import { squawk } from "./squawk.ts";

/** Everything that is wrong with db/schema, db/sql and migrations/ and can be seen without a database. */
export async function lint(places: Places): Promise<string[]> {
  const lines: string[] = [];
  for (const { name, text } of readMigrations(places.migrations)) {
    lines.push(...squawk(name, text));
    if (statements(text).some((statement) => statement.kind === "TransactionStmt")) {
      lines.push(`migrations/${name}: the runner's transaction is the only one; this file would end it`);
    }
  }
  // Last: where a rule is broken, it throws and says which.
  const migration = await next(places);
  if (migration !== null) {
    lines.push(`The source says more than the migrations: npm run db:generate would write ${migration.name}`);
  }
  return lines;
}

runAsCommand(import.meta, async () => {
  const lines = await lint(await ourPlaces());
  if (lines.length > 0) {
    throw new Error(lines.join("\n"));
  }
});
