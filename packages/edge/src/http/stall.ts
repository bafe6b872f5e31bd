import type { Socket } from "node:net";

/**
 * Destroys a connection that holds unsent bytes of an answer and takes none of them for `timeoutMs`: a client that does not
 * read would keep its answer in memory for ever.
 */
export function watchStall(socket: Socket, timeoutMs: number): void {
  if (socket.writableLength === 0) return;
  let written = socket.bytesWritten - socket.writableLength;
  const timer = setInterval(() => {
    const now = socket.bytesWritten - socket.writableLength;
    if (socket.writableLength > 0 && !socket.destroyed && now === written) socket.destroy();
    if (socket.destroyed || socket.writableLength === 0) clearInterval(timer);
    written = now;
  }, timeoutMs);
  timer.unref();
}
