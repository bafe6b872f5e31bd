import type { Clock } from "../base/clock.ts";
import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";
import { policyOf } from "../contract/policy.ts";
import type { MethodDefinition, ServiceHandle } from "../contract/service-handle.ts";
import type { ByteStream, ServiceTransport } from "../rpc/transport.ts";
import type { CallOptions, Client, Requests } from "./client.ts";
import { outgoingCall } from "./outgoing-call.ts";
import type { OutgoingCall } from "./outgoing-call.ts";

/** One method with all that does not change from call to call. */
interface Method {
  readonly name: string;
  prepare(options: CallOptions | undefined): OutgoingCall;
  encode(partial: unknown): Uint8Array;
  decode(bytes: Uint8Array): unknown;
}

/** A client of the service that `transport` calls. Throws if the code of the handle does not fit its descriptor. */
export function createClient<Handle extends ServiceHandle>(
  handle: Handle,
  transport: ServiceTransport,
  options: { readonly clock: Clock },
): Client<Handle> {
  const definitions: Readonly<Record<string, MethodDefinition>> = handle.definition;
  const requests = handle.requests as Readonly<Record<string, (partial: never) => unknown>>;
  const client: Record<string, unknown> = {};
  for (const descriptor of handle.descriptor.methods) {
    const definition = definitions[descriptor.localName];
    const fromPartial = requests[descriptor.localName];
    const name = `${descriptor.parent.typeName}/${descriptor.name}`;
    if (definition === undefined || fromPartial === undefined)
      throw new Error(`the definition of ${name} is missing: generate the code again`);
    const policy = policyOf(descriptor);
    const method: Method = {
      name,
      prepare: (callOptions) => outgoingCall(definition.path, policy, { clock: options.clock, options: callOptions }),
      encode(partial) {
        try {
          return definition.requestSerialize(fromPartial(partial as never) as never);
        } catch (cause) {
          throw unencodable(name, cause);
        }
      },
      decode(bytes) {
        try {
          return definition.responseDeserialize(toBuffer(bytes));
        } catch (cause) {
          throw undecodable(name, cause);
        }
      },
    };
    client[descriptor.localName] = clientMethod(definition, method, transport);
  }
  return client as Client<Handle>;
}

function clientMethod(definition: MethodDefinition, method: Method, transport: ServiceTransport): unknown {
  const { requestStream, responseStream } = definition;
  if (requestStream && responseStream) {
    return (requests: Requests<unknown>, options?: CallOptions) => iterateAnswers(method, transport, { options, requests });
  }
  if (requestStream)
    return (requests: Requests<unknown>, options?: CallOptions) => collect(method, transport, { options, requests });
  if (responseStream)
    return (request: unknown, options?: CallOptions) => iterateAnswers(method, transport, { options, requests: [request] });
  return async (request: unknown, options?: CallOptions): Promise<unknown> => {
    const bytes = method.encode(request);
    const { call, release } = method.prepare(options);
    try {
      return method.decode((await transport.unary(call, bytes)).message);
    } finally {
      release?.();
    }
  };
}

interface StreamInput {
  readonly options: CallOptions | undefined;
  readonly requests: Requests<unknown>;
}

/** A stream of answers. The call, and its deadline, start with the iteration: what is never iterated costs nothing. */
function iterateAnswers(method: Method, transport: ServiceTransport, input: StreamInput): AsyncIterable<unknown> {
  return {
    async *[Symbol.asyncIterator]() {
      const { call, release } = method.prepare(input.options);
      const stream = transport.stream(call);
      const pump = startPump(method, stream, input.requests);
      try {
        for await (const message of stream.messages) yield method.decode(message);
      } catch (error) {
        throw pump.failure() ?? error;
      } finally {
        pump.stop();
        release?.();
      }
    },
  };
}

/** A stream of requests, one answer. */
async function collect(method: Method, transport: ServiceTransport, input: StreamInput): Promise<unknown> {
  const { call, release } = method.prepare(input.options);
  const stream = transport.stream(call);
  const pump = startPump(method, stream, input.requests);
  try {
    let answer: Uint8Array | undefined;
    let count = 0;
    for await (const message of stream.messages) {
      answer = message;
      count++;
    }
    if (answer !== undefined && count === 1) return method.decode(answer);
    throw new MeshError(Code.UNIMPLEMENTED, `the answer of ${method.name} has ${count} messages instead of one`);
  } catch (error) {
    throw pump.failure() ?? error;
  } finally {
    pump.stop();
    release?.();
  }
}

interface Pump {
  /** What the caller's own iterable has thrown. */
  failure(): unknown;
  /** Takes no more requests, and closes the iterable if it has not ended. */
  stop(): void;
}

/** Sends the requests, each when the server can take it. It ends with the call. */
function startPump(method: Method, stream: ByteStream, requests: Requests<unknown>): Pump {
  const iterator = Symbol.asyncIterator in requests ? requests[Symbol.asyncIterator]() : requests[Symbol.iterator]();
  let failure: unknown;
  let isOver = false;
  let stopped = false;

  const run = async (): Promise<void> => {
    try {
      for (;;) {
        const next = await iterator.next();
        if (stopped) return;
        if (next.done === true) break;
        const bytes = method.encode(next.value);
        if (!(await isSent(stream, bytes))) return; // The call has ended: its answer says how.
      }
      isOver = true;
      stream.end();
    } catch (error) {
      isOver = true;
      failure = error;
      stream.cancel(error);
    }
  };
  void run();

  return {
    failure: () => failure,
    stop() {
      if (stopped) return;
      stopped = true;
      if (isOver) return;
      // A generator that waits for its own source answers later: nobody waits for it.
      void Promise.resolve(iterator.return?.()).catch(() => {});
    },
  };
}

async function isSent(stream: ByteStream, bytes: Uint8Array): Promise<boolean> {
  try {
    await stream.send(bytes);
    return true;
  } catch {
    return false; // The reader of the answers gets the error.
  }
}

function unencodable(name: string, cause: unknown): MeshError {
  return new MeshError(Code.INVALID_ARGUMENT, `the request of ${name} cannot be encoded: ${textOf(cause)}`, {
    reason: "MALFORMED_REQUEST",
    cause,
  });
}

function undecodable(name: string, cause: unknown): MeshError {
  return new MeshError(Code.INTERNAL, `the answer of ${name} cannot be decoded: ${textOf(cause)}`, { cause });
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
