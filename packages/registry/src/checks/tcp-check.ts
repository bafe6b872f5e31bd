import { once } from "node:events";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import type { ProbeTls } from "../state/check-record.ts";
import { parseTarget } from "./parse-target.ts";
import type { ProbeResult } from "./probe-result.ts";

/** Connects to `host:port`, with TLS where asked for, and closes. Rejects with the failure, or with the signal's reason. */
export async function checkTcp(target: string, tls: ProbeTls | undefined, signal: AbortSignal): Promise<ProbeResult> {
  const { host, port } = parseTarget(target);
  const socket =
    tls === undefined
      ? connect({ host, port })
      : connectTls({
          host,
          port,
          rejectUnauthorized: !tls.skipVerify,
          ...(tls.serverName === "" ? {} : { servername: tls.serverName }),
        });
  try {
    await once(socket, tls === undefined ? "connect" : "secureConnect", { signal });
    return { status: "passing", output: `TCP connect ${target}: Success` };
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw error;
  } finally {
    // An error after this point is of no interest, but has to be heard.
    socket.on("error", () => {});
    socket.destroy();
  }
}
