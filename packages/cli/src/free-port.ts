import { once } from "node:events";
import { createServer } from "node:net";

/** A port that was free a moment ago. */
export interface FoundPort {
  readonly port: number;
  /** True if it is the one that was wanted. */
  readonly wanted: boolean;
}

/**
 * Finds a free port of a host: the wanted one, or, when that is 0, taken or in `reserved`, one that the system chooses. It
 * is added to `reserved`, so that two searches never find the same.
 */
export async function findPort(
  wanted: number,
  options: { readonly host?: string; readonly reserved: Set<number> },
): Promise<FoundPort> {
  const { host = "127.0.0.1", reserved } = options;
  const take = (port: number): FoundPort => {
    reserved.add(port);
    return { port, wanted: port === wanted };
  };
  if (wanted !== 0 && !reserved.has(wanted) && (await probe(wanted, host)) !== undefined) return take(wanted);
  for (;;) {
    const port = await probe(0, host);
    if (port === undefined) throw new Error(`no port of ${host} is free`);
    if (!reserved.has(port)) return take(port);
  }
}

/** The port that could be listened on, or undefined when it is taken or not allowed. */
async function probe(port: number, host: string): Promise<number | undefined> {
  const server = createServer();
  try {
    server.listen({ port, host, exclusive: true });
    await once(server, "listening");
  } catch {
    return undefined;
  }
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  return address === null || typeof address === "string" ? undefined : address.port;
}
