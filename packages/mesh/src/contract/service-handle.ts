import type { DescService } from "@bufbuild/protobuf";

/** One method of a service as ts-proto describes it for grpc-js: names, kinds and codecs. */
export interface MethodDefinition<Request = unknown, Response = unknown> {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (value: never) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => Request;
  readonly responseSerialize: (value: never) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

/** Methods by their names in TypeScript, such as `getUser`. */
export type ServiceDefinition = Readonly<Record<string, MethodDefinition>>;

/**
 * What our buf plugin emits for a service (`import { UserService } from "@protoloom/contracts"`), and what `mesh.client()`
 * and `implement()` take.
 */
export interface ServiceHandle<Definition extends ServiceDefinition = ServiceDefinition> {
  /** The contract itself, with its options: policy, rules and HTTP mapping are read from it. */
  readonly descriptor: DescService;
  /** ts-proto's service definition. */
  readonly definition: Definition;
  /** ts-proto's `fromPartial` of each method's request. */
  readonly requests: { readonly [Name in keyof Definition]: (partial: never) => unknown };
}

/** The request of a method. */
export type RequestOf<Method> = Method extends { requestDeserialize: (bytes: Buffer) => infer Request } ? Request : never;

/** The response of a method. */
export type ResponseOf<Method> = Method extends { responseDeserialize: (bytes: Buffer) => infer Response } ? Response : never;
