import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { BadRequestSchema, ErrorInfoSchema } from "@protoloom/protos/google/rpc/error_details_pb";
import { StatusSchema } from "@protoloom/protos/google/rpc/status_pb";
import { describe, expect, test } from "vitest";
import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";
import { contractViolated, fromWireStatus, maxDetailLength, toStatusBytes, wireDetail } from "./status.ts";

describe("an error over the wire", () => {
  test("comes back as it went: code, message, reason, domain, facts and details", () => {
    const sent = new MeshError(Code.ABORTED, "it has changed", {
      reason: "ETAG_MISMATCH",
      domain: "user.v1",
      info: { id: "7" },
      details: [{ typeName: "test.v1.Thing", value: Uint8Array.of(8, 1) }],
    });
    const statusBytes = toStatusBytes(sent);
    if (statusBytes === undefined) throw new Error("an error with a reason has details");
    const received = fromWireStatus({ code: sent.code, message: wireDetail(sent), statusBytes });
    expect(received).toMatchObject({
      code: Code.ABORTED,
      detail: "it has changed",
      reason: "ETAG_MISMATCH",
      domain: "user.v1",
      info: { id: "7" },
    });
    expect(received.details.map(({ typeName }) => typeName)).toEqual([ErrorInfoSchema.typeName, "test.v1.Thing"]);
    // Passed on by a service in between, it stays the same.
    expect(toStatusBytes(received)).toEqual(statusBytes);
  });

  test("without reason and details has no details", () => {
    expect(toStatusBytes(new MeshError(Code.NOT_FOUND, "nothing here"))).toBeUndefined();
  });

  test("keeps code and message when its details are no Status, or its ErrorInfo is none", () => {
    expect(fromWireStatus({ code: 5, message: "no", statusBytes: Uint8Array.of(255, 255) })).toMatchObject({
      code: 5,
      detail: "no",
      details: [],
    });
    const status = create(StatusSchema, {
      code: 5,
      details: [create(AnySchema, { typeUrl: `type.googleapis.com/${ErrorInfoSchema.typeName}`, value: Uint8Array.of(255) })],
    });
    const received = fromWireStatus({ code: 5, message: "no", statusBytes: toBinary(StatusSchema, status) });
    expect(received.reason).toBeUndefined();
    expect(received.details).toHaveLength(1);
  });

  test.each([17, -1, 1.5, Number.NaN])("with the code %s is UNKNOWN", (code) => {
    expect(fromWireStatus({ code, message: "" }).code).toBe(Code.UNKNOWN);
  });

  test.each([
    ["half a surrogate pair", "x\ud83d", "x\ufffd"],
    ["a text that is cut within one", "a".repeat(maxDetailLength - 1) + "😀", `${"a".repeat(maxDetailLength - 1)}\ufffd…`],
    ["line breaks", "a\r\nb", "a\r\nb"],
  ])("is well-formed text: %s", (_what, detail, expected) => {
    expect(wireDetail(new MeshError(Code.INTERNAL, detail))).toBe(expected);
  });
});

test("a broken rule names its field, in the message and in BadRequest", () => {
  const error = contractViolated([
    { field: "user.email", description: "must be a valid email address", reason: "string.email" },
    { field: "", description: "and 3 more" },
  ]);
  expect(error).toMatchObject({
    code: Code.INVALID_ARGUMENT,
    reason: "CONTRACT_VIOLATED",
    detail: "user.email: must be a valid email address; and 3 more",
  });
  const [detail] = error.details;
  if (detail === undefined) throw new Error("a broken rule has a detail");
  expect(fromBinary(BadRequestSchema, detail.value).fieldViolations).toMatchObject([
    { field: "user.email", description: "must be a valid email address", reason: "string.email" },
    { field: "", description: "and 3 more", reason: "" },
  ]);
});
