import { defineConfig } from "vitest/config";

/** `npm run test:browser`. A project of its own: `npm test` needs nothing but Node and npm, and these need Chromium. */
export default defineConfig({
  test: {
    include: ["test/browser/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 1,
    // Generous on purpose, as in test/vitest.config.ts: a start of the whole stack is among these.
    testTimeout: 120_000,
    hookTimeout: 240_000,
    teardownTimeout: 30_000,
    allowOnly: false,
  },
});
