/**
 * `@protoloom/mesh/process`: what a process needs that neither calls nor serves, such as the registry. It loads no gRPC, no
 * database driver and no Consul client.
 */
export { systemClock } from "./base/clock.ts";
export type { Clock } from "./base/clock.ts";
export { withDeadline } from "./base/deadline.ts";
export type { Deadline, DeadlineScope } from "./base/deadline.ts";
export { formatAddress } from "./base/endpoint.ts";
export { createEnvReader } from "./base/env-reader.ts";
export type { Environment, EnvReader } from "./base/env-reader.ts";
export { silentLogger } from "./base/logger.ts";
export type { Logger } from "./base/logger.ts";
export { seededRandom, systemRandom } from "./base/random.ts";
export type { Random } from "./base/random.ts";
export { createLogger, logLevels } from "./observability/logger.ts";
export type { LoggerOptions, LogLevel } from "./observability/logger.ts";
export { writeReadyFile } from "./server/ready-file.ts";
export { untilTerminated } from "./server/until-terminated.ts";
export type { Termination } from "./server/until-terminated.ts";
