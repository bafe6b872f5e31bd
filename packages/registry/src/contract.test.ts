import { startConsulAgent } from "@protoloom/testing";
import { afterAll, beforeAll, describe } from "vitest";
import { describeWith, part } from "../../../tools/parts.ts";
import { createRegistry } from "./registry.ts";
import { beats } from "./test-contract/beats.ts";
import { blocking } from "./test-contract/blocking.ts";
import { filters } from "./test-contract/filters.ts";
import { maintenance } from "./test-contract/maintenance.ts";
import { probes } from "./test-contract/probes.ts";
import { refusals } from "./test-contract/refusals.ts";
import { registration } from "./test-contract/registration.ts";
import { createTarget } from "./test-contract/target.ts";
import type { Target } from "./test-contract/target.ts";

interface Running extends AsyncDisposable {
  readonly address: string;
}

describe("the embedded registry", () => contract(async () => await createRegistry()));
describeWith(["consul"], "a real Consul", () =>
  contract(async () => await startConsulAgent({ binary: part("consul") ?? "consul" })),
);

/**
 * What clients may rely on, whichever of the two they speak to. A real Consul moves registrations to its catalog in the
 * background: hence the waits.
 */
function contract(start: () => Promise<Running>): void {
  let running: Running;
  let target: Target;
  beforeAll(async () => {
    running = await start();
    target = createTarget(running.address);
  }, 60_000);
  afterAll(async () => await running[Symbol.asyncDispose]());

  registration(() => target);
  beats(() => target);
  probes(() => target);
  maintenance(() => target);
  filters(() => target);
  blocking(() => target);
  refusals(() => target);
}
