import { Client } from "pg";
import type { TestDatabase } from "./database.ts";

/** A node of a plan that read a table: how, and how many rows it looked at. */
export interface Reading {
  table: string;
  how: string;
  index: string | null;
  rows: number;
}

interface Node {
  "Node Type": string;
  "Relation Name"?: string;
  "Index Name"?: string;
  "Actual Rows"?: number;
  "Actual Loops"?: number;
  "Rows Removed by Filter"?: number;
  "Rows Removed by Index Recheck"?: number;
  Plans?: Node[];
}

/**
 * A connection that shows the plans of the statements inside routines, as they were really run: auto_explain tells them.
 * A superuser's, since nobody else may load it; the routines are SECURITY DEFINER, so they plan as for the Worker.
 */
export class Planned {
  readonly #client: Client;
  readonly #plans: Node[] = [];

  private constructor(client: Client) {
    this.#client = client;
    client.on("notice", ({ message = "" }) => {
      const start = message.indexOf("{");
      if (message.includes("plan:") && start >= 0) this.#plans.push(JSON.parse(message.slice(start)).Plan);
    });
  }

  static async open(database: Pick<TestDatabase, "superuserUrl">): Promise<Planned> {
    const client = new Client({ connectionString: database.superuserUrl });
    await client.connect();
    await client.query("load 'auto_explain'");
    for (const [name, value] of Object.entries({
      log_min_duration: "0",
      log_nested_statements: "on",
      log_analyze: "on",
      log_timing: "off",
      log_format: "json",
      log_level: "notice",
    })) {
      await client.query(`set auto_explain.${name} = '${value}'`);
    }
    return new Planned(client);
  }

  /** Runs a statement, after another if there is one, and rolls back; answers what it and those inside it read. */
  async readings(
    text: string,
    values: unknown[] = [],
    after?: { text: string; values: unknown[] },
  ): Promise<Reading[]> {
    await this.#client.query("begin");
    if (after !== undefined) await this.#client.query(after);
    this.#plans.length = 0;
    await this.#client.query(text, values);
    // The plan of the statement itself comes when its portal is closed, with the next statement.
    await this.#client.query("rollback");
    return this.#plans.splice(0).flatMap(readingsOf);
  }

  close(): Promise<void> {
    return this.#client.end();
  }
}

function readingsOf(node: Node): Reading[] {
  const below = (node.Plans ?? []).flatMap(readingsOf);
  const looked =
    (node["Actual Rows"] ?? 0) + (node["Rows Removed by Filter"] ?? 0) + (node["Rows Removed by Index Recheck"] ?? 0);
  const own = {
    table: node["Relation Name"] ?? "",
    how: node["Node Type"],
    index: node["Index Name"] ?? null,
    rows: looked * (node["Actual Loops"] ?? 1),
  };
  return own.table === "" && own.index === null ? below : [own, ...below];
}
