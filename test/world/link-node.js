// After `npm install`: puts the Node 24 that npm brought first in the PATH of npm's scripts, where npm has not.
//
// Three packages bring a program named `node`, one for each platform. npm 10, which comes with Node 20 and 22, removes the
// link together with the packages that do not fit the platform; npm 11 leaves it. On Windows npm writes shims, not links:
// there the system's Node runs everything, if npm has not made its own.
import { existsSync, symlinkSync } from "node:fs";
import { join } from "node:path";

const program = join(`node-${process.platform}-${process.arch}`, "bin", "node");
const link = join("node_modules", ".bin", "node");

if (process.platform !== "win32" && existsSync(join("node_modules", program)) && !existsSync(link)) {
  symlinkSync(join("..", program), link);
}
