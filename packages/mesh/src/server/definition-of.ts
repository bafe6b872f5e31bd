import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DescMessage, DescMethod, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { MethodDefinition, ServiceDefinition, ServiceHandle } from "../contract/service-handle.ts";

/** What a service of protobuf-es says about its methods to the compiler. */
type TypedService = Omit<DescService, "method"> & {
  readonly method: Readonly<Record<string, DescMethod & { readonly input: DescMessage; readonly output: DescMessage }>>;
};

/** The definition that `definitionOf` makes of a service. An answer may be an initializer of its message. */
export type DefinitionOf<Service extends TypedService> = {
  readonly [Name in keyof Service["method"]]: MethodDefinition<
    MessageShape<Service["method"][Name]["input"]>,
    MessageInitShape<Service["method"][Name]["output"]>
  > & {
    readonly requestStream: Service["method"][Name]["methodKind"] extends "client_streaming" | "bidi_streaming" ? true : false;
    readonly responseStream: Service["method"][Name]["methodKind"] extends "server_streaming" | "bidi_streaming" ? true : false;
  };
};

/** A service handle without generated code for grpc-js: for the mesh's own services, health and reflection. */
export function handleOf<Service extends TypedService>(service: Service): ServiceHandle<DefinitionOf<Service>> {
  const descriptor = service as unknown as DescService;
  return { descriptor, definition: definitionOf(descriptor) as DefinitionOf<Service>, requests: {} as never };
}

/** The definition of a service for grpc-js, with the codecs of protobuf-es. */
export function definitionOf(service: DescService): ServiceDefinition {
  return Object.fromEntries(service.methods.map((method) => [method.localName, methodDefinition(method)]));
}

function methodDefinition({ parent, name, methodKind, input, output }: DescMethod): MethodDefinition {
  const read = (schema: DescMessage) => (bytes: Buffer) => fromBinary(schema, bytes);
  const write = (schema: DescMessage) => (value: MessageInitShape<DescMessage>) =>
    Buffer.from(toBinary(schema, create(schema, value)));
  return {
    path: `/${parent.typeName}/${name}`,
    requestStream: methodKind === "client_streaming" || methodKind === "bidi_streaming",
    responseStream: methodKind === "server_streaming" || methodKind === "bidi_streaming",
    requestSerialize: write(input),
    requestDeserialize: read(input),
    responseSerialize: write(output),
    responseDeserialize: read(output),
  };
}
