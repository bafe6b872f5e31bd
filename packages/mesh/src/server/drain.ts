import type { Clock } from "../base/clock.ts";
import { withDeadline } from "../base/deadline.ts";
import type { Logger } from "../base/logger.ts";
import type { Admin } from "./admin.ts";
import type { EventLoopLag } from "./event-loop-lag.ts";
import type { Listener } from "./listener.ts";
import type { OpenCalls } from "./open-calls.ts";
import type { Readiness } from "./readiness.ts";
import type { ServerConfig } from "./server-config.ts";
import { untilAborted } from "./until-aborted.ts";

/** What a drain takes down. */
export interface DrainParts {
  readonly config: ServerConfig;
  readonly readiness: Readiness;
  readonly calls: OpenCalls;
  readonly listener: Listener;
  readonly admin: Admin;
  readonly lag: EventLoopLag;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** The part of the drain timeout that is kept for telling the last callers, and its limit in ms. */
const lastShare = { ratio: 0.1, maxMs: 1_000 } as const;

/** How long the registry may take to hear of the deregistration before the drain goes on, as a part of the timeout. */
const withdrawRatio = 0.25;

/**
 * Stops a server without losing a call:
 *
 * 1. grpc.health says NOT_SERVING and the registry forgets the instance, but calls are still served, for clients that have
 *    not seen either (`drainNoticeMs`).
 * 2. GOAWAY: clients open no further calls here. Streams without a deadline, which would never end by themselves, end with
 *    UNAVAILABLE, reason DRAINING: their clients come back to another instance.
 * 3. Calls in flight finish.
 * 4. Near the end of `drainTimeoutMs` what is left ends with the same status. Then everything is closed.
 */
export async function drainServer(parts: DrainParts): Promise<void> {
  const { config, readiness, calls, listener, admin, lag, logger, clock } = parts;
  const startedMs = clock.monotonicMs();
  const endMs = startedMs + config.drainTimeoutMs;
  logger.info({ openCalls: calls.size }, "draining");
  await settledBy(readiness.withdraw(), startedMs + config.drainTimeoutMs * withdrawRatio, clock);
  await clock.sleep(config.drainNoticeMs);

  const connectionsClosed = listener.goAway();
  calls.abortEndless();
  const lastMs = Math.min(config.drainTimeoutMs * lastShare.ratio, lastShare.maxMs);
  if (!(await settledBy(calls.idle(), endMs - lastMs, clock))) {
    logger.warn({ openCalls: calls.size }, "calls are still open near the end of the drain: they are ended");
    calls.abortAll();
  }
  await settledBy(connectionsClosed, endMs, clock);
  calls.abortAll();
  listener.close();
  await admin[Symbol.asyncDispose]();
  lag[Symbol.dispose]();
  logger.info({ ms: Math.round(clock.monotonicMs() - startedMs) }, "drained");
}

/** Whether a promise settles before a moment of the monotonic clock. */
async function settledBy(promise: Promise<unknown>, atMs: number, clock: Clock): Promise<boolean> {
  using scope = withDeadline(atMs, undefined, clock);
  try {
    await untilAborted(promise, scope.signal);
    return true;
  } catch {
    return false; // The promises of a drain never reject: it was the deadline.
  }
}
