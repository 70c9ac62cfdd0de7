import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** What Chromium and Chrome are called where package managers put them; `.ci/run` looks for the same. */
const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/** Where Chrome's own installers put it. */
const places = [
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
];

/** This machine's Chromium: CHROMIUM_PATH, else the first that is found. Throws how to get one. */
export function findChromium(environment: NodeJS.Dict<string> = process.env, installed = places): string {
  const chosen = environment["CHROMIUM_PATH"] ?? "";
  if (chosen !== "" && !existsSync(chosen)) {
    throw new Error(`CHROMIUM_PATH says ${chosen}, and nothing is there.`);
  }
  const folders = (environment["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  const known = [...names.flatMap((name) => folders.map((folder) => join(folder, name))), ...installed];
  const found = chosen === "" ? known.find((path) => existsSync(path)) : chosen;
  if (found === undefined) {
    throw new Error(
      "The browser tests need Chromium, and this machine has none. On Debian: " +
        "apt-get install -y --no-install-recommends chromium. Elsewhere install Chromium or Chrome, or say where one is: " +
        "CHROMIUM_PATH=… npm run test:browser",
    );
  }
  return found;
}
