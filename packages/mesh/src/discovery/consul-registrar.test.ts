import { once } from "node:events";
import { createServer } from "node:http";
import type { RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { createLogRecorder, eventually } from "@protoloom/testing";
import type { RecordedLine } from "@protoloom/testing";
import { describe, expect, test } from "vitest";
import { createConsulClient } from "../consul/consul-client.ts";
import type { ConsulRegistrar } from "./consul-registrar.ts";
import { createConsulRegistrar } from "./consul-registrar.ts";

const instance = { name: "user", host: "127.0.0.1", port: 1, meta: {} };

describe("a registrar", () => {
  const refusals: Readonly<Record<string, RequestListener>> = {
    "takes every registration and forgets it at once": (request, response) =>
      response.writeHead(request.url?.includes("/check/") === true ? 404 : 200).end(),
    "answers everything with 500": (_, response) => response.writeHead(500).end("No cluster leader"),
    "answers everything with 404": (_, response) => response.writeHead(404).end(),
    "closes every connection": (_, response) => response.destroy(),
  };

  test.for(Object.entries(refusals))("does not storm a registry that %s, and logs one line", async ([, answer]) => {
    await using rig = await startRig(answer);
    rig.registrar.register(instance);
    await delay(1_000);
    // Full jitter from 100 ms: a handful of attempts of two requests, never a hot loop.
    expect(rig.requests.length).toBeLessThan(40);
    expect(rig.lines.filter(({ level }) => level === "warn").length).toBeLessThanOrEqual(1);
  });

  test("leaves a registry alone that refuses its token", async () => {
    await using rig = await startRig((_, response) => response.writeHead(403).end("Permission denied"));
    const registration = rig.registrar.register(instance);
    await delay(500);
    expect(rig.requests).toHaveLength(1);
    expect(registration.registered).toBe(false);
  });

  test("registers at once after a 404, beats without a note, and says which instance was lost", async () => {
    let known = false;
    await using rig = await startRig((request, response) => {
      if (request.url?.includes("/register") === true) known = true;
      response.writeHead(known ? 200 : 404).end();
    });
    const registration = rig.registrar.register(instance);
    await registration.ready();
    known = false;
    const before = rig.requests.length;
    await eventually(() => known);
    await eventually(() => registration.registered);
    expect(rig.requests.slice(before, before + 3)).toEqual([
      "PUT /v1/agent/check/pass/service%3Auser-127.0.0.1-1",
      "PUT /v1/agent/service/register?replace-existing-checks=true",
      "PUT /v1/agent/check/pass/service%3Auser-127.0.0.1-1",
    ]);
    expect(rig.lines.map(({ message }) => message)).toEqual([
      "registered",
      "registered again: the registry had lost this instance",
    ]);
  });

  test("sends a failing beat at once, and only then the next ones in their time", async () => {
    await using rig = await startRig((_, response) => response.end(), { beatMs: 60_000 });
    const registration = rig.registrar.register(instance);
    await registration.ready();
    registration.setServing(false);
    registration.setServing(false);
    await eventually(() => rig.requests.at(-1) === "PUT /v1/agent/check/fail/service%3Auser-127.0.0.1-1?note=NOT_SERVING");
    expect(rig.requests).toHaveLength(3);
  });

  test("that hangs does not hold a deregistration for more than a second, nor a wait that is given up", async () => {
    await using rig = await startRig(() => {});
    const registration = rig.registrar.register(instance);
    await eventually(() => rig.requests.length === 1);
    const reason = new Error("given up");
    const stop = new AbortController();
    const ready = registration.ready(stop.signal);
    stop.abort(reason);
    await expect(ready).rejects.toBe(reason);
    const startedMs = performance.now();
    const pending = expect(registration.ready()).rejects.toThrow(/was deregistered before/);
    await registration.deregister();
    expect(performance.now() - startedMs).toBeLessThan(1_300);
    await pending;
  });
});

interface Rig extends AsyncDisposable {
  readonly registrar: ConsulRegistrar;
  /** `METHOD url`, in the order of arrival. */
  readonly requests: readonly string[];
  readonly lines: readonly RecordedLine[];
}

async function startRig(answer: RequestListener, options: { readonly beatMs?: number } = {}): Promise<Rig> {
  const requests: string[] = [];
  const { logger, lines } = createLogRecorder();
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    request.resume();
    answer(request, response);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const consul = createConsulClient({ address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  const registrar = createConsulRegistrar({ consul, logger, ...options });
  return {
    registrar,
    requests,
    lines,
    async [Symbol.asyncDispose]() {
      await registrar[Symbol.asyncDispose]();
      await consul[Symbol.asyncDispose]();
      server.closeAllConnections();
      await once(server.close(), "close");
    },
  };
}
