import { Code, MeshError } from "@protoloom/mesh";

/** The error of a request that cannot be read: INVALID_ARGUMENT, reason MALFORMED_REQUEST. */
export function malformedRequest(detail: string, cause?: unknown): MeshError {
  return new MeshError(Code.INVALID_ARGUMENT, detail, { reason: "MALFORMED_REQUEST", cause });
}

/** The error of a body, a header or a URL above its limit: RESOURCE_EXHAUSTED, reason TOO_LARGE. */
export function tooLarge(detail: string): MeshError {
  return new MeshError(Code.RESOURCE_EXHAUSTED, detail, { reason: "TOO_LARGE" });
}

/** An error whose HTTP status is not that of its code, or that brings headers of its own. */
export class HttpFault extends Error {
  readonly status: number;
  readonly error: MeshError;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, error: MeshError, headers: Readonly<Record<string, string>> = {}) {
    super(error.message);
    this.name = "HttpFault";
    this.status = status;
    this.error = error;
    this.headers = headers;
  }
}

/** 404: nothing is served at this path. */
export function unknownPath(): HttpFault {
  return new HttpFault(404, new MeshError(Code.NOT_FOUND, "nothing is served at this path", { reason: "UNKNOWN_PATH" }));
}

/** 503: the registry has not been heard yet, so nobody can say what is served at this path. */
export function notLoaded(): HttpFault {
  const error = new MeshError(Code.UNAVAILABLE, "the services are not known yet", { reason: "NO_INSTANCE" });
  return new HttpFault(503, error, { "retry-after": "1" });
}

/** 405: the path is served, with other methods. */
export function methodNotAllowed(allow: string): HttpFault {
  const error = new MeshError(Code.UNIMPLEMENTED, `this path takes ${allow}`, { reason: "METHOD_NOT_ALLOWED" });
  return new HttpFault(405, error, { allow });
}

/** 415: the body has a media type or a content coding that is not supported. */
export function unsupportedMediaType(detail: string, headers: Readonly<Record<string, string>> = {}): HttpFault {
  return new HttpFault(415, new MeshError(Code.INVALID_ARGUMENT, detail, { reason: "UNSUPPORTED_MEDIA_TYPE" }), headers);
}
