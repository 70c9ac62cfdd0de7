import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { emptyState, readState, writeState } from "./state.ts";
import type { State } from "./state.ts";

/** The file that keeps an account from one start to the next; without a path, nothing is kept. */
export class StateFile {
  readonly #path: string | undefined;
  #scheduled = false;

  constructor(path: string | undefined) {
    this.#path = path;
  }

  read(): State {
    return this.#path !== undefined && existsSync(this.#path)
      ? readState(readFileSync(this.#path, "utf8"))
      : emptyState();
  }

  /** Writes soon: the changes of one turn go together. */
  touch(state: State): void {
    if (this.#path !== undefined && !this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        this.write(state);
      });
    }
  }

  /** Writes now, beside the file and then over it: a reader finds the old state or the new, never half of one. */
  write(state: State): void {
    if (this.#path === undefined) {
      return;
    }
    mkdirSync(dirname(this.#path), { recursive: true });
    const fresh = `${this.#path}.${process.pid}.new`;
    writeFileSync(fresh, writeState(state));
    renameSync(fresh, this.#path);
  }
}
