import { systemClock } from "../base/clock.ts";
import type { Clock } from "../base/clock.ts";
import { Code } from "../base/code.ts";
import { withDeadline } from "../base/deadline.ts";
import { MeshError } from "../base/mesh-error.ts";
import { fullJitterMs, systemRandom } from "../base/random.ts";
import type { Random } from "../base/random.ts";

/** How a watch is taken up again. */
export const resumeWatchDefaults = {
  /** Cap of the first wait after a failure, in ms; it doubles with each failure that brought no message. */
  baseMs: 100,
  /** Cap of every wait, in ms. */
  maxMs: 5_000,
  /** Silence after which a stream is taken for dead and begun anew, in ms: three heartbeats of 15 s. */
  silenceMs: 45_000,
} as const;

/** What is watched. */
export interface ResumeWatchOptions<Message> {
  /** Begins the watch behind a token, or, with an empty one, from a snapshot: `users.watchUsers({ resumeToken }, { signal })`. */
  readonly watch: (resumeToken: string, signal: AbortSignal) => AsyncIterable<Message>;
  /** The token that a message carries; empty within a snapshot. */
  readonly tokenOf: (message: Message) => string;
  /** Where to begin: the token of the last message that was taken in. Default: from a snapshot. */
  readonly resumeToken?: string;
  /** Ends the watch, without an error. */
  readonly signal?: AbortSignal;
  /** Overrides of `resumeWatchDefaults`. */
  readonly limits?: Partial<Record<keyof typeof resumeWatchDefaults, number>>;
  /** Called before each wait, for a log or a metric. */
  readonly onFailure?: (error: MeshError, waitMs: number) => void;
  readonly clock?: Clock;
  readonly random?: Random;
}

/**
 * One step of a watch that is resumed. `begin`: a snapshot follows, and what is known so far is void. It comes first where no
 * token was given (`first`), and again where the stream broke within a snapshot (`interrupted`) or its token is kept no
 * more (`expired`).
 */
export type ResumedStep<Message> =
  | { readonly kind: "begin"; readonly why: "first" | "interrupted" | "expired" }
  | { readonly kind: "message"; readonly message: Message };

/**
 * Watches for ever: a stream that ends or breaks is taken up again behind the last message, so that each comes once and
 * none is lost. Waits between attempts have full jitter. It throws what cannot heal: a request that the server does not
 * take, a caller who may not, a method that is not there. Leaving the loop, or aborting the signal, cancels the call.
 *
 * A message counts as taken in when it is given out. Who keeps the token of a message together with its effect, in one
 * transaction, has each effect exactly once, over restarts too.
 */
export async function* resumeWatch<Message>(options: ResumeWatchOptions<Message>): AsyncGenerator<ResumedStep<Message>> {
  const { signal, tokenOf, clock = systemClock, random = systemRandom } = options;
  const limits = { ...resumeWatchDefaults, ...options.limits };
  let token = options.resumeToken ?? "";
  let why: "first" | "interrupted" | "expired" = "first";
  let failures = 0;
  const isOver = (): boolean => signal?.aborted === true;
  while (!isOver()) {
    if (token === "") yield { kind: "begin", why };
    let error: MeshError;
    try {
      for await (const message of oneStream(options, { token, silenceMs: limits.silenceMs, clock })) {
        failures = 0;
        token = tokenOf(message);
        yield { kind: "message", message };
      }
      error = new MeshError(Code.UNAVAILABLE, "the watch has ended");
    } catch (thrown) {
      if (isOver()) return;
      if (!(thrown instanceof MeshError)) throw thrown;
      error = thrown;
    }
    const isExpired = error.code === Code.OUT_OF_RANGE;
    if (!isExpired && !canHeal(error)) throw error;
    why = isExpired ? "expired" : "interrupted";
    if (isExpired) token = "";
    const waitMs = fullJitterMs(failures++, limits, random);
    options.onFailure?.(error, waitMs);
    try {
      await clock.sleep(waitMs, signal);
    } catch {
      return; // Only the signal ends a sleep.
    }
  }
}

/** One call, which is cancelled when it is left and when nothing comes for too long. */
async function* oneStream<Message>(
  { watch, signal }: ResumeWatchOptions<Message>,
  { token, silenceMs, clock }: { readonly token: string; readonly silenceMs: number; readonly clock: Clock },
): AsyncGenerator<Message> {
  using scope = withDeadline(Number.POSITIVE_INFINITY, signal, clock);
  const silent = (): void => scope.abort(new MeshError(Code.UNAVAILABLE, `nothing has come for ${silenceMs} ms`));
  let stop: (() => void) | undefined;
  const messages = watch(token, scope.signal)[Symbol.asyncIterator]();
  try {
    for (;;) {
      // Only while we wait: a consumer may take its time.
      stop = silenceMs === Number.POSITIVE_INFINITY ? undefined : clock.after(silenceMs, silent);
      const { done, value } = await messages.next();
      stop?.();
      if (done === true) return;
      yield value;
    }
  } finally {
    stop?.();
    scope.abort(new MeshError(Code.CANCELLED, "the watch was left", { reason: "CALLER_GONE" }));
    await messages.return?.();
  }
}

/** Whether the same call may go well later. `TOO_LARGE` would fail for ever. */
function canHeal({ code, reason }: MeshError): boolean {
  switch (code) {
    case Code.UNAVAILABLE:
    case Code.INTERNAL:
    case Code.UNKNOWN:
    case Code.CANCELLED:
    case Code.DEADLINE_EXCEEDED:
    case Code.ABORTED:
      return true;
    case Code.RESOURCE_EXHAUSTED:
      return reason !== "TOO_LARGE";
    default:
      return false;
  }
}
