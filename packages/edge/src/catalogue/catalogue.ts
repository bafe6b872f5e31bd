import type { Resolver } from "@protoloom/mesh";
import type { Contract } from "./contract.ts";
import { watchContract } from "./contract-watch.ts";
import type { ContractWatchDeps } from "./contract-watch.ts";
import { buildTable, compileContract, emptyTable } from "./routing-table.ts";
import type { CompiledContract, RoutingContext, RoutingTable } from "./routing-table.ts";

/** What the edge serves, kept up to date from the registry. Disposing ends its watches. */
export interface Catalogue extends AsyncDisposable {
  /** The table in force. Take it once per request. */
  readonly table: RoutingTable;
  /** True once the registry's first list is known and each of its services has been asked. */
  readonly loaded: boolean;
  /** Resolves when it is loaded. Rejects with the signal's reason. */
  ready(signal?: AbortSignal): Promise<void>;
}

/** Services of the registry that are no contracts: the registry itself, and the edge. */
const skipped: ReadonlySet<string> = new Set(["consul", "edge"]);

/**
 * Watches the registry and builds the table. A service that is listed is added as soon as an instance has described it; one
 * that is no longer listed is removed; a registry that fails or forgets changes nothing, since the resolver then says nothing.
 */
export function createCatalogue(deps: ContractWatchDeps & { readonly resolver: Resolver }, context: RoutingContext): Catalogue {
  const { logger, meter } = deps;
  const watches = new Map<string, { readonly controller: AbortController; readonly done: Promise<void> }>();
  const contracts = new Map<string, CompiledContract>();
  const unsettled = new Set<string>();
  const ending = new AbortController();
  const loading = Promise.withResolvers<void>();
  let table = emptyTable;
  let isListed = false;
  let loaded = false;

  const checkLoaded = (): void => {
    if (!isListed || unsettled.size > 0 || loaded) return;
    loaded = true;
    loading.resolve();
  };
  const rebuild = (): void => {
    const known = new Set(table.refused.map(({ method, rule }) => `${method} ${rule}`));
    table = buildTable([...contracts.values()], table);
    for (const refused of table.refused) {
      if (known.has(`${refused.method} ${refused.rule}`)) continue;
      meter.count("mesh_edge_refused_rules_total", { method: refused.method });
      logger.warn(refused, "a rule is not served");
    }
    meter.gauge("mesh_edge_methods", table.methods.length);
  };
  const change = (contract: Contract): void => {
    try {
      contracts.set(contract.service, compileContract(contract, context));
      rebuild();
      logger.info(
        { service: contract.service, services: contract.services.map(({ typeName }) => typeName) },
        "a contract is served",
      );
    } catch (error) {
      logger.error({ service: contract.service, err: error }, "a contract cannot be compiled; what was served before stays");
    }
  };
  const add = (name: string): void => {
    const controller = new AbortController();
    unsettled.add(name);
    const settled = (): void => {
      unsettled.delete(name);
      checkLoaded();
    };
    const changed = (contract: Contract): void => {
      if (!controller.signal.aborted) change(contract);
    };
    const done = watchContract(name, deps, { changed, settled }, controller.signal).catch((error: unknown) => {
      logger.error({ service: name, err: error }, "the watch of a contract has ended");
    });
    watches.set(name, { controller, done });
  };
  const remove = (name: string): void => {
    watches.get(name)?.controller.abort();
    watches.delete(name);
    unsettled.delete(name);
    if (!contracts.delete(name)) return;
    rebuild();
    logger.info({ service: name }, "a service is no longer listed, and no longer served");
  };
  const follow = async (): Promise<void> => {
    for await (const listed of deps.resolver.watchServices(ending.signal)) {
      const names = new Set(listed.map(({ name }) => name).filter((name) => !skipped.has(name)));
      for (const name of watches.keys()) if (!names.has(name)) remove(name);
      for (const name of names) if (!watches.has(name)) add(name);
      isListed = true;
      checkLoaded();
    }
  };
  const following = follow().catch((error: unknown) => logger.error({ err: error }, "the watch of the registry has ended"));

  return {
    get table() {
      return table;
    },
    get loaded() {
      return loaded;
    },
    async ready(signal) {
      const { promise, reject } = Promise.withResolvers<never>();
      const onAbort = (): void => reject(signal?.reason);
      if (signal?.aborted === true) onAbort();
      signal?.addEventListener("abort", onAbort, { once: true });
      try {
        await Promise.race([loading.promise, promise]);
      } finally {
        signal?.removeEventListener("abort", onAbort);
      }
    },
    async [Symbol.asyncDispose]() {
      ending.abort();
      for (const { controller } of watches.values()) controller.abort();
      await Promise.all([following, ...[...watches.values()].map(({ done }) => done)]);
    },
  };
}
