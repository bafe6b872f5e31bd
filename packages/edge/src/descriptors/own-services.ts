import type { DescFile, MessageInitShape } from "@bufbuild/protobuf";
import { Code as ConnectCode, ConnectError, createConnectRouter } from "@connectrpc/connect";
import type { HandlerContext } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { Code } from "@protoloom/mesh";
import type { Clock } from "@protoloom/mesh";
import { file_google_rpc_error_details } from "@protoloom/protos/google/rpc/error_details_pb";
import { file_google_rpc_status } from "@protoloom/protos/google/rpc/status_pb";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "@protoloom/protos/grpc/health/v1/health_pb";
import { ServerReflection } from "@protoloom/protos/grpc/reflection/v1/reflection_pb";
import type { ServerReflectionRequest, ServerReflectionResponseSchema } from "@protoloom/protos/grpc/reflection/v1/reflection_pb";
import { ServerReflection as ServerReflectionAlpha } from "@protoloom/protos/grpc/reflection/v1alpha/reflection_pb";
import type { RoutingTable } from "../catalogue/routing-table.ts";
import { handlerOptions } from "../rpc/stream-proxy.ts";
import { createExposedFiles } from "./exposed-files.ts";
import type { ExposedFiles } from "./exposed-files.ts";

/** What the edge says of itself. */
export interface OwnState {
  readonly table: RoutingTable;
  /** False while the edge starts or drains. */
  readonly serving: boolean;
}

/** No contract imports these, but errors have them as details: a client can read those too. */
const errorFiles: readonly DescFile[] = [file_google_rpc_error_details, file_google_rpc_status];

const watchIntervalMs = 500;
const ownMethods = [Health, ServerReflection, ServerReflectionAlpha].flatMap(({ methods }) => methods);

/** grpc.reflection and grpc.health of the edge, by path: they show exposed methods only, of all services together. */
export function createOwnServices(
  state: () => OwnState,
  { clock, maxBodyBytes }: { readonly clock: Clock; readonly maxBodyBytes: number },
): ReadonlyMap<string, UniversalHandler> {
  const indexes = new WeakMap<RoutingTable, ExposedFiles>();
  const files = (): ExposedFiles => {
    const { table } = state();
    const index =
      indexes.get(table) ?? createExposedFiles([...table.methods.map(({ descriptor }) => descriptor), ...ownMethods], errorFiles);
    indexes.set(table, index);
    return index;
  };
  const router = createConnectRouter(handlerOptions(maxBodyBytes));
  const reflect = async function* (requests: AsyncIterable<ReflectionQuestion>): AsyncGenerator<ReflectionAnswer> {
    for await (const request of requests) yield answerReflection(request, files());
  };
  router.service(ServerReflection, { serverReflectionInfo: reflect });
  router.service(ServerReflectionAlpha, { serverReflectionInfo: reflect as never });
  const statusOf = (service: string): ServingStatus | undefined => {
    if (service !== "" && !files().services.includes(service)) return undefined;
    return state().serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  };
  router.service(Health, {
    check({ service }) {
      const status = statusOf(service);
      if (status === undefined)
        throw new ConnectError(`the service ${JSON.stringify(service)} is not served here`, ConnectCode.NotFound);
      return { status };
    },
    async *watch({ service }, { signal }: HandlerContext) {
      let told: ServingStatus | undefined;
      for (;;) {
        const status = statusOf(service) ?? ServingStatus.SERVICE_UNKNOWN;
        if (status !== told) yield { status };
        told = status;
        // The wait ends early when the caller goes, or its deadline passes: the reason is how the call ends.
        await clock.sleep(watchIntervalMs, signal).catch(() => {});
        signal.throwIfAborted();
      }
    },
    list: () => ({
      statuses: Object.fromEntries(
        ["", ...files().services].map((service) => [service, { status: statusOf(service) ?? ServingStatus.UNKNOWN }]),
      ),
    }),
  });
  return new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
}

type ReflectionQuestion = Pick<ServerReflectionRequest, "messageRequest" | "host">;

/** A message of v1 or of v1alpha: both have the same fields. */
type ReflectionAnswer = MessageInitShape<typeof ServerReflectionResponseSchema>;

function answerReflection({ host, messageRequest: question }: ReflectionQuestion, files: ExposedFiles): ReflectionAnswer {
  const respond = (messageResponse: NonNullable<ReflectionAnswer["messageResponse"]>): ReflectionAnswer => ({
    validHost: host,
    originalRequest: { host, messageRequest: typeof question.value === "string" ? question : { case: undefined } },
    messageResponse,
  });
  const refuse = (errorCode: number, errorMessage: string): ReflectionAnswer =>
    respond({ case: "errorResponse", value: { errorCode, errorMessage } });
  const file = (bytes: Uint8Array | undefined, what: string): ReflectionAnswer =>
    bytes === undefined
      ? refuse(Code.NOT_FOUND, `${what} is not served here`)
      : respond({ case: "fileDescriptorResponse", value: { fileDescriptorProto: [bytes] } });
  switch (question.case) {
    case "listServices":
      return respond({
        case: "listServicesResponse",
        value: { service: files.services.map((name) => ({ name })) },
      });
    case "fileByFilename":
      return file(files.byName(question.value), `the file ${question.value}`);
    case "fileContainingSymbol":
      return file(files.bySymbol(question.value), `the symbol ${question.value}`);
    default:
      return refuse(Code.UNIMPLEMENTED, "extensions are not looked up here");
  }
}
