/**
 * The two messages of grpc.health.v1.Health/Check (grpc/grpc doc/health-checking.md), by hand: a name one way, a number the
 * other way. So a process that only checks loads no protobuf runtime.
 */

/** HealthCheckResponse.ServingStatus by its number. */
const servingStatusNames: readonly string[] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/** A HealthCheckRequest (`service` is field 1, a string) in its gRPC frame. */
export function encodeHealthRequest(service: string): Buffer {
  const name = Buffer.from(service, "utf8");
  const message = name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, ...varint(name.length)]), name]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** The name of `status` (field 1, an enum) of a framed HealthCheckResponse. Throws for bytes that are none. */
export function decodeHealthStatus(frame: Buffer): string {
  if (frame.length < 5 || frame[0] !== 0 || frame.readUInt32BE(1) !== frame.length - 5)
    throw new Error("an answer that is no gRPC message");
  const message = frame.subarray(5);
  // An enum of 0 is left out on the wire.
  const [tag = 0x08, status = 0] = message;
  const name = servingStatusNames[status];
  if (tag !== 0x08 || name === undefined) throw new Error("an answer that is no HealthCheckResponse");
  return name;
}

function varint(value: number): readonly number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}
