import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { z } from "zod";
import { projectRoot, quietWrangler } from "./world/bundle.ts";

/**
 * `npm test`: lint, types, the schema against its source, all tests but the browser's, and a dry run of the bundle, each even
 * when one before it failed. `npm test -- <filter>` runs only the tests whose file matches. `npm run test:browser` runs the
 * browser's, for which a machine needs Chromium. The last line is `N passed, N failed`: every test, and each of the other
 * steps as one; before it, each test that failed is named.
 */
const inBrowser = process.argv[2] === "--browser";
const filters = process.argv.slice(inBrowser ? 3 : 2);

/** What this run found. A test that did not run has proven nothing, so it counts as failed. */
interface Outcome {
  step: string;
  passed: number;
  failed: number;
  /** The tests that failed, each with the first line of why: the end of a log is what people are shown of it. */
  faults?: string[];
}

/** What is read of vitest's report. */
const reportShape = z.object({
  numPassedTests: z.int(),
  numFailedTests: z.int(),
  numPendingTests: z.int(),
  numTodoTests: z.int(),
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string(),
      assertionResults: z.array(
        z.object({ status: z.string(), fullName: z.string(), failureMessages: z.array(z.string()).nullish() }),
      ),
    }),
  ),
});

const steps: (() => Outcome)[] =
  inBrowser || filters.length > 0
    ? [() => runTests(filters)]
    : [
        () => runScript("lint"),
        () => runScript("typecheck"),
        () => runScript("db:check"),
        () => runTests([]),
        () => runScript("bundle"),
      ];

const outcomes = steps.map((step) => step());
const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
const failed = outcomes.reduce((sum, outcome) => sum + outcome.failed, 0);
process.stdout.write("\n");
for (const { step, failed: faults, passed: goods } of outcomes) {
  process.stdout.write(`${faults === 0 && goods > 0 ? "ok    " : "FAILED"} ${step}\n`);
}
for (const fault of outcomes.flatMap(({ faults }) => faults ?? [])) {
  process.stdout.write(`FAILED ${fault}\n`);
}
if (!inBrowser && filters.length === 0) {
  process.stdout.write("Not run here: the tests in a browser, which need Chromium. They are npm run test:browser.\n");
}
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
process.stdout.write(`${passed} passed, ${failed} failed\n`);

function runScript(script: string): Outcome {
  const done = runStep(script, "npm", ["run", "--silent", script]);
  return { step: script, passed: done ? 1 : 0, failed: done ? 0 : 1 };
}

function runTests(files: string[]): Outcome {
  const directory = mkdtempSync(join(tmpdir(), "tollgate-tests-"));
  const report = join(directory, "report.json");
  try {
    const vitest = join(projectRoot, "node_modules", "vitest", "vitest.mjs");
    const config = inBrowser ? "test/browser/vitest.config.ts" : "test/vitest.config.ts";
    const options = ["--config", config, "--root", ".", "--reporter=default", "--reporter=json"];
    const done = runStep("tests", process.execPath, [
      vitest,
      "run",
      ...options,
      `--outputFile.json=${report}`,
      ...files,
    ]);
    const found = existsSync(report) ? readReport(report) : { passed: 0, failed: 0, faults: [] };
    // A run that failed without a failed test (a leak, an error outside of tests, no report at all) has failed all the same.
    return { step: "tests", ...found, failed: done ? found.failed : Math.max(found.failed, 1) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function readReport(path: string): Omit<Outcome, "step"> {
  const report = reportShape.parse(JSON.parse(readFileSync(path, "utf8")));
  // A file that could not be loaded has no tests to fail.
  const unloaded = report.testResults.filter(
    ({ status, assertionResults }) => status === "failed" && assertionResults.length === 0,
  ).length;
  return {
    passed: report.numPassedTests,
    // A filter leaves tests out on purpose; in a whole run, nothing is left out.
    failed: report.numFailedTests + unloaded + (filters.length > 0 ? 0 : report.numPendingTests + report.numTodoTests),
    faults: report.testResults.flatMap(({ name, status, message, assertionResults }) => {
      const file = relative(projectRoot, name);
      const tests = assertionResults.filter((one) => one.status === "failed");
      return status === "failed" && tests.length === 0
        ? [`${file}: ${firstLine(message)}`]
        : tests.map(
            ({ fullName, failureMessages }) => `${file} > ${fullName}: ${firstLine(failureMessages?.[0] ?? "")}`,
          );
    }),
  };
}

function firstLine(text: string): string {
  return (text.split("\n")[0] ?? "").slice(0, 300);
}

function runStep(name: string, program: string, words: string[]): boolean {
  process.stdout.write(`\n── ${name}\n`);
  const started = performance.now();
  // The tests and the schema check bring their own database; one that the shell names is never theirs.
  const { DATABASE_URL: _unused, ...environment } = process.env;
  const { status } = spawnSync(program, words, {
    cwd: projectRoot,
    env: { ...environment, ...quietWrangler },
    stdio: "inherit",
    shell: process.platform === "win32" && program === "npm",
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stdout.write(`── ${name}: ${status === 0 ? "ok" : "FAILED"} after ${seconds} s\n`);
  return status === 0;
}
