import type { Implementation, MethodDefinition, MethodImplementation } from "@protoloom/mesh";

/** A method whose answers are a stream, as a handle describes it: `UserService.definition.watchUsers`. */
export type StreamingMethod = Pick<MethodDefinition, "path"> & { readonly responseStream: true };

/** What the handlers of one streaming method have done so far, in all services that were wrapped. */
export interface ObservedStreams {
  /** Handlers that have begun, and whose `finally` has not run. */
  readonly openCount: number;
  /** Messages that the handlers have given out: what the caller has not read yet is in the server's and the wire's buffers. */
  readonly messageCount: number;
  /** Bytes of these messages as they are encoded, without what frames them. */
  readonly byteCount: number;
  /** When the `finally` of a handler last ran, in ms of `performance.now()`, or undefined as long as none has. */
  readonly endedAtMs: number | undefined;
  /** The same services, the method observed. Throws when none of them has it. */
  wrap(services: readonly Implementation[]): readonly Implementation[];
}

/**
 * Observes the handlers of a streaming method from beside the server, for tests of flow control and cancellation: how far they
 * run ahead of a slow reader, and how soon they end when the caller goes.
 */
export function observeStreams({ path }: StreamingMethod): ObservedStreams {
  const seen = {
    openCount: 0,
    messageCount: 0,
    byteCount: 0,
    endedAtMs: undefined as number | undefined,
    wrap(services: readonly Implementation[]): readonly Implementation[] {
      const isObserved = (method: MethodImplementation): boolean => method.path === path;
      if (!services.some(({ methods }) => methods.some(isObserved))) throw new Error(`none of these services has ${path}`);
      return services.map((service) => ({
        ...service,
        methods: service.methods.map((method) => (isObserved(method) ? observe(method) : method)),
      }));
    },
  };
  const observe = (method: MethodImplementation): MethodImplementation => ({
    ...method,
    async *handler(request, context) {
      seen.openCount += 1;
      try {
        for await (const message of method.handler(request, context) as AsyncIterable<unknown>) {
          seen.messageCount += 1;
          seen.byteCount += method.encode(message).length;
          yield message;
        }
      } finally {
        seen.openCount -= 1;
        seen.endedAtMs = performance.now();
      }
    },
  });
  return seen;
}
