import * as fs from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { processRecord, stillRuns, thisProcess } from "../process.ts";
import { errorCode } from "../system-error.ts";

const holder = processRecord.extend({ url: z.string().optional() });

/** The right to run the stack of one directory. */
export interface Lock {
  /** Tells those who come later where this stack is. */
  announce(url: string): void;
  release(): void;
}

/** Another stack of the same directory is running. */
class AlreadyRunning extends Error {}

/**
 * Takes the right to run the stack of a directory, or says who has it. Two that start at the same moment both see the
 * other's file or none: it is made by linking, which only one of them can. One whose process has ended counts for nothing.
 */
export function takeLock(directory: string): Lock {
  const path = join(directory, "dev.lock");
  const mine = JSON.stringify(thisProcess());
  const draft = `${path}.${process.pid}`;
  fs.writeFileSync(draft, mine);
  try {
    for (;;) {
      try {
        fs.linkSync(draft, path);
        break;
      } catch (error) {
        if (errorCode(error) !== "EEXIST") {
          throw error;
        }
      }
      const found = readLock(path);
      if (found !== null && stillRuns(found)) {
        const where = found.url === undefined ? "still starting, or stopping" : found.url;
        throw new AlreadyRunning(
          `The local stack is already running: process ${found.pid}, ${where}.\n` +
            `Use that one, or end it with Ctrl-C in its terminal (or: kill ${found.pid}).`,
        );
      }
      removeStale(path, draft);
    }
  } finally {
    fs.rmSync(draft, { force: true });
  }
  return {
    announce: (url) => {
      fs.writeFileSync(draft, JSON.stringify({ ...thisProcess(), url }));
      fs.renameSync(draft, path);
    },
    release: () => fs.rmSync(path, { force: true }),
  };
}

function readLock(path: string): z.infer<typeof holder> | null {
  try {
    return holder.parse(JSON.parse(fs.readFileSync(path, "utf8")));
  } catch {
    // Gone by now, or not written by us: either way nobody's.
    return null;
  }
}

/** Moves a dead holder's file away. If somebody took the lock just now, theirs was moved: it is put back. */
function removeStale(path: string, draft: string): void {
  const aside = `${draft}.stale`;
  try {
    fs.renameSync(path, aside);
  } catch (error) {
    if (errorCode(error) === "ENOENT") {
      return;
    }
    throw error;
  }
  const moved = readLock(aside);
  if (moved !== null && stillRuns(moved)) {
    fs.renameSync(aside, path);
  } else {
    fs.rmSync(aside, { force: true });
  }
}
