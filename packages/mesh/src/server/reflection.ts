import { toBinary } from "@bufbuild/protobuf";
import type { DescExtension, DescFile, DescMessage, DescService, MessageInitShape } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { ServerReflection } from "@protoloom/protos/grpc/reflection/v1/reflection_pb";
import type { ServerReflectionRequest, ServerReflectionResponseSchema } from "@protoloom/protos/grpc/reflection/v1/reflection_pb";
import { ServerReflection as ServerReflectionAlpha } from "@protoloom/protos/grpc/reflection/v1alpha/reflection_pb";
import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";
import { handleOf } from "./definition-of.ts";
import { implement, withoutDeadline } from "./implement.ts";
import type { Implementation } from "./implement.ts";

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
  const files = closure(services.map(({ file }) => file));
  const symbols = new Map<string, DescFile>();
  const extensions = new Map<string, Map<number, DescFile>>();
  for (const file of files.values()) index(file, { symbols, extensions });
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
        return send(symbols.get(request.value.replace(/^\./, "")), request.value);
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = request.value;
        return send(extensions.get(containingType)?.get(extensionNumber), `${containingType}[${extensionNumber}]`);
      }
      case "allExtensionNumbersOfType": {
        const found = extensions.get(request.value);
        if (found === undefined && !symbols.has(request.value)) return notFound(request.value);
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
  readonly symbols: Map<string, DescFile>;
  readonly extensions: Map<string, Map<number, DescFile>>;
}

function index(file: DescFile, { symbols, extensions }: Index): void {
  for (const type of nestedTypes(file)) {
    symbols.set(type.typeName, file);
    switch (type.kind) {
      case "message":
        for (const name of memberNames(type)) symbols.set(name, file);
        break;
      case "enum":
        // The values of an enum are symbols beside it, not in it.
        for (const value of type.values) symbols.set(type.typeName.replace(/[^.]+$/, value.name), file);
        break;
      case "service":
        for (const method of type.methods) symbols.set(`${type.typeName}.${method.name}`, file);
        break;
      case "extension":
        extensionsOf(extensions, type).set(type.number, file);
        break;
    }
  }
}

function memberNames({ typeName, fields, oneofs }: DescMessage): readonly string[] {
  return [...fields, ...oneofs].map(({ name }) => `${typeName}.${name}`);
}

function extensionsOf(extensions: Index["extensions"], { extendee }: DescExtension): Map<number, DescFile> {
  const found = extensions.get(extendee.typeName) ?? new Map<number, DescFile>();
  extensions.set(extendee.typeName, found);
  return found;
}

function notFound(what: string): Answer {
  return { case: "errorResponse", value: { errorCode: Code.NOT_FOUND, errorMessage: `there is no ${what} here` } };
}
