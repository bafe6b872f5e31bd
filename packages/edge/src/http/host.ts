import type { IncomingHttpHeaders } from "node:http";

const shape = /^(?:[A-Za-z0-9._~!$&'()*+,;=-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;
const maxKnown = 1_000;

/** Says whether a request names exactly one valid host (RFC 9110 section 7.2). Hosts that are valid are remembered, up to a bound. */
export function createHostCheck(): (headers: IncomingHttpHeaders, rawHeaders: readonly string[] | undefined) => boolean {
  const known = new Set<string>();
  const isValid = (host: string): boolean => {
    if (known.has(host)) return true;
    if (host.length > 261 || !shape.test(host) || !URL.canParse(`http://${host}`)) return false;
    if (known.size < maxKnown) known.add(host);
    return true;
  };
  return (headers, rawHeaders) => {
    const { host } = headers;
    const authority = headers[":authority"];
    if (typeof authority === "string") return isValid(authority) && (host === undefined || isValid(host));
    return host !== undefined && isValid(host) && (rawHeaders === undefined || countHosts(rawHeaders) === 1);
  };
}

/** Node keeps the first of several Host fields, which is what a smuggled request relies on. */
function countHosts(rawHeaders: readonly string[]): number {
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? "";
    if (name.length === 4 && name.toLowerCase() === "host") count++;
  }
  return count;
}
