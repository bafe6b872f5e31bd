import { once } from "node:events";
import { request as requestHttp } from "node:http";
import type { IncomingMessage } from "node:http";
import { request as requestHttps } from "node:https";
import type { CheckStatus, Probe } from "../state/check-record.ts";
import type { ProbeResult } from "./probe-result.ts";

/** The `http` kind of a probe. */
export type HttpProbe = Extract<Probe, { type: "http" }>;

const maxRedirects = 10;
/** What is read of a body: the output keeps less. */
const maxBodyBytes = 65_536;

/**
 * Requests a URL: 2xx is passing, 429 warning, everything else critical, as Consul has it. Rejects when there is no answer,
 * or with the signal's reason.
 */
export async function checkHttp(probe: HttpProbe, signal: AbortSignal): Promise<ProbeResult> {
  let url = new URL(probe.url);
  let method = probe.method;
  for (let redirects = 0; ; redirects++) {
    const answer = await send({ ...probe, method }, url, signal);
    const location = answer.headers.location;
    const code = answer.statusCode ?? 0;
    if (!probe.followRedirects || location === undefined || code < 300 || code >= 400) {
      const body = await readText(answer);
      const output = `HTTP ${probe.method} ${probe.url}: ${code} ${answer.statusMessage ?? ""} Output: ${body}`;
      return { status: statusOf(code), output };
    }
    answer.destroy();
    if (redirects === maxRedirects) throw new Error(`stopped after ${maxRedirects} redirects`);
    url = new URL(location, url);
    // RFC 9110, 15.4: 307 and 308 keep the method, the others become GET.
    if (code !== 307 && code !== 308 && method !== "HEAD") method = "GET";
  }
}

async function send(probe: HttpProbe, url: URL, signal: AbortSignal): Promise<IncomingMessage> {
  const { serverName, skipVerify } = probe.tls;
  const headers = { "user-agent": "protoloom-registry", accept: "text/plain, text/*, */*", ...lowerCaseNames(probe.headers) };
  const options = { method: probe.method, headers, signal, agent: false as const };
  const tls = { rejectUnauthorized: !skipVerify, ...(serverName === "" ? {} : { servername: serverName }) };
  const outgoing = url.protocol === "https:" ? requestHttps(url, { ...options, ...tls }) : requestHttp(url, options);
  outgoing.end(probe.method === "GET" ? undefined : probe.body);
  const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
  // An abort comes as an error of both, beside the one that is awaited.
  outgoing.on("error", () => {});
  answer.on("error", () => {});
  return answer;
}

async function readText(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes >= maxBodyBytes) break;
  }
  return Buffer.concat(chunks).subarray(0, maxBodyBytes).toString("utf8");
}

function statusOf(code: number): CheckStatus {
  if (code >= 200 && code < 300) return "passing";
  return code === 429 ? "warning" : "critical";
}

function lowerCaseNames(headers: HttpProbe["headers"]): Record<string, string[]> {
  return Object.fromEntries(Object.entries(headers).map(([name, values]) => [name.toLowerCase(), [...values]]));
}
