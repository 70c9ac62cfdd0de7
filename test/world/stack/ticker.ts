/** Ticks the cron once a minute, as Cloudflare does in production and wrangler's dev server does not. */
export interface Ticker {
  /** Ticks now; one that is under way is waited for first, so that this one sees what came before it. */
  tick(): Promise<void>;
  /** Does something while no tick is under way, and none begins. */
  still<Result>(work: () => Promise<Result>): Promise<Result>;
  /** No tick starts any more; the one under way has a few seconds to end and is cut then. */
  stop(): Promise<void>;
}

/** A Worker whose process was killed may hold its requests for ever; stopping must not wait for it. */
const patienceMs = 5_000;

/** Starts ticking, at once and then every minute. A tick that fails is told and does not end the ticking. */
export function startTicker(tickOnce: (cut: AbortSignal) => Promise<void>, tell: (line: string) => void): Ticker {
  let last: Promise<void> = Promise.resolve();
  let lastFailure = "";
  const cut = new AbortController();
  const tick = (): Promise<void> => {
    const next = last.then(() => tickOnce(cut.signal));
    last = next.catch(() => undefined);
    return next;
  };
  const tickAndTell = (): void => {
    tick().then(
      () => (lastFailure = ""),
      (error: unknown) => {
        const failure = error instanceof Error ? error.message : String(error);
        // The same failure every minute would push all else off the screen.
        if (failure !== lastFailure && !cut.signal.aborted) {
          tell(failure);
        }
        lastFailure = failure;
      },
    );
  };
  tickAndTell();
  const timer = setInterval(tickAndTell, 60_000);
  return {
    tick,
    still: (work) => {
      const next = last.then(work);
      last = next.then(
        () => undefined,
        () => undefined,
      );
      return next;
    },
    stop: async () => {
      clearInterval(timer);
      const late = setTimeout(() => cut.abort(new Error("The cron was cut: the stack stops.")), patienceMs);
      await last;
      clearTimeout(late);
    },
  };
}
