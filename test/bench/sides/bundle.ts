import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import type { BuiltWorker } from "../../world/bundle.ts";
import { cpuMicroseconds } from "../machine.ts";
import { median } from "../measure.ts";
import type { Fact } from "../measure.ts";
import { compatibilityDateOf, startWorkerd } from "../workerd.ts";

const kibibyte = 1024;
const sizeReachKiB = 350;
const startReachMs = 50;

const emptyModule = `export default { fetch: () => new Response("ok") };\n`;

/**
 * The bundle's size, and what starting it costs: the CPU of a workerd from its start to its first answer of /health, less
 * that of a workerd with an empty Worker, in turns. Where the system does not tell CPU times, the time itself.
 */
export async function bundle(built: BuiltWorker, rounds: number): Promise<Fact[]> {
  const module = readFileSync(built.script, "utf8");
  const sizeKiB = gzipSync(module, { level: 9 }).length / kibibyte;
  const extra: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const empty = await startOf(emptyModule, built);
    const product = await startOf(module, built);
    extra.push((product - empty) / 1000);
  }
  const startMs = median(extra);
  return [
    {
      what: "bundle, gzipped",
      figure: `${sizeKiB.toFixed(0)} KiB`,
      reach: `≤ ${sizeReachKiB} KiB`,
      reached: sizeKiB <= sizeReachKiB,
    },
    {
      what: "start-up CPU: workerd to its first answer, less that of an empty Worker",
      figure: `${startMs.toFixed(1)} ms`,
      reach: `≤ ${startReachMs} ms`,
      reached: startMs <= startReachMs,
    },
  ];
}

async function startOf(module: string, built: BuiltWorker): Promise<number> {
  const before = performance.now();
  const workerd = await startWorkerd([{ module, bindings: {} }], compatibilityDateOf(built));
  const cpu = cpuMicroseconds([workerd.pid]) ?? (performance.now() - before) * 1000;
  await workerd.stop();
  return cpu;
}
