import { silentLogger } from "@protoloom/mesh/process";
import { createFakeClock } from "@protoloom/testing";
import type { FakeClock } from "@protoloom/testing";
import { describe, expect, test } from "vitest";
import { createCatalog } from "../state/catalog.ts";
import type { Catalog } from "../state/catalog.ts";
import type { CheckRecord } from "../state/check-record.ts";
import { parseRegistration } from "../state/parse-registration.ts";
import { createCheckRunner } from "./check-runner.ts";
import type { CheckRunner } from "./check-runner.ts";
import { startIntervalCheck } from "./interval-check.ts";
import type { ProbeResult } from "./probe-result.ts";
import { startReaper } from "./reaper.ts";

interface SetUp {
  readonly clock: FakeClock;
  readonly catalog: Catalog;
  readonly runner: CheckRunner;
  register(body: object): void;
  check(id: string): CheckRecord | undefined;
}

function setUp(): SetUp {
  const clock = createFakeClock();
  const node = { id: "n", name: "node", address: "127.0.0.1", datacenter: "dc1", meta: {} };
  const catalog = createCatalog({ node, now: () => clock.now() });
  const runner = createCheckRunner(catalog, { clock, random: () => 0, log: silentLogger });
  const register = (body: object): void => {
    const { service, checks } = parseRegistration(JSON.stringify(body));
    catalog.register(service, checks);
  };
  return { clock, catalog, runner, register, check: (id) => catalog.checks.get(id) };
}

const passing: ProbeResult = { status: "passing", output: "" };

describe("checks that are fed", () => {
  test("turn critical one TTL after the last beat, to the millisecond", async () => {
    const { clock, runner, register, check } = setUp();
    register({ Name: "a", Check: { TTL: "3s" } });
    runner.beat("service:a", passing);
    await clock.advance(2_999);
    runner.beat("service:a", passing);
    await clock.advance(2_999);
    expect(check("service:a")?.status).toBe("passing");
    await clock.advance(1);
    expect(check("service:a")).toMatchObject({ status: "critical", output: "TTL expired" });
  });

  test("have a whole TTL again after a repeated registration", async () => {
    const { clock, register, check } = setUp();
    register({ Name: "a", Check: { TTL: "3s", Status: "passing" } });
    await clock.advance(2_999);
    register({ Name: "a", Check: { TTL: "3s", Status: "passing" } });
    await clock.advance(2_999);
    expect(check("service:a")?.status).toBe("passing");
  });

  test("end with their instance: a beat afterwards finds nothing", async () => {
    const { clock, catalog, runner, register } = setUp();
    register({ Name: "a", Check: { TTL: "3s" } });
    catalog.deregister("a");
    expect([runner.beat("service:a", passing), runner.running]).toEqual([false, 0]);
    await clock.advance(10_000);
    expect([...catalog.checks.keys()]).toEqual([]);
  });

  test("keep so much of an output as the check allows, and no half characters", () => {
    const { runner, register, check } = setUp();
    register({ Name: "a", Check: { TTL: "3s", OutputMaxSize: 4 } });
    runner.beat("service:a", { status: "passing", output: "abc😀def" });
    expect(check("service:a")?.output).toBe("abc� … (4 of 8 characters)");
  });
});

describe("checks that probe", () => {
  const probed = (): CheckRecord => {
    const { register, check } = setUp();
    register({ Name: "a", Check: { TCP: "127.0.0.1:1", Interval: "10s" } });
    const found = check("service:a");
    if (found === undefined) throw new Error("no check");
    return found;
  };

  test.each([
    [0, [0, 10_000, 20_000]],
    [0.5, [5_000, 15_000, 25_000]],
    [0.99, [9_900, 19_900, 29_900]],
  ])("start after a part of the interval, by chance %d, and go on in steps of it", async (random, expected) => {
    const clock = createFakeClock();
    const times: number[] = [];
    const probe = async (): Promise<ProbeResult> => {
      times.push(clock.monotonicMs());
      return passing;
    };
    const stop = startIntervalCheck(probed(), { clock, random: () => random, log: silentLogger, probe, report: () => {} });
    await clock.advance(29_999);
    stop();
    await clock.advance(60_000);
    expect(times).toEqual(expected);
  });

  test("a result that comes after the stop is not reported", async () => {
    const clock = createFakeClock();
    const { promise, resolve } = Promise.withResolvers<ProbeResult>();
    const reports: ProbeResult[] = [];
    const deps = {
      clock,
      random: () => 0,
      log: silentLogger,
      probe: async () => await promise,
      report: (result: ProbeResult) => reports.push(result),
    };
    const stop = startIntervalCheck(probed(), deps);
    await clock.advance(1);
    stop();
    resolve(passing);
    await clock.advance(60_000);
    expect(reports).toEqual([]);
  });
});

describe("services that stay critical", () => {
  test("are removed after their time, and never before a minute", async () => {
    const { clock, catalog, runner, register } = setUp();
    const stop = startReaper(catalog, { clock, log: silentLogger, intervalMs: 1_000 });
    register({ Name: "a", Check: { TTL: "1s", DeregisterCriticalServiceAfter: "1s" } });
    register({ Name: "b", Check: { TTL: "1s", DeregisterCriticalServiceAfter: "2m" } });
    register({ Name: "c", Check: { TTL: "1s" } });
    await clock.advance(30_000);
    runner.beat("service:a", passing);
    // One second until it is critical again, and then a minute.
    await clock.advance(60_000);
    expect(catalog.services.has("a")).toBe(true);
    await clock.advance(2_000);
    expect([...catalog.services.keys()]).toEqual(["b", "c"]);
    await clock.advance(60_000);
    expect([...catalog.services.keys()]).toEqual(["c"]);
    stop();
  });
});
