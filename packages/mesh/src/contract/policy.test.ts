import { createFileRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  MethodOptionsSchema,
  ServiceOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import { setExtension } from "@bufbuild/protobuf";
import {
  method as methodOption,
  service as serviceOption,
  Exposure,
  MethodPolicySchema,
  ServicePolicySchema,
} from "@protoloom/protos/protoloom/v1/policy_pb";
import type { MethodPolicy } from "@protoloom/protos/protoloom/v1/policy_pb";
import { ProductService, UserService } from "@protoloom/contracts";
import { describe, expect, test } from "vitest";
import { grantedTimeoutMs, policyDefaults, policyOf, registryName } from "./policy.ts";

type Given = Partial<Pick<MethodPolicy, "timeoutMs" | "maxTimeoutMs" | "exposure">>;

/** A service of one method, as reflection would give it. */
function describeService(options: {
  readonly packageName?: string;
  readonly registryName?: string;
  readonly defaults?: Given;
  readonly own?: Given;
  readonly stream?: boolean;
}): DescService {
  const { packageName = "test.v1", own, defaults, stream = false } = options;
  const methodOptions = create(MethodOptionsSchema);
  if (own !== undefined) setExtension(methodOptions, methodOption, create(MethodPolicySchema, own));
  const serviceOptions = create(ServiceOptionsSchema);
  if (defaults !== undefined || options.registryName !== undefined) {
    const policy = {
      registryName: options.registryName ?? "",
      ...(defaults === undefined ? {} : { defaults: create(MethodPolicySchema, defaults) }),
    };
    setExtension(serviceOptions, serviceOption, create(ServicePolicySchema, policy));
  }
  const inputType = `.${packageName === "" ? "" : `${packageName}.`}Nothing`;
  const file = create(FileDescriptorProtoSchema, {
    name: "test.proto",
    package: packageName,
    syntax: "proto3",
    messageType: [{ name: "Nothing" }],
    service: [
      {
        name: "TestService",
        options: serviceOptions,
        method: [{ name: "Do", inputType, outputType: inputType, serverStreaming: stream, options: methodOptions }],
      },
    ],
  });
  const set = create(FileDescriptorSetSchema, { file: [file] });
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, toBinary(FileDescriptorSetSchema, set)));
  const service = registry.getService(`${packageName === "" ? "" : `${packageName}.`}TestService`);
  if (service === undefined) throw new Error("the service is not in its own file");
  return service;
}

function onlyMethod(service: DescService): DescMethod {
  const [method] = service.methods;
  if (method === undefined) throw new Error("the service has no method");
  return method;
}

describe("the policy of a method", () => {
  test.each<{ name: string; given: Parameters<typeof describeService>[0]; expected: ReturnType<typeof policyOf> }>([
    {
      name: "nothing said",
      given: {},
      expected: { timeoutMs: policyDefaults.timeoutMs, maxTimeoutMs: policyDefaults.maxTimeoutMs, exposed: false },
    },
    {
      name: "the service's defaults",
      given: { defaults: { timeoutMs: 10, maxTimeoutMs: 20, exposure: Exposure.PUBLIC } },
      expected: { timeoutMs: 10, maxTimeoutMs: 20, exposed: true },
    },
    {
      name: "its own options before those",
      given: {
        own: { timeoutMs: 1, exposure: Exposure.INTERNAL },
        defaults: { timeoutMs: 10, maxTimeoutMs: 20, exposure: Exposure.PUBLIC },
      },
      expected: { timeoutMs: 1, maxTimeoutMs: 20, exposed: false },
    },
    {
      name: "0 on a unary method: no value",
      given: { own: { timeoutMs: 0, maxTimeoutMs: 0 } },
      expected: { timeoutMs: policyDefaults.timeoutMs, maxTimeoutMs: policyDefaults.maxTimeoutMs, exposed: false },
    },
    {
      name: "0 on a stream: without end",
      given: { own: { timeoutMs: 0, maxTimeoutMs: 0 }, stream: true },
      expected: { timeoutMs: Infinity, maxTimeoutMs: Infinity, exposed: false },
    },
  ])("comes from $name", ({ given, expected }) => {
    expect(policyOf(onlyMethod(describeService(given)))).toEqual(expected);
  });

  test("is read from the generated contracts", () => {
    const { getUser, deleteUser, watchUsers } = UserService.descriptor.method;
    expect([getUser, deleteUser, watchUsers].map((method) => method && policyOf(method))).toEqual([
      { timeoutMs: 1_000, maxTimeoutMs: 10_000, exposed: true },
      { timeoutMs: 2_000, maxTimeoutMs: 10_000, exposed: true },
      { timeoutMs: Infinity, maxTimeoutMs: Infinity, exposed: true },
    ]);
  });

  test.each([
    [undefined, 5],
    [3, 3],
    [10, 10],
    [11, 10],
    [0, 0],
  ])("grants for %s ms asked %s ms", (asked, granted) => {
    expect(grantedTimeoutMs({ timeoutMs: 5, maxTimeoutMs: 10, exposed: true }, asked)).toBe(granted);
  });
});

describe("the registry name", () => {
  test.each([
    ["user.v1", "user"],
    ["acme.billing.v2", "acme-billing"],
    ["acme.billing.v1beta2", "acme-billing"],
    ["acme.billing", "acme-billing"],
    ["v1", "v1"],
    ["acme.v1.inner", "acme-v1-inner"],
    ["", "TestService"],
  ])("of package %j is %s", (packageName, expected) => {
    expect(registryName(describeService({ packageName }))).toBe(expected);
  });

  test("is what the service says, if it says one", () => {
    expect(registryName(describeService({ registryName: "ledger" }))).toBe("ledger");
    expect(registryName(ProductService.descriptor)).toBe("product");
  });
});
