import { execFileSync } from "node:child_process";
import { resolve } from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { file_buf_validate_validate as original } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { expect, test } from "vitest";

const root = resolve(import.meta.dirname, "..");

/** Without what compilers add for themselves: where a declaration stood, and JSON names that follow from the names. */
function bare(file: FileDescriptorProto): FileDescriptorProto {
  const copy = fromBinary(FileDescriptorProtoSchema, toBinary(FileDescriptorProtoSchema, file));
  delete copy.sourceCodeInfo;
  const strip = (messages: typeof copy.messageType): void => {
    for (const message of messages) {
      for (const field of [...message.field, ...message.extension]) field.jsonName = "";
      strip(message.nestedType);
    }
  };
  strip(copy.messageType);
  for (const field of copy.extension) field.jsonName = "";
  return copy;
}

test("third_party/buf/validate is the one that the installed protovalidate knows", () => {
  const args = ["build", "third_party", "--as-file-descriptor-set", "--exclude-source-info", "-o", "-"];
  const set = fromBinary(FileDescriptorSetSchema, execFileSync("buf", args, { cwd: root, maxBuffer: 64 << 20 }));
  const ours = set.file.find(({ name }) => name === "buf/validate/validate.proto");
  expect(ours && bare(ours)).toEqual(bare(original.proto));
});
