import { cpuMicroseconds } from "./machine.ts";

/** One thing to measure: callers that do it one call after the other. */
export interface Side {
  name: string;
  clients: number;
  call: (client: number) => Promise<void>;
  /** What one call does: 100 for a batch of 100. */
  things?: number;
  /** Postgres's processes that serve it, where they are known: each connection has its own. */
  backends?: readonly number[];
}

/** A quotient of two sides' throughput, taken within each round; `reach` is what it is to be at least. */
export interface Ratio {
  what: string;
  of: string;
  to: string;
  reach?: number;
}

/** A figure that is not a quotient of two sides. */
export interface Fact {
  what: string;
  figure: string;
  reach?: string;
  reached?: boolean;
}

/** Sides that are compared with each other, and so measured in turns. */
export interface Group {
  sides: Side[];
  ratios: Ratio[];
  facts?: () => Fact[];
  stop: () => Promise<void>;
}

/** What one side did in one round. */
interface Turn {
  perSecond: number;
  medianMs: number;
  cpuMicroseconds: number | null;
}

/** A side over all rounds: medians. */
export interface SideFigure {
  name: string;
  clients: number;
  perSecond: number;
  medianMs: number;
  cpuMicroseconds: number | null;
}

/** A ratio over all rounds: the median of the rounds' own ratios, and the lowest and highest of them. */
export interface RatioFigure extends Ratio {
  figure: number;
  lowest: number;
  highest: number;
}

export interface Figures {
  sides: SideFigure[];
  ratios: RatioFigure[];
}

export interface Effort {
  rounds: number;
  /** Seconds of each side in each round. */
  seconds: number;
  log: (line: string) => void;
}

/**
 * Measures the sides in turns, every other round from the last to the first: what disturbs the machine for longer than a
 * round disturbs both sides of a ratio, and what drifts favours neither.
 */
export async function measure(group: Group, { rounds, seconds, log }: Effort): Promise<Figures> {
  const turns = new Map<string, Turn[]>(group.sides.map((side) => [side.name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const side of round % 2 === 0 ? group.sides : group.sides.toReversed()) {
      const turn = await drive(side, seconds);
      turns.get(side.name)?.push(turn);
      log(`  round ${round + 1} of ${rounds}: ${side.name}: ${Math.round(turn.perSecond)}/s`);
    }
  }
  const of = (name: string) => turns.get(name) ?? [];
  return {
    sides: group.sides.map(({ name, clients }) => figureOf(name, clients, of(name))),
    ratios: group.ratios.flatMap((ratio) => {
      const [own, others] = [of(ratio.of), of(ratio.to)];
      const quotients = own.map((turn, round) => turn.perSecond / (others[round]?.perSecond ?? Number.NaN));
      const [figure, lowest, highest] = [median(quotients), Math.min(...quotients), Math.max(...quotients)];
      return quotients.length === 0 ? [] : [{ ...ratio, figure, lowest, highest }];
    }),
  };
}

/** Calls a side until the time is over, each client one call after the other, and waits for the last answer. */
export async function drive({ clients, call, things = 1, backends }: Side, seconds: number): Promise<Turn> {
  const times: number[] = [];
  const cpuBefore = backends === undefined ? null : cpuMicroseconds(backends);
  const start = performance.now();
  const end = start + seconds * 1000;
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      for (let before = performance.now(); before < end;) {
        await call(client);
        const after = performance.now();
        times.push(after - before);
        before = after;
      }
    }),
  );
  const elapsed = (performance.now() - start) / 1000;
  const cpuAfter = backends === undefined ? null : cpuMicroseconds(backends);
  return {
    perSecond: (times.length * things) / elapsed,
    medianMs: median(times),
    cpuMicroseconds: cpuBefore === null || cpuAfter === null ? null : (cpuAfter - cpuBefore) / times.length / things,
  };
}

function figureOf(name: string, clients: number, turns: Turn[]): SideFigure {
  const cpu = turns.map((turn) => turn.cpuMicroseconds).filter((value) => value !== null);
  return {
    name,
    clients,
    perSecond: median(turns.map((turn) => turn.perSecond)),
    medianMs: median(turns.map((turn) => turn.medianMs)),
    cpuMicroseconds: cpu.length === 0 ? null : median(cpu),
  };
}

/** The middle of the values; between the two in the middle where their number is even. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.ceil((sorted.length - 1) / 2)]];
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2;
}
