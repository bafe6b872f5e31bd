import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { create, createFileRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ProductService } from "@protoloom/contracts";
import { FixtureService } from "@protoloom/fixture";
import { createFixtureService } from "@protoloom/fixture/service";
import { ServerReflection } from "@protoloom/protos/grpc/reflection/v1/reflection_pb";
import type { ServerReflectionRequest } from "@protoloom/protos/grpc/reflection/v1/reflection_pb";
import { ServerReflection as ServerReflectionAlpha } from "@protoloom/protos/grpc/reflection/v1alpha/reflection_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeWith, part } from "../../../../tools/parts.ts";
import { createEnvReader } from "../base/env-reader.ts";
import { silentLogger } from "../base/logger.ts";
import { policyOf } from "../contract/policy.ts";
import { implement } from "./implement.ts";
import { serve } from "./serve.ts";
import type { Server } from "./serve.ts";
import { readServerConfig } from "./server-config.ts";

const run = promisify(execFile);
const listed = [
  "fixture.v1.FixtureService",
  "grpc.health.v1.Health",
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
  "product.v1.ProductService",
];
let server: Server;

beforeAll(async () => {
  const product = Object.fromEntries(ProductService.descriptor.methods.map(({ localName }) => [localName, () => undefined]));
  server = await serve({
    services: [
      implement(FixtureService, createFixtureService({ instance: () => "here" })),
      implement(ProductService, product as never),
    ],
    config: readServerConfig(createEnvReader({ MESH_DRAIN_NOTICE_MS: "0" })),
    logger: silentLogger,
  });
});

afterAll(() => server.drain());

/** The files in the order of a FileDescriptorSet: each behind what it imports. */
function importsFirst(bytes: readonly Uint8Array[]): FileDescriptorProto[] {
  const files = new Map(bytes.map((one) => fromBinary(FileDescriptorProtoSchema, one)).map((file) => [file.name, file]));
  const ordered = new Set<FileDescriptorProto>();
  const visit = (name: string): void => {
    const file = files.get(name);
    if (file === undefined) throw new Error(`${name} did not come`);
    file.dependency.forEach(visit);
    ordered.add(file);
  };
  [...files.keys()].forEach(visit);
  return [...ordered];
}

type Question = ServerReflectionRequest["messageRequest"];

describe.each([
  ["v1", ServerReflection],
  ["v1alpha", ServerReflectionAlpha as unknown as typeof ServerReflection],
])("grpc.reflection.%s", (_version, service) => {
  async function ask(...questions: Question[]) {
    const client = createClient(service, createGrpcTransport({ baseUrl: `http://${server.address}` }));
    const answers = [];
    const requests = (async function* () {
      for (const messageRequest of questions) yield { host: "h", messageRequest };
    })();
    for await (const answer of client.serverReflectionInfo(requests)) answers.push(answer);
    return answers;
  }
  async function askOne(question: Question) {
    const [answer] = await ask(question);
    return answer?.messageResponse;
  }
  const filesOf = (answer: Awaited<ReturnType<typeof askOne>>): string[] =>
    answer?.case === "fileDescriptorResponse"
      ? answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name)
      : [];

  test("lists the services", async () => {
    const answer = await askOne({ case: "listServices", value: "" });
    expect(answer?.case === "listServicesResponse" && answer.value.service.map(({ name }) => name)).toEqual(listed);
  });

  test("gives files with everything they import and with their options, byte for byte", async () => {
    const answer = await askOne({ case: "fileContainingSymbol", value: "product.v1.ProductService" });
    if (answer?.case !== "fileDescriptorResponse") throw new Error(`got ${answer?.case}`);
    expect(filesOf(answer)[0]).toBe("product/v1/product_service.proto");
    expect(filesOf(answer)).toContain("google/type/money.proto");
    const rebuilt = createFileRegistry(create(FileDescriptorSetSchema, { file: importsFirst(answer.value.fileDescriptorProto) }));
    const reflected = rebuilt.getService("product.v1.ProductService");
    expect(reflected?.methods.map(policyOf)).toEqual(ProductService.descriptor.methods.map(policyOf));
    expect(answer.value.fileDescriptorProto[0]).toEqual(
      toBinary(FileDescriptorProtoSchema, ProductService.descriptor.file.proto),
    );
  });

  test.each([
    ["a message", "product.v1.Product", "product/v1/product.proto"],
    ["a message, with a dot in front", ".product.v1.Product", "product/v1/product.proto"],
    ["a field", "product.v1.Product.price", "product/v1/product.proto"],
    ["a method", "product.v1.ProductService.GetProduct", "product/v1/product_service.proto"],
    ["a nested message", "fixture.v1.LedgerResponse.CountsEntry", "fixture/v1/fixture_service.proto"],
    ["an enum value", "protoloom.v1.EXPOSURE_PUBLIC", "protoloom/v1/policy.proto"],
    ["an extension", "google.api.http", "google/api/annotations.proto"],
    ["a service of the mesh", "grpc.health.v1.Health", "grpc/health/v1/health.proto"],
  ])("finds %s", async (_what, symbol, file) => {
    expect(filesOf(await askOne({ case: "fileContainingSymbol", value: symbol }))[0]).toBe(file);
  });

  test("finds files by name and extensions by number", async () => {
    expect(filesOf(await askOne({ case: "fileByFilename", value: "google/type/money.proto" }))).toEqual([
      "google/type/money.proto",
    ]);
    const containingType = "google.protobuf.MethodOptions";
    expect(
      filesOf(await askOne({ case: "fileContainingExtension", value: { containingType, extensionNumber: 51_001 } as never }))[0],
    ).toBe("protoloom/v1/policy.proto");
    const numbers = await askOne({ case: "allExtensionNumbersOfType", value: containingType });
    expect(numbers?.case === "allExtensionNumbersResponse" && numbers.value.extensionNumber).toEqual(
      expect.arrayContaining([51_001, 72_295_728]),
    );
    const none = await askOne({ case: "allExtensionNumbersOfType", value: "product.v1.Product" });
    expect(none?.case === "allExtensionNumbersResponse" && none.value.extensionNumber).toEqual([]);
  });

  test("says NOT_FOUND within the stream, and goes on", async () => {
    const answers = await ask(
      { case: "fileContainingSymbol", value: "no.Such" },
      { case: "fileByFilename", value: "no/such.proto" },
      { case: "allExtensionNumbersOfType", value: "no.Such" },
      { case: "listServices", value: "" },
    );
    expect(answers.map(({ messageResponse }) => messageResponse.case)).toEqual([
      "errorResponse",
      "errorResponse",
      "errorResponse",
      "listServicesResponse",
    ]);
    expect(answers[0]).toMatchObject({
      validHost: "h",
      originalRequest: { host: "h", messageRequest: { value: "no.Such" } },
      messageResponse: { value: { errorCode: 5 } },
    });
  });

  test("a request that asks for nothing is INVALID_ARGUMENT", async () => {
    await expect(ask({ case: undefined })).rejects.toMatchObject({ code: 3 });
  });
});

describeWith(["grpcurl"], "grpcurl, knowing nothing but the address", () => {
  async function grpcurl(...args: string[]): Promise<string> {
    const { stdout } = await run(part("grpcurl") ?? "", ["-plaintext", ...args]);
    return stdout;
  }

  test("lists the services and their methods", async () => {
    expect((await grpcurl(server.address, "list")).trim().split("\n")).toEqual(listed);
    expect(await grpcurl(server.address, "list", "fixture.v1.FixtureService")).toContain("fixture.v1.FixtureService.Chat");
  });

  test("describes services, methods with their options, and messages", async () => {
    const described = await grpcurl(server.address, "describe", "product.v1.ProductService");
    expect(described).toContain("rpc GetProduct ( .product.v1.GetProductRequest ) returns ( .product.v1.Product )");
    expect(described).toContain("option (.protoloom.v1.method)");
    expect(await grpcurl(server.address, "describe", "product.v1.Product")).toContain(".google.type.Money price = ");
    for (const name of listed) expect(await grpcurl(server.address, "describe", name)).toContain("is a service");
  });

  test("calls methods of every kind", async () => {
    const call = (name: string, data: string): Promise<string> =>
      grpcurl("-d", data, server.address, `fixture.v1.FixtureService/${name}`);
    expect(JSON.parse(await call("Echo", '{"text":"hi"}'))).toMatchObject({ text: "hi", instance: "here" });
    expect((await call("Count", '{"count":3}')).match(/"instance"/g)).toHaveLength(3);
    expect(JSON.parse(await call("Collect", '{"text":"a"}{"text":"b"}'))).toEqual({ texts: ["a", "b"], instance: "here" });
    expect((await call("Chat", '{"text":"a"}{"text":"b"}')).match(/"text": "[ab]"/g)).toHaveLength(2);
    expect(JSON.parse(await grpcurl(server.address, "grpc.health.v1.Health/Check"))).toEqual({ status: "SERVING" });
  });

  test("shows a violation with its field", async () => {
    const text = "x".repeat(1_001);
    const failed = grpcurl("-format-error", "-d", JSON.stringify({ text }), server.address, "fixture.v1.FixtureService/Echo");
    await expect(failed).rejects.toMatchObject({ stderr: expect.stringMatching(/"field":\s*"text"/) });
  });
});
