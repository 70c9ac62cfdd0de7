/** Whole numbers from 0 to below n, by a seed: the same seed throws the same numbers (mulberry32). */
export type Dice = (n: number) => number;

export function dice(seed: number): Dice {
  let state = seed;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % Math.max(1, n);
  };
}

/** A seed of this moment's, or the `usual` one, printed, so that a failure can be thrown again: `SEED=… npx vitest …`. */
export function newSeed(usual?: number): number {
  const seed = Number(process.env["SEED"] ?? usual ?? Date.now() % 1_000_000);
  console.log(`seed ${seed}`);
  return seed;
}
