import { once } from "node:events";
import { connect } from "node:net";

/** Sends bytes to a port as they are, and gives all that comes back until the peer closes, or 5 s have passed. */
export async function rawRequest(host: string, port: number, request: string): Promise<string> {
  const socket = connect(port, host);
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  socket.setTimeout(5_000, () => socket.destroy());
  socket.write(request, "latin1");
  await once(socket, "close");
  return Buffer.concat(chunks).toString("latin1");
}
