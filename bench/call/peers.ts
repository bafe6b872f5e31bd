/** The servers and clients that `main.ts` compares: ours, and bare grpc-js as its users write it. */
import { Client as GrpcClient, Server as GrpcServer, ServerCredentials, credentials } from "@grpc/grpc-js";
import type { ServerDuplexStream, ServerUnaryCall, ServerWritableStream, sendUnaryData } from "@grpc/grpc-js";
import { FixtureService } from "@protoloom/fixture";
import {
  createEndpoint,
  createEnvReader,
  createLogger,
  createMesh,
  createStaticResolver,
  implement,
  readServerConfig,
  serve,
} from "@protoloom/mesh";

/** What is measured. Of a stream, one unit is a message of the server, and in `bidi` the request that it answers. */
export type Kind = "unary" | "server stream" | "bidi";

export type ServerRole = "bare server" | "our server";
export type ClientRole = "bare client" | "our client" | "ts-proto client, our channel";

/** Messages of the server in one stream. */
export const messagesPerStream = 100;

const text = "x".repeat(100);

interface Answer {
  text: string;
  instance: string;
  remainingMs: bigint;
  pad: Buffer;
  index: number;
}

function answer(given: string, index = 0): Answer {
  return { text: given, instance: "127.0.0.1:50051", remainingMs: 5_000n, pad: Buffer.alloc(0), index };
}

const unused = (): never => {
  throw new Error("the bench does not call this");
};

/** Listens, and gives the port. */
export async function startServer(role: ServerRole): Promise<number> {
  return role === "bare server" ? startBareServer() : startOurServer();
}

async function startOurServer(): Promise<number> {
  const handlers = {
    echo: (request: { text: string }) => answer(request.text),
    async *count(request: { count: number }) {
      for (let index = 0; index < request.count; index++) yield answer(text, index);
    },
    async *chat(requests: AsyncIterable<{ text: string }>) {
      let index = 0;
      for await (const request of requests) yield answer(request.text, index++);
    },
    inside: unused,
    collect: unused,
    ledger: unused,
  };
  const server = await serve({
    services: [implement(FixtureService, handlers)],
    config: readServerConfig(createEnvReader({})),
    logger: createLogger({ name: "bench" }),
  });
  return Number(server.address.split(":").at(-1));
}

function startBareServer(): Promise<number> {
  const server = new GrpcServer();
  const { echo, count, chat } = FixtureService.definition;
  server.addService(
    { echo, count, chat },
    {
      echo: (call: ServerUnaryCall<{ text: string }, Answer>, callback: sendUnaryData<Answer>) =>
        callback(null, answer(call.request.text)),
      count(call: ServerWritableStream<{ count: number }, Answer>) {
        for (let index = 0; index < call.request.count; index++) call.write(answer(text, index));
        call.end();
      },
      chat(call: ServerDuplexStream<{ text: string }, Answer>) {
        let index = 0;
        call.on("data", (request: { text: string }) => call.write(answer(request.text, index++)));
        call.on("end", () => call.end());
      },
    },
  );
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    );
  });
}

/** A function that makes one call of a kind, and gives the units that it had. */
export function startClient(role: ClientRole, kind: Kind, port: number): () => Promise<number> {
  const resolver = createStaticResolver({ fixture: [createEndpoint("127.0.0.1", port)] });
  const mesh = createMesh({ registryUrl: "http://127.0.0.1:8500" }, { discovery: { resolver, registrar: { register: unused } } });
  if (role === "our client") {
    const client = mesh.client(FixtureService);
    switch (kind) {
      case "unary":
        return async () => {
          await client.echo({ text });
          return 1;
        };
      case "server stream":
        return () => countAll(client.count({ count: messagesPerStream }));
      case "bidi":
        return () => countAll(client.chat(Array.from({ length: messagesPerStream }, () => ({ text }))));
    }
  }
  const options = role === "bare client" ? {} : { channelOverride: mesh.channel("fixture") };
  return startGrpcClient(new GrpcClient(`127.0.0.1:${port}`, credentials.createInsecure(), options), kind);
}

/** As generated code does it; with a deadline, since ours has one. */
function startGrpcClient(client: GrpcClient, kind: Kind): () => Promise<number> {
  const { echo, count, chat } = FixtureService.definition;
  const { requests } = FixtureService;
  const options = (): { deadline: number } => ({ deadline: Date.now() + 5_000 });
  switch (kind) {
    case "unary":
      return () =>
        new Promise((resolve, reject) => {
          client.makeUnaryRequest(
            echo.path,
            echo.requestSerialize,
            echo.responseDeserialize,
            requests.echo({ text }),
            options(),
            (error) => (error === null ? resolve(1) : reject(error)),
          );
        });
    case "server stream":
      return () => {
        const request = requests.count({ count: messagesPerStream });
        return countData(
          client.makeServerStreamRequest(count.path, count.requestSerialize, count.responseDeserialize, request, options()),
        );
      };
    case "bidi":
      return () => {
        const call = client.makeBidiStreamRequest(chat.path, chat.requestSerialize, chat.responseDeserialize, options());
        const counted = countData(call);
        for (let index = 0; index < messagesPerStream; index++) call.write(requests.chat({ text }));
        call.end();
        return counted;
      };
  }
}

async function countAll(answers: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const _answer of answers) count++;
  return checked(count);
}

function countData(stream: NodeJS.EventEmitter): Promise<number> {
  return new Promise((resolve, reject) => {
    let count = 0;
    stream.on("data", () => count++);
    stream.on("end", () => resolve(checked(count)));
    stream.on("error", reject);
  });
}

/** A peer that loses messages is not fast. */
function checked(count: number): number {
  if (count !== messagesPerStream) throw new Error(`${count} messages came instead of ${messagesPerStream}`);
  return count;
}
