/** Streams whose reader comes back whenever their instance goes, as the reader of a watch does. */
import { UserService } from "@protoloom/contracts";
import { FixtureService } from "@protoloom/fixture";
import { type Mesh, MeshError, resumeWatch } from "@protoloom/mesh";

/** A stream that is read until it is stopped. */
export interface KeptStream {
  /** How often it was begun again. */
  readonly resumed: number;
  /** Messages in all. */
  readonly received: number;
  /** What went wrong: a message that is missing, or an end that does not tell the reader to come back. */
  readonly problems: readonly string[];
  stop(): Promise<void>;
}

/** Reads what `open` gives, again and again. It is told how many messages have been read before. */
function keep(open: (received: number, signal: AbortSignal) => AsyncIterable<void>): KeptStream {
  const stopping = new AbortController();
  const problems: string[] = [];
  let [resumed, received] = [0, 0];
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        for await (const _ of open(received, stopping.signal)) received += 1;
        problems.push("it ended without a failure");
      } catch (error) {
        if (stopping.signal.aborted) return;
        if (!(error instanceof MeshError) || error.reason !== "DRAINING") problems.push(String(error));
      }
      resumed += 1;
      if (problems.length > 10) return;
    }
  };
  const running = run();
  return {
    get resumed() {
      return resumed;
    },
    get received() {
      return received;
    },
    problems,
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

/** Counts on a fixture, a message in 50 ms, and goes on where the last instance stopped. */
export function keepCounting(mesh: Mesh): KeptStream {
  const client = mesh.client(FixtureService);
  const total = 100_000;
  return keep(async function* (received, signal) {
    let expected = 0;
    const request = { count: total - received, intervalMs: 50 };
    for await (const { index } of client.count(request, { signal, timeoutMs: 60_000 })) {
      if (index !== expected) throw new Error(`message ${received + expected} is missing`);
      expected += 1;
      yield;
    }
  });
}

/** A watch of the users, with how often each user came: in the snapshot, or as created after it. */
export interface UserWatch extends KeptStream {
  readonly timesSeen: ReadonlyMap<string, number>;
}

/** Watches the users, and resumes from its last token. */
export function keepWatchingUsers(mesh: Mesh): UserWatch {
  const client = mesh.client(UserService);
  const stopping = new AbortController();
  const problems: string[] = [];
  const timesSeen = new Map<string, number>();
  let [resumed, received] = [0, 0];
  const run = async (): Promise<void> => {
    const steps = resumeWatch({
      watch: (resumeToken, signal) => client.watchUsers({ resumeToken }, { signal }),
      tokenOf: ({ resumeToken }) => resumeToken,
      signal: stopping.signal,
      onFailure(error) {
        resumed += 1;
        if (error.reason !== "DRAINING") problems.push(String(error));
      },
    });
    for await (const step of steps) {
      if (step.kind === "begin") {
        timesSeen.clear();
        continue;
      }
      received += 1;
      const { change } = step.message;
      if (change?.$case !== "existing" && change?.$case !== "created") continue;
      timesSeen.set(change.value.id, (timesSeen.get(change.value.id) ?? 0) + 1);
    }
  };
  const running = run().catch((error: unknown) => void problems.push(String(error)));
  return {
    timesSeen,
    get resumed() {
      return resumed;
    },
    get received() {
      return received;
    },
    problems,
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

/** Follows grpc.health.v1 of whichever instance it meets: a stream without a deadline, which every server has. */
export function keepWatchingHealth(mesh: Mesh, service: string): KeptStream {
  const transport = mesh.transport.service(service);
  return keep(async function* (_received, signal) {
    const call = { path: "/grpc.health.v1.Health/Watch", metadata: {}, deadline: Number.POSITIVE_INFINITY, signal };
    const stream = transport.stream(call);
    stream.send(new Uint8Array()).catch(() => {}); // The reader gets the failure.
    stream.end();
    for await (const _ of stream.messages) yield;
  });
}
