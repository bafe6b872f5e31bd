import { createFileRegistry, createRegistry, fromJson } from "@bufbuild/protobuf";
import type { DescMessage, DescService, FileRegistry, JsonValue } from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_field_mask,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
} from "@bufbuild/protobuf/wkt";
import { file_google_api_annotations } from "@protoloom/protos/google/api/annotations_pb";
import { file_google_api_httpbody } from "@protoloom/protos/google/api/httpbody_pb";
import { file_protoloom_v1_policy } from "@protoloom/protos/protoloom/v1/policy_pb";

/** Package of the contract, and what its service is called in the registry. */
export const testPackage = "edgetest.v1";

const imports = [
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_field_mask,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
  file_google_api_annotations,
  file_google_api_httpbody,
  file_protoloom_v1_policy,
];

/** Fields as `name: type`; a type in capitals is a scalar, `[type]` repeated, `?type` optional, `choice|type` of that oneof. */
function message(name: string, fields: Readonly<Record<string, string>>, extra: Record<string, JsonValue> = {}): JsonValue {
  const oneofs: string[] = [];
  const field = Object.entries(fields).map(([fieldName, spelled], index) => {
    const [group, type] = spelled.includes("|") ? spelled.split("|") : [undefined, spelled];
    const bare = (type ?? "").replace(/^[?[]|\]$/g, "");
    if (group !== undefined && !oneofs.includes(group)) oneofs.push(group);
    const isOptional = type?.startsWith("?") === true;
    if (isOptional) oneofs.push(`_${fieldName}`);
    const place = group === undefined ? (isOptional ? oneofs.length - 1 : undefined) : oneofs.indexOf(group);
    return {
      name: fieldName,
      number: index + 1,
      jsonName: fieldName.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()),
      label: type?.startsWith("[") === true ? "LABEL_REPEATED" : "LABEL_OPTIONAL",
      ...(/^[A-Z0-9]+$/.test(bare)
        ? { type: `TYPE_${bare}` }
        : {
            type: bare === "Color" ? "TYPE_ENUM" : "TYPE_MESSAGE",
            typeName: bare.includes(".") ? `.${bare}` : `.${testPackage}.${bare}`,
          }),
      ...(place === undefined ? {} : { oneofIndex: place }),
      ...(isOptional ? { proto3Optional: true } : {}),
    };
  });
  return { name, field, ...(oneofs.length === 0 ? {} : { oneofDecl: oneofs.map((each) => ({ name: each })) }), ...extra };
}

const wkt = (name: string): string => `google.protobuf.${name}`;

const labelsEntry = message("LabelsEntry", { key: "STRING", value: "STRING" }, { options: { mapEntry: true } });

const messages = [
  message("Inner", { leaf: "STRING", num: "INT32", inner: "Inner", tags: "[STRING]" }),
  message("Path", { id: "STRING", name: "STRING", tail: "STRING", inner: "Inner" }),
  message(
    "Kinds",
    {
      f_double: "DOUBLE",
      f_float: "FLOAT",
      f_int32: "INT32",
      f_int64: "INT64",
      f_uint32: "UINT32",
      f_uint64: "UINT64",
      f_bool: "BOOL",
      f_string: "STRING",
      f_bytes: "BYTES",
      f_color: "Color",
      r_int32: "[INT32]",
      r_color: "[Color]",
      ts: wkt("Timestamp"),
      dur: wkt("Duration"),
      mask: wkt("FieldMask"),
      w_int32: wkt("Int32Value"),
      w_string: wkt("StringValue"),
      inner: "Inner",
      r_inner: "[Inner]",
      labels: `[${testPackage}.Kinds.LabelsEntry]`,
      st: wkt("Struct"),
      val: wkt("Value"),
      c_text: "choice|STRING",
      c_num: "choice|INT32",
      c_val: "choice|google.protobuf.Value",
      opt_string: "?STRING",
    },
    { nestedType: [labelsEntry] },
  ),
  message("Item", { name: "STRING", title: "STRING", page_count: "INT32", tags: "[STRING]", details: "Inner" }),
  message("CreateItemRequest", { parent: "STRING", item: "Item", item_id: "STRING" }),
  message("UpdateItemRequest", { item: "Item", update_mask: wkt("FieldMask"), allow_missing: "BOOL" }),
  message("UploadRequest", { id: "STRING", file: "google.api.HttpBody", note: "STRING" }),
  message("Echo", { rpc: "STRING", request_json: "STRING" }),
  message("Shelf", { item: "Item", items: "[Item]", text: "STRING" }),
];

type Rule = Readonly<Record<string, JsonValue>>;

function method(
  name: string,
  input: string,
  output: string,
  rule: Rule | undefined,
  options: Record<string, JsonValue> = {},
): JsonValue {
  const full = (type: string): string => (type.includes(".") ? `.${type}` : `.${testPackage}.${type}`);
  return {
    name,
    inputType: full(input),
    outputType: full(output),
    options: { ...(rule === undefined ? {} : { "[google.api.http]": rule }), ...options },
  };
}

const methods = [
  method("GetPath", "Path", "Echo", { get: "/paths/{id}", additionalBindings: [{ post: "/paths:lookup", body: "*" }] }),
  method("GetSpecial", "Path", "Echo", { get: "/paths/special" }),
  method("GetDeep", "Path", "Echo", { get: "/deep/{name=files/**}" }),
  method("GetNested", "Path", "Echo", { get: "/nested/{inner.leaf}" }),
  method("Query", "Kinds", "Echo", { get: "/query" }),
  method("GetKinds", "Kinds", "Echo", { get: "/kinds/{f_int32}/{ts}" }),
  method("PostKinds", "Kinds", "Echo", { post: "/kinds/{f_string}", body: "*" }),
  method("CreateItem", "CreateItemRequest", "Echo", { post: "/{parent=shelves/*}/items", body: "item" }),
  method("UpdateItem", "UpdateItemRequest", "Echo", { patch: "/{item.name=shelves/*/items/*}", body: "item" }),
  method("PostLabels", "Kinds", "Echo", { post: "/labels", body: "labels" }),
  method("Ping", "Path", "Echo", { post: "/ping/{id}" }),
  method("Upload", "UploadRequest", "Echo", { post: "/files/{id}", body: "file" }),
  method("Download", "Path", "google.api.HttpBody", { get: "/files/{id}" }),
  method("GetItems", "Path", "Shelf", { get: "/shelf/{id}", responseBody: "items" }),
  method("GetEmpty", "Path", wkt("Empty"), { get: "/empty" }),
  { ...(method("Ticks", "Path", "Inner", { get: "/ticks/{id}" }) as object), serverStreaming: true },
  { ...(method("Blobs", "Path", "google.api.HttpBody", { get: "/blobs/{id}" }) as object), serverStreaming: true },
  {
    ...(method("Collect", "CreateItemRequest", "Echo", { post: "/{parent=shelves/*}/items:import", body: "item" }) as object),
    clientStreaming: true,
  },
  method("Hidden", "Path", "Echo", { get: "/hidden/{id}" }, { "[protoloom.v1.method]": { exposure: "EXPOSURE_INTERNAL" } }),
];

/** Builds the files of the contract. `changed` adds to its service, for a second version of it, or names another one. */
export function createTestContract(
  changed: { readonly service?: string; readonly methods?: readonly JsonValue[] } = {},
): FileRegistry {
  const file = fromJson(
    FileDescriptorProtoSchema,
    {
      name: `edgetest/v1/${changed.service ?? "echo_service"}.proto`,
      package: testPackage,
      syntax: "proto3",
      dependency: imports.map(({ proto }) => proto.name),
      messageType: messages,
      enumType: [
        { name: "Color", value: ["COLOR_UNSPECIFIED", "COLOR_RED", "COLOR_GREEN"].map((name, number) => ({ name, number })) },
      ],
      service: [
        {
          name: changed.service ?? "EchoService",
          method: [...(changed.service === undefined ? methods : []), ...(changed.methods ?? [])],
          options: { "[protoloom.v1.service]": { defaults: { exposure: "EXPOSURE_PUBLIC", timeoutMs: 2_000 } } },
        },
      ],
    },
    { registry: createRegistry(file_google_api_annotations, file_protoloom_v1_policy) },
  );
  return createFileRegistry(file, (name) => imports.find(({ proto }) => proto.name === name));
}

/** One more method, as `methods` of createTestContract takes it. */
export const testMethod: typeof method = method;

/** The contract as it mostly is. */
export const testContract: FileRegistry = createTestContract();

/** A message of the contract by its short name. */
export function messageOf(name: string): DescMessage {
  const found = testContract.getMessage(`${testPackage}.${name}`);
  if (found === undefined) throw new Error(`the contract has no message ${name}`);
  return found;
}

/** The service of a contract. */
export function serviceOf(contract: FileRegistry, name = "EchoService"): DescService {
  const found = contract.getService(`${testPackage}.${name}`);
  if (found === undefined) throw new Error(`the contract has no service ${name}`);
  return found;
}
