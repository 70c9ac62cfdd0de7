import { Agent, request } from "node:http";

/** What was answered. */
export interface Answer {
  status: number;
  text: string;
}

/** Keeps so many connections open and sends over them: a client as a service beside the Worker would be. */
export function openCallers(connections: number): {
  send: (url: string, method: string, headers: Record<string, string>, body?: string) => Promise<Answer>;
  close: () => void;
} {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  return {
    send: (url, method, headers, body) =>
      new Promise((resolve, reject) => {
        const length = body === undefined ? {} : { "Content-Length": Buffer.byteLength(body) };
        const sent = request(url, { agent, method, headers: { ...headers, ...length } }, (response) => {
          let text = "";
          response.setEncoding("utf8");
          response.on("data", (part: string) => (text += part));
          response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
          response.on("error", reject);
        });
        sent.on("error", reject);
        sent.end(body);
      }),
    close: () => agent.destroy(),
  };
}
