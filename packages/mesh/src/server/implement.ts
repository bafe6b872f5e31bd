import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { CallContext } from "../base/call-context.ts";
import { policyOf } from "../contract/policy.ts";
import type { Policy } from "../contract/policy.ts";
import type { MethodDefinition, RequestOf, ResponseOf, ServiceDefinition, ServiceHandle } from "../contract/service-handle.ts";

/**
 * What answers one method, by its kind. A handler throws MeshError to fail its call with that status; any other exception
 * becomes INTERNAL without detail for the caller, and a full log line. A stream handler is an async generator: it is asked
 * for the next answer when the caller can take one, and it is returned, so that its `finally` runs, when the caller goes.
 */
export type Handler<Method> = Method extends { readonly requestStream: true; readonly responseStream: true }
  ? (requests: AsyncIterable<RequestOf<Method>>, context: CallContext) => AsyncIterable<ResponseOf<Method>>
  : Method extends { readonly requestStream: true }
    ? (requests: AsyncIterable<RequestOf<Method>>, context: CallContext) => Promise<ResponseOf<Method>>
    : Method extends { readonly responseStream: true }
      ? (request: RequestOf<Method>, context: CallContext) => AsyncIterable<ResponseOf<Method>>
      : (request: RequestOf<Method>, context: CallContext) => Promise<ResponseOf<Method>> | ResponseOf<Method>;

/** One handler for each method of a service, by the method's name in TypeScript. */
export type Handlers<Definition extends ServiceDefinition> = { readonly [Name in keyof Definition]: Handler<Definition[Name]> };

/** A handler whose types are known to its caller alone. The request is one message, or an AsyncIterable of them. */
export type UntypedHandler = (request: unknown, context: CallContext) => unknown;

/** One method with what it takes to serve it. */
export interface MethodImplementation {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly descriptor: DescMethod;
  readonly policy: Policy;
  readonly handler: UntypedHandler;
  decode(bytes: Uint8Array): unknown;
  encode(message: unknown): Buffer;
}

/** A service with its handlers: what `serve()` takes. */
export interface Implementation {
  readonly service: DescService;
  readonly methods: readonly MethodImplementation[];
}

/** Joins a service handle with its handlers. Throws when a method has no handler. */
export function implement<Definition extends ServiceDefinition>(
  handle: ServiceHandle<Definition>,
  handlers: Handlers<Definition>,
): Implementation {
  const definitions: Readonly<Record<string, MethodDefinition>> = handle.definition;
  const found = handlers as Readonly<Record<string, UntypedHandler | undefined>>;
  const methods = handle.descriptor.methods.map((descriptor): MethodImplementation => {
    const definition = definitions[descriptor.localName];
    const handler = found[descriptor.localName];
    const name = `${descriptor.parent.typeName}/${descriptor.name}`;
    if (definition === undefined) throw new Error(`the definition of ${name} is missing: generate the code again`);
    if (handler === undefined) throw new Error(`${name} has no handler`);
    return {
      path: definition.path,
      descriptor,
      policy: policyOf(descriptor),
      handler: handler.bind(handlers),
      decode: (bytes) => definition.requestDeserialize(bytes as Buffer),
      encode: (message) => definition.responseSerialize(message as never),
    };
  });
  return { service: handle.descriptor, methods };
}

/** The same service, whose streams last as long as their callers want: for watches of the mesh's own services. */
export function withoutDeadline(implementation: Implementation): Implementation {
  const endless = { timeoutMs: Number.POSITIVE_INFINITY, maxTimeoutMs: Number.POSITIVE_INFINITY };
  const methods = implementation.methods.map((method) =>
    method.descriptor.methodKind === "unary" ? method : { ...method, policy: { ...method.policy, ...endless } },
  );
  return { ...implementation, methods };
}
