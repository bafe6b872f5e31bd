import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { getOption, hasOption } from "@bufbuild/protobuf";
import { Exposure, method as methodOption, service as serviceOption } from "@protoloom/protos/protoloom/v1/policy_pb";
import type { MethodPolicy } from "@protoloom/protos/protoloom/v1/policy_pb";

/** What holds for a method whose contract says nothing. */
export const policyDefaults = {
  /** Deadline of a call whose caller sets none (Envoy: route timeout, 15 s). */
  timeoutMs: 5_000,
  /** Longest deadline that is granted. */
  maxTimeoutMs: 60_000,
} as const;

/** The policy in force for one method: of its own options, then its service's defaults, then `policyDefaults`. */
export interface Policy {
  /** Deadline of a call whose caller sets none, in ms; Infinity for a stream that needs none. */
  readonly timeoutMs: number;
  /** Longest deadline that is granted, in ms; Infinity for a stream without end. */
  readonly maxTimeoutMs: number;
  /** True: the edge serves the method. */
  readonly exposed: boolean;
}

/** Reads the policy of a method from its descriptor; works for generated and for reflected descriptors. */
export function policyOf(method: DescMethod): Policy {
  const own = hasOption(method, methodOption) ? getOption(method, methodOption) : undefined;
  const shared = hasOption(method.parent, serviceOption) ? getOption(method.parent, serviceOption).defaults : undefined;
  const pick = <Field extends "timeoutMs" | "maxTimeoutMs">(field: Field): MethodPolicy[Field] => own?.[field] ?? shared?.[field];
  const exposure = own?.exposure || shared?.exposure || Exposure.INTERNAL;
  // Only a stream may last for ever: 0 on a unary method is no value.
  const orDefault = (ms: number | undefined, fallbackMs: number): number =>
    ms === 0 && method.methodKind !== "unary" ? Number.POSITIVE_INFINITY : ms || fallbackMs;
  return {
    timeoutMs: orDefault(pick("timeoutMs"), policyDefaults.timeoutMs),
    maxTimeoutMs: orDefault(pick("maxTimeoutMs"), policyDefaults.maxTimeoutMs),
    exposed: exposure === Exposure.PUBLIC,
  };
}

/** The deadline in force for a call, in ms from its start: what the caller asks for, or the default, within the maximum. */
export function grantedTimeoutMs(policy: Policy, askedMs: number | undefined): number {
  return Math.min(askedMs ?? policy.timeoutMs, policy.maxTimeoutMs);
}

/**
 * The name of a service in the registry: what its options say, or its proto package without the version, dots as dashes
 * (`user.v1` is `user`, `acme.billing.v2` is `acme-billing`).
 */
export function registryName(service: DescService): string {
  const said = hasOption(service, serviceOption) ? getOption(service, serviceOption).registryName : "";
  if (said !== "") return said;
  const parts = service.file.proto.package.split(".");
  if (parts.length > 1 && /^v\d+(?:(?:alpha|beta)\d*)?$/.test(parts.at(-1) ?? "")) parts.pop();
  return parts.join("-") || service.name;
}
