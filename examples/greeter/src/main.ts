import { createMesh, implement, readMeshConfig, readServerConfig, runService, serve } from "@protoloom/mesh";
import { GreeterService } from "./gen/index.ts";
import { createGreeter } from "./service.ts";

await runService({
  name: "greeter",
  env: process.env,
  configure: (reader) => ({ server: readServerConfig(reader), mesh: readMeshConfig(reader) }),
  async start({ config, logger, resources }) {
    const { registrar } = resources.use(createMesh(config.mesh, { logger }));
    const services = [implement(GreeterService, createGreeter())];
    return serve({ services, config: config.server, logger, registrar, version: "1.0.0" });
  },
});
