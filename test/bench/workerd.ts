import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as z from "zod";
import type { BuiltWorker } from "../world/bundle.ts";
import { freePort } from "../world/free-port.ts";

/** A Worker to be served: its module, and its bindings, which are texts. */
export interface Script {
  module: string;
  bindings: Record<string, string>;
}

/** workerd itself, without wrangler or miniflare around it: half of the time would be theirs. */
export interface Workerd {
  pid: number;
  /** `http://127.0.0.1:<port>` of each script, in their order. */
  urls: string[];
  stop: () => Promise<void>;
}

// It is wrangler's, so it is the version that wrangler's Workers run on.
const wranglers = createRequire(createRequire(import.meta.url).resolve("wrangler"));
const manifest = z.object({ version: z.string() });

/** The version of workerd that is measured. */
export function workerdVersion(): string {
  return manifest.parse(JSON.parse(readFileSync(wranglers.resolve("workerd/package.json"), "utf8"))).version;
}

/** What wrangler.toml says of it. */
export function compatibilityDateOf(built: BuiltWorker): string {
  return z.string().parse(built.options["compatibilityDate"]);
}

/** Serves scripts in one workerd, each on a port of its own; resolves when each answers `path`. */
export async function startWorkerd(scripts: Script[], compatibilityDate: string, path = "/health"): Promise<Workerd> {
  const program = z.object({ default: z.string() }).parse(wranglers("workerd")).default;
  const directory = mkdtempSync(join(tmpdir(), "tollgate-workerd-"));
  const ports: number[] = [];
  for (const [i, { module }] of scripts.entries()) {
    writeFileSync(join(directory, `${i}.js`), module);
    ports.push(await freePort());
  }
  const config = join(directory, "config.capnp");
  writeFileSync(config, configText(scripts, ports, compatibilityDate), { mode: 0o600 });
  // The Worker logs a line a request; nobody reads them here.
  const child = spawn(program, ["serve", config], { cwd: directory, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(-4000)));
  const ended = once(child, "exit");
  const stop = async () => {
    child.kill();
    await ended;
    rmSync(directory, { recursive: true, force: true });
  };
  const urls = ports.map((port) => `http://127.0.0.1:${port}`);
  try {
    for (const url of urls) await answers(url + path, ended);
  } catch (error) {
    await stop();
    throw new Error(`workerd did not start:\n${said}`, { cause: error });
  }
  return { pid: child.pid ?? -1, urls, stop };
}

async function answers(url: string, ended: Promise<unknown>): Promise<void> {
  let gone = false;
  void ended.then(() => (gone = true));
  for (;;) {
    try {
      const answer = await fetch(url);
      await answer.arrayBuffer();
      return;
    } catch (error) {
      if (gone) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const text = (value: string) => JSON.stringify(value);

function configText(scripts: Script[], ports: number[], compatibilityDate: string): string {
  const workers = scripts.map(({ bindings }, i) => {
    const given = Object.entries(bindings).map(([name, value]) => `(name = ${text(name)}, text = ${text(value)})`);
    return `    (name = "worker${i}", worker = (
      modules = [(name = "${i}.js", esModule = embed "${i}.js")],
      compatibilityDate = ${text(compatibilityDate)},
      bindings = [${given.join(", ")}],
      globalOutbound = "loopback"))`;
  });
  const sockets = ports.map(
    (port, i) => `    (name = "socket${i}", address = "127.0.0.1:${port}", http = (), service = "worker${i}")`,
  );
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
${workers.join(",\n")},
    (name = "loopback", network = (allow = ["local"]))
  ],
  sockets = [
${sockets.join(",\n")}
  ]
);
`;
}
