import type { Machine } from "./machine.ts";
import type { Fact, Figures, RatioFigure, SideFigure } from "./measure.ts";

/** What a run found. */
export interface Findings extends Figures {
  machine: Machine;
  day: string;
  rounds: number;
  seconds: number;
  facts: Fact[];
}

/** The findings as Markdown. */
export function table({ machine, day, rounds, seconds, facts, ratios, sides }: Findings): string {
  const claims = [...ratios.map(ratioRow), ...facts.map(factRow)];
  return `# Bench, ${day}

${machine.cpu}, ${machine.cores} cores, ${machine.memory} · ${machine.kernel} · Node ${machine.node} · Postgres ${machine.postgres}
(embedded, fsync on) · workerd ${machine.workerd}. Callers, Postgres and workerd share the machine. ${rounds} rounds of ${seconds} s a side, the sides
in turns; a ratio is the median of the rounds' own ratios, and in brackets the lowest and the highest of them.

| what | figure | reach | reached |
|---|---|---|---|
${claims.join("\n")}

| side | clients | per second | median, ms | CPU of Postgres, µs each |
|---|---|---|---|---|
${sides.map(sideRow).join("\n")}
`;
}

function ratioRow({ what, figure, lowest, highest, reach }: RatioFigure): string {
  const said = `${figure.toFixed(2)} (${lowest.toFixed(2)}–${highest.toFixed(2)})`;
  return row(what, said, reach === undefined ? "" : `≥ ${reach}`, reach === undefined ? "" : yes(figure >= reach));
}

function factRow({ what, figure, reach, reached }: Fact): string {
  return row(what, figure, reach ?? "", reached === undefined ? "" : yes(reached));
}

function sideRow({ name, clients, perSecond, medianMs, cpuMicroseconds }: SideFigure): string {
  const cpu = cpuMicroseconds === null ? "" : cpuMicroseconds.toFixed(0);
  return row(name, String(clients), perSecond.toFixed(0), medianMs.toFixed(2), cpu);
}

function row(...cells: string[]): string {
  return `| ${cells.join(" | ")} |`;
}

function yes(reached: boolean): string {
  return reached ? "yes" : "**no**";
}
