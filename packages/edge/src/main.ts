import {
  createEnvReader,
  createLogger,
  createMesh,
  logLevels,
  readMeshConfig,
  untilTerminated,
  writeReadyFile,
} from "@protoloom/mesh";
import { readEdgeConfig } from "./edge-config.ts";
import { createEdge } from "./edge.ts";

const reader = createEnvReader(process.env);
const { readyFile, ...options } = readEdgeConfig(reader);
const meshConfig = readMeshConfig(reader);
const level = reader.choice("MESH_LOG_LEVEL", "info", logLevels);
try {
  reader.finish();
} catch (error) {
  process.stderr.write(`edge: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}

const logger = createLogger({ name: "edge", level });
const stopping = new AbortController();
const terminated = untilTerminated().then((signal) => {
  logger.info({ signal }, "asked to stop");
  stopping.abort(new Error(`${signal} before the edge was ready`));
});

try {
  await using mesh = createMesh(meshConfig, { logger });
  const { resolver, transport, registrar } = mesh;
  await using edge = await createEdge({ ...options, resolver, transport, registrar, logger });
  logger.info({ address: edge.address }, "listening");
  void edge.ready(stopping.signal).then(
    () => {
      writeReadyFile(readyFile, { address: edge.address });
      logger.info({ address: edge.address }, "ready");
    },
    (error: unknown) => logger.info({ err: error }, "not ready"),
  );
  await terminated;
} catch (error) {
  logger.error({ err: error }, "the edge has failed");
  process.exitCode = 1;
}
await logger.flush();
