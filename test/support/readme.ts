import { readFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "../world/bundle.ts";

/** README.md as it is now. */
export const readme = readFileSync(join(projectRoot, "README.md"), "utf8");

/** The text of one of its sections, up to the next of the same rank. */
export function section(title: string): string {
  const [, text] = readme.split(`\n## ${title}\n`);
  if (text === undefined) throw new Error(`README.md has no section "${title}"`);
  return text.split("\n## ")[0] ?? "";
}

/** The cells of each row of a section's tables, their headings left out. */
export function tableRows(text: string): string[][] {
  const lines = text.split("\n").filter((line) => line.startsWith("|"));
  return lines
    .filter((_, i) => !isRule(lines[i]) && !isRule(lines[i + 1]))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

function isRule(line: string | undefined): boolean {
  return line !== undefined && /^\|[-| :]+\|$/.test(line);
}

/** Everything that stands in backticks, line breaks within it as spaces. */
export function quoted(text: string): string[] {
  const prose = text.replaceAll(/^```[\s\S]*?^```$/gm, "");
  return [...prose.matchAll(/`([^`]+)`/g)].map(([, words]) => (words ?? "").replaceAll(/\s+/g, " "));
}

/** What README has one type, and the answer that it shows for it. */
export interface Example {
  /** A bash block. */
  command: string;
  /** The block of JSON or text that follows it; null: none is shown. */
  answer: { language: string; text: string } | null;
}

/** The bash blocks of a text, in their order. */
export function examples(text: string): Example[] {
  const found: Example[] = [];
  for (const [, language = "", block = ""] of text.matchAll(/^```(bash|json|text)\n([\s\S]*?)^```$/gm)) {
    const last = found.at(-1);
    if (language === "bash") found.push({ command: block, answer: null });
    else if (last !== undefined && last.answer === null) last.answer = { language, text: block };
  }
  return found;
}
