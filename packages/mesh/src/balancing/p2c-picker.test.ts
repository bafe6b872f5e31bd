import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createFakeClock } from "@protoloom/testing";
import { Code } from "../base/code.ts";
import { createEndpoint } from "../base/endpoint.ts";
import type { Endpoint } from "../base/endpoint.ts";
import type { Outcome } from "../base/outcome.ts";
import { seededRandom } from "../base/random.ts";
import { createP2cPicker } from "./p2c-picker.ts";
import type { Picker } from "./picker.ts";

const ok = (latencyMs: number): Outcome => ({ code: Code.OK, latencyMs, sent: true });
const notSent: Outcome = { code: Code.UNAVAILABLE, latencyMs: 1, sent: false };
const endpoints = (count: number): Endpoint[] =>
  Array.from({ length: count }, (_, index) => createEndpoint("10.0.0.1", index + 1));

function picks(picker: Picker, count: number, outcomeOf: (endpoint: Endpoint) => Outcome): Map<string, number> {
  const shares = new Map<string, number>();
  for (let call = 0; call < count; call++) {
    const pick = picker.pick();
    if (pick === undefined) throw new Error("nothing was picked");
    shares.set(pick.endpoint.key, (shares.get(pick.endpoint.key) ?? 0) + 1);
    pick.done(outcomeOf(pick.endpoint));
  }
  return shares;
}

describe("the p2c picker", () => {
  test("never picks an excluded endpoint, and always picks one that is left", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 8 }),
        fc.array(fc.integer({ min: 1, max: 8 })),
        fc.array(
          fc.record({
            code: fc.constantFrom(Code.OK, Code.UNAVAILABLE, Code.INTERNAL),
            latencyMs: fc.double({ min: 0, max: 1e6, noNaN: true }),
            sent: fc.boolean(),
          }),
        ),
        fc.integer(),
        (count, ports, outcomes, seed) => {
          const picker = createP2cPicker({ clock: createFakeClock(), random: seededRandom(seed) });
          picker.update(endpoints(count));
          for (const outcome of outcomes) picker.pick()?.done(outcome);
          const excluded = new Set(ports.map((port) => `10.0.0.1:${port}`));
          const isLeft = endpoints(count).some(({ key }) => !excluded.has(key));
          for (let call = 0; call < 20; call++) {
            const pick = picker.pick(excluded);
            expect(pick !== undefined).toBe(isLeft);
            if (pick !== undefined) expect(excluded.has(pick.endpoint.key)).toBe(false);
          }
        },
      ),
    );
  });

  test("gives equal endpoints equal shares", () => {
    const picker = createP2cPicker({ clock: createFakeClock(), random: seededRandom(1) });
    picker.update(endpoints(3));
    const shares = picks(picker, 30_000, () => ok(5));
    for (const share of shares.values()) expect(share / 30_000).toBeCloseTo(1 / 3, 1.5);
    expect(shares.size).toBe(3);
  });

  test("gives shares by weight", () => {
    const picker = createP2cPicker({ clock: createFakeClock(), random: seededRandom(2) });
    picker.update([createEndpoint("10.0.0.1", 1, { weight: 1 }), createEndpoint("10.0.0.1", 2, { weight: 3 })]);
    const shares = picks(picker, 20_000, () => ok(5));
    expect((shares.get("10.0.0.1:2") ?? 0) / 20_000).toBeCloseTo(0.75, 1.5);
  });

  test("gives a slow endpoint at most 5 %, and never nothing", async () => {
    const clock = createFakeClock();
    const picker = createP2cPicker({ clock, random: seededRandom(3) });
    picker.update(endpoints(3));
    const latencyOf = ({ port }: Endpoint): Outcome => ok(port === 1 ? 105 : 5);
    picks(picker, 300, latencyOf);
    for (let second = 0; second < 20; second++) {
      await clock.advance(1_000);
      const share = (picks(picker, 1_000, latencyOf).get("10.0.0.1:1") ?? 0) / 1_000;
      expect(share).toBeGreaterThan(0);
      expect(share).toBeLessThan(0.06);
    }
  });

  test("spreads calls that have not ended", () => {
    const picker = createP2cPicker({ clock: createFakeClock(), random: seededRandom(4) });
    picker.update(endpoints(4));
    const open = new Map<string, number>();
    for (let call = 0; call < 400; call++) {
      const key = picker.pick()?.endpoint.key ?? "";
      open.set(key, (open.get(key) ?? 0) + 1);
    }
    for (const count of open.values()) expect(Math.abs(count - 100)).toBeLessThan(25);
  });

  test("avoids an endpoint that cannot be reached, for a bounded time", async () => {
    const clock = createFakeClock();
    const picker = createP2cPicker({ clock, random: seededRandom(5) });
    picker.update(endpoints(3));
    const outcomeOf = ({ port }: Endpoint): Outcome => (port === 1 ? notSent : ok(5));
    let failed = 0;
    for (let step = 0; step < 1_000; step++) {
      await clock.advance(10);
      failed += picks(picker, 10, outcomeOf).get("10.0.0.1:1") ?? 0;
    }
    // Ten seconds: 50, 100, ... 2,000 ms apart, and what one step of ten calls adds.
    expect(failed).toBeGreaterThan(5);
    expect(failed).toBeLessThan(30);
    await clock.advance(2_001);
    expect(picks(picker, 100, () => ok(5)).get("10.0.0.1:1")).toBeGreaterThan(10);
  });

  test.each([Code.INTERNAL, Code.RESOURCE_EXHAUSTED])("does not take an endpoint for fast that fails fast: code %d", (code) => {
    const picker = createP2cPicker({ clock: createFakeClock(), random: seededRandom(9) });
    picker.update(endpoints(3));
    picks(picker, 300, () => ok(20));
    const shares = picks(picker, 3_000, ({ port }) => (port === 1 ? { code, latencyMs: 0.1, sent: true } : ok(20)));
    expect(shares.get("10.0.0.1:1") ?? 0).toBeLessThan(1_300);
  });

  test("does not pick a doubtful endpoint while there is another, however few", () => {
    const doubtful = new Set(["10.0.0.1:1"]);
    const isDoubtful = ({ key }: Endpoint): boolean => doubtful.has(key);
    const picker = createP2cPicker({ clock: createFakeClock(), random: seededRandom(10), isDoubtful });
    picker.update(endpoints(8));
    const keysOf = (count: number): string[] => [...picks(picker, count, () => ok(5)).keys()];
    expect(keysOf(1_000)).not.toContain("10.0.0.1:1");
    for (const { key } of endpoints(6)) doubtful.add(key);
    expect(keysOf(1_000).toSorted()).toEqual(["10.0.0.1:7", "10.0.0.1:8"]);
    // One that has failed is better than one that does not answer.
    expect(picks(picker, 20, () => notSent).size).toBe(2);
    for (const { key } of endpoints(8)) doubtful.add(key);
    expect(keysOf(1_000)).toHaveLength(8);
    doubtful.clear();
    expect(keysOf(1_000)).toHaveLength(8);
  });

  test("takes an endpoint that answers again for one of its peers, whatever the calls took that waited for it", () => {
    const doubtful = new Set<string>();
    const isDoubtful = ({ key }: Endpoint): boolean => doubtful.has(key);
    const picker = createP2cPicker({ clock: createFakeClock(), random: seededRandom(12), isDoubtful });
    picker.update(endpoints(2));
    picks(picker, 100, () => ok(5));
    const waiting = Array.from({ length: 40 }, () => picker.pick()).filter((pick) => pick?.endpoint.port === 1);
    doubtful.add("10.0.0.1:1");
    picks(picker, 100, () => ok(5));
    for (const pick of waiting.splice(0, 5)) pick?.done(ok(1_500));
    doubtful.clear();
    picks(picker, 10, () => ok(5));
    for (const pick of waiting) pick?.done(ok(1_500));
    expect(picks(picker, 1_000, () => ok(5)).get("10.0.0.1:1") ?? 0).toBeGreaterThan(300);
  });

  test("counts calls that fail together as one failure", async () => {
    const clock = createFakeClock();
    const picker = createP2cPicker({ clock, random: seededRandom(11) });
    picker.update(endpoints(2));
    const together = Array.from({ length: 40 }, () => picker.pick());
    for (const pick of together) if (pick?.endpoint.port === 1) pick.done({ code: Code.UNAVAILABLE, latencyMs: 5, sent: true });
    expect([...picks(picker, 100, () => ok(5)).keys()]).toEqual(["10.0.0.1:2"]);
    await clock.advance(51);
    expect(picks(picker, 100, () => ok(5)).size).toBe(2);
  });

  test("still picks when all endpoints fail, each of them", () => {
    const picker = createP2cPicker({ clock: createFakeClock(), random: seededRandom(6) });
    picker.update(endpoints(3));
    expect(picks(picker, 300, () => notSent).size).toBe(3);
  });

  test("keeps what it knows of endpoints that stay, and takes a newcomer for one of them", () => {
    const picker = createP2cPicker({ clock: createFakeClock(), random: seededRandom(7) });
    picker.update(endpoints(2));
    picks(picker, 500, ({ port }) => ok(port === 1 ? 200 : 10));
    picker.update(endpoints(3));
    const shares = picks(picker, 300, ({ port }) => ok(port === 1 ? 200 : 10));
    expect(shares.get("10.0.0.1:1") ?? 0).toBeLessThan(60);
    expect(shares.get("10.0.0.1:3") ?? 0).toBeGreaterThan(50);
    picker.update([]);
    expect(picker.pick()).toBeUndefined();
  });

  test("learns from an outcome once", () => {
    const picker = createP2cPicker({ clock: createFakeClock(), random: seededRandom(8) });
    picker.update(endpoints(2));
    const pick = picker.pick();
    pick?.done(ok(1));
    pick?.done(notSent);
    expect(picks(picker, 200, () => ok(1)).size).toBe(2);
  });
});
