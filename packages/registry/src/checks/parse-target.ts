/** Reads `host:port`; an IPv6 host stands in brackets. Throws for a text that is none. */
export function parseTarget(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port < 1 || port > 65_535) throw new Error(`${JSON.stringify(text)} is no host:port`);
  return { host, port };
}
