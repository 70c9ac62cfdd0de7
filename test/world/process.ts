import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { z } from "zod";
import { errorCode } from "./system-error.ts";

/**
 * A process as a later run can know it again: its number and when it started, in whatever words this platform has for
 * that. A number alone is given to somebody else once its process has ended.
 */
export const processRecord = z.object({ pid: z.int(), started: z.string() });
export type ProcessRecord = z.infer<typeof processRecord>;

/** This process, to be written down for whoever comes after it. */
export function thisProcess(): ProcessRecord {
  return recordOf(process.pid) ?? { pid: process.pid, started: "unknown" };
}

/** Writes a running process down; null when no such process runs. */
export function recordOf(pid: number): ProcessRecord | null {
  const started = startOf(pid);
  return started === null ? null : { pid, started };
}

/** Whether that very process still runs, and not a later one that was given its number. */
export function stillRuns(record: ProcessRecord): boolean {
  return startOf(record.pid) === record.started;
}

/** The command line of a running process; null when it has ended. */
export function commandLine(pid: number): string | null {
  if (process.platform === "linux") {
    const text = readIfThere(`/proc/${pid}/cmdline`);
    return text === null || text === "" ? null : text.split("\0").join(" ").trim();
  }
  return process.platform === "win32"
    ? ask("powershell", ["-NoProfile", "-Command", windowsProcess(pid, "CommandLine")])
    : ask("ps", ["-ww", "-o", "command=", "-p", String(pid)]);
}

/** The processes of a process group. Windows has no such groups: there, the process and those that it started. */
export function groupMembers(group: number): number[] {
  if (process.platform === "linux") {
    return allProcesses().filter((pid) => statFields(pid)?.[2] === String(group));
  }
  const list =
    process.platform === "win32"
      ? ask("powershell", [
          "-NoProfile",
          "-Command",
          'Get-CimInstance Win32_Process | % { "$($_.ProcessId) $($_.ParentProcessId)" }',
        ])
      : ask("ps", ["-A", "-o", "pid=,pgid="]);
  return (list ?? "").split("\n").flatMap((line) => {
    const [pid, of] = line.trim().split(/\s+/).map(Number);
    return pid !== undefined && (of === group || pid === group) ? [pid] : [];
  });
}

/** Every process that this user may see; not on Windows. */
export function allProcesses(): number[] {
  const names =
    process.platform === "linux" ? readdirSync("/proc") : (ask("ps", ["-A", "-o", "pid="]) ?? "").split("\n");
  return names
    .map((name) => name.trim())
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** Ends a process that is known to be ours, and waits until it is gone. */
export async function endProcess(pid: number, signal: NodeJS.Signals, patienceMs: number): Promise<boolean> {
  const record = recordOf(pid);
  if (record === null) {
    return true;
  }
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (errorCode(error) !== "ESRCH") {
      throw error;
    }
  }
  return await ended(record, patienceMs);
}

/** Waits until a process has ended; false when it still runs after that many milliseconds. */
export async function ended(record: ProcessRecord, patienceMs: number): Promise<boolean> {
  const deadline = Date.now() + patienceMs;
  while (stillRuns(record)) {
    if (Date.now() > deadline) {
      return false;
    }
    // The process is not always our child, so no event tells when it ends.
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return true;
}

function startOf(pid: number): string | null {
  if (process.platform !== "linux") {
    return process.platform === "win32"
      ? ask("powershell", ["-NoProfile", "-Command", windowsProcess(pid, "CreationDate")])
      : ask("ps", ["-o", "lstart=", "-p", String(pid)]);
  }
  const fields = statFields(pid);
  const state = fields?.[0];
  const startTicks = fields?.[19];
  // A zombie has ended: only its parent has not asked yet.
  return state === "Z" || state === "X" || startTicks === undefined ? null : `${bootId()}/${startTicks}`;
}

/** The fields of `/proc/<pid>/stat` from the third on: state, parent, group, … */
function statFields(pid: number): string[] | null {
  const stat = readIfThere(`/proc/${pid}/stat`);
  // The second field is the program's name in parentheses and may hold spaces and parentheses itself.
  return stat === null ? null : stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

function bootId(): string {
  return readIfThere("/proc/sys/kernel/random/boot_id")?.trim() ?? "";
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

function windowsProcess(pid: number, field: string): string {
  return `(Get-CimInstance Win32_Process -Filter "ProcessId=${pid}").${field}`;
}

function ask(program: string, words: string[]): string | null {
  try {
    const answer = execFileSync(program, words, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
    return answer === "" ? null : answer;
  } catch {
    return null;
  }
}
