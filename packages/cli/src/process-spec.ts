import type { Environment } from "@protoloom/mesh";

/** What a process says of itself in its ready file (MESH_READY_FILE), once it is ready. */
export interface ReadyReport {
  /** `host:port` that it listens on. */
  readonly address: string;
  /** `host:port` of its admin listener, if it has one. */
  readonly admin?: string;
}

/** How to start a process, and how to know that it is ready. */
export interface ProcessSpec {
  /** Name in logs and messages, such as `user` or `user-2`. */
  readonly name: string;
  /** Program and arguments. */
  readonly command: readonly string[];
  /** The whole environment of the process; MESH_READY_FILE is added. */
  readonly env: Environment;
  /** Working directory. Default: that of this process. */
  readonly cwd?: string;
  /**
   * Asks a process that writes no ready file whether it is ready, again and again until it gives an answer. Default: wait for
   * the ready file.
   */
  readonly probe?: (signal: AbortSignal) => Promise<ReadyReport | undefined>;
}

/** How a process ended. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The last lines that it wrote, oldest first: the reason, when it ended on its own. */
  readonly lastLines: readonly string[];
}

/** `exit code 1` or `SIGKILL`. */
export function describeEnd({ code, signal }: ProcessEnd): string {
  return signal ?? `exit code ${code}`;
}
