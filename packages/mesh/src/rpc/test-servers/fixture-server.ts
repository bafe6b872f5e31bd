import { Server, ServerCredentials } from "@grpc/grpc-js";
import type { ServerUnaryCall, UntypedServiceImplementation, sendUnaryData, status } from "@grpc/grpc-js";
import { FixtureService } from "@protoloom/fixture";
import type { EchoRequest, EchoResponse, FixtureServiceServer } from "@protoloom/fixture/v1";
import { createEndpoint } from "../../base/endpoint.ts";
import type { Endpoint } from "../../base/endpoint.ts";

/** The fixture service on a bare grpc-js server, for tests of the client. */
export interface FixtureServer extends Disposable {
  readonly endpoint: Endpoint;
  /** Executions by the id of the request. */
  readonly ledger: ReadonlyMap<string, number>;
  /** Calls that their client has cancelled. */
  readonly cancelled: number;
  /** Metadata of the last call. */
  readonly lastMetadata: Readonly<Record<string, unknown>>;
  /** Streams messages that it has written and the transport below has not taken. */
  readonly bufferedBytes: number;
  readonly server: Server;
}

/** Starts it on a free port of 127.0.0.1, or on `port`. */
export async function startFixtureServer({ port = 0 }: { readonly port?: number } = {}): Promise<FixtureServer> {
  const server = new Server();
  const ledger = new Map<string, number>();
  const seen = { cancelled: 0, metadata: {} as Record<string, unknown>, bufferedBytes: 0 };
  const answer = (request: EchoRequest, remainingMs: number, index = 0): EchoResponse => ({
    text: request.text,
    instance: String(port),
    remainingMs: BigInt(Number.isFinite(remainingMs) ? Math.round(remainingMs) : -1),
    pad: Buffer.alloc(request.padBytes),
    index,
  });
  // grpc-js tells every call that it is cancelled, once its stream has closed: those that were answered do not count.
  const countCancelled = (call: { on(event: "cancelled", listener: () => void): unknown }, isAnswered: () => boolean): void => {
    call.on("cancelled", () => {
      if (!isAnswered()) seen.cancelled++;
    });
  };
  const echo = (call: ServerUnaryCall<EchoRequest, EchoResponse>, callback: sendUnaryData<EchoResponse>): void => {
    const { request } = call;
    seen.metadata = call.metadata.getMap();
    if (request.id !== "") ledger.set(request.id, (ledger.get(request.id) ?? 0) + 1);
    const remainingMs = Number(call.getDeadline()) - Date.now();
    let answered = false;
    const timer = setTimeout(() => {
      answered = true;
      if (request.code === 0) callback(null, answer(request, remainingMs));
      else callback({ code: request.code as status, details: request.message });
    }, request.delayMs);
    countCancelled(call, () => answered);
    call.on("cancelled", () => clearTimeout(timer));
  };
  const methods: Omit<FixtureServiceServer, keyof UntypedServiceImplementation> &
    Pick<FixtureServiceServer, "echo" | "count" | "collect" | "chat" | "ledger" | "inside"> = {
    echo,
    inside: echo,
    count(call) {
      const { request } = call;
      let index = 0;
      countCancelled(call, () => index === request.count);
      const write = (): void => {
        while (index < request.count && !call.destroyed && !call.cancelled) {
          const flowing = call.write(answer({ text: "", padBytes: request.padBytes } as EchoRequest, 0, index++));
          seen.bufferedBytes = call.writableLength;
          if (!flowing) return void call.once("drain", write);
        }
        if (request.code === 0) call.end();
        else call.emit("error", { code: request.code, details: "as asked" });
      };
      write();
    },
    collect(call, callback) {
      const texts: string[] = [];
      call.on("data", (request: EchoRequest) => texts.push(request.text));
      call.on("end", () => callback(null, { texts, instance: String(port) }));
    },
    chat(call) {
      let index = 0;
      seen.metadata = call.metadata.getMap();
      call.on("data", (request: EchoRequest) => {
        if (request.id !== "") ledger.set(request.id, (ledger.get(request.id) ?? 0) + 1);
        call.write(answer(request, 0, index++));
      });
      call.on("end", () => call.end());
    },
    ledger: (_call, callback) => callback(null, { counts: Object.fromEntries(ledger), total: ledger.size }),
  };
  server.addService(FixtureService.definition, methods);
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, found) =>
      error === null ? resolve(found) : reject(error),
    );
  });
  return {
    endpoint: createEndpoint("127.0.0.1", bound),
    ledger,
    get cancelled() {
      return seen.cancelled;
    },
    get lastMetadata() {
      return seen.metadata;
    },
    get bufferedBytes() {
      return seen.bufferedBytes;
    },
    server,
    [Symbol.dispose]: () => server.forceShutdown(),
  };
}
