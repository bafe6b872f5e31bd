import type { ProcessSpec } from "@protoloom/cli";
import { type MeshProcess, type StartOptions, startProcess } from "./mesh-process.ts";

/** Processes that end together: disposing the group kills those that still run. */
export interface ProcessGroup extends AsyncDisposable {
  /** Starts a process and waits until it is ready. */
  start(spec: ProcessSpec, options?: Pick<StartOptions, "portVariable">): Promise<MeshProcess>;
}

/** Creates a group with no process. */
export function createProcessGroup(options: StartOptions): ProcessGroup {
  const starts: Promise<MeshProcess>[] = [];
  return {
    start(spec, own = {}) {
      const start = startProcess(spec, { ...options, ...own });
      starts.push(start);
      return start;
    },
    async [Symbol.asyncDispose]() {
      // A start that failed has left no process.
      const settled = await Promise.allSettled(starts);
      await Promise.all(settled.map(async (start) => (start.status === "fulfilled" ? start.value.kill() : undefined)));
    },
  };
}
