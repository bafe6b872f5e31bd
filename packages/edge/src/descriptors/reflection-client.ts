import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import { Code, MeshError } from "@protoloom/mesh";
import type { ByteStream, Clock, ServiceTransport } from "@protoloom/mesh";
import {
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
} from "@protoloom/protos/grpc/reflection/v1/reflection_pb";
import type { ServerReflectionRequest, ServerReflectionResponse } from "@protoloom/protos/grpc/reflection/v1/reflection_pb";

/** What an instance says it serves. */
export interface ReflectedContract {
  /** Full names of the services, those of the infrastructure (`grpc.*`) left out. */
  readonly services: readonly string[];
  /** The files of the services and all that they import, imports first. */
  readonly files: readonly FileDescriptorProto[];
}

/** v1alpha has the same messages under another name. */
const paths = [
  "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
  "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

type Question = ServerReflectionRequest["messageRequest"];
type Answer = ServerReflectionResponse["messageResponse"];

/** Bound of what one instance may describe: a contract is some dozens of files. */
const maxFiles = 2_000;

/**
 * Reads the contract of one instance by server reflection, v1 or else v1alpha. Rejects with MeshError: UNIMPLEMENTED where there is no
 * reflection, INTERNAL for an answer that makes no sense, and as every call does, within `timeoutMs`.
 */
export async function reflectContract(
  transport: ServiceTransport,
  options: { readonly clock: Clock; readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<ReflectedContract> {
  const deadline = options.clock.monotonicMs() + options.timeoutMs;
  let failure: unknown;
  for (const path of paths) {
    const stream = transport.stream({ path, metadata: {}, deadline, signal: options.signal });
    try {
      return await readContract(stream);
    } catch (error) {
      if (!(error instanceof MeshError) || error.code !== Code.UNIMPLEMENTED) throw error;
      failure = error;
    } finally {
      stream.cancel();
    }
  }
  throw failure;
}

async function readContract(stream: ByteStream): Promise<ReflectedContract> {
  const ask = createAsk(stream);
  const listed = await ask({ case: "listServices", value: "*" });
  if (listed.case !== "listServicesResponse") throw senseless(listed);
  const services = listed.value.service.map(({ name }) => name).filter((name) => !name.startsWith("grpc."));
  const files = new Map<string, FileDescriptorProto>();
  const take = async (question: Question): Promise<void> => {
    const answer = await ask(question);
    if (answer.case !== "fileDescriptorResponse") throw senseless(answer);
    for (const bytes of answer.value.fileDescriptorProto) {
      const file = fromBinary(FileDescriptorProtoSchema, bytes);
      files.set(file.name, file);
    }
    if (files.size > maxFiles) throw new MeshError(Code.INTERNAL, `the instance describes more than ${maxFiles} files`);
  };
  for (const name of services) await take({ case: "fileContainingSymbol", value: name });
  for (let missing = findMissing(files); missing.length > 0; missing = findMissing(files)) {
    for (const name of missing) await take({ case: "fileByFilename", value: name });
  }
  return { services, files: inOrder(files) };
}

/** Asks one question at a time on the stream. */
function createAsk(stream: ByteStream): (question: Question) => Promise<Answer> {
  const answers = stream.messages[Symbol.asyncIterator]();
  return async (messageRequest) => {
    await stream.send(toBinary(ServerReflectionRequestSchema, create(ServerReflectionRequestSchema, { messageRequest })));
    const next = await answers.next();
    if (next.done === true) throw new MeshError(Code.INTERNAL, "the reflection stream ended before its answer");
    return fromBinary(ServerReflectionResponseSchema, next.value).messageResponse;
  };
}

function senseless(answer: Answer): MeshError {
  if (answer.case !== "errorResponse")
    return new MeshError(Code.INTERNAL, `the reflection answered with ${answer.case ?? "nothing"}`);
  return new MeshError(Code.INTERNAL, `the reflection failed: ${answer.value.errorMessage} (${answer.value.errorCode})`);
}

function findMissing(files: ReadonlyMap<string, FileDescriptorProto>): string[] {
  const imports = new Set([...files.values()].flatMap(({ dependency }) => dependency));
  return [...imports].filter((name) => !files.has(name));
}

function inOrder(files: ReadonlyMap<string, FileDescriptorProto>): FileDescriptorProto[] {
  const ordered = new Set<FileDescriptorProto>();
  const visiting = new Set<string>();
  const visit = (name: string): void => {
    const file = files.get(name);
    if (file === undefined || ordered.has(file)) return;
    if (visiting.has(name)) throw new MeshError(Code.INTERNAL, `the file ${name} imports itself`);
    visiting.add(name);
    for (const dependency of file.dependency) visit(dependency);
    ordered.add(file);
  };
  for (const name of files.keys()) visit(name);
  return [...ordered];
}
