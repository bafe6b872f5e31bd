import { toBinary } from "@bufbuild/protobuf";
import type { DescFile, DescService, MessageInitShape } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { DescriptorProto, EnumDescriptorProto, FieldDescriptorProto } from "@bufbuild/protobuf/wkt";
import { file_google_rpc_error_details } from "@protoloom/protos/google/rpc/error_details_pb";
import { file_google_rpc_status } from "@protoloom/protos/google/rpc/status_pb";
import { ServerReflection } from "@protoloom/protos/grpc/reflection/v1/reflection_pb";
import type { ServerReflectionRequest, ServerReflectionResponseSchema } from "@protoloom/protos/grpc/reflection/v1/reflection_pb";
import { ServerReflection as ServerReflectionAlpha } from "@protoloom/protos/grpc/reflection/v1alpha/reflection_pb";
import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";
import { handleOf } from "./definition-of.ts";
import { implement, withoutDeadline } from "./implement.ts";
import type { Implementation } from "./implement.ts";

/** No service imports these, but errors have them as details: a client can read those too. */
const errorFiles: readonly DescFile[] = [file_google_rpc_error_details, file_google_rpc_status];

type Answer = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"]>;

/**
 * Serves grpc.reflection v1 and v1alpha for the given services and itself: the very files of their descriptors, options
 * included. Nothing is rebuilt, so what a client reads here is what the contract says.
 */
export function createReflection(services: readonly DescService[]): readonly Implementation[] {
  const own = [ServerReflection, ServerReflectionAlpha] as unknown as readonly DescService[];
  const answer = createAnswers([...services, ...own]);
  // v1alpha is v1 under another name: fields and numbers are the same.
  async function* serverReflectionInfo<Request extends Pick<ServerReflectionRequest, "host" | "messageRequest">>(
    requests: AsyncIterable<Request>,
  ): AsyncGenerator<{ validHost: string; originalRequest: Request; messageResponse: Answer }> {
    for await (const request of requests) {
      yield { validHost: request.host, originalRequest: request, messageResponse: answer(request.messageRequest) };
    }
  }
  return [
    withoutDeadline(implement(handleOf(ServerReflection), { serverReflectionInfo })),
    withoutDeadline(implement(handleOf(ServerReflectionAlpha), { serverReflectionInfo } as never)),
  ];
}

function createAnswers(services: readonly DescService[]): (request: ServerReflectionRequest["messageRequest"]) => Answer {
  const names = services.map(({ typeName }) => ({ name: typeName })).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const files = closure([...services.map(({ file }) => file), ...errorFiles]);
  const index: Index = { symbols: new Map(), extensions: new Map() };
  for (const file of files.values()) addFile(index, file);
  const bytesOf = new Map<DescFile, Uint8Array>();
  // Only the file that was asked for, as in the other implementations, would make a client ask again for each import.
  const send = (file: DescFile | undefined, what: string): Answer => {
    if (file === undefined) return notFound(what);
    const fileDescriptorProto = [...closure([file]).values()].map((part) => {
      const bytes = bytesOf.get(part) ?? toBinary(FileDescriptorProtoSchema, part.proto);
      bytesOf.set(part, bytes);
      return bytes;
    });
    return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
  };
  return (request) => {
    switch (request.case) {
      case "listServices":
        return { case: "listServicesResponse", value: { service: names } };
      case "fileByFilename":
        return send(files.get(request.value), request.value);
      case "fileContainingSymbol":
        return send(index.symbols.get(request.value.replace(/^\./, "")), request.value);
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = request.value;
        return send(index.extensions.get(containingType)?.get(extensionNumber), `${containingType}[${extensionNumber}]`);
      }
      case "allExtensionNumbersOfType": {
        const found = index.extensions.get(request.value);
        if (found === undefined && !index.symbols.has(request.value)) return notFound(request.value);
        const extensionNumber = [...(found?.keys() ?? [])];
        return { case: "allExtensionNumbersResponse", value: { baseTypeName: request.value, extensionNumber } };
      }
      case undefined:
        throw new MeshError(Code.INVALID_ARGUMENT, "the request asks for nothing", { reason: "MALFORMED_REQUEST" });
    }
  };
}

/** The files and all that they import, by name. */
function closure(roots: readonly DescFile[]): ReadonlyMap<string, DescFile> {
  const found = new Map<string, DescFile>();
  const visit = (file: DescFile): void => {
    if (found.has(file.proto.name)) return;
    found.set(file.proto.name, file);
    file.dependencies.forEach(visit);
  };
  roots.forEach(visit);
  return found;
}

interface Index {
  /** File of each symbol: messages, their fields and oneofs, enums and their values, services, methods, extensions. */
  readonly symbols: Map<string, DescFile>;
  /** File of each extension, by the message that is extended and the number. */
  readonly extensions: Map<string, Map<number, DescFile>>;
}

function addFile(index: Index, file: DescFile): void {
  const { package: scope, messageType, enumType, service, extension } = file.proto;
  for (const message of messageType) addMessage(index, file, { scope, message });
  for (const found of enumType) addEnum(index, file, { scope, found });
  for (const found of extension) addExtension(index, file, { scope, found });
  for (const { name, method } of service) {
    index.symbols.set(join(scope, name), file);
    for (const found of method) index.symbols.set(join(scope, name, found.name), file);
  }
}

function addMessage(index: Index, file: DescFile, { scope, message }: { scope: string; message: DescriptorProto }): void {
  const name = join(scope, message.name);
  index.symbols.set(name, file);
  for (const { name: member } of [...message.field, ...message.oneofDecl]) index.symbols.set(join(name, member), file);
  for (const nested of message.nestedType) addMessage(index, file, { scope: name, message: nested });
  for (const found of message.enumType) addEnum(index, file, { scope: name, found });
  for (const found of message.extension) addExtension(index, file, { scope: name, found });
}

/** The values of an enum are symbols beside it, not in it. */
function addEnum(index: Index, file: DescFile, { scope, found }: { scope: string; found: EnumDescriptorProto }): void {
  for (const { name } of [found, ...found.value]) index.symbols.set(join(scope, name), file);
}

function addExtension(index: Index, file: DescFile, { scope, found }: { scope: string; found: FieldDescriptorProto }): void {
  index.symbols.set(join(scope, found.name), file);
  const extended = found.extendee.replace(/^\./, "");
  const numbers = index.extensions.get(extended) ?? new Map<number, DescFile>();
  index.extensions.set(extended, numbers.set(found.number, file));
}

function join(...names: readonly string[]): string {
  return names.filter((name) => name !== "").join(".");
}

function notFound(what: string): Answer {
  return { case: "errorResponse", value: { errorCode: Code.NOT_FOUND, errorMessage: `there is no ${what} here` } };
}
