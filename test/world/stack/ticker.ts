/** Ticks the cron once a minute, as Cloudflare does in production and wrangler's dev server does not. */
export interface Ticker {
  /** Ticks now; one that is under way is waited for first, so that this one sees what came before it. */
  tick(): Promise<void>;
  /** No tick starts any more; resolves when the one under way has ended. */
  stop(): Promise<void>;
}

/** Starts ticking, at once and then every minute. A tick that fails is told and does not end the ticking. */
export function startTicker(tickOnce: () => Promise<void>, tell: (line: string) => void): Ticker {
  let last: Promise<void> = Promise.resolve();
  let lastFailure = "";
  const tick = (): Promise<void> => {
    const next = last.then(tickOnce);
    last = next.catch(() => undefined);
    return next;
  };
  const tickAndTell = (): void => {
    tick().then(
      () => (lastFailure = ""),
      (error: unknown) => {
        const failure = error instanceof Error ? error.message : String(error);
        // The same failure every minute would push all else off the screen.
        if (failure !== lastFailure) {
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
    stop: async () => {
      clearInterval(timer);
      await last;
    },
  };
}
