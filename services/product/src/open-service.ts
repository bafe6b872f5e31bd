import { systemClock } from "@protoloom/mesh";
import type { Clock, Implementation, Logger } from "@protoloom/mesh";
import { createChangeLog, createIdempotency, createPageTokens, newId, openDatabase, toStoreError } from "@protoloom/mesh/data";
import type { DatabaseConfig } from "@protoloom/mesh/data";
import { createInventoryService } from "./inventory-service.ts";
import { createReservationSweep } from "./reservation-sweep.ts";
import { toChange } from "./product-changes.ts";
import { domain } from "./product-message.ts";
import { createProductService } from "./service.ts";
import { createInventoryStore } from "./store/inventory-store.ts";
import { productMigrations } from "./store/migrations.ts";
import type { ProductTables } from "./store/migrations.ts";
import { createProductStore } from "./store/product-store.ts";
import type { ProductStoreOptions } from "./store/product-store.ts";
import { createReservationStore } from "./store/reservation-store.ts";

/** What opening the service needs beside its configuration. */
export interface OpenOptions {
  readonly logger: Logger;
  /** What is opened is disposed with it. */
  readonly resources: AsyncDisposableStack;
  /** Schema on PostgreSQL, file on SQLite. Default: `product`. */
  readonly name?: string;
  /** Time of what is stored and of what expires. Default: the clock of this machine. */
  readonly clock?: Clock;
}

/**
 * Opens the database and builds the services over it: products and inventory. A database that goes away later does not make
 * them unready: other instances would go with this one, and callers learn more from STORE_UNAVAILABLE than from a service
 * that has vanished.
 */
export async function openProductServices(config: DatabaseConfig, options: OpenOptions): Promise<readonly Implementation[]> {
  const { logger, resources, name = "product", clock = systemClock } = options;
  const database = resources.use(
    await openDatabase<ProductTables>({ ...config, name, migrations: productMigrations, logger, clock }),
  );
  const idempotency = resources.use(createIdempotency(database, { domain, logger, clock }));
  const parts = { database, tokens: await createPageTokens(database, { domain }), clock, newId };
  const reservations = createReservationStore(parts);
  resources.use(createReservationSweep({ database, reservations, clock, logger }));
  const changes = resources.use(
    await createChangeLog(database, { domain, logger, clock, retentionMs: config.changeLogRetentionMs }),
  );
  const record: ProductStoreOptions["record"] = async (trx, happenings) => await changes.append(trx, ...happenings.map(toChange));
  const shared = { idempotency, toStoreError: (error: unknown) => toStoreError(database, error, domain) };
  return [
    createProductService({ ...shared, database, changes, clock, store: createProductStore({ ...parts, record }) }),
    createInventoryService({ ...shared, inventory: createInventoryStore(parts), reservations }),
  ];
}
