/** A client in another language, on grpcio: it reads the contracts by reflection and generates nothing. */
import { randomUUID } from "node:crypto";
import { eventually, startMesh } from "@protoloom/testing";
import type { TestMesh } from "@protoloom/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeWith } from "../../tools/parts.ts";
import { fixture, product, user } from "../e2e/stack.ts";
import { type PythonClient, startPythonClient } from "./python-client.ts";

describeWith(["python"], "a Python client", () => {
  let mesh: TestMesh;
  let python: PythonClient;
  const stack = new AsyncDisposableStack();

  beforeAll(async () => {
    mesh = stack.use(await startMesh({ services: [fixture, user, product] }));
    python = stack.use(startPythonClient());
    const edge = new URL(mesh.edgeUrl).host;
    const wanted = ["fixture.v1.FixtureService", "product.v1.InventoryService", "user.v1.UserService"];
    const isServed = async (): Promise<boolean> => {
      const listed = await python.list(edge);
      return wanted.every((name) => name in listed);
    };
    await eventually(isServed, { timeoutMs: 10_000 });
  });

  afterAll(() => stack.disposeAsync());

  describe.for([
    ["an instance", "instance"],
    ["the edge", "edge"],
  ] as const)("at %s", ([, place]) => {
    const at = (name: string): string => (place === "edge" ? new URL(mesh.edgeUrl).host : mesh.instance(name).address);
    const call = (method: string, options: Parameters<PythonClient["call"]>[2] = {}): ReturnType<PythonClient["call"]> =>
      python.call(at("fixture"), `fixture.v1.FixtureService/${method}`, options);

    test("reads services, methods and their kinds by reflection", async () => {
      const services = await python.list(at("fixture"));
      expect(services["fixture.v1.FixtureService"]).toEqual({
        Echo: "unary",
        Count: "server",
        Collect: "client",
        Chat: "bidi",
        Ledger: "unary",
        ...(place === "instance" && { Inside: "unary" }),
      });
      expect(services["grpc.health.v1.Health"]).toMatchObject({ Check: "unary", Watch: "server" });
    });

    test("calls unary, with every character and numbers of 64 bits as they are", async () => {
      const text = "Grüße, 世界 🌍 \u0000 e\u0301";
      // gRPC's core rounds the time that is left up to 10 ms.
      const { responses, code } = await call("Echo", { requests: [{ text, padBytes: 3 }], timeoutMs: 2_000 });
      expect(code).toBe("OK");
      expect(responses).toEqual([
        {
          text,
          instance: mesh.instance("fixture").address,
          remainingMs: expect.stringMatching(/^(?:1\d{3}|20[01]\d)$/),
          pad: "AAAA",
        },
      ]);
    });

    test("reads a server stream to its end, and to its failure", async () => {
      const { responses, code } = await call("Count", { requests: [{ count: 5 }] });
      expect([code, responses.map(({ index = 0 }) => index)]).toEqual(["OK", [0, 1, 2, 3, 4]]);
      const failed = await call("Count", { requests: [{ count: 2, code: 10 }] });
      expect([failed.code, failed.responses.length]).toEqual(["ABORTED", 2]);
    });

    test("sends a client stream", async () => {
      const { responses, code } = await call("Collect", { requests: [{ text: "a" }, { text: "b" }, { text: "c" }] });
      expect([code, responses[0]?.["texts"]]).toEqual(["OK", ["a", "b", "c"]]);
    });

    test("converses: each request goes out after the answer to the one before", async () => {
      const requests = [{ text: "a" }, { text: "b" }, { text: "c" }];
      const { responses, code } = await call("Chat", { requests, lockstep: true });
      expect(code).toBe("OK");
      expect(responses.map(({ text, index = 0 }) => `${String(index)}${String(text)}`)).toEqual(["0a", "1b", "2c"]);
    });

    test("its deadline ends each kind of call, and no sooner", async () => {
      const slow = { delayMs: 5_000 };
      for (const [method, requests] of [
        ["Echo", [slow]],
        ["Count", [{ count: 1, intervalMs: 5_000 }]],
        ["Collect", [slow]],
        ["Chat", [slow]],
      ] as const) {
        const { code, elapsed_ms: elapsedMs } = await call(method, { requests, timeoutMs: 300 });
        expect(code, method).toBe("DEADLINE_EXCEEDED");
        expect(elapsedMs, method).toBeGreaterThanOrEqual(290);
        expect(elapsedMs, method).toBeLessThan(1_500);
      }
    });

    test("errors come with code, message and details", async () => {
      expect(await call("Echo", { requests: [{ code: 9, message: "nicht jetzt: 50 % ✗" }] })).toMatchObject({
        code: "FAILED_PRECONDITION",
        message: "nicht jetzt: 50 % ✗",
      });
      const { code, details } = await call("Echo", { requests: [{ text: "x".repeat(1_001) }] });
      expect(code).toBe("INVALID_ARGUMENT");
      expect(details).toContainEqual({
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        fieldViolations: [expect.objectContaining({ field: "text", description: expect.any(String) })],
      });
      const { code: crash, message } = await call("Echo", { requests: [{ crash: true, message: "secret" }] });
      expect(crash).toBe("INTERNAL");
      expect(message).not.toContain("secret");
      const missing = await python.call(at("user"), "user.v1.UserService/GetUser", { requests: [{ id: "none" }] });
      expect(missing.code).toBe("NOT_FOUND");
      expect(missing.details).toContainEqual(
        expect.objectContaining({
          "@type": "type.googleapis.com/google.rpc.ErrorInfo",
          reason: "USER_NOT_FOUND",
          domain: "user.v1",
        }),
      );
    });

    test("its metadata reaches the service", async () => {
      const requestId = randomUUID();
      const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
      const metadata = { "x-request-id": requestId, traceparent: `00-${traceId}-00f067aa0ba902b7-01` };
      expect((await call("Echo", { metadata })).code).toBe("OK");
      await loggedCall(requestId, { method: "fixture.v1.FixtureService/Echo", code: "OK", traceId });
    });

    test("its cancel reaches the handler of each kind of call", async () => {
      const long = { delayMs: 5_000 };
      for (const [method, options] of [
        ["Echo", { requests: [long], cancelAfterMs: 200 }],
        ["Count", { requests: [{ count: 1_000, intervalMs: 20 }], cancelAfter: 2 }],
        ["Collect", { requests: [long], cancelAfterMs: 200 }],
        ["Chat", { requests: [{ text: "a" }, long], lockstep: true, cancelAfter: 1 }],
      ] as const) {
        const requestId = randomUUID();
        const answer = await call(method, { ...options, metadata: { "x-request-id": requestId } });
        expect(answer.code, method).toBe("CANCELLED");
        expect(answer.responses.length, method).toBe("cancelAfter" in options ? options.cancelAfter : 0);
        await loggedCall(requestId, { method: `fixture.v1.FixtureService/${method}`, code: "CANCELLED" });
      }
    });

    test("creates, reads, changes, lists and deletes a user", async () => {
      const ask = async (method: string, request: object): Promise<Record<string, unknown>> => {
        const answer = await python.call(at("user"), `user.v1.UserService/${method}`, { requests: [request] });
        expect([answer.code, answer.message], method).toEqual(["OK", ""]);
        return answer.responses[0] ?? {};
      };
      const email = `${randomUUID()}@example.com`;
      const created = await ask("CreateUser", { user: { name: "Zoë", email }, requestId: randomUUID() });
      const { id } = created;
      expect(created).toMatchObject({ name: "Zoë", email, createTime: expect.stringMatching(/Z$/) });
      expect(await ask("GetUser", { id })).toEqual(created);
      const updated = await ask("UpdateUser", { user: { id, name: "Zoé" }, updateMask: "name" });
      expect(updated).toMatchObject({ id, name: "Zoé", email });
      expect((await ask("ListUsers", { pageSize: 100 }))["users"]).toContainEqual(updated);
      expect(await ask("DeleteUser", { id })).toEqual({});
    });

    test("imports users, and watches them from a snapshot and from a token", async () => {
      const email = `${randomUUID()}@example.com`;
      const rows = [{ user: { name: "Joan", email } }, { user: { name: "", email: "?" } }];
      const imported = await python.call(at("user"), "user.v1.UserService/ImportUsers", { requests: rows });
      expect(imported.responses).toMatchObject([{ rowCount: "2", importedCount: "1", failedCount: "1", errors: [{ row: "1" }] }]);
      const watch = (resumeToken: string, cancelAfter: number): ReturnType<PythonClient["call"]> =>
        python.call(at("user"), "user.v1.UserService/WatchUsers", { requests: [{ resumeToken }], cancelAfter });
      const listed = await python.call(at("user"), "user.v1.UserService/ListUsers", { requests: [{ pageSize: 100 }] });
      const users = listed.responses[0]?.["users"] as readonly object[];
      const { responses } = await watch("", users.length + 1);
      expect(responses.slice(0, -1).map(({ existing }) => existing)).toEqual(expect.arrayContaining([...users]));
      const end = responses.at(-1);
      expect(end).toMatchObject({ snapshotEnd: {}, resumeToken: expect.stringMatching(/./) });
      const later = `${randomUUID()}@example.com`;
      const created = { requests: [{ user: { name: "Later", email: later } }] };
      await python.call(at("user"), "user.v1.UserService/CreateUser", created);
      const resumed = await watch(String(end?.["resumeToken"]), 1);
      expect(resumed.responses).toMatchObject([{ created: { email: later } }]);
    });

    test("quotes a basket in a conversation", async () => {
      const created = await python.call(at("product"), "product.v1.ProductService/CreateProduct", {
        requests: [{ product: { name: "Kite", price: { currencyCode: "EUR", units: "12", nanos: 500_000_000 } } }],
      });
      const productId = created.responses[0]?.["id"];
      const { code, responses } = await python.call(at("product"), "product.v1.InventoryService/QuoteBasket", {
        requests: [1, 3].map((quantity) => ({ productId, quantity })),
        lockstep: true,
      });
      expect(code).toBe("OK");
      expect(responses).toMatchObject([
        { totals: [{ currencyCode: "EUR", units: "12", nanos: 500_000_000 }], requestCount: "1" },
        { totals: [{ currencyCode: "EUR", units: "37", nanos: 500_000_000 }], requestCount: "2" },
      ]);
    });
  });

  /** Waits for the line of a call in the fixture's log. */
  async function loggedCall(requestId: string, expected: object): Promise<void> {
    const line = await eventually(() => mesh.instance("fixture").lines.find((text) => text.includes(requestId)));
    expect(JSON.parse(line)).toMatchObject({ ...expected, requestId });
  }
});
