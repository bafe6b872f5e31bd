import { type ProcessEnd, type ProcessSpec, type ReadyReport, type RunningProcess, launch } from "@protoloom/cli";

/** A process of a mesh that a test runs. */
export interface MeshProcess {
  readonly name: string;
  readonly pid: number;
  /** `host:port` that it listens on; the same after a restart. */
  readonly address: string;
  /** `host:port` of its admin listener, or undefined if it has none. */
  readonly admin: string | undefined;
  /** What it has written, line by line, since its first start. */
  readonly lines: readonly string[];
  /** True until it has ended. */
  readonly running: boolean;
  /** Sends a signal, and does not wait for what comes of it. */
  signal(signal: NodeJS.Signals): void;
  /** Sends a signal that ends it (default: SIGKILL), and waits until it has ended. */
  kill(signal?: NodeJS.Signals): Promise<ProcessEnd>;
  /** Sends SIGTERM and waits until it has ended, having drained. */
  stop(): Promise<ProcessEnd>;
  /** Starts it again on the same address, after SIGKILL if it still runs, and waits until it is ready. */
  restart(): Promise<void>;
}

/** What a start of a process needs. */
export interface StartOptions {
  /** The setting of its port, for a restart on the same one. Default: MESH_LISTEN_PORT. */
  readonly portVariable?: string;
  readonly runDir: string;
  /** How long it may take to be ready, in ms. */
  readonly readyTimeoutMs: number;
}

/** Starts a process and waits until it is ready. Rejects, with its last lines, if it ends before, or takes too long. */
export async function startProcess(spec: ProcessSpec, options: StartOptions): Promise<MeshProcess> {
  const lines: string[] = [];
  const begin = (started: ProcessSpec): RunningProcess =>
    launch(started, { runDir: options.runDir, onLine: (line) => lines.push(line) });
  let current = begin(spec);
  let running = true;
  const follow = (process: RunningProcess): void => {
    running = true;
    void process.ended.then(() => {
      if (process === current) running = false;
    });
  };
  follow(current);
  let report = await readyInTime(spec.name, current, options.readyTimeoutMs);
  const kill = async (signal: NodeJS.Signals): Promise<ProcessEnd> => {
    current.signal(signal);
    return current.ended;
  };
  return {
    name: spec.name,
    get pid() {
      return current.pid;
    },
    get address() {
      return report.address;
    },
    get admin() {
      return report.admin;
    },
    lines,
    get running() {
      return running;
    },
    signal: (signal) => current.signal(signal),
    kill: (signal = "SIGKILL") => kill(signal),
    stop: () => kill("SIGTERM"),
    async restart() {
      await kill("SIGKILL");
      const port = report.address.slice(report.address.lastIndexOf(":") + 1);
      current = begin({ ...spec, env: { ...spec.env, [options.portVariable ?? "MESH_LISTEN_PORT"]: port } });
      follow(current);
      report = await readyInTime(spec.name, current, options.readyTimeoutMs);
    },
  };
}

async function readyInTime(name: string, process: RunningProcess, timeoutMs: number): Promise<ReadyReport> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    process.signal("SIGKILL");
    void process.ended.then(({ lastLines }) => {
      late.reject(new Error(`${name} was not ready within ${timeoutMs} ms\n  ${lastLines.join("\n  ")}`));
    });
  }, timeoutMs);
  try {
    return await Promise.race([process.ready, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
