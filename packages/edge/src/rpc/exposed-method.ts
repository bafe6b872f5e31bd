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

/** Describes a method; undefined if its policy does not expose it. */
export function toExposedMethod(descriptor: DescMethod, context: MethodContext): ExposedMethod | undefined {
  const policy = policyOf(descriptor);
  if (!policy.exposed) return undefined;
  return { ...context, path: `/${descriptor.parent.typeName}/${descriptor.name}`, descriptor, policy };
}
