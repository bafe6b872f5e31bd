/** A request that cannot be answered as asked. The text goes to the caller as text/plain, with the status, as Consul does it. */
export class Problem extends Error {
  /** HTTP status. */
  readonly status: number;
  /** Headers that go with the answer, such as `Allow`. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, text: string, headers: Readonly<Record<string, string>> = {}) {
    super(text);
    this.name = "Problem";
    this.status = status;
    this.headers = headers;
  }
}

/** 400: the request itself is wrong. */
export function badRequest(text: string): Problem {
  return new Problem(400, text);
}

/** 400: the request asks for something that Consul has and this registry has not. */
export function notSupported(what: string): Problem {
  return new Problem(400, `${what} is not supported by the embedded registry`);
}

/** 404 for a service id that is not registered here. A client takes it as "the agent lost us". */
export function unknownService(id: string): Problem {
  return new Problem(
    404,
    `Unknown service ID ${JSON.stringify(id)}. Ensure that the service ID is passed, not the service name.`,
  );
}

/** 404 for a check id that is not registered here. */
export function unknownCheck(id: string): Problem {
  return new Problem(404, `Unknown check ID ${JSON.stringify(id)}. Ensure that the check ID is passed, not the check name.`);
}
