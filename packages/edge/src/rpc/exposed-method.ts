import type { DescMethod, Registry } from "@bufbuild/protobuf";
import { policyOf } from "@protoloom/mesh";
import type { Policy, ServiceTransport } from "@protoloom/mesh";
import type { JsonReaders } from "../json/message-reader.ts";

/** A method that the edge serves: its contract, and the way to its instances. */
export interface ExposedMethod {
  /** `/package.Service/Method`: the path of its RPC, outside and inside. */
  readonly path: string;
  readonly descriptor: DescMethod;
  readonly policy: Policy;
  /** Name of the service in the registry. */
  readonly service: string;
  readonly transport: ServiceTransport;
  /** Types of the contract and of error details. */
  readonly registry: Registry;
  readonly readers: JsonReaders;
}

/** What the methods of one contract share. */
export type MethodContext = Pick<ExposedMethod, "service" | "transport" | "registry" | "readers">;

/** Says of a method, `package.Service/Method`, that it is exposed although its contract does not say so. */
export type IsExposed = (method: string) => boolean;

/** Reads a list of methods to expose: `package.Service/Method`, or `package.Service/*` for all of a service. */
export function createIsExposed(names: readonly string[]): IsExposed {
  const known = new Set(names);
  return (method) => known.has(method) || known.has(`${method.slice(0, method.indexOf("/"))}/*`);
}

/** Describes a method; undefined if neither its policy nor the configuration exposes it. */
export function toExposedMethod(descriptor: DescMethod, context: MethodContext, isExposed: IsExposed): ExposedMethod | undefined {
  const policy = policyOf(descriptor);
  const name = `${descriptor.parent.typeName}/${descriptor.name}`;
  if (!policy.exposed && !isExposed(name)) return undefined;
  return { ...context, path: `/${name}`, descriptor, policy };
}
