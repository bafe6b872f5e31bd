import { createFakeClock } from "@protoloom/testing";
import type { FakeClock } from "@protoloom/testing";
import { describe, expect, test } from "vitest";
import type { Clock } from "../base/clock.ts";
import { createKeepalive } from "./keepalive.ts";
import type { Keepalive } from "./keepalive.ts";
import { transportDefaults } from "./transport-settings.ts";

/** A connection whose peer does what the test says; `log` says what the keepalive did, and when. */
interface Watched {
  readonly keepalive: Keepalive;
  readonly log: readonly string[];
  busy: boolean;
  /** Something arrives from the peer. */
  read(): void;
  /** Whether the peer answers PINGs. */
  answers: boolean;
}

function watchConnection(clock: Clock): Watched {
  const log: string[] = [];
  let bytes = 0;
  const note = (what: string): void => void log.push(`${what} ${Math.round(clock.monotonicMs())}`);
  const { keepaliveAfterMs: afterMs, keepaliveSuspectMs: suspectMs, keepaliveTimeoutMs: timeoutMs } = transportDefaults;
  const watched: Watched = {
    log,
    busy: true,
    answers: true,
    read: () => void (bytes += 100),
    keepalive: createKeepalive({
      clock,
      afterMs,
      suspectMs,
      timeoutMs,
      bytesRead: () => bytes,
      isBusy: () => watched.busy,
      ping(onAnswer) {
        note("ping");
        if (!watched.answers) return;
        bytes += 17;
        onAnswer();
      },
      onSuspect: (isSuspect) => note(isSuspect ? "suspect" : "answers"),
      onSilence() {
        note("dead");
        watched.keepalive.stop();
      },
    }),
  };
  watched.keepalive.start();
  return watched;
}

/** A clock whose timers come late while the process is held up, all at once after it. */
function heldUpClock(clock: FakeClock): Clock & { holdUp(ms: number): Promise<void> } {
  let held: (() => void)[] | undefined;
  return {
    ...clock,
    after(ms, callback) {
      return clock.after(ms, () => (held === undefined ? callback() : held.push(callback)));
    },
    async holdUp(ms) {
      held = [];
      await clock.advance(ms);
      const late = held;
      held = undefined;
      for (const callback of late) callback();
    },
  };
}

describe("the keepalive", () => {
  test("sends a PING after 400 ms of silence, suspects the peer after 800 ms, and gives it up after 2 s", async () => {
    const clock = createFakeClock();
    const peer = watchConnection(clock);
    peer.answers = false;
    await clock.advance(5_000);
    expect(peer.log).toEqual(["ping 400", "suspect 800", "dead 2000"]);
  });

  test("suspects a peer within a second of its last sign of life, wherever that falls between two looks", async () => {
    for (const lastReadMs of [210, 250, 299, 300]) {
      const clock = createFakeClock();
      const peer = watchConnection(clock);
      peer.answers = false;
      await clock.advance(lastReadMs);
      peer.read();
      await clock.advance(1_000);
      expect(peer.log).toHaveLength(2);
      expect(peer.log[1]).toMatch(/^suspect/);
    }
  });

  test("takes whatever is read for a sign of life, and for the answer of its PING", async () => {
    const clock = createFakeClock();
    const peer = watchConnection(clock);
    peer.answers = false;
    for (let step = 0; step < 10; step++) {
      await clock.advance(350);
      peer.read();
    }
    expect(peer.log).toEqual([]);
    await clock.advance(1_500);
    expect(peer.log).toEqual(["ping 4000", "suspect 4400"]);
    peer.read();
    await clock.advance(100);
    expect(peer.log.at(-1)).toBe("answers 5100");
    await clock.advance(5_000);
    expect(peer.log.slice(3)).toEqual(["ping 5500", "suspect 5900", "dead 7100"]);
  });

  test("says nothing while no call is in flight, and begins afresh with the next", async () => {
    const clock = createFakeClock();
    const peer = watchConnection(clock);
    peer.answers = false;
    await clock.advance(350);
    peer.busy = false;
    await clock.advance(60_000);
    expect(peer.log).toEqual([]);
    peer.busy = true;
    peer.keepalive.start();
    await clock.advance(400);
    expect(peer.log).toEqual(["ping 60750"]);
  });

  test("gives up a peer that is suspect though the calls there have ended, so that it can be tried afresh", async () => {
    const clock = createFakeClock();
    const peer = watchConnection(clock);
    peer.answers = false;
    await clock.advance(800);
    peer.busy = false;
    await clock.advance(5_000);
    expect(peer.log).toEqual(["ping 400", "suspect 800", "dead 2000"]);
  });

  test("sends ever fewer PINGs on a silent stream, and soon after a call was sent", async () => {
    const clock = createFakeClock();
    const peer = watchConnection(clock);
    await clock.advance(9_000);
    expect(peer.log).toEqual(["ping 400", "ping 1200", "ping 2800", "ping 4800", "ping 6800", "ping 8800"]);
    peer.keepalive.start();
    await clock.advance(400);
    expect(peer.log.slice(6)).toEqual(["ping 9400"]);
  });

  test("does not blame the peer when this process itself was held up", async () => {
    const clock = createFakeClock();
    const heldUp = heldUpClock(clock);
    const peer = watchConnection(heldUp);
    // Answers arrive, and wait to be read until the process runs again.
    await heldUp.holdUp(3_000);
    peer.read();
    await clock.advance(300);
    expect(peer.log).toEqual([]);
    // Again and again, in the wait for a PING's answer too: silence adds up in looks, of which each saw one poll.
    peer.answers = false;
    await clock.advance(250);
    expect(peer.log).toEqual(["ping 3500"]);
    for (let round = 0; round < 3; round++) {
      await heldUp.holdUp(1_000);
      await clock.advance(10);
    }
    expect(peer.log).toEqual(["ping 3500"]);
    await clock.advance(100);
    expect(peer.log.at(-1)).toMatch(/^suspect/);
  });
});
