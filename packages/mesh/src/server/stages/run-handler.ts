import type { CallContext } from "../../base/call-context.ts";
import { Code } from "../../base/code.ts";
import { MeshError } from "../../base/mesh-error.ts";
import type { TurnBudget } from "../../base/turn-budget.ts";
import type { MethodImplementation } from "../implement.ts";
import type { IncomingCall } from "../incoming-call.ts";
import type { Handle } from "../pipeline.ts";

/** Gives the handler of a method what its kind takes, and sends what it answers. */
export function runHandler(method: MethodImplementation, turns: TurnBudget): Handle {
  const { handler } = method;
  switch (method.descriptor.methodKind) {
    case "unary":
      return async (call) => {
        const request = await readOnly(call);
        call.sendOnly(method.encode(await handler(request, contextOf(call))));
      };
    case "client_streaming":
      return async (call) => call.sendOnly(method.encode(await handler(readAll(call, turns), contextOf(call))));
    case "server_streaming":
      return async (call) => sendAll(call, { method, turns }, handler(await readOnly(call), contextOf(call)));
    case "bidi_streaming":
      return (call) => sendAll(call, { method, turns }, handler(readAll(call, turns), contextOf(call)));
  }
}

function contextOf(call: IncomingCall): CallContext {
  if (call.context === undefined) throw new Error("a handler runs inside the stage that opens the context");
  return call.context;
}

function decode(call: IncomingCall, bytes: Uint8Array): unknown {
  if (call.decode === undefined) throw new Error("a handler runs inside the stage that checks requests");
  return call.decode(bytes);
}

/** The one request of a call that has no more. */
async function readOnly(call: IncomingCall): Promise<unknown> {
  const bytes = await call.receive();
  if (bytes === undefined) throw wrongCount("none came");
  const request = decode(call, bytes);
  if ((await call.receive()) !== undefined) throw wrongCount("more than one came");
  return request;
}

function wrongCount(what: string): MeshError {
  return new MeshError(Code.UNIMPLEMENTED, `the method takes exactly one request message: ${what}`, {
    reason: "MALFORMED_REQUEST",
  });
}

/** The requests of a stream; each is read when it is asked for. */
async function* readAll(call: IncomingCall, turns: TurnBudget): AsyncGenerator<unknown> {
  for (;;) {
    const bytes = await call.receive();
    if (bytes === undefined) return;
    const spent = turns.spent();
    if (spent !== undefined) await spent;
    yield decode(call, bytes);
  }
}

/** Sends the answers of a stream at the pace of its reader. When the call ends early, the stream of answers is returned. */
async function sendAll(
  call: IncomingCall,
  { method, turns }: { readonly method: MethodImplementation; readonly turns: TurnBudget },
  answers: unknown,
): Promise<void> {
  const { signal, log } = contextOf(call);
  const iterator = (answers as AsyncIterable<unknown>)[Symbol.asyncIterator]();
  const stop = (): void => {
    iterator.return?.().then(undefined, (error: unknown) => log.error({ err: error }, "a stream failed while it was closed"));
  };
  signal.addEventListener("abort", stop, { once: true });
  try {
    for (;;) {
      const { done, value } = await iterator.next();
      if (done === true || signal.aborted) return;
      const wait = call.send(method.encode(value)) ?? turns.spent();
      if (wait !== undefined) await wait;
    }
  } catch (error) {
    if (!signal.aborted) stop();
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
