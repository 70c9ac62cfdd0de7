import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder that holds package.json. */
export const projectRoot = resolve(fileURLToPath(new URL("../..", import.meta.url)));

/**
 * Runs `main` when this module is the command that was started, not when it is imported. What it throws is the
 * command's last words (a stack helps nobody who typed a command), and the exit code is 1.
 */
export function runAsCommand(module: ImportMeta, main: () => Promise<void>): void {
  if (!module.main) {
    return;
  }
  main().catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  });
}
