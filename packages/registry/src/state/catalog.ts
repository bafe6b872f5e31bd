import { isDeepStrictEqual } from "node:util";
import type { CheckDefinition, CheckRecord, CheckStatus } from "./check-record.ts";
import type { ParsedCheck } from "./parse-check.ts";
import type { NodeRecord, ServiceDefinition, ServiceRecord } from "./service-record.ts";
import { createTables } from "./tables.ts";
import type { Tables } from "./tables.ts";
import { Topic } from "./topic.ts";
import { createTopicIndex } from "./topic-index.ts";

/** What a catalog tells those who follow it. */
export type CatalogChange =
  /** A check was registered, and its definition counts from here on; also when it is the same as before. */
  | { readonly kind: "check-defined"; readonly check: CheckRecord }
  | { readonly kind: "check-removed"; readonly checkId: string }
  /** Something that readers see, once per index. */
  | { readonly kind: "changed" };

/** Everything that a catalog holds, as plain data. */
export interface CatalogState {
  readonly index: number;
  readonly services: readonly ServiceRecord[];
  readonly checks: readonly CheckRecord[];
}

/**
 * The registered services and checks, with one index that each change raises, and the index of the last change of each
 * topic. Synchronous and without timers: who waits is called back within the change. A change that changes nothing leaves
 * all indexes as they are, so that beats and repeated registrations wake nobody.
 */
export interface Catalog extends Pick<Tables, "services" | "checks" | "servicesNamed" | "checksOf"> {
  readonly node: NodeRecord;
  /**
   * Adds or replaces an instance and its checks under one index. A check that is known by its id keeps status and output.
   * Checks that the registration does not name stay, unless `replaceChecks`.
   */
  register(service: ServiceDefinition, checks: readonly ParsedCheck[], options?: { readonly replaceChecks?: boolean }): void;
  /** Removes an instance with its checks. False: it is not here. */
  deregister(id: string): boolean;
  /** Adds or replaces one check; status and output of a known one stay. */
  setCheck(check: ParsedCheck): void;
  /** Removes one check. False: it is not here. */
  removeCheck(id: string): boolean;
  /** Records a result. A new output with the old status is kept, but is no change: nobody wakes for it. */
  setStatus(checkId: string, status: CheckStatus, output: string): void;
  /** Index of a topic's last change, at least 1. */
  indexOf(topic: string): number;
  /** Calls back at the next change of a topic. The returned function gives up. */
  onceChanged(topic: string, waiter: () => void): () => void;
  /** Calls back at each change, synchronously. */
  follow(follower: (change: CatalogChange) => void): void;
  state(): CatalogState;
}

/** What a catalog starts from. */
export interface CatalogOptions {
  readonly node: NodeRecord;
  /** Wall clock in ms. */
  readonly now: () => number;
  /** What an earlier catalog held. Default: nothing. */
  readonly restored?: CatalogState | undefined;
}

/**
 * After a restart the index starts this much above the stored one, and so does every topic: a reader who saw changes that
 * were not stored any more is answered at once, and no index is given twice.
 */
const restoreGap = 100_000;

/** One change while it is made: what it touches decides whether there is a new index, and who wakes. */
interface Draft {
  readonly tables: Tables;
  /** The index that the change gets, if it touches anything. */
  readonly index: number;
  readonly nowMs: number;
  readonly touched: Set<string>;
  /** Topics of services that lost their last instance. */
  readonly gone: Set<string>;
  tell(change: CatalogChange): void;
}

/** Creates a catalog. */
export function createCatalog({ node, now, restored }: CatalogOptions): Catalog {
  const tables = createTables(restored ?? { services: [], checks: [] });
  const topics = createTopicIndex(restored === undefined ? 1 : restored.index + restoreGap);
  const followers: ((change: CatalogChange) => void)[] = [];
  const tell = (change: CatalogChange): void => followers.forEach((follower) => follower(change));
  const change = (work: (draft: Draft) => void): void => {
    const draft = { tables, index: topics.index + 1, nowMs: now(), touched: new Set<string>(), gone: new Set<string>(), tell };
    work(draft);
    if (draft.touched.size === 0) return;
    topics.commit(draft.touched, draft.gone);
    tell({ kind: "changed" });
  };
  const changeIf = (present: boolean, work: (draft: Draft) => void): boolean => {
    if (present) change(work);
    return present;
  };
  return {
    node,
    services: tables.services,
    checks: tables.checks,
    servicesNamed: tables.servicesNamed,
    checksOf: tables.checksOf,
    register: (service, checks, options = {}) =>
      change((draft) => {
        putService(draft, service);
        for (const check of checks) putCheck(draft, check);
        const named = new Set(checks.map(({ definition }) => definition.id));
        const others = tables.checksOf(service.id).filter(({ id }) => !named.has(id));
        for (const other of others) {
          if (options.replaceChecks === true) dropCheck(draft, other);
          else adoptCheck(draft, other, service);
        }
      }),
    deregister: (id) => changeIf(tables.services.has(id), (draft) => dropService(draft, id)),
    setCheck: (check) => change((draft) => putCheck(draft, check)),
    removeCheck(id) {
      const check = tables.checks.get(id);
      return changeIf(check !== undefined, (draft) => check !== undefined && dropCheck(draft, check));
    },
    setStatus(checkId, status, output) {
      const check = tables.checks.get(checkId);
      if (check === undefined) return;
      if (check.status !== status) change((draft) => turn(draft, check, { status, output }));
      else if (check.output !== output) tables.putCheck({ ...check, output });
    },
    indexOf: topics.indexOf,
    onceChanged: topics.onceChanged,
    follow: (follower) => void followers.push(follower),
    state: () => ({ index: topics.index, services: [...tables.services.values()], checks: [...tables.checks.values()] }),
  };
}

function putService(draft: Draft, definition: ServiceDefinition): void {
  const { tables, index, touched } = draft;
  const before = tables.services.get(definition.id);
  const { createIndex, modifyIndex } = before ?? { createIndex: index, modifyIndex: index };
  if (before !== undefined && isDeepStrictEqual(before, { ...definition, createIndex, modifyIndex })) return;
  tables.putService({ ...definition, createIndex, modifyIndex: index });
  if (before !== undefined) touchName(draft, before.name);
  touchName(draft, definition.name);
  touched.add(Topic.services).add(Topic.instance(definition.id));
}

function dropService(draft: Draft, id: string): void {
  const { tables, touched } = draft;
  const service = tables.services.get(id);
  if (service === undefined) return;
  for (const check of tables.checksOf(id)) dropCheck(draft, check);
  tables.dropService(id);
  touchName(draft, service.name);
  touched.add(Topic.services).add(Topic.instance(id));
}

function touchName({ tables, touched, gone }: Draft, name: string): void {
  touched.add(Topic.service(name));
  if (tables.servicesNamed(name).length === 0) gone.add(Topic.service(name));
}

function putCheck(draft: Draft, { definition, status }: ParsedCheck): void {
  const { tables, index, nowMs } = draft;
  const before = tables.checks.get(definition.id);
  const criticalSinceMs = status === "critical" ? nowMs : undefined;
  const fresh = { status, output: "", criticalSinceMs, createIndex: index, modifyIndex: index };
  const check: CheckRecord = { ...definition, ...(before === undefined ? fresh : stateOf(before)) };
  if (before !== undefined && isDeepStrictEqual(before, check)) return draft.tell({ kind: "check-defined", check });
  tables.putCheck({ ...check, modifyIndex: index });
  if (before !== undefined) touchCheck(draft, before);
  touchCheck(draft, check);
  draft.tell({ kind: "check-defined", check });
}

/** A check that its instance's new registration does not name goes on as it is, under the new name and tags. */
function adoptCheck(draft: Draft, check: CheckRecord, { name, tags }: ServiceDefinition): void {
  if (check.serviceName === name && isDeepStrictEqual(check.serviceTags, tags)) return;
  draft.tables.putCheck({ ...check, serviceName: name, serviceTags: tags, modifyIndex: draft.index });
  touchCheck(draft, check);
}

function dropCheck(draft: Draft, check: CheckRecord): void {
  draft.tables.dropCheck(check.id);
  touchCheck(draft, check);
  draft.tell({ kind: "check-removed", checkId: check.id });
}

function turn(draft: Draft, check: CheckRecord, result: Pick<CheckRecord, "status" | "output">): void {
  const criticalSinceMs = result.status === "critical" ? draft.nowMs : undefined;
  draft.tables.putCheck({ ...check, ...result, criticalSinceMs, modifyIndex: draft.index });
  touchCheck(draft, check);
}

function touchCheck({ touched }: Draft, { serviceId, serviceName }: CheckDefinition): void {
  touched.add(Topic.checks).add(serviceId === "" ? Topic.nodeChecks : Topic.service(serviceName));
}

function stateOf(check: CheckRecord): Omit<CheckRecord, keyof CheckDefinition> {
  const { status, output, criticalSinceMs, createIndex, modifyIndex } = check;
  return { status, output, criticalSinceMs, createIndex, modifyIndex };
}
