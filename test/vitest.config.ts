import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/{unit,sql,http,race,hostile,chaos,migrations}/**/*.test.ts"],
    globalSetup: ["test/support/global.ts"],
    pool: "forks",
    maxWorkers: 2,
    // Generous on purpose: a busy machine must not turn a right answer into a failure.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    teardownTimeout: 30_000,
    // Without it a fact that is waited for has a second to come.
    expect: { poll: { timeout: 20_000, interval: 20 } },
    allowOnly: false,
  },
});
