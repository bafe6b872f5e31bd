import {
  Health as HealthService,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "@protoloom/protos/grpc/health/v1/health_pb";
import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";
import { handleOf } from "./definition-of.ts";
import { implement, withoutDeadline } from "./implement.ts";
import type { Implementation } from "./implement.ts";

/** grpc.health.v1 of a process: one status, for the process (``) and for each of its services. */
export interface Health {
  readonly implementation: Implementation;
  /** SERVING or NOT_SERVING, for everything. Whoever watches is told. */
  setServing(serving: boolean): void;
}

/** Serves grpc.health.v1 (grpc/proto, health.proto) for the named services. Starts with NOT_SERVING. */
export function createHealth(serviceNames: readonly string[]): Health {
  const names = new Set(["", ...serviceNames]);
  const watchers = new Set<() => void>();
  let status: ServingStatus = ServingStatus.NOT_SERVING;

  async function* watch(name: string, signal: AbortSignal): AsyncGenerator<{ status: ServingStatus }> {
    let wake = (): void => {};
    const onChange = (): void => wake();
    watchers.add(onChange);
    signal.addEventListener("abort", onChange, { once: true });
    try {
      let told: ServingStatus | undefined;
      while (!signal.aborted) {
        const current = names.has(name) ? status : ServingStatus.SERVICE_UNKNOWN;
        if (current === told) {
          await new Promise<void>((resolve) => void (wake = resolve));
        } else {
          told = current;
          yield { status: current };
        }
      }
    } finally {
      watchers.delete(onChange);
    }
  }

  return {
    implementation: withoutDeadline(
      implement(handleOf(HealthService), {
        check({ service }) {
          if (!names.has(service)) throw new MeshError(Code.NOT_FOUND, "this server has no such service");
          return { status };
        },
        list: () => ({ statuses: Object.fromEntries([...names].map((name) => [name, { status }])) }),
        watch: ({ service }, { signal }) => watch(service, signal),
      }),
    ),
    setServing(serving) {
      status = serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
      for (const wake of watchers) wake();
    },
  };
}
