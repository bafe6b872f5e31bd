import type { Clock } from "@protoloom/mesh";
import { type LaunchOptions, type RunningProcess, launch } from "./launch.ts";
import { type ProcessEnd, type ProcessSpec, type ReadyReport, describeEnd } from "./process-spec.ts";

/** What supervision needs, and its numbers. */
export interface SuperviseOptions extends LaunchOptions {
  readonly clock: Pick<Clock, "sleep" | "monotonicMs">;
  /** Says what the user should know: that a process crashed, when it starts again, that it is back. */
  readonly say: (message: string) => void;
  /** Time from SIGTERM to SIGKILL, in ms: longer than the drain of a service. Default: 12,000. */
  readonly stopTimeoutMs?: number;
}

/** Wait before the first restart after a crash, in ms. It doubles with each crash. */
export const firstRestartMs = 100;
/** The longest wait before a restart, in ms. */
export const maxRestartMs = 5_000;
/** After so long a life, in ms from ready to its end, the waits start from the first again. */
export const steadyAfterMs = 30_000;

type State =
  | { readonly kind: "starting" | "ready" | "restarting" | "stopping"; readonly process: RunningProcess }
  | { readonly kind: "waiting"; readonly wake: AbortController }
  | { readonly kind: "stopped" };

/**
 * A process that is started again when it ends. Its states:
 *
 * - `starting`: it runs and is not ready; then `ready`.
 * - `waiting`: it has ended on its own; the wait over, it is `starting` again.
 * - `restarting`: it was told to end, and starts again at once.
 * - `stopping`: it was told to end, and then is `stopped`, for good.
 *
 * A first start that fails ends in `stopped`: its reason is a setting, which no repetition mends.
 */
export class SupervisedProcess {
  readonly spec: ProcessSpec;
  /** The first time it is ready. Rejects if it ends before that. */
  readonly ready: Promise<ReadyReport>;
  readonly #options: SuperviseOptions;
  readonly #finished: Promise<void>;
  #state: State = { kind: "stopped" };

  constructor(spec: ProcessSpec, options: SuperviseOptions) {
    this.spec = spec;
    this.#options = options;
    const process = this.#start();
    this.ready = process.ready;
    this.#finished = this.#run(process);
  }

  /** The process id of this moment, or undefined while no process runs. */
  get pid(): number | undefined {
    return "process" in this.#state ? this.#state.process.pid : undefined;
  }

  /** Starts the process anew: at once during a wait, otherwise after it has ended by SIGTERM. */
  restart(): void {
    if (this.#state.kind === "waiting") this.#state.wake.abort();
    else if (this.#state.kind === "starting" || this.#state.kind === "ready") this.#endWith("SIGTERM", "restarting");
  }

  /** Sends SIGTERM, after `stopTimeoutMs` SIGKILL, and resolves when the process has ended, for good. */
  async stop(): Promise<void> {
    const { clock, stopTimeoutMs = 12_000 } = this.#options;
    this.#endWith("SIGTERM", "stopping");
    const inTime = new AbortController();
    const late = clock.sleep(stopTimeoutMs, inTime.signal).then(
      () => this.kill(),
      () => undefined, // It ended in time.
    );
    await this.#finished;
    inTime.abort();
    await late;
  }

  /** Sends SIGKILL. The process does not start again. */
  kill(): void {
    this.#endWith("SIGKILL", "stopping");
  }

  #start(): RunningProcess {
    const process = launch(this.spec, this.#options);
    this.#state = { kind: "starting", process };
    return process;
  }

  #endWith(signal: NodeJS.Signals, kind: "restarting" | "stopping"): void {
    if (this.#state.kind === "waiting") {
      const { wake } = this.#state;
      this.#state = { kind: "stopped" };
      wake.abort();
    } else if ("process" in this.#state) {
      const { process } = this.#state;
      this.#state = { kind, process };
      process.signal(signal);
    }
  }

  /** One life after the other, until one ends for good. */
  async #run(first: RunningProcess): Promise<void> {
    let waitMs = firstRestartMs;
    let wasReady = false;
    for (let process = first; ; process = this.#start()) {
      const { end, readyMs } = await this.#live(process, wasReady);
      wasReady ||= readyMs > 0;
      if (this.#is("restarting")) continue;
      if (this.#is("stopping") || !wasReady) break;
      if (readyMs >= steadyAfterMs) waitMs = firstRestartMs;
      await this.#wait(waitMs, end);
      if (this.#is("stopped")) break;
      waitMs = Math.min(waitMs * 2, maxRestartMs);
    }
    this.#state = { kind: "stopped" };
  }

  /** From the start of a process to its end; `readyMs` is how long it was ready, 0 for never. */
  async #live(process: RunningProcess, isRestart: boolean): Promise<{ end: ProcessEnd; readyMs: number }> {
    const { clock, say } = this.#options;
    const readyAtMs = await process.ready.then(
      ({ address }) => {
        if (isRestart) say(`is back at ${address}`);
        if (this.#is("starting")) this.#state = { kind: "ready", process };
        return clock.monotonicMs();
      },
      () => undefined, // It ended before: what follows says so.
    );
    const end = await process.ended;
    return { end, readyMs: readyAtMs === undefined ? 0 : Math.max(1, clock.monotonicMs() - readyAtMs) };
  }

  async #wait(ms: number, end: ProcessEnd): Promise<void> {
    this.#options.say(`ended (${describeEnd(end)}) and starts again in ${ms} ms`);
    const wake = new AbortController();
    this.#state = { kind: "waiting", wake };
    await this.#options.clock.sleep(ms, wake.signal).catch(() => undefined); // Woken early.
  }

  #is(kind: State["kind"]): boolean {
    return this.#state.kind === kind;
  }
}
