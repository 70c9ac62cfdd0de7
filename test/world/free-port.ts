import { createServer } from "node:net";

/**
 * A port of 127.0.0.1 that nobody listens on: the wished one if it is free, else any. Between this answer and its use
 * somebody else may take it, so whoever starts a server on it must be ready to ask again.
 */
export async function freePort(wish = 0): Promise<number> {
  const taken = await tryPort(wish);
  return taken ?? (await tryPort(0)) ?? Promise.reject(new Error("No free port on 127.0.0.1."));
}

/** Whether nobody listens on this port of 127.0.0.1. */
export async function isFree(port: number): Promise<boolean> {
  return (await tryPort(port)) !== null;
}

function tryPort(port: number): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE" || error.code === "EACCES") {
        resolve(null);
      } else {
        reject(error);
      }
    });
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : null));
    });
  });
}
