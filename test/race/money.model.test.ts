import { expect } from "vitest";
import { newSeed } from "../support/dice.ts";
import { walk } from "../support/money-model-walk.ts";
import { test } from "../support/sql.ts";

// One random walk of a dozen customers through all that can happen to money: the answer to every operation, and what is to be
// seen of whom it concerns, are the model's (test/support/money-model.ts). One in ten operations meets a fault. The seed is
// printed; SEED=… repeats a walk, RUNS=… makes it longer.

// One way for the ordinary run, so that it proves what it proved before; SEED=… walks others.
const seed = newSeed(101);
const operations = Number(process.env["RUNS"] ?? 3000);

test(
  "D1 D3 D4 D5 D7 D8 D9 D18 D19 money, periods, trials, codes and rewards are what a small model says, whatever fails",
  {
    timeout: 900_000,
  },
  async ({ database }) => {
    const { outcomes, ...trail } = await walk(database, seed, operations);
    console.info(JSON.stringify(trail));
    console.info(
      Object.entries(outcomes)
        .map(([word, n]) => `${word} ${n}`)
        .toSorted()
        .join(", "),
    );
    expect(trail.died).toBeGreaterThan(0);
  },
);
