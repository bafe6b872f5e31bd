export { consulSpec, findConsulPorts } from "./consul-spec.ts";
export type { ConsulOptions, ConsulPorts } from "./consul-spec.ts";
export { findPort } from "./free-port.ts";
export type { FoundPort } from "./free-port.ts";
export { launch } from "./launch.ts";
export type { LaunchOptions, RunningProcess } from "./launch.ts";
export { describeEnd } from "./process-spec.ts";
export type { ProcessEnd, ProcessSpec, ReadyReport } from "./process-spec.ts";
export { findProgram, packageProgram, serviceProgram } from "./program.ts";
