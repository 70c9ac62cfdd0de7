// Starts a TypeScript file of this project: node test/world/with-node.js <file> [arguments]
//
// Plain JavaScript of an old kind on purpose: a Node that cannot run TypeScript must still be able to say so. npm brings
// Node 24 for Linux and Windows; elsewhere (macOS) the system's own runs this.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const needed = [22, 18];
const found = process.versions.node.split(".").map(Number);

if (found[0] < needed[0] || (found[0] === needed[0] && found[1] < needed[1])) {
  console.error(
    `Tollgate needs Node ${needed.join(".")} or newer, and this is Node ${process.versions.node} (${process.execPath}).\n` +
      "Start it with npm (npm run dev), which finds the Node that npm install brought; on macOS install a newer Node.",
  );
  process.exit(1);
}

const file = resolve(process.argv[2]);
process.argv.splice(1, 2, file);
await import(pathToFileURL(file).href);
