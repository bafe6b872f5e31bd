import { fromBinary } from "@bufbuild/protobuf";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import type { ServiceError } from "@grpc/grpc-js";
import { FixtureService } from "@protoloom/fixture";
import { createFixtureService } from "@protoloom/fixture/service";
import { StatusSchema } from "@protoloom/protos/google/rpc/status_pb";
import { createLogRecorder } from "@protoloom/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Code } from "../base/code.ts";
import { createEnvReader } from "../base/env-reader.ts";
import { MeshError } from "../base/mesh-error.ts";
import { contractViolated, fromWireStatus } from "../contract/status.ts";
import { errorTrailers, toMeshError } from "./error-mapper.ts";
import { implement } from "./implement.ts";
import { serve } from "./serve.ts";
import type { Server } from "./serve.ts";
import { readServerConfig } from "./server-config.ts";

const { echo } = FixtureService.definition;
const { logger, lines } = createLogRecorder();
let server: Server;
let client: Client;
let thrown: unknown;

beforeAll(async () => {
  const fixture = createFixtureService({ instance: () => "" });
  server = await serve({
    services: [
      implement(FixtureService, {
        ...fixture,
        echo() {
          throw thrown;
        },
      }),
    ],
    config: readServerConfig(createEnvReader({ MESH_DRAIN_NOTICE_MS: "0" })),
    logger,
  });
  client = new Client(server.address, credentials.createInsecure());
});

afterAll(async () => {
  client.close();
  await server.drain();
});

/** Calls a handler that throws `error`, and gives what a grpc-js client sees. */
async function fail(error: unknown): Promise<ServiceError> {
  thrown = error;
  return new Promise((resolve, reject) => {
    const request = FixtureService.requests.echo({});
    client.makeUnaryRequest(echo.path, echo.requestSerialize, echo.responseDeserialize, request, new Metadata(), (failure) =>
      failure === null ? reject(new Error("the call went through")) : resolve(failure),
    );
  });
}

function detailsOf(failure: ServiceError): Uint8Array | undefined {
  return failure.metadata.get("grpc-status-details-bin")[0] as Buffer | undefined;
}

/** The error as the mesh's own clients read it. */
function received(failure: ServiceError): MeshError {
  return fromWireStatus({ code: failure.code, message: failure.details, statusBytes: detailsOf(failure) ?? new Uint8Array() });
}

describe("a MeshError", () => {
  test("travels with code, message, reason, facts and trailers", async () => {
    const failure = await fail(
      new MeshError(Code.NOT_FOUND, "no user 7", {
        reason: "USER_NOT_FOUND",
        domain: "user.v1",
        info: { id: "7" },
        metadata: { "x-hint": "h", "x-raw-bin": "AAE=", "grpc-status": "0", "x-bad": "a\nb", "X Y": "z" },
      }),
    );
    expect(failure).toMatchObject({ code: Code.NOT_FOUND, details: "no user 7" });
    const { reason, domain, info } = received(failure);
    expect({ reason, domain, info }).toEqual({ reason: "USER_NOT_FOUND", domain: "user.v1", info: { id: "7" } });
    expect(failure.metadata.get("x-hint")).toEqual(["h"]);
    expect(failure.metadata.get("x-raw-bin")).toEqual([Buffer.from([0, 1])]);
    expect(failure.metadata.get("x-bad")).toEqual([]);
  });

  test.each(["connection", "keep-alive", "transfer-encoding", "upgrade", "content-length", "te", "host"])(
    "does not carry %s, which belongs to HTTP",
    async (name) => {
      const failure = await fail(new MeshError(Code.ABORTED, "stale", { metadata: { [name]: "1", "x-hint": "h" } }));
      expect(failure).toMatchObject({ code: Code.ABORTED, details: "stale" });
      expect(failure.metadata.get(name)).toEqual([]);
      expect(failure.metadata.get("x-hint")).toEqual(["h"]);
    },
  );

  test("without a reason has no details", async () => {
    expect(detailsOf(await fail(new MeshError(Code.ABORTED, "stale")))).toBeUndefined();
  });

  test.each([
    ["half a surrogate pair at the end", "…😀".slice(0, 2), "…\ufffd"],
    ["half a surrogate pair at the start", "😀…".slice(1), "\ufffd…"],
    ["line ends", "a\r\nb\nc", "a\r\nb\nc"],
    ["NUL, DEL and controls", "\u0000\u007f\u001b[31m", "\u0000\u007f\u001b[31m"],
    ["percent signs", "100 % %41 %zz", "100 % %41 %zz"],
    ["other scripts", "naïve 日本語 😀", "naïve 日本語 😀"],
    ["an empty text", "", ""],
    ["spaces around", " a ", " a "],
  ])("survives %s", async (_what, text, expected) => {
    const failure = await fail(new MeshError(Code.ABORTED, text, { reason: "R", info: { text } }));
    expect(failure.details).toBe(expected);
    expect(received(failure).info["text"]).toBe(expected);
  });

  test.each([
    ["100 kB of ASCII", "a".repeat(100_000)],
    ["100 kB of three-byte characters", "語".repeat(33_334)],
    ["100 kB of surrogate pairs", "😀".repeat(25_000)],
    ["100 kB of lone surrogates", "\ud83d".repeat(50_000)],
    ["100 kB of line ends", "\r\n".repeat(50_000)],
  ])("survives %s, cut to what headers hold", async (_what, text) => {
    const failure = await fail(new MeshError(Code.ABORTED, text, { reason: "R", info: { text } }));
    expect(failure.code).toBe(Code.ABORTED);
    expect(encodeURI(failure.details).length).toBeLessThan(2_100);
    expect(failure.details.endsWith("…")).toBe(true);
    expect(received(failure).reason).toBe("R");
  });

  test("with details that fit no header keeps its reason", () => {
    const violations = Array.from({ length: 1_000 }, (_, index) => ({ field: `ids[${index}]`, description: "x".repeat(100) }));
    const trailers = errorTrailers(contractViolated(violations));
    const bytes = Buffer.from(trailers[trailers.indexOf("grpc-status-details-bin") + 1] ?? "", "base64");
    expect(bytes.length).toBeLessThan(4_096);
    expect(fromBinary(StatusSchema, bytes).details.map(({ typeUrl }) => typeUrl)).toEqual([
      "type.googleapis.com/google.rpc.ErrorInfo",
    ]);
  });
});

describe("any other exception", () => {
  const secret = "SELECT password FROM users";
  test.each([
    ["an Error", new Error(secret)],
    ["a TypeError with a cause", new TypeError("x", { cause: secret })],
    ["a string", secret],
    ["undefined", undefined],
    ["an object that looks like a status", { code: 5, details: secret, message: secret }],
    ["a MeshError with the code OK", new MeshError(Code.OK, secret)],
  ])("%s says nothing to the caller and everything to the log", async (_what, error) => {
    lines.length = 0;
    const failure = await fail(error);
    expect(failure.code).toBe(Code.INTERNAL);
    expect(`${failure.details}${failure.stack ?? ""}${detailsOf(failure)?.toString() ?? ""}`).not.toContain("SELECT");
    expect(received(failure).reason).toBe("INTERNAL_FAULT");
    const errors = lines.filter(({ level }) => level === "error");
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({ method: "fixture.v1.FixtureService/Echo", code: "INTERNAL", reason: "INTERNAL_FAULT" });
    const cause = toMeshError(error).cause;
    if (cause !== undefined) expect(errors[0]?.["err"]).toBe(cause);
  });
});
