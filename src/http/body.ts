import { JsonFault, parseJson } from "./json.ts";
import { invalid, Problem } from "./problem.ts";

/** Bytes of a body, counted as they arrive. */
export const bodyLimit = 1_000_000;

const utf8 = { fatal: true, ignoreBOM: true } as const;

/**
 * Reads a JSON body. One that is absent or empty is `{}`: the schema then names the members that it lacks.
 * Throws 413 `body_too_large`, 415 `unsupported_media_type`, 400 `malformed_json`, and 400 `validation_failed` for
 * JSON that would change its meaning on the way (see json.ts).
 */
export async function readBody(request: Request): Promise<unknown> {
  const bytes = await readBytes(request);
  if (bytes.length === 0) return {};
  requireJson(request.headers);
  let text: string;
  try {
    text = new TextDecoder("utf-8", utf8).decode(bytes);
  } catch {
    throw malformed("the body is not UTF-8");
  }
  try {
    return parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    if (error.code === "malformed") throw malformed(error.message, error.pointer);
    throw invalid([{ in: "body", pointer: error.pointer, code: error.code, detail: error.message }]);
  }
}

function malformed(detail: string, pointer = ""): Problem {
  return new Problem("malformed_json", { errors: [{ in: "body", pointer, code: "malformed_json", detail }] });
}

function requireJson(headers: Headers): void {
  const type = headers.get("Content-Type");
  const encoding = headers.get("Content-Encoding");
  if (type !== null && /^application\/json\s*(?:;\s*charset="?utf-8"?\s*)?$/i.test(type) && encoding === null) return;
  const name = encoding === null ? "Content-Type" : "Content-Encoding";
  const detail = encoding === null ? "send application/json" : "send the body as it is, without an encoding";
  throw new Problem("unsupported_media_type", { errors: [{ in: "header", name, code: "unsupported", detail }] });
}

/**
 * Reads a body, counted as it arrives. Content-Length may lie, be absent or be no number: it can only refuse early, the
 * count decides. Throws 413 `body_too_large`, and 400 `malformed_json` where the body did not arrive whole.
 */
export async function readBytes(request: Request): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array();
  if (Number(request.headers.get("Content-Length")) > bodyLimit) throw new Problem("body_too_large");
  const reader: ReadableStreamDefaultReader<Uint8Array> = request.body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read().catch(() => {
      // A client that hung up, or whose chunks are none: its fault and no failure of ours.
      throw malformed("the body did not arrive whole");
    });
    if (done) break;
    size += value.length;
    if (size > bodyLimit) {
      await reader.cancel();
      throw new Problem("body_too_large");
    }
    chunks.push(value);
  }
  const [only] = chunks;
  if (chunks.length === 1 && only !== undefined) return only;
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}
