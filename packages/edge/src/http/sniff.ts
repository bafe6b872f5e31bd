import type { Socket } from "node:net";

/** The first bytes of an HTTP/2 connection (RFC 9113 section 3.4). */
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/**
 * Reads the first bytes of a connection, puts them back and says which version of HTTP it speaks: HTTP/2 is the whole preface,
 * HTTP/1 anything else. A connection that leaves it open for `timeoutMs` is destroyed.
 */
export function sniffProtocol(socket: Socket, timeoutMs: number, take: (protocol: "http1" | "http2") => void): void {
  let seen: Buffer = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), timeoutMs);
  const onError = (): void => {
    socket.destroy();
  };
  const onClose = (): void => clearTimeout(timer);
  const onData = (chunk: Buffer): void => {
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const length = Math.min(seen.length, preface.length);
    const isPreface = seen.subarray(0, length).equals(preface.subarray(0, length));
    if (isPreface && length < preface.length) return;
    clearTimeout(timer);
    socket.off("data", onData);
    socket.off("error", onError);
    socket.off("end", onError);
    socket.off("close", onClose);
    socket.pause();
    socket.unshift(seen);
    take(isPreface ? "http2" : "http1");
    // Node's HTTP/2 session takes what was put back from the paused socket itself; flowing, it would be lost to it.
    if (!isPreface) socket.resume();
  };
  socket.on("data", onData);
  socket.on("error", onError);
  socket.on("end", onError);
  socket.on("close", onClose);
}
