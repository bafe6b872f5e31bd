import { Code, codeName } from "../../base/code.ts";
import type { MeshError } from "../../base/mesh-error.ts";
import type { IncomingCall } from "../incoming-call.ts";
import type { Handle, StageParts } from "../pipeline.ts";

/** Codes behind which a fault of this side stands: their line has the message, and the stack of an exception. */
const faults: ReadonlySet<Code> = new Set([Code.UNKNOWN, Code.INTERNAL, Code.DATA_LOSS]);

/** Writes one line a call and counts it. Calls of the mesh's own services are written at `debug`. */
export function logCall(
  next: Handle,
  { name, logger, meter, clock }: Pick<StageParts, "name" | "logger" | "meter" | "clock">,
): Handle {
  const quiet = name.startsWith("grpc.");
  function write(call: IncomingCall, startedMs: number, error: MeshError | undefined): void {
    const code = error?.code ?? Code.OK;
    const ms = Math.round((clock.monotonicMs() - startedMs) * 1_000) / 1_000;
    const labels = { method: name, code: codeName(code) };
    meter.count("mesh_server_calls_total", labels);
    meter.record("mesh_server_call_seconds", ms / 1_000, labels);
    const { peer, requestId, traceparent } = call.head;
    const fields: Record<string, unknown> = { ...labels, ms, peer, requestId };
    if (traceparent !== undefined) fields["traceId"] = traceparent.slice(3, 35);
    if (error?.reason !== undefined) fields["reason"] = error.reason;
    if (error !== undefined && faults.has(code)) logger.error({ ...fields, err: error.cause ?? error }, "call");
    else if (quiet) logger.debug(fields, "call");
    else logger.info(fields, "call");
  }
  return async (call) => {
    const startedMs = clock.monotonicMs();
    try {
      await next(call);
    } catch (error) {
      write(call, startedMs, error as MeshError); // The next stage throws nothing else.
      return;
    }
    write(call, startedMs, undefined);
  };
}
