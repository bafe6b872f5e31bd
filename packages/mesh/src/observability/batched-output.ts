import { write as writeLater, writeSync } from "node:fs";

/** When lines are written, and what happens when nobody reads them. */
export const outputDefaults = {
  /** Lines are written once there are so many bytes of them ... */
  batchBytes: 65_536,
  /** ... or after so many ms. */
  batchMs: 20,
  /** What is kept for a reader that is slow; beyond it lines are lost, and the process goes on. */
  maxBufferedBytes: 16_777_216,
  /** How long a full pipe is waited for before it is tried again, in ms. */
  retryMs: 10,
  /** How long an exit waits for a reader that is slow, in ms. */
  exitMs: 200,
} as const;

/** Writes lines to a file descriptor, many at a time: a write for each costs more than everything else about a line. */
export interface BatchedOutput {
  write(line: string): void;
  /** Resolves when every line so far is written, or the reader has gone. */
  flush(): Promise<void>;
}

/**
 * Writes without waiting. A reader that is slow delays nothing; one that has gone (EPIPE) ends the output, silently, since
 * there is nobody left to tell. At the exit of the process what is left is written, within `exitMs`. Our own, because the
 * writer that pino brings waits for ever at exit for a reader that has gone.
 */
export function createBatchedOutput(descriptor: number): BatchedOutput {
  const { batchBytes, batchMs, maxBufferedBytes, retryMs, exitMs } = outputDefaults;
  let waiting: string[] = [];
  let waitingBytes = 0;
  let writing: Buffer | undefined;
  let isBroken = false;
  let timer: NodeJS.Timeout | undefined;
  let flushed: (() => void)[] = [];

  function next(): void {
    clearTimeout(timer);
    timer = undefined;
    if (writing !== undefined || waitingBytes === 0) return;
    writing = Buffer.from(waiting.join(""));
    waiting = [];
    waitingBytes = 0;
    writeRest(writing);
  }
  function writeRest(rest: Buffer): void {
    writing = rest;
    writeLater(descriptor, rest, (error, written) => {
      if (error !== null && (error.code === "EAGAIN" || error.code === "EBUSY")) {
        setTimeout(() => writeRest(rest), retryMs);
      } else if (error === null && written < rest.length) {
        writeRest(rest.subarray(written));
      } else {
        isBroken ||= error !== null;
        writing = undefined;
        settle();
      }
    });
  }
  function settle(): void {
    if (isBroken) waitingBytes = waiting.length = 0;
    if (waitingBytes > 0 && (waitingBytes >= batchBytes || flushed.length > 0)) return next();
    if (waitingBytes > 0) timer ??= setTimeout(next, batchMs).unref();
    for (const resolve of flushed) resolve();
    flushed = [];
  }

  process.once("exit", () => {
    // What is being written is on its way already.
    let rest = Buffer.from(waiting.join(""));
    const endMs = performance.now() + exitMs;
    while (rest.length > 0 && !isBroken && performance.now() < endMs) {
      try {
        rest = rest.subarray(writeSync(descriptor, rest));
      } catch (error) {
        isBroken = (error as NodeJS.ErrnoException).code !== "EAGAIN";
      }
    }
  });

  return {
    write(line) {
      if (isBroken || waitingBytes > maxBufferedBytes) return;
      waiting.push(line);
      waitingBytes += line.length;
      if (waitingBytes >= batchBytes) next();
      else timer ??= setTimeout(next, batchMs).unref();
    },
    flush: () =>
      new Promise((resolve) => {
        if (isBroken || (writing === undefined && waitingBytes === 0)) return resolve();
        flushed.push(resolve);
        next();
      }),
  };
}
