import type { Clock } from "../base/clock.ts";

/** What is watched, and how. */
export interface KeepaliveOptions {
  readonly clock: Clock;
  /** Silence after which a PING goes out, in ms. */
  readonly afterMs: number;
  /** Longest wait for anything to be read after it, in ms. */
  readonly timeoutMs: number;
  /** Bytes read so far. */
  bytesRead(): number;
  /** True while calls are in flight: without them silence means nothing. */
  isBusy(): boolean;
  /** Sends a PING; calls back when it is answered. */
  ping(onAnswer: () => void): void;
  /** The peer is gone. */
  onSilence(): void;
}

/** Watches one connection. */
export interface Keepalive {
  /** Begins to watch, unless it does already. It ends by itself when no call is in flight. */
  start(): void;
  stop(): void;
}

/**
 * Finds a peer that hangs and closes nothing (a stopped process, a dead route): gRPC A8. While calls are in flight the
 * connection must not stay silent for long: then a PING goes out, and whatever is read is its answer.
 */
export function createKeepalive(options: KeepaliveOptions): Keepalive {
  const { clock, afterMs, timeoutMs } = options;
  let stopTimer: (() => void) | undefined;
  let bytesRead = 0;
  let quietSinceMs = 0;

  const begin = (): void => {
    bytesRead = options.bytesRead();
    quietSinceMs = clock.monotonicMs();
    tickIn(afterMs);
  };

  const tickIn = (ms: number): void => {
    stopTimer = clock.after(ms, () => {
      stopTimer = undefined;
      if (!options.isBusy()) return;
      const nowMs = clock.monotonicMs();
      if (options.bytesRead() !== bytesRead) {
        bytesRead = options.bytesRead();
        quietSinceMs = nowMs;
      }
      const leftMs = quietSinceMs + afterMs - nowMs;
      if (leftMs > 1) tickIn(Math.max(leftMs, afterMs / 4));
      else ping();
    });
  };

  const ping = (): void => {
    const stop = clock.after(timeoutMs, () => {
      // When this very process was held up, what the peer has sent is still to be read: look after the next poll.
      setImmediate(() => {
        if (stopTimer !== stop) return;
        if (options.bytesRead() === bytesRead) options.onSilence();
        else begin();
      });
    });
    stopTimer = stop;
    options.ping(() => {
      if (stopTimer !== stop) return;
      stop();
      begin();
    });
  };

  return {
    start() {
      if (stopTimer === undefined) begin();
    },
    stop() {
      stopTimer?.();
      stopTimer = undefined;
    },
  };
}
