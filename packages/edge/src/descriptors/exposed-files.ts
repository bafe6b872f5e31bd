import { create, toBinary } from "@bufbuild/protobuf";
import type { DescFile, DescMessage, DescMethod } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

/** The contracts that are served, as server reflection shows them: services and methods that are not exposed are cut out. */
export interface ExposedFiles {
  /** Full names of the services with an exposed method. */
  readonly services: readonly string[];
  /** A file by its name, as the bytes of its FileDescriptorProto. */
  byName(name: string): Uint8Array | undefined;
  /** The file that declares a service, method, message, enum or extension. */
  bySymbol(symbol: string): Uint8Array | undefined;
}

/**
 * Collects the files of exposed methods, `extra` files, and all that they import. Where two contracts have a file of one name,
 * the first stands.
 */
export function createExposedFiles(methods: readonly DescMethod[], extra: readonly DescFile[]): ExposedFiles {
  const exposed = new Set(methods.map(({ parent, name }) => `${parent.typeName}.${name}`));
  const services = [...new Set(methods.map(({ parent }) => parent.typeName))];
  const files = new Map<string, DescFile>();
  const symbols = new Map<string, DescFile>();
  const add = (file: DescFile): void => {
    const name = file.proto.name;
    if (files.has(name)) return;
    files.set(name, file);
    for (const symbol of symbolsOf(file, exposed)) if (!symbols.has(symbol)) symbols.set(symbol, file);
    for (const dependency of file.dependencies) add(dependency);
  };
  for (const { parent } of methods) add(parent.file);
  for (const file of extra) add(file);
  const encoded = new Map<DescFile, Uint8Array>();
  const encode = (file: DescFile | undefined): Uint8Array | undefined => {
    if (file === undefined) return undefined;
    const bytes = encoded.get(file) ?? toExposedBytes(file, exposed);
    encoded.set(file, bytes);
    return bytes;
  };
  return {
    services: services.sort(),
    byName: (name) => encode(files.get(name)),
    bySymbol: (symbol) => encode(symbols.get(symbol)),
  };
}

function toExposedBytes({ proto }: DescFile, exposed: ReadonlySet<string>): Uint8Array {
  const prefix = proto.package === "" ? "" : `${proto.package}.`;
  const service = proto.service
    .map((each) => ({ ...each, method: each.method.filter(({ name }) => exposed.has(`${prefix}${each.name}.${name}`)) }))
    .filter(({ method }) => method.length > 0);
  // Source comments are cut off: their paths would point at what is no longer there.
  const shown = create(FileDescriptorProtoSchema, { ...proto, service });
  delete shown.sourceCodeInfo;
  return toBinary(FileDescriptorProtoSchema, shown);
}

function symbolsOf(file: DescFile, exposed: ReadonlySet<string>): string[] {
  const ofMessage = (message: DescMessage): string[] => [
    message.typeName,
    ...message.fields.map(({ name }) => `${message.typeName}.${name}`),
    ...message.nestedEnums.map(({ typeName }) => typeName),
    ...message.nestedExtensions.map(({ typeName }) => typeName),
    ...message.nestedMessages.flatMap(ofMessage),
  ];
  const methods = file.services.flatMap(({ typeName, methods: all }) => all.map(({ name }) => `${typeName}.${name}`));
  const shown = methods.filter((name) => exposed.has(name));
  return [
    ...new Set(shown.map((name) => name.slice(0, name.lastIndexOf(".")))),
    ...shown,
    ...file.messages.flatMap(ofMessage),
    ...file.enums.map(({ typeName }) => typeName),
    ...file.extensions.map(({ typeName }) => typeName),
  ];
}
