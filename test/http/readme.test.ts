import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "vitest";
import { readPlanFile, seed } from "../../db/tool/seed.ts";
import { openMarket } from "../support/market.ts";
import { examples, section } from "../support/readme.ts";
import { test as base } from "../support/world.ts";
import { projectRoot } from "../world/bundle.ts";
import { withClient } from "../world/roles.ts";

/** A folder that looks to README's commands like a checkout with `npm run dev` running, and what runs behind it. */
const test = base
  .extend("market", async ({ world }, { onCleanup }) => {
    const market = await openMarket(world);
    onCleanup(() => market.stripe.stop());
    const plans = readPlanFile(join(projectRoot, "db/plans.json"));
    await withClient(world.database.ownerUrl, (owner) => seed(owner, plans, () => undefined));
    await market.publish();
    return market;
  })
  .extend("folder", async ({ world, market }, { onCleanup }) => {
    const folder = mkdtempSync(join(tmpdir(), "tollgate-readme-"));
    onCleanup(() => rmSync(folder, { recursive: true, force: true }));
    const { id } = await market.api.workspace();
    mkdirSync(join(folder, ".tollgate"));
    writeFileSync(
      join(folder, ".tollgate/dev.json"),
      JSON.stringify({
        url: market.worker.url,
        operator_key: world.operatorKey,
        workspace_id: id,
        dev_url: "http://localhost:3000",
      }),
    );
    return folder;
  });

test("B5 what README has one type answers what README says, from the quick start to the audit", async ({ folder }) => {
  const told = examples(section("Quick start") + section("The API, by curl"));
  expect(told.length).toBeGreaterThan(20);
  const script = told.map(({ command }, i) => `printf '\\n@@%s\\n' ${i}\n${command}`).join("\n");
  const { stdout, stderr } = await promisify(execFile)("bash", ["-c", `set -eo pipefail\n${script}\nprintf '\\n@@'`], {
    cwd: folder,
  });
  expect(stderr).toBe("");
  const answers = [...stdout.matchAll(/@@\d+\n([\s\S]*?)\n(?=@@)/g)].map(([, text = ""]) => text);

  // Ids, times and keys differ each time, but the same one must stand in the same places.
  const [ours, theirs] = [new Names(), new Names()];
  for (const [i, { command, answer }] of told.entries()) {
    const found = answers[i] ?? "";
    if (answer?.language === "json") {
      // How the house is differs each time: only what is said of it is the same.
      const loosely = command.includes("/ready") ? shapeOf : <Value>(value: Value) => value;
      expect(loosely(theirs.named(JSON.parse(found))), command).toEqual(loosely(ours.named(JSON.parse(answer.text))));
    } else if (answer !== null) {
      expect(words(found), command).toEqual(words(answer.text));
    }
  }
});

const words = (text: string): string[] => text.trim().split(/\s+/);

const shapeOf = (value: object): string[] => Object.entries(value).map(([name, member]) => `${name} ${typeof member}`);

/** Gives each id, key and cursor a name in the order of their first coming, and all times one. */
class Names {
  readonly #names = new Map<string, string>();

  named(value: unknown): object {
    const text = JSON.stringify(value)
      .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, "<time>")
      .replaceAll(/[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/g, (id) => this.#name("id", id))
      .replaceAll(/tg_[A-Za-z0-9_-]+/g, (key) => `<key of ${key.length}>`)
      .replaceAll(/http:\/\/127\.0\.0\.1:\d+\/pay\/\w+/g, "<page>")
      .replaceAll(/\bcs_test_\w+/g, "<session>")
      .replaceAll(/"next_cursor":"[\w-]{22}"/g, '"next_cursor":"<cursor>"');
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === "object" && parsed !== null ? parsed : {};
  }

  #name(kind: string, value: string): string {
    const name = this.#names.get(value) ?? `<${kind} ${this.#names.size + 1}>`;
    this.#names.set(value, name);
    return name;
  }
}
