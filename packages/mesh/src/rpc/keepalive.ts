import type { Clock } from "../base/clock.ts";

/** What is watched, and how. */
export interface KeepaliveOptions {
  readonly clock: Clock;
  /** Silence after which a PING goes out, in ms. */
  readonly afterMs: number;
  /** Silence after that PING which makes the peer suspect, in ms. */
  readonly suspectMs: number;
  /** Silence after that PING which ends the connection, in ms. */
  readonly timeoutMs: number;
  /** Bytes read so far. */
  bytesRead(): number;
  /** True while calls are in flight: without them silence means nothing. */
  isBusy(): boolean;
  /** Sends a PING; calls back when it is answered. */
  ping(onAnswer: () => void): void;
  /** The peer has become suspect, or answers again. */
  onSuspect(isSuspect: boolean): void;
  /** The peer is gone. */
  onSilence(): void;
}

/** Watches one connection. */
export interface Keepalive {
  /** A call is being sent: begins to watch, unless it does already. It ends by itself when no call is in flight. */
  start(): void;
  stop(): void;
}

/** Looks at a connection in the shortest of its times. */
const looksPerWait = 4;

/**
 * While a stream is silent and no call is sent, the pause between two PINGs doubles, up to this many times `afterMs`: Go and
 * C++ servers end a connection after four PINGs between which they had nothing to send.
 */
const maxPauses = 5;

/**
 * Finds a peer that hangs and closes nothing (a stopped process, a dead route): gRPC A8. While calls are in flight the
 * connection must not stay silent for long: then a PING goes out, and whatever is read is its answer.
 *
 * Silence is counted in looks, not in time: one that comes late, because this very process was held up, counts as one, and
 * what has arrived meanwhile is read before the next.
 */
export function createKeepalive(options: KeepaliveOptions): Keepalive {
  const { clock, afterMs, suspectMs, timeoutMs } = options;
  const lookMs = Math.min(afterMs, suspectMs, timeoutMs) / looksPerWait;
  const looksIn = (ms: number): number => Math.ceil(ms / lookMs);
  let stopTimer: (() => void) | undefined;
  let bytesRead = 0;
  let silentLooks = 0;
  let pingedAtLook: number | undefined;
  let answeredPings = 0;
  let isSuspect = false;
  // Tells the answer of a PING from that of one before it.
  let round = 0;

  const suspect = (next: boolean): void => {
    if (next === isSuspect) return;
    isSuspect = next;
    options.onSuspect(next);
  };

  const heard = (): void => {
    bytesRead = options.bytesRead();
    silentLooks = 0;
    pingedAtLook = undefined;
    round++;
    suspect(false);
  };

  const ping = (): void => {
    pingedAtLook = silentLooks;
    const own = round;
    options.ping(() => {
      if (own !== round) return;
      answeredPings++;
      heard();
    });
  };

  const look = (): void => {
    if (options.bytesRead() !== bytesRead) {
      answeredPings = 0;
      return heard();
    }
    silentLooks++;
    if (pingedAtLook === undefined) {
      if (silentLooks >= looksIn(afterMs * Math.min(2 ** answeredPings, maxPauses))) ping();
      return;
    }
    const unansweredLooks = silentLooks - pingedAtLook;
    if (unansweredLooks >= looksIn(timeoutMs)) options.onSilence();
    else if (unansweredLooks >= looksIn(suspectMs)) suspect(true);
  };

  const schedule = (): void => {
    const own = clock.after(lookMs, () => {
      // A peer that is suspect is watched until it answers or is given up, though its calls have ended.
      if (options.isBusy() || pingedAtLook !== undefined) look();
      else stopTimer = undefined;
      if (stopTimer === own) schedule();
    });
    stopTimer = own;
  };

  return {
    start() {
      if (stopTimer === undefined) {
        heard();
        schedule();
      } else if (answeredPings > 0 && pingedAtLook === undefined) silentLooks = 0;
      answeredPings = 0;
    },
    stop() {
      stopTimer?.();
      stopTimer = undefined;
      round++;
    },
  };
}
