/** Providers count seconds since 1970; Postgres reads RFC 3339. Both are a provider's or the database's time, never the Worker's. */
export function instantOf(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}

/** The whole seconds of an instant that the database wrote. */
export function secondsOf(instant: string): number {
  const milliseconds = Date.parse(instant);
  if (Number.isNaN(milliseconds)) throw new Error(`${instant} is no instant`);
  return Math.floor(milliseconds / 1000);
}
