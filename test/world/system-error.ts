/** The code of an error that the system or Postgres gave (`ENOENT`, `23505`); undefined for any other thing thrown. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
