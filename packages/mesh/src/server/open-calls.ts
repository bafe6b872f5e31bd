import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";

/** A call that a drain has to wait for, or to end. */
export interface OpenCall {
  abort(reason: MeshError): void;
  /** True for a call that ends by itself: a drain waits for it. Others, such as a watch, are told to come back. */
  readonly finite: boolean;
}

/** The calls that are being handled. */
export interface OpenCalls {
  readonly size: number;
  /** Counts a call until it is closed. Aborts it at once when the server does not take calls any more. */
  open(call: OpenCall): void;
  close(call: OpenCall): void;
  /** Resolves when no finite call is open. */
  idle(): Promise<void>;
  /** Ends the calls that never end by themselves, and every later one of that kind. */
  abortEndless(): void;
  /** Ends every call, and every later one. */
  abortAll(): void;
}

/** The error of a call that a shutdown ends: another instance takes it. */
export function draining(): MeshError {
  return new MeshError(Code.UNAVAILABLE, "the instance is shutting down", { reason: "DRAINING" });
}

/** Keeps account of the calls that are being handled. */
export function createOpenCalls(): OpenCalls {
  const calls = new Set<OpenCall>();
  let finiteCount = 0;
  let refused: "none" | "endless" | "all" = "none";
  let onIdle: (() => void) | undefined;
  function abort(which: (call: OpenCall) => boolean): void {
    for (const call of calls) if (which(call)) call.abort(draining());
  }
  return {
    get size() {
      return calls.size;
    },
    open(call) {
      calls.add(call);
      if (call.finite) finiteCount += 1;
      if (refused === "all" || (refused === "endless" && !call.finite)) call.abort(draining());
    },
    close(call) {
      if (!calls.delete(call) || !call.finite) return;
      finiteCount -= 1;
      if (finiteCount === 0) onIdle?.();
    },
    async idle() {
      if (finiteCount === 0) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      onIdle = resolve;
      await promise;
    },
    abortEndless() {
      refused = "endless";
      abort((call) => !call.finite);
    },
    abortAll() {
      refused = "all";
      abort(() => true);
    },
  };
}
