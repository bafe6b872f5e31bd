/** HTTP requests at a fixed rate, as a reverse proxy before the edge makes them: connections are kept and used again. */
import { randomBytes } from "node:crypto";
import { Agent, request } from "node:http";
import { type OpenLoop, startOpenLoop } from "./open-loop.ts";

/** What became of a request: its status, or the code of the error of its connection. */
export interface EdgeAnswer {
  readonly outcome: string;
  /** Under which the fixture's ledger has its executions. */
  readonly id: string;
}

/** Load on an edge. Disposing closes the connections. */
export interface EdgeLoad extends OpenLoop<EdgeAnswer>, Disposable {}

/** Starts `perSecond` calls a second of the fixture's Echo, each of which takes 20 ms there. */
export function startEdgeLoad(edgeUrl: string, perSecond: number): EdgeLoad {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const url = new URL("/v1/fixture:echo", edgeUrl);
  const prefix = randomBytes(4).toString("hex");
  const load = startOpenLoop(perSecond, async (index) => {
    const id = `${prefix}-${index}`;
    return { id, outcome: await post(url, agent, id) };
  });
  return Object.assign(load, { [Symbol.dispose]: () => agent.destroy() });
}

function post(url: URL, agent: Agent, id: string): Promise<string> {
  return new Promise((resolve) => {
    let isAnswered = false;
    const outgoing = request(url, { agent, method: "POST", headers: { "content-type": "application/json" }, timeout: 10_000 });
    const fail = (error: NodeJS.ErrnoException): void => resolve(error.code ?? error.message);
    outgoing.on("error", (error: NodeJS.ErrnoException) => {
      // A kept connection may be closed at the very moment at which it is used again (RFC 9112 section 9.3.1): whoever keeps
      // connections sends a request without side effects once more then, as Node's documentation of `reusedSocket` says.
      if (error.code === "ECONNRESET" && outgoing.reusedSocket && !isAnswered) resolve(post(url, agent, id));
      else fail(error);
    });
    outgoing.on("response", (response) => {
      isAnswered = true;
      response.on("error", fail).on("end", () => resolve(String(response.statusCode)));
      response.resume();
    });
    outgoing.end(JSON.stringify({ text: "x", delayMs: 20, id }));
  });
}
