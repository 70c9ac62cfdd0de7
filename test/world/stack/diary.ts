import * as fs from "node:fs";
import type { Pool } from "pg";

/** What the outside world was told and did, by the database's clock: a file that a person can read, and that tests do. */
export interface Diary {
  /** Writes a line: who, and what; at the moment that the database's clock shows then. */
  write(who: string, what: string): void;
  /** All lines, when everything that was written has come in. */
  read(): Promise<string>;
  /** Resolves when nothing is on its way to the file. */
  settled(): Promise<void>;
}

/** Opens the diary in a file; what it has stays. */
export function openDiary(file: string, owner: Pool, tell: (line: string) => void): Diary {
  let last: Promise<void> = Promise.resolve();
  const line = async (who: string, what: string): Promise<void> => {
    const { rows } = await owner.query<{ at: string }>(
      `select to_char(ops.now() at time zone 'UTC', 'YYYY-MM-DD HH24:MI') as at`,
    );
    fs.appendFileSync(file, `${rows[0]?.at ?? ""}  ${who.padEnd(11)}  ${what}\n`);
  };
  return {
    write: (who, what) => {
      last = last
        .then(() => line(who, what))
        .catch((error: unknown) =>
          tell(`the diary lacks a line: ${error instanceof Error ? error.message : String(error)}`),
        );
    },
    read: async () => {
      await last;
      return fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "";
    },
    settled: () => last,
  };
}
