import { fromBinary } from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import { Client, credentials } from "@grpc/grpc-js";
import type { ServiceError } from "@grpc/grpc-js";
import { ProductService, UserService } from "@protoloom/contracts";
import { FixtureService } from "@protoloom/fixture";
import { createFixtureService } from "@protoloom/fixture/service";
import { BadRequestSchema } from "@protoloom/protos/google/rpc/error_details_pb";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createEnvReader } from "../base/env-reader.ts";
import { silentLogger } from "../base/logger.ts";
import type { MeshError } from "../base/mesh-error.ts";
import { fromWireStatus } from "../contract/status.ts";
import { implement } from "./implement.ts";
import { createRequestReader } from "./request-reader.ts";
import { serve } from "./serve.ts";
import type { Server } from "./serve.ts";
import { readServerConfig } from "./server-config.ts";

const { createUser, batchGetUsers, getUser } = UserService.definition;
const { collect } = FixtureService.definition;
let server: Server;
let client: Client;
let handled: unknown[] = [];

beforeAll(async () => {
  const record = (request: unknown): never => {
    handled.push(request);
    return {} as never;
  };
  const users = Object.fromEntries(UserService.descriptor.methods.map(({ localName }) => [localName, record]));
  server = await serve({
    services: [implement(UserService, users as never), implement(FixtureService, createFixtureService({ instance: () => "" }))],
    config: readServerConfig(createEnvReader({ MESH_DRAIN_NOTICE_MS: "0" })),
    logger: silentLogger,
  });
  client = new Client(server.address, credentials.createInsecure());
});

afterAll(async () => {
  client.close();
  await server.drain();
});

beforeEach(() => {
  handled = [];
});

/** Sends bytes, and gives the error that comes back with its details. */
async function send(path: string, bytes: Uint8Array): Promise<MeshError | undefined> {
  const failure = await new Promise<ServiceError | null>((resolve) => {
    client.makeUnaryRequest(
      path,
      (value: Buffer) => value,
      (value) => value,
      Buffer.from(bytes),
      resolve,
    );
  });
  return failure === null ? undefined : toMesh(failure);
}

function toMesh(failure: ServiceError): MeshError {
  const [statusBytes] = failure.metadata.get("grpc-status-details-bin") as Buffer[];
  return fromWireStatus({ code: failure.code, message: failure.details, ...(statusBytes === undefined ? {} : { statusBytes }) });
}

function violationsOf(error: MeshError | undefined): readonly (readonly [string, string])[] {
  const detail = error?.details.find(({ typeName }) => typeName === BadRequestSchema.typeName);
  const { fieldViolations } = fromBinary(BadRequestSchema, detail?.value ?? new Uint8Array());
  return fieldViolations.map(({ field, reason }) => [field, reason]);
}

describe("a request that breaks its contract", () => {
  test("is refused with the path of each field in proto spelling and the id of the rule", async () => {
    const request = UserService.requests.createUser({ user: { name: "Ada", email: "no address" }, requestId: "x".repeat(200) });
    const error = await send(createUser.path, createUser.requestSerialize(request));
    expect(error).toMatchObject({ code: 3, reason: "CONTRACT_VIOLATED" });
    expect(violationsOf(error)).toEqual([
      ["user.email", "string.email"],
      ["request_id", "string.max_len"],
    ]);
    expect(error?.detail).toContain("user.email: ");
    expect(handled).toEqual([]);
  });

  test("that breaks it in very many places is refused with the first few", async () => {
    const request = UserService.requests.batchGetUsers({ ids: Array.from({ length: 90 }, () => "") });
    const error = await send(batchGetUsers.path, batchGetUsers.requestSerialize(request));
    const violations = violationsOf(error);
    expect(violations).toHaveLength(17);
    expect(violations[0]).toEqual(["ids[0]", "string.min_len"]);
    expect(error?.detail).toMatch(/and 74 more$/);
  });

  test("in the midst of a stream ends the stream", async () => {
    const answer = await new Promise<ServiceError | null>((resolve) => {
      const stream = client.makeClientStreamRequest(collect.path, collect.requestSerialize, collect.responseDeserialize, resolve);
      stream.on("error", () => {});
      stream.write(FixtureService.requests.collect({ text: "good" }));
      stream.write(FixtureService.requests.collect({ text: "x".repeat(1_001) }));
      stream.write(FixtureService.requests.collect({ text: "good" }));
      stream.end();
    });
    expect(answer?.code).toBe(3);
    expect(violationsOf(toMesh(answer as ServiceError))).toEqual([["text", "string.max_len"]]);
  });
});

describe("bytes that are no request", () => {
  const field = (number: number, type: number, ...rest: number[]): Uint8Array => Uint8Array.from([(number << 3) | type, ...rest]);
  test.each<[string, Uint8Array]>([
    ["random bytes", Uint8Array.from([0xff, 0x13, 0x37, 0xde, 0xad, 0xbe, 0xef])],
    ["a varint of 11 bytes", Uint8Array.from([0x08, ...Array<number>(11).fill(0xff), 0x01])],
    ["a wrong wire type", field(1, 0, 1)],
    ["field number 0", Uint8Array.from([0x02, 0x00])],
    ["a length beyond the end", field(1, 2, 0x7f, 0x61)],
    ["a group without its end", field(1, 3)],
    ["groups within groups", new Uint8Array(10_000).fill((1 << 3) | 3)],
    ["a string that is not UTF-8", field(1, 2, 2, 0xc3, 0x28)],
    ["a string with an encoded surrogate", field(1, 2, 3, 0xed, 0xa0, 0x80)],
    ["an overlong encoding", field(1, 2, 2, 0xc0, 0xaf)],
  ])("%s are MALFORMED_REQUEST", async (_what, bytes) => {
    const startedMs = performance.now();
    const error = await send(getUser.path, bytes);
    expect(error).toMatchObject({ code: 3, reason: "MALFORMED_REQUEST" });
    expect(performance.now() - startedMs).toBeLessThan(200);
    expect(handled).toEqual([]);
  });

  test("messages nested too deeply are refused", async () => {
    // google.protobuf.FieldMask has no recursion; CreateUserRequest.user is nested once. Unknown groups recurse instead.
    const error = await send(createUser.path, new Uint8Array(200_000).fill((9 << 3) | 3));
    expect(error).toMatchObject({ code: 3, reason: "MALFORMED_REQUEST" });
  });

  test("an unknown field is no fault", async () => {
    const known = getUser.requestSerialize(UserService.requests.getUser({ id: "a" }));
    await send(getUser.path, Buffer.concat([known, field(15, 0, 1)]));
    expect(handled).toEqual([{ id: "a" }]);
  });
});

function timed<T>(work: () => T): { readonly value: T; readonly ms: number } {
  const startedMs = performance.now();
  return { value: work(), ms: performance.now() - startedMs };
}

describe("the rules of a type", () => {
  test("are compiled before the first call", () => {
    const validator = createValidator();
    const handlers = Object.fromEntries(ProductService.descriptor.methods.map(({ localName }) => [localName, () => undefined]));
    const { methods } = implement(ProductService, handlers as never);
    const [method] = methods.filter(({ path }) => path.endsWith("/CreateProduct"));
    if (method === undefined) throw new Error("no CreateProduct");
    const buildMs = timed(() => createRequestReader(method, createValidator())).ms;
    const read = createRequestReader(method, validator);
    const bytes = ProductService.definition.createProduct.requestSerialize(
      ProductService.requests.createProduct({
        product: { name: "Lamp", price: { currencyCode: "EUR", units: 5n, nanos: 0 } },
      }),
    );
    const first = timed(() => read(bytes));
    expect(first.value).toMatchObject({ product: { name: "Lamp" } });
    expect(first.ms).toBeLessThan(buildMs);
  });
});
