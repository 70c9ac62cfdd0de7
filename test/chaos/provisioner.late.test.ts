import { expect } from "vitest";
import { reconciliation } from "../../src/access/reconcile.ts";
import { settings as settingsOf } from "../../src/env.ts";
import { Shift, Tick } from "../../src/sweeps/shift.ts";
import { rows } from "../support/scenario.ts";
import { unwatched } from "../support/sql.ts";
import { startBridge } from "../world/bridge.ts";
import { startPanel } from "../world/marzban.ts";

/** The panel has taken the whole of the budget with the first thing that it was asked for. */
class Late extends Shift {
  #asked = false;

  override over(): boolean {
    return this.#asked;
  }

  override async ask<Answer>(questions: () => Promise<Answer>): Promise<Answer> {
    this.#asked = true;
    return super.ask(questions);
  }
}

const test = unwatched
  // oxlint-disable-next-line no-empty-pattern -- vitest reads a fixture's needs from its pattern and takes no other
  .extend("panel", async ({}, { onCleanup }) => {
    const panel = await startPanel();
    onCleanup(() => panel.stop());
    return panel;
  })
  .extend("bridge", async ({ database }, { onCleanup }) => {
    const { hostname, port } = new URL(database.workerUrl);
    const bridge = await startBridge({ target: { host: hostname, port: Number(port) } });
    onCleanup(() => bridge.stop());
    return bridge;
  });

test("D10 a panel so slow that each part is a run's whole budget is read to its end all the same, each page once", async ({
  db,
  database,
  bridge,
  panel,
}) => {
  const strays = ["1", "b", "f"].map((digit) => `${digit}0000000-0000-4000-8000-000000000000`);
  for (const key of strays) panel.make(key.replaceAll("-", ""), { note: "tollgate" });
  for (let i = 10_000; i < 12_600; i += 1) panel.make(`bob_${i}`);
  const settings = settingsOf({
    DATABASE_URL: database.workerUrl,
    DATABASE_FETCH_ENDPOINT: bridge.url,
    ...panel.bindings,
  });
  const run = () => reconciliation.work(new Late(new Tick(settings), reconciliation.name, 15_000));
  for (let pass = 1; pass <= 2; pass += 1) {
    panel.requests.length = 0;
    let runs = 0;
    while ((await run()).more) if ((runs += 1) > 20) throw new Error("it does not go on");
    expect(await rows(db, "select key from access.stray order by key")).toEqual(strays.map((key) => ({ key })));
    expect(panel.requests.filter(({ path }) => path === "/api/users")).toHaveLength(Math.ceil(2603 / 199));
  }
  expect(await rows(db, "select from messages.outbox where kind = 'remove_stray'")).toHaveLength(3);
});
