import { eventually } from "@protoloom/testing";
import { expect, test } from "vitest";
import { uniqueName } from "./target.ts";
import type { Target } from "./target.ts";

/** Reads that wait. */
export function blocking(target: () => Target): void {
  const read = async (name: string, query = ""): Promise<{ index: number; elapsedMs: number; entries: unknown[] }> => {
    const startMs = performance.now();
    const answer = await target().send("GET", `/v1/health/service/${name}${query}`);
    expect(answer.status, answer.text).toBe(200);
    return { index: answer.index, elapsedMs: performance.now() - startMs, entries: JSON.parse(answer.text) as unknown[] };
  };
  const registered = async (): Promise<{ name: string; index: number }> => {
    const name = uniqueName("blocking");
    await target().register({ Name: name, Check: { TTL: "60s" } });
    await target().statuses(name);
    // The first answer of a stream may have a higher index than that of a plain read.
    const { index } = await read(name);
    return { name, index: (await read(name, `?index=${index}&wait=50ms`)).index };
  };

  test("the index is at least 1, rises with a change and never falls", async () => {
    const { name } = await registered();
    const seen: number[] = [];
    for (const call of ["pass", "warn", "fail", "pass"]) {
      await target().send("PUT", `/v1/agent/check/${call}/service:${name}`);
      const status = { pass: "passing", warn: "warning", fail: "critical" }[call];
      await eventually(async () => (await target().statuses(name))[`service:${name}`] === status);
      seen.push((await read(name)).index);
    }
    expect(seen[0]).toBeGreaterThanOrEqual(1);
    for (const [position, index] of seen.slice(1).entries()) expect(index).toBeGreaterThan(seen[position] ?? 0);
  });

  test("a read that waits is answered as soon as something changes", async () => {
    const { name, index } = await registered();
    const waiting = read(name, `?index=${index}&wait=10s`);
    await target().send("PUT", `/v1/agent/check/pass/service:${name}`);
    const changed = await waiting;
    expect(changed.elapsedMs).toBeLessThan(4_000);
    expect(changed.index).toBeGreaterThan(index);
    expect(changed.entries).toHaveLength(1);
  });

  test("a read that waits is answered after its time, with the same index", async () => {
    const { name, index } = await registered();
    const waited = await read(name, `?index=${index}&wait=800ms`);
    expect(waited.elapsedMs).toBeGreaterThanOrEqual(799);
    expect(waited.elapsedMs).toBeLessThan(800 * (17 / 16) + 3_000);
    expect(waited.index).toBe(index);
  });

  test("index 0 never waits, and one that has passed neither", async () => {
    const { name, index } = await registered();
    expect((await read(name, "?index=0&wait=10s")).elapsedMs).toBeLessThan(4_000);
    expect((await read(name, `?index=${index - 1}&wait=10s`)).elapsedMs).toBeLessThan(4_000);
  });

  test("an index of the future waits, and then says the one of today", async () => {
    const { name, index } = await registered();
    const waited = await read(name, `?index=${index + 100_000}&wait=500ms`);
    expect(waited.elapsedMs).toBeGreaterThanOrEqual(499);
    expect(waited.index).toBeLessThan(index + 100_000);
    expect((await read(name, "?index=18446744073709551615&wait=100ms")).index).toBeLessThan(index + 100_000);
  });

  test("an unknown service is an empty list, and its first instance wakes who waits for it", async () => {
    const name = uniqueName("unknown");
    const { index, entries } = await read(name);
    expect(entries).toEqual([]);
    expect(index).toBeGreaterThanOrEqual(1);
    const waiting = (async () => {
      let answer = await read(name, `?index=${index}&wait=10s`);
      // Wakes without an instance are allowed: with none, the index is that of the whole catalog.
      while (answer.entries.length === 0) answer = await read(name, `?index=${answer.index}&wait=10s`);
      return answer;
    })();
    await target().register({ Name: name });
    expect((await waiting).index).toBeGreaterThan(index);
  });

  test("the last instance's going wakes who waits, and the index does not fall", async () => {
    const { name, index } = await registered();
    const waiting = read(name, `?index=${index}&wait=10s`);
    await target().send("PUT", `/v1/agent/service/deregister/${name}`);
    const gone = await waiting;
    expect(gone.entries).toEqual([]);
    expect(gone.index).toBeGreaterThan(index);
    expect((await read(name)).index).toBeGreaterThanOrEqual(index);
  });

  test("the list of services waits for registrations, and not for checks", async () => {
    const { name } = await registered();
    const before = await target().send("GET", "/v1/catalog/services");
    await target().send("PUT", `/v1/agent/check/pass/service:${name}`);
    await eventually(async () => (await target().statuses(name))[`service:${name}`] === "passing");
    const same = await target().send("GET", `/v1/catalog/services?index=${before.index}&wait=100ms`);
    expect(same.index).toBe(before.index);
    const waiting = target().send("GET", `/v1/catalog/services?index=${before.index}&wait=10s`);
    const other = uniqueName("new");
    await target().register({ Name: other });
    expect(Object.keys(JSON.parse((await waiting).text) as object)).toContain(other);
  });

  test("an instance is waited for by the hash of its contents", async () => {
    const name = uniqueName("hash");
    await target().register({ Name: name, Port: 1 });
    const first = await target().send("GET", `/v1/agent/service/${name}`);
    const hash = String(first.headers["x-consul-contenthash"]);
    expect((JSON.parse(first.text) as { ContentHash: string }).ContentHash).toBe(hash);
    const startMs = performance.now();
    const same = await target().send("GET", `/v1/agent/service/${name}?hash=${hash}&wait=300ms`);
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(299);
    expect(same.headers["x-consul-contenthash"]).toBe(hash);
    const changing = target().send("GET", `/v1/agent/service/${name}?hash=${hash}&wait=10s`);
    await target().register({ Name: name, Port: 2 });
    const changed = await changing;
    expect(changed.headers["x-consul-contenthash"]).not.toBe(hash);
    const going = target().send(
      "GET",
      `/v1/agent/service/${name}?hash=${String(changed.headers["x-consul-contenthash"])}&wait=10s`,
    );
    await target().send("PUT", `/v1/agent/service/deregister/${name}`);
    expect((await going).status).toBe(404);
  });

  test("answers say index, leader and consistency", async () => {
    const { name } = await registered();
    for (const [query, consistency] of [
      ["", "leader"],
      ["?stale", "stale"],
      ["?consistent", "consistent"],
    ] as const) {
      const { headers } = await target().send("GET", `/v1/health/service/${name}${query}`);
      expect(headers).toMatchObject({
        "content-type": "application/json",
        "x-consul-knownleader": "true",
        "x-consul-lastcontact": "0",
        "x-consul-effective-consistency": consistency,
        "x-consul-default-acl-policy": "allow",
      });
    }
  });
}
