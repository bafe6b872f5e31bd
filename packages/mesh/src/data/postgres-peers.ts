import { createHash } from "node:crypto";
import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Peers } from "./peers.ts";
import { withPostgresClient } from "./postgres-pool.ts";

/** What the peers of a schema need. */
export interface PostgresPeersOptions {
  readonly url: string;
  readonly schema: string;
  readonly acquireTimeoutMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Least time between two NOTIFY, in ms. Each takes a lock of the whole cluster when it commits. */
const notifyEveryMs = 20;

/** Pause before a listening connection that broke is opened again, in ms. */
const reconnectMs = 1_000;

/**
 * NOTIFY on a connection of the pool, outside of any transaction that writes (inside of one it costs a third to a half of
 * the throughput, measured with 16 writers), and LISTEN on a connection of its own.
 */
export function createPostgresPeers(db: Kysely<unknown>, options: PostgresPeersOptions): Peers {
  const { schema, clock, logger } = options;
  const channel = `mesh_${createHash("sha256").update(schema).digest("hex").slice(0, 32)}`;
  let dueAtMs = 0;
  let planned = false;

  const notify = (): void => {
    planned = false;
    dueAtMs = clock.monotonicMs() + notifyEveryMs;
    sql`select pg_notify(${channel}, '')`.execute(db).catch((error: unknown) => {
      logger.debug({ err: error }, "other instances could not be woken; they look by themselves");
    });
  };
  return {
    wake() {
      if (planned) return;
      const waitMs = dueAtMs - clock.monotonicMs();
      if (waitMs <= 0) return notify();
      planned = true;
      clock.after(waitMs, notify);
    },
    listen(onWake) {
      const ended = new AbortController();
      const listening = listenForEver(channel, onWake, { ...options, signal: ended.signal });
      return {
        async [Symbol.asyncDispose]() {
          ended.abort();
          await listening;
        },
      };
    },
  };
}

async function listenForEver(
  channel: string,
  onWake: () => void,
  { url, schema, acquireTimeoutMs, clock, logger, signal }: PostgresPeersOptions & { readonly signal: AbortSignal },
): Promise<void> {
  const ended = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  while (!signal.aborted) {
    try {
      const connection = { schema, connectTimeoutMs: acquireTimeoutMs, onNotification: onWake };
      await withPostgresClient(url, connection, async (query, closed) => {
        await query(`listen ${channel}`, []);
        onWake();
        await Promise.race([closed, ended]);
      });
    } catch (error) {
      // The log follows by polling meanwhile.
      logger.debug({ err: error }, "PostgreSQL cannot be listened to");
    }
    await Promise.race([clock.sleep(signal.aborted ? 0 : reconnectMs, signal).catch(() => {}), ended]);
  }
}
