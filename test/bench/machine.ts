import { readdirSync, readFileSync } from "node:fs";
import { cpus, release, totalmem, type } from "node:os";

/** What a figure depends on beside the code. Never a path or a host's name: the tables are published. */
export interface Machine {
  cpu: string;
  cores: number;
  memory: string;
  kernel: string;
  node: string;
  postgres: string;
  workerd: string;
}

/** This machine, and the versions that were measured on it. */
export function thisMachine(versions: Pick<Machine, "postgres" | "workerd">): Machine {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.replaceAll(/\s+/g, " ").trim() ?? "unknown",
    cores: processors.length,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    // Without what a distribution or a host adds to the version.
    kernel: `${type()} ${release().split("-")[0] ?? ""}`,
    node: process.versions.node,
    ...versions,
  };
}

/** A machine's part of a file name: `amd-epyc-2-cores`. */
export function slug({ cpu, cores }: Machine): string {
  const name = cpu.toLowerCase().replaceAll(/\(r\)|\(tm\)|processor|cpu|@.*$/g, " ");
  return `${name.replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/^-|-$/g, "")}-${cores}-cores`;
}

/**
 * Microseconds of CPU that processes have used so far, with all of their threads; null where the system does not tell to
 * the nanosecond (anything but Linux).
 */
export function cpuMicroseconds(pids: readonly number[]): number | null {
  try {
    let nanoseconds = 0;
    for (const pid of pids) {
      for (const thread of readdirSync(`/proc/${pid}/task`)) {
        nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
      }
    }
    return nanoseconds / 1000;
  } catch {
    return null;
  }
}
