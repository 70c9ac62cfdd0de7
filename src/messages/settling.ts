/**
 * Settles what was sent, together: while one statement is on its way, what is sent meanwhile gathers for the next. So nothing waits
 * for a batch to fill, and a fast peer costs no statement a message.
 */
export class Settling {
  readonly #settle: (ids: string[], tokens: string[]) => Promise<unknown>;
  #gathered: { id: string; token: string }[] = [];
  #next: Promise<void> | null = null;
  #last: Promise<void> = Promise.resolve();

  constructor(settle: (ids: string[], tokens: string[]) => Promise<unknown>) {
    this.#settle = settle;
  }

  /** Resolves when it is settled; rejects where its statement failed: then its lease brings it again. */
  add(id: string, token: string): Promise<void> {
    this.#gathered.push({ id, token });
    this.#next ??= this.#after(this.#last);
    return this.#next;
  }

  async #after(last: Promise<void>): Promise<void> {
    await last;
    const together = this.#gathered;
    this.#gathered = [];
    this.#next = null;
    const statement = this.#settle(
      together.map(({ id }) => id),
      together.map(({ token }) => token),
    );
    // Who added is told that it failed; who comes next only waits.
    this.#last = statement.then(
      () => undefined,
      () => undefined,
    );
    await statement;
  }
}
