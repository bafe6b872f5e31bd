import { expect, test } from "vitest";
import { uniqueName } from "./target.ts";
import type { Target } from "./target.ts";

/** What is refused, and how. */
export function refusals(target: () => Target): void {
  const refused: readonly (readonly [string, string, unknown, number, RegExp])[] = [
    ["GET", "/v1/health/service/a?index=x", undefined, 400, /^Invalid index$/],
    ["GET", "/v1/health/service/a?index=-1", undefined, 400, /^Invalid index$/],
    ["GET", "/v1/health/service/a?index=18446744073709551616", undefined, 400, /^Invalid index$/],
    ["GET", "/v1/health/service/a?index=1&wait=x", undefined, 400, /^Invalid wait time$/],
    ["GET", "/v1/health/service/a?index=1&wait=10", undefined, 400, /^Invalid wait time$/],
    ["GET", "/v1/agent/service/a?hash=x&wait=x", undefined, 400, /^Invalid wait time$/],
    ["GET", "/v1/health/service/a?stale&consistent", undefined, 400, /^Cannot specify \?stale with \?consistent/],
    ["GET", "/v1/health/service/a?cached&consistent", undefined, 400, /^Cannot specify \?cached with \?consistent/],
    ["GET", "/v1/health/service/a?passing=x", undefined, 400, /^Invalid value for \?passing$/],
    ["GET", "/v1/health/service/a?ns=x", undefined, 400, /"?ns"?/],
    ["GET", "/v1/health/service/a?dc=nowhere", undefined, 500, /^No path to datacenter$/],
    ["GET", "/v1/health/service/", undefined, 400, /^Missing service name$/],
    ["GET", "/v1/health/checks/", undefined, 400, /^Missing service name$/],
    ["GET", "/v1/health/state/", undefined, 400, /^Missing check state$/],
    ["GET", "/v1/catalog/service/", undefined, 400, /^Missing service name$/],
    ["GET", "/v1/agent/service/nobody", undefined, 404, /^unknown service ID: nobody$/],
    ["GET", "/v1/nothing", undefined, 404, /^Invalid URL path: not a recognized HTTP API endpoint\s*$/],
    ["POST", "/v1/catalog/services", undefined, 405, /^method POST not allowed$/],
    ["GET", "/v1/agent/service/register", undefined, 405, /^method GET not allowed$/],
    ["HEAD", "/v1/catalog/services", undefined, 405, /^$/],
    ["PUT", "/v1/agent/service/register", "", 400, /^Request decode failed/],
    ["PUT", "/v1/agent/service/register", "{", 400, /^Request decode failed/],
    ["PUT", "/v1/agent/service/register", "[]", 400, /^Request decode failed/],
    ["PUT", "/v1/agent/service/register", {}, 400, /^Missing service name$/],
    ["PUT", "/v1/agent/service/register", { Name: 5 }, 400, /^Request decode failed/],
    ["PUT", "/v1/agent/service/register", { Name: "a", Port: "x" }, 400, /^Request decode failed/],
    ["PUT", "/v1/agent/service/register", { Name: "a", Bogus: 1 }, 400, /^Request decode failed.*Bogus/],
    ["PUT", "/v1/agent/service/register", { Name: "a", Address: "0.0.0.0" }, 400, /^Invalid service address$/],
    ["PUT", "/v1/agent/service/register", { Name: "a", Address: "::" }, 400, /^Invalid service address$/],
    ["PUT", "/v1/agent/service/register", { Name: "a", Connect: { Native: true } }, 400, /^Validation failed/],
    ["PUT", "/v1/agent/service/register", { Name: "a", Weights: { Passing: 0 } }, 400, /^Invalid Weights: Passing/],
    ["PUT", "/v1/agent/service/register", { Name: "a", Weights: { Passing: 70_000 } }, 400, /^Invalid Weights: DNS Weight/],
    [
      "PUT",
      "/v1/agent/service/register",
      { Name: "a", Meta: { "a b": "c" } },
      400,
      /^Invalid Service Meta: .*Key contains invalid characters$/,
    ],
    [
      "PUT",
      "/v1/agent/service/register",
      { Name: "a", Meta: { ["k".repeat(129)]: "c" } },
      400,
      /Key is too long \(limit: 128 characters\)$/,
    ],
    [
      "PUT",
      "/v1/agent/service/register",
      { Name: "a", Meta: { k: "v".repeat(513) } },
      400,
      /Value is too long \(limit: 512 characters\)$/,
    ],
    [
      "PUT",
      "/v1/agent/service/register",
      { Name: "a", Check: { Status: "passing" } },
      400,
      /^Invalid check: TTL must be > 0 for TTL checks$/,
    ],
    [
      "PUT",
      "/v1/agent/service/register",
      { Name: "a", Check: { TTL: "3s", Interval: "3s" } },
      400,
      /^Invalid check: Interval and TTL cannot both be specified$/,
    ],
    ["PUT", "/v1/agent/service/register", { Name: "a", Check: { TTL: "3" } }, 400, /^Request decode failed/],
    ["PUT", "/v1/agent/service/register", { Name: "a", Check: { TTL: "-3s" } }, 400, /^Invalid check: TTL must be > 0/],
    [
      "PUT",
      "/v1/agent/service/register",
      { Name: "a", Check: { TCP: "127.0.0.1:1" } },
      400,
      /^Invalid check: Interval must be > 0/,
    ],
    ["PUT", "/v1/agent/service/register", { Name: "a", Check: { TTL: "3s", Status: "bogus" } }, 400, /^Status for checks must/],
    ["PUT", "/v1/agent/check/update/nobody", { Status: "passing", Bogus: 1 }, 400, /^Request decode failed.*Bogus/],
    ["PUT", "/v1/agent/check/register", { TTL: "3s" }, 400, /^Missing check name$/],
  ];

  test.each(refused)("%s %s %j is answered %d", async (method, path, body, status, text) => {
    const answer = await target().send(method, path, body);
    expect([answer.status, answer.text]).toEqual([status, expect.stringMatching(text)]);
    expect(answer.headers["content-type"]).toMatch(/^text\/plain/);
  });

  test("a method that is not allowed is answered with those that are", async () => {
    expect((await target().send("POST", "/v1/catalog/services")).headers["allow"]).toBe("OPTIONS,GET");
    expect(await target().send("OPTIONS", "/v1/agent/service/register")).toMatchObject({
      status: 200,
      headers: { allow: "OPTIONS,PUT" },
    });
  });

  test("an update with an unknown status, or for a check that is probed, is refused", async () => {
    const name = uniqueName("update");
    await target().register({ Name: name, Checks: [{ TTL: "60s" }, { TCP: "127.0.0.1:1", Interval: "60s" }] });
    const bad = await target().send("PUT", `/v1/agent/check/update/service:${name}:1`, { Status: "bogus" });
    expect([bad.status, bad.text]).toEqual([400, "Invalid check status: 'bogus'"]);
    const probed = await target().send("PUT", `/v1/agent/check/pass/service:${name}:2`);
    expect([probed.status, probed.text]).toEqual([500, `CheckID "service:${name}:2" does not have associated TTL`]);
  });
}
