/** The signals that ask a process to stop. */
export type Termination = "SIGTERM" | "SIGINT";

const terminations: readonly Termination[] = ["SIGTERM", "SIGINT"];

/**
 * Waits until the process is asked to stop, and says how. From then on a second signal is not held back: the process ends
 * at once, as it would without this wait.
 *
 * @param signal ends the wait; the promise rejects with its reason.
 */
export async function untilTerminated(signal?: AbortSignal): Promise<Termination> {
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Termination>();
  const onAbort = (): void => reject(signal?.reason);
  for (const name of terminations) process.on(name, resolve);
  signal?.addEventListener("abort", onAbort, { once: true });
  // A pending promise does not keep a process alive, and neither does a signal handler.
  const awake = setInterval(() => {}, 2 ** 30);
  try {
    return await promise;
  } finally {
    clearInterval(awake);
    for (const name of terminations) process.off(name, resolve);
    signal?.removeEventListener("abort", onAbort);
  }
}
