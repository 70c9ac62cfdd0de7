import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Socket } from "node:net";

export interface Delay {
  port: number;
  stop: () => Promise<void>;
}

/**
 * A TCP proxy that acts a network: what the client sends arrives so much later, in its order; answers pass at once. A
 * round trip takes that long, whatever is in flight besides.
 */
export async function startDelay(options: {
  target: { host: string; port: number };
  roundTripMs: number;
}): Promise<Delay> {
  const open = new Set<Socket>();
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ ...options.target, noDelay: true });
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(socket);
      socket.once("close", () => {
        open.delete(socket);
        other.destroy();
      });
      // Its close follows, and tells the other side.
      socket.on("error", () => undefined);
    }
    near.on("data", (bytes) => setTimeout(() => far.write(bytes), options.roundTripMs));
    far.on("data", (bytes) => near.write(bytes));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    stop: async () => {
      const closed = once(server, "close");
      server.close();
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}
