import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import type { BuiltWorker } from "../../world/bundle.ts";
import { cpuMicroseconds } from "../machine.ts";
import type { Fact } from "../measure.ts";
import { compatibilityDateOf, startWorkerd } from "../workerd.ts";

const kibibyte = 1024;
const sizeReachKiB = 350;
const startReachMs = 50;

const emptyModule = `export default { fetch: () => new Response("ok") };\n`;

/**
 * The bundle's size, and what starting it costs: the CPU of a workerd from its start to its first answer of /health, less
 * that of a workerd with an empty Worker, in turns; the least of each, since a start does the same work each time, and what
 * disturbs it only adds. Where the system does not tell CPU times, the time itself.
 */
export async function bundle(built: BuiltWorker, rounds: number): Promise<Fact[]> {
  const module = readFileSync(built.script, "utf8");
  const sizeKiB = gzipSync(module, { level: 9 }).length / kibibyte;
  const [empty, product]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    empty.push(await startOf(emptyModule, built));
    product.push(await startOf(module, built));
  }
  const startMs = (Math.min(...product) - Math.min(...empty)) / 1000;
  return [
    {
      what: "bundle, gzipped",
      figure: `${sizeKiB.toFixed(0)} KiB`,
      reach: `≤ ${sizeReachKiB} KiB`,
      reached: sizeKiB <= sizeReachKiB,
    },
    {
      what: "start-up CPU: workerd to its first answer, less that of an empty Worker, the least of each",
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
