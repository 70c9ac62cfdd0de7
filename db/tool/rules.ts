import type { SourceFile } from "./source.ts";

/** What the source's files must keep to; one line for each that does not. */
export function refusals(_source: SourceFile[]): string[] {
  return [];
}
