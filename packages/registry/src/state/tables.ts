import type { CheckRecord } from "./check-record.ts";
import type { ServiceRecord } from "./service-record.ts";

/** Services and checks by id, services by name, and checks by service. */
export interface Tables {
  readonly services: ReadonlyMap<string, ServiceRecord>;
  readonly checks: ReadonlyMap<string, CheckRecord>;
  servicesNamed(name: string): readonly ServiceRecord[];
  /** Checks of an instance; of the node itself for "". */
  checksOf(serviceId: string): readonly CheckRecord[];
  putService(service: ServiceRecord): void;
  dropService(id: string): void;
  putCheck(check: CheckRecord): void;
  dropCheck(id: string): void;
}

/** Creates tables with what an earlier registry held. */
export function createTables(held: {
  readonly services: Iterable<ServiceRecord>;
  readonly checks: Iterable<CheckRecord>;
}): Tables {
  const services = createTable<ServiceRecord>(({ name }) => name);
  const checks = createTable<CheckRecord>(({ serviceId }) => serviceId);
  for (const service of held.services) services.put(service);
  for (const check of held.checks) checks.put(check);
  return {
    services: services.byId,
    checks: checks.byId,
    servicesNamed: services.inGroup,
    checksOf: checks.inGroup,
    putService: services.put,
    dropService: services.drop,
    putCheck: checks.put,
    dropCheck: checks.drop,
  };
}

interface Table<T> {
  readonly byId: ReadonlyMap<string, T>;
  readonly inGroup: (group: string) => readonly T[];
  readonly put: (row: T) => void;
  readonly drop: (id: string) => void;
}

function createTable<T extends { readonly id: string }>(groupOf: (row: T) => string): Table<T> {
  const byId = new Map<string, T>();
  const groups = new Map<string, Map<string, T>>();
  const leave = (row: T): void => {
    const group = groups.get(groupOf(row));
    group?.delete(row.id);
    if (group?.size === 0) groups.delete(groupOf(row));
  };
  return {
    byId,
    inGroup: (group) => [...(groups.get(group)?.values() ?? [])],
    put(row) {
      const before = byId.get(row.id);
      if (before !== undefined && groupOf(before) !== groupOf(row)) leave(before);
      byId.set(row.id, row);
      const group = groups.get(groupOf(row)) ?? new Map<string, T>();
      groups.set(groupOf(row), group.set(row.id, row));
    },
    drop(id) {
      const row = byId.get(id);
      if (row !== undefined) leave(row);
      byId.delete(id);
    },
  };
}
