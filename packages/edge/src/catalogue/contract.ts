import { createFileRegistry, createRegistry, create, toBinary } from "@bufbuild/protobuf";
import type { DescService, FileRegistry, Registry } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { createHash } from "node:crypto";
import { file_google_rpc_error_details } from "@protoloom/protos/google/rpc/error_details_pb";
import type { ReflectedContract } from "../descriptors/reflection-client.ts";

/** What a service of the registry serves, as one of its instances describes it. */
export interface Contract {
  /** Name of the service in the registry. */
  readonly service: string;
  readonly services: readonly DescService[];
  readonly files: FileRegistry;
  /** Types of the contract and of error details. */
  readonly registry: Registry;
  /** Equal for equal contracts. */
  readonly fingerprint: string;
}

/** The types of error details, for what the edge itself answers. */
export const baseRegistry: Registry = createRegistry(file_google_rpc_error_details);

/** Builds a contract out of what an instance has described. Throws an Error if the files do not fit together. */
export function toContract(service: string, reflected: ReflectedContract): Contract {
  const set = create(FileDescriptorSetSchema, { file: [...reflected.files] });
  const files = createFileRegistry(set);
  const services = reflected.services.flatMap((name) => files.getService(name) ?? []);
  const fingerprint = createHash("sha256")
    .update(reflected.services.join("\n"))
    .update(toBinary(FileDescriptorSetSchema, set))
    .digest("hex");
  return { service, services, files, registry: createRegistry(file_google_rpc_error_details, files), fingerprint };
}
