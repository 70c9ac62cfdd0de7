import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { MigrationError } from "../../db/tool/migrate.ts";
import { projectRoot } from "./bundle.ts";
import { startStack } from "./stack.ts";
import { welcome } from "./stack/welcome.ts";

const usage = `npm run dev -- [options]

  --reset                 start with an empty database, and an empty Stripe in miniature
  --port <n>              the Worker's port            (TOLLGATE_PORT; 8787, or any free one)
  --postgres-port <n>     Postgres's port              (TOLLGATE_POSTGRES_PORT; the last start's, or any free one)
  --bridge-port <n>       the SQL bridge's port        (TOLLGATE_BRIDGE_PORT; any free one)
  --dev-port <n>          the dev server's port        (TOLLGATE_DEV_PORT; any free one)
  --stripe-port <n>       Stripe in miniature's port   (TOLLGATE_STRIPE_PORT; the last start's, or any free one)
  --directory <path>      where data and keys are kept (TOLLGATE_DIRECTORY; .tollgate)

  STRIPE_SECRET_KEY (a test key, in the environment or in .dev.vars) has the Worker use that account at Stripe in place of
  Stripe in miniature; .dev.vars.example says more.
`;

const { values } = parseArgs({
  options: {
    reset: { type: "boolean", default: false },
    port: { type: "string" },
    "postgres-port": { type: "string" },
    "bridge-port": { type: "string" },
    "dev-port": { type: "string" },
    "stripe-port": { type: "string" },
    directory: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  process.stdout.write(usage);
} else {
  process.exitCode = await run();
  // Whatever still holds the process (a connection that a tool left open) must not keep the terminal.
  process.exit();
}

async function run(): Promise<number> {
  const stopped = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      tell(stopped.signal.aborted ? "already stopping" : "stopping");
      stopped.abort(new Error(`stopped by ${signal}`));
    });
  }
  whenOrphaned(() => {
    tell("npm has ended; stopping");
    stopped.abort(new Error("stopped with npm"));
  });
  const directory = values.directory ?? process.env["TOLLGATE_DIRECTORY"] ?? join(projectRoot, ".tollgate");
  try {
    const stack = await startStack({
      directory,
      reset: values.reset,
      port: port("port", values.port ?? process.env["TOLLGATE_PORT"]),
      postgresPort: port("postgres-port", values["postgres-port"] ?? process.env["TOLLGATE_POSTGRES_PORT"]),
      bridgePort: port("bridge-port", values["bridge-port"] ?? process.env["TOLLGATE_BRIDGE_PORT"]),
      devPort: port("dev-port", values["dev-port"] ?? process.env["TOLLGATE_DEV_PORT"]),
      stripePort: port("stripe-port", values["stripe-port"] ?? process.env["TOLLGATE_STRIPE_PORT"]),
      tell,
      signal: stopped.signal,
    });
    process.stdout.write(welcome(stack.address, relative(process.cwd(), join(directory, "dev.json"))));
    const broken = await Promise.race([stack.broken, once(stopped.signal)]);
    if (broken !== undefined) {
      process.stderr.write(`${broken} ended unexpectedly; stopping the rest.\n`);
    }
    await stack.stop();
    tell("stopped");
    return broken === undefined ? 0 : 1;
  } catch (error) {
    if (stopped.signal.aborted && error === stopped.signal.reason) {
      tell("stopped");
      return 0;
    }
    for (let cause = error; cause instanceof Error; cause = cause.cause) {
      process.stderr.write(`${cause.message}\n`);
    }
    if (error instanceof MigrationError) {
      process.stderr.write("npm run dev -- --reset starts with an empty database.\n");
    }
    return 1;
  }
}

function once(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve(undefined);
    }
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
}

/** SIGTERM to npm ends npm and its shell, and reaches nothing that the shell had started: its loss is the signal. */
function whenOrphaned(stop: () => void): void {
  const parent = process.ppid;
  if (process.env["npm_lifecycle_event"] === "dev") {
    const watch = setInterval(() => {
      if (process.ppid !== parent) {
        clearInterval(watch);
        stop();
      }
    }, 500);
    watch.unref();
  }
}

function port(name: string, text: string | undefined): number | undefined {
  if (text === undefined || text === "") {
    return undefined;
  }
  if (!/^\d{1,5}$/.test(text) || Number(text) < 1 || Number(text) > 65_535) {
    throw new Error(`--${name} takes a port from 1 to 65535, not "${text}".`);
  }
  return Number(text);
}

function tell(line: string): void {
  process.stdout.write(`· ${line}\n`);
}
