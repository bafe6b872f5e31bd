import type { DescService, Registry } from "@bufbuild/protobuf";
import { registryName } from "@protoloom/mesh";
import type { Transport } from "@protoloom/mesh";
import type { BindingRules } from "../binding/request-binder.ts";
import { createJsonReaders } from "../json/message-reader.ts";
import { compileRestRoute } from "../rest/rest-route.ts";
import type { RestRoute } from "../rest/rest-route.ts";
import { readRestRules } from "../rest/rest-rule.ts";
import type { RefusedRule } from "../rest/rest-rule.ts";
import { createRouter } from "../routing/router.ts";
import type { Router } from "../routing/router.ts";
import { createConnectUnary } from "../rpc/connect-unary.ts";
import type { ConnectContext, ConnectUnary } from "../rpc/connect-unary.ts";
import { toExposedMethod } from "../rpc/exposed-method.ts";
import type { ExposedMethod, IsExposed } from "../rpc/exposed-method.ts";
import { createStreamProxy } from "../rpc/stream-proxy.ts";
import type { ServeStream, StreamProxyContext } from "../rpc/stream-proxy.ts";
import type { Contract } from "./contract.ts";

/** The RPC paths of one method. */
export interface RpcRoute {
  readonly method: ExposedMethod;
  /** Connect unary; undefined for a method that streams. */
  readonly unary: ConnectUnary | undefined;
  /** gRPC, gRPC-Web and Connect streams. */
  readonly stream: ServeStream;
}

/** Everything that is served, at one moment. Never changed: a change makes a new table. */
export interface RoutingTable {
  /** By path, `/package.Service/Method`. */
  readonly rpc: ReadonlyMap<string, RpcRoute>;
  readonly rest: Router<RestRoute>;
  readonly contracts: readonly Contract[];
  /** The exposed methods that stand, for reflection. */
  readonly methods: readonly ExposedMethod[];
  /** Rules that do not stand. */
  readonly refused: readonly RefusedRule[];
  /** Which service holds which route. */
  readonly claims: ReadonlyMap<string, string>;
}

/** What routes are compiled with. */
export interface RoutingContext {
  readonly transport: Transport;
  readonly isExposed: IsExposed;
  readonly rules: BindingRules;
  readonly connect: ConnectContext;
  readonly stream: StreamProxyContext;
}

/** Nothing is served. */
export const emptyTable: RoutingTable = {
  rpc: new Map(),
  rest: createRouter<RestRoute>([]),
  contracts: [],
  methods: [],
  refused: [],
  claims: new Map(),
};

interface RpcCandidate {
  readonly key: string;
  readonly contract: Contract;
  readonly service: DescService;
  readonly route: RpcRoute;
  readonly rest: readonly { readonly key: string; readonly route: RestRoute }[];
}

/** The routes of one contract, compiled once. */
export interface CompiledContract {
  readonly contract: Contract;
  readonly candidates: readonly RpcCandidate[];
  readonly refused: readonly RefusedRule[];
}

/** Compiles every exposed method of a contract. A rule that cannot be compiled is refused, alone. */
export function compileContract(contract: Contract, context: RoutingContext): CompiledContract {
  const refused: RefusedRule[] = [];
  const shared = {
    service: contract.service,
    transport: context.transport.service(contract.service),
    registry: contract.registry as Registry,
    readers: createJsonReaders(contract.registry),
  };
  const candidates = contract.services.flatMap((service) =>
    service.methods.flatMap((descriptor) => {
      const method = toExposedMethod(descriptor, shared, context.isExposed);
      return method === undefined ? [] : [compileMethod(method, { contract, service, context, refused })];
    }),
  );
  return { contract, candidates, refused };
}

interface MethodScope {
  readonly contract: Contract;
  readonly service: DescService;
  readonly context: RoutingContext;
  readonly refused: RefusedRule[];
}

function compileMethod(method: ExposedMethod, { contract, service, context, refused }: MethodScope): RpcCandidate {
  const { descriptor } = method;
  const isUnary = descriptor.methodKind === "unary";
  const rules = readRestRules(descriptor, (rule) => refused.push(rule));
  const rest = rules.flatMap((rule) => {
    try {
      return [{ key: `${rule.httpMethod} ${rule.template.shape}`, route: compileRestRoute(method, rule, context.rules) }];
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      refused.push({ method: method.path.slice(1), rule: `${rule.httpMethod} ${rule.template.shape}`, why });
      return [];
    }
  });
  const route = {
    method,
    unary: isUnary ? createConnectUnary(method, context.connect) : undefined,
    stream: createStreamProxy(method, context.stream),
  };
  return { key: method.path, contract, service, route, rest };
}

/**
 * Builds a table out of compiled contracts. Two claims of one route never take both down: who held it in `previous` keeps it;
 * among newcomers, the service that is registered under the name its contract says, then the one that comes first. The
 * other's rule alone is refused.
 */
export function buildTable(compiled: readonly CompiledContract[], previous: RoutingTable): RoutingTable {
  const claims = new Map<string, string>();
  const refused = compiled.flatMap((each) => each.refused);
  const rank = (key: string, { contract, service }: RpcCandidate): number => {
    if (previous.claims.get(key) === contract.service) return 0;
    return registryName(service) === contract.service ? 1 : 2;
  };
  const claim = (key: string, { contract, route }: RpcCandidate): boolean => {
    const holder = claims.get(key);
    if (holder === undefined) claims.set(key, contract.service);
    else
      refused.push({
        method: route.method.path.slice(1),
        rule: key,
        why: `${holder} holds the route, ${contract.service} claims it too`,
      });
    return holder === undefined;
  };
  const candidates = compiled.flatMap((each) => each.candidates);
  const granted = byRank(candidates, (candidate) => rank(candidate.key, candidate)).filter((candidate) =>
    claim(candidate.key, candidate),
  );
  const rest = granted.flatMap((candidate) => candidate.rest.map(({ key, route }) => ({ key, route, candidate })));
  const entries = byRank(rest, ({ key, candidate }) => rank(key, candidate)).filter(({ key, candidate }) =>
    claim(key, candidate),
  );
  return {
    rpc: new Map(granted.map(({ key, route }) => [key, route])),
    rest: createRouter(
      entries.map(({ route }) => ({ method: route.rule.httpMethod, template: route.rule.template, value: route })),
    ),
    contracts: compiled.map(({ contract }) => contract),
    methods: granted.map(({ route }) => route.method),
    refused,
    claims,
  };
}

function byRank<Item>(items: readonly Item[], rank: (item: Item) => number): Item[] {
  return items
    .map((item) => ({ item, place: rank(item) }))
    .sort((one, other) => one.place - other.place)
    .map(({ item }) => item);
}
