/** HTTP requests at a fixed rate, as a reverse proxy before the edge makes them: connections are kept and used again. */
import { Agent, request } from "node:http";
import { type OpenLoop, startOpenLoop } from "./open-loop.ts";

/** Load on an edge: an answer is its status. Disposing closes the connections. */
export interface EdgeLoad extends OpenLoop<number>, Disposable {}

/** Starts `perSecond` calls a second of the fixture's Echo, each of which takes 20 ms there. */
export function startEdgeLoad(edgeUrl: string, perSecond: number): EdgeLoad {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const url = new URL("/v1/fixture:echo", edgeUrl);
  const load = startOpenLoop(perSecond, () => post(url, agent));
  return Object.assign(load, { [Symbol.dispose]: () => agent.destroy() });
}

function post(url: URL, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    let answered = false;
    const outgoing = request(url, { agent, method: "POST", headers: { "content-type": "application/json" }, timeout: 10_000 });
    outgoing.on("error", (error: NodeJS.ErrnoException) => {
      // A kept connection may be closed at the very moment at which it is used again (RFC 9112 section 9.3.1): whoever keeps
      // connections sends a request without side effects once more then, as Node's documentation of `reusedSocket` says.
      if (error.code === "ECONNRESET" && outgoing.reusedSocket && !answered) resolve(post(url, agent));
      else reject(error);
    });
    outgoing.on("response", (response) => {
      answered = true;
      response.on("error", reject).on("end", () => resolve(response.statusCode ?? 0));
      response.resume();
    });
    outgoing.end('{"text":"x","delayMs":20}');
  });
}
