export { eventually } from "./eventually.ts";
export type { EventuallyOptions } from "./eventually.ts";
export { createFakeClock } from "./fake-clock.ts";
export type { FakeClock } from "./fake-clock.ts";
export type { MeshProcess } from "./mesh-process.ts";
export { startMesh } from "./start-mesh.ts";
export type { MeshOptions, MeshService, TestMesh } from "./start-mesh.ts";
export { seededRandom } from "@protoloom/mesh";
export type { Random } from "@protoloom/mesh";
