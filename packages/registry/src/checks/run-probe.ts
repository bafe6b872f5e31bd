import { withDeadline } from "@protoloom/mesh/process";
import type { Clock } from "@protoloom/mesh/process";
import type { CheckRecord } from "../state/check-record.ts";
import { checkGrpc } from "./grpc-check.ts";
import { checkHttp } from "./http-check.ts";
import { failureText } from "./probe-result.ts";
import type { ProbeResult } from "./probe-result.ts";
import { checkTcp } from "./tcp-check.ts";

/** Longest wait for one probe whose check does not say, as Consul has it. */
const defaultTimeoutMs = 10_000;

/** Probes a service once. A failure is a critical result. Rejects with the signal's reason, and for nothing else. */
export async function runProbe(check: CheckRecord, signal: AbortSignal, clock: Clock): Promise<ProbeResult> {
  const timeoutMs = check.timeoutMs || defaultTimeoutMs;
  using deadline = withDeadline(clock.monotonicMs() + timeoutMs, signal, clock);
  try {
    return await probeOnce(check, timeoutMs, deadline.signal);
  } catch (error) {
    signal.throwIfAborted();
    const reason = deadline.signal.aborted ? `no answer within ${timeoutMs} ms` : failureText(error);
    return { status: "critical", output: `${describe(check)}: ${reason}` };
  }
}

async function probeOnce({ probe }: CheckRecord, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult> {
  switch (probe.type) {
    case "grpc":
      return await checkGrpc(probe.target, { service: probe.service, tls: probe.tls, timeoutMs }, signal);
    case "http":
      return await checkHttp(probe, signal);
    case "tcp":
      return await checkTcp(probe.target, probe.tls, signal);
    default:
      throw new Error(`a check of type ${JSON.stringify(probe.type)} is not probed`);
  }
}

function describe({ probe }: CheckRecord): string {
  switch (probe.type) {
    case "grpc":
      return `gRPC check ${probe.target}`;
    case "http":
      return `HTTP ${probe.method} ${probe.url}`;
    case "tcp":
      return `TCP connect ${probe.target}`;
    default:
      return probe.type;
  }
}
