import { connect as connectTcp } from "node:net";
import { create, fromBinary, toBinary, toJson } from "@bufbuild/protobuf";
import type { DescMethod, DescService, JsonObject, Message } from "@bufbuild/protobuf";
import {
  createEndpoint,
  createStaticResolver,
  createTransport,
  createEnvReader,
  policyOf,
  readServerConfig,
  serve,
  silentLogger,
} from "@protoloom/mesh";
import type { CallContext, Endpoint, Implementation, Server, StaticResolver, Transport } from "@protoloom/mesh";
import { createEdge } from "../src/index.ts";
import type { Edge, EdgeOptions } from "../src/index.ts";

/** Answers a call of a test contract: gives what the answer is made of. */
export type TestHandler = (request: JsonObject, context: CallContext, method: string) => unknown;

/** Serves a contract of descriptors: every method echoes its name and its request as JSON, unless `answers` says otherwise. */
export function implementEcho(service: DescService, answers: Readonly<Record<string, TestHandler>> = {}): Implementation {
  return {
    service,
    methods: service.methods.map((method) => {
      const { input, output } = method;
      return {
        path: `/${service.typeName}/${method.name}`,
        descriptor: method,
        policy: policyOf(method),
        decode: (bytes) => fromBinary(input, bytes),
        encode: (message) => Buffer.from(toBinary(output, message as Message)),
        handler: handlerOf(method, answers[method.name]),
      };
    }),
  };
}

function handlerOf(method: DescMethod, answer: TestHandler | undefined): (request: unknown, context: CallContext) => unknown {
  const { name, input, output, methodKind } = method;
  const toMessage = (made: unknown): Message => create(output, made as never);
  const echo = async (json: JsonObject, context: CallContext): Promise<unknown> =>
    (await answer?.(json, context, name)) ?? { rpc: name, requestJson: JSON.stringify(json) };
  if (methodKind === "client_streaming") {
    return async (requests, context) => {
      const all: JsonObject[] = [];
      for await (const request of requests as AsyncIterable<Message>) all.push(toJson(input, request) as JsonObject);
      return toMessage(await echo(all as unknown as JsonObject, context));
    };
  }
  if (methodKind === "server_streaming") {
    return async function* (request, context) {
      const made = (await echo(toJson(input, request as Message) as JsonObject, context)) as AsyncIterable<unknown>;
      for await (const each of made) yield toMessage(each);
    };
  }
  return async (request, context) => toMessage(await echo(toJson(input, request as Message) as JsonObject, context));
}

/** Serves implementations on a free port. */
export async function startUpstream(
  ...services: readonly Implementation[]
): Promise<{ readonly server: Server; readonly endpoint: Endpoint }> {
  const config = { ...readServerConfig(createEnvReader({})), drainNoticeMs: 0 };
  const server = await serve({ services, config, logger: silentLogger });
  await server.ready(AbortSignal.timeout(5_000));
  return { server, endpoint: toEndpoint(server.address) };
}

/** The endpoint of an address, as the registry would list it. */
export function toEndpoint(address: string, meta: Readonly<Record<string, string>> = {}): Endpoint {
  const at = address.lastIndexOf(":");
  return createEndpoint(address.slice(0, at), Number(address.slice(at + 1)), { meta: { protocol: "grpc", ...meta } });
}

/** An edge in front of endpoints that a test sets. Disposing ends both. */
export interface Rig extends AsyncDisposable {
  readonly edge: Edge;
  readonly resolver: StaticResolver;
  readonly transport: Transport;
  readonly port: number;
  readonly url: string;
}

/** Starts an edge over static endpoints and waits until it is ready. */
export async function startRig(
  endpoints: Readonly<Record<string, readonly Endpoint[]>>,
  options: Partial<EdgeOptions> = {},
): Promise<Rig> {
  const resolver = createStaticResolver(endpoints);
  const transport = createTransport({ resolver });
  const edge = await createEdge({
    resolver,
    transport,
    logger: silentLogger,
    drainNoticeMs: 0,
    drainTimeoutMs: 2_000,
    ...options,
  });
  await edge.ready(AbortSignal.timeout(5_000));
  const port = Number(edge.address.slice(edge.address.lastIndexOf(":") + 1));
  return {
    edge,
    resolver,
    transport,
    port,
    url: `http://${edge.address}`,
    async [Symbol.asyncDispose]() {
      await edge.drain();
      await transport[Symbol.asyncDispose]();
      await resolver[Symbol.asyncDispose]();
    },
  };
}

/** An answer as it came over the wire. */
export interface RawAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Sends bytes over a connection of its own and reads until the server closes it, or a whole answer has come. */
export function sendRaw(port: number, bytes: string | Uint8Array, isHead = false): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp(port, "127.0.0.1");
    let received = Buffer.alloc(0);
    const timer = setTimeout(() => socket.destroy(new Error("no answer within 5 s")), 5_000);
    const finish = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(parseAnswer(received));
    };
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (isComplete(received, isHead)) finish();
    });
    socket.on("error", (error) => (received.length > 0 ? finish() : reject(error)));
    socket.on("close", finish);
    socket.write(bytes);
  });
}

function isComplete(received: Buffer, isHead: boolean): boolean {
  const head = received.indexOf("\r\n\r\n");
  if (head < 0) return false;
  const text = received.toString("latin1", 0, head);
  if (isHead || text.startsWith("HTTP/1.1 204")) return true;
  const length = /content-length: (\d+)/i.exec(text)?.[1];
  return length !== undefined && received.length >= head + 4 + Number(length);
}

function parseAnswer(received: Buffer): RawAnswer {
  const text = received.toString("utf8");
  const [head = "", ...rest] = text.split("\r\n\r\n");
  const [line = "", ...fields] = head.split("\r\n");
  const headers = Object.fromEntries(
    fields.map((field) => [field.slice(0, field.indexOf(":")).toLowerCase(), field.slice(field.indexOf(":") + 1).trim()]),
  );
  return { status: Number(line.split(" ")[1] ?? 0), headers, body: rest.join("\r\n\r\n") };
}

/** One request, with only the headers that are named here. The path goes out as it is, unlike through a URL. */
export interface TestRequest {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** Sends a request over HTTP/1.1. */
export function send(port: number, { method = "GET", path, headers = {}, body }: TestRequest): Promise<RawAnswer> {
  const content = body === undefined ? Buffer.alloc(0) : Buffer.from(body as Uint8Array);
  const lines = Object.entries({
    host: "localhost",
    ...headers,
    ...(body === undefined ? {} : { "content-length": String(content.length) }),
  });
  const head = `${method} ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
  return sendRaw(port, Buffer.concat([Buffer.from(head), content]), method === "HEAD");
}
