import { systemClock } from "@protoloom/mesh";
import type { Implementation, Logger } from "@protoloom/mesh";
import { createChangeLog, createIdempotency, createPageTokens, newId, openDatabase, toStoreError } from "@protoloom/mesh/data";
import type { DatabaseConfig } from "@protoloom/mesh/data";
import { createUserService } from "./service.ts";
import { userMigrations } from "./store/migrations.ts";
import type { UserTables } from "./store/migrations.ts";
import { createUserStore } from "./store/user-store.ts";
import { toChange } from "./user-changes.ts";
import { domain } from "./user-message.ts";

/** What opening the service needs beside its configuration. */
export interface OpenOptions {
  readonly logger: Logger;
  /** What is opened is disposed with it. */
  readonly resources: AsyncDisposableStack;
  /** Schema on PostgreSQL, file on SQLite. Default: `user`. */
  readonly name?: string;
}

/**
 * Opens the database and builds the service over it. A database that goes away later does not make the service unready: its
 * other instances would go with it, and callers learn more from STORE_UNAVAILABLE than from a service that has vanished.
 */
export async function openUserService(config: DatabaseConfig, options: OpenOptions): Promise<Implementation> {
  const { logger, resources, name = "user" } = options;
  const database = resources.use(await openDatabase<UserTables>({ ...config, name, migrations: userMigrations, logger }));
  const idempotency = resources.use(createIdempotency(database, { domain, logger }));
  const changes = resources.use(await createChangeLog(database, { domain, logger, retentionMs: config.changeLogRetentionMs }));
  const store = createUserStore({
    database,
    tokens: await createPageTokens(database, { domain }),
    clock: systemClock,
    newId,
    record: async (trx, made) => await changes.append(trx, ...made.map(toChange)),
  });
  return createUserService({
    database,
    store,
    changes,
    idempotency,
    toStoreError: (error) => toStoreError(database, error, domain),
    clock: systemClock,
  });
}
