import type { IncomingMessage } from "node:http";
import { BridgeError } from "./answer.ts";

/**
 * Reads a request's body up to a limit. A longer one is read to its end and thrown away: answering in the middle would
 * have the client see a broken connection instead of the 413.
 */
export async function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  return await new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on("data", (chunk: Buffer) => {
      length += chunk.byteLength;
      if (length > limit) {
        chunks.length = 0;
      } else {
        chunks.push(chunk);
      }
    });
    request.once("end", () => {
      if (length > limit) {
        reject(new BridgeError(413, `request is too large (max is ${limit} bytes)`));
      } else {
        resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks));
      }
    });
    request.once("error", reject);
  });
}
