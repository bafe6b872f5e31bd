import type { ServerHttp2Session } from "node:http2";
import type { Clock } from "../base/clock.ts";

/**
 * Finds a caller that has gone without a word, and closes its connection (gRPC keepalive of a server): after `timeMs` of
 * silence a PING goes out, and within `timeoutMs` something has to come, be it the answer or anything else. Without it the
 * streams of a machine that has lost its power would stay open until TCP gives up.
 */
export function watchPeer(
  session: ServerHttp2Session,
  { clock, timeMs, timeoutMs }: { readonly clock: Clock; readonly timeMs: number; readonly timeoutMs: number },
): () => void {
  let stopTimer: () => void;
  let bytesRead = 0;
  const hasSpoken = (): boolean => {
    const before = bytesRead;
    bytesRead = session.socket.bytesRead;
    return bytesRead !== before;
  };
  const listen = (): void => {
    stopTimer = clock.after(timeMs, () => {
      if (session.destroyed) return;
      if (hasSpoken()) return listen();
      session.ping(() => {}); // What counts is what is read.
      expectAnswer();
    });
  };
  const expectAnswer = (): void => {
    stopTimer = clock.after(timeoutMs, () => {
      // When this process itself was stopped, the answer waits to be read, which happens before the immediate.
      setImmediate(() => {
        if (session.destroyed) return;
        if (hasSpoken()) listen();
        else session.destroy();
      });
    });
  };
  listen();
  return () => stopTimer();
}
