import { createMesh, runService, serve } from "@protoloom/mesh";
import { readProductConfig } from "./config.ts";
import { openProductServices } from "./open-service.ts";

await runService({
  name: "product",
  env: process.env,
  configure: readProductConfig,
  async start({ config, logger, resources }) {
    const mesh = resources.use(createMesh(config.mesh, { logger }));
    const services = await openProductServices(config.database, { logger, resources });
    return await serve({ services, config: config.server, logger, registrar: mesh.registrar, version: "0.1.0" });
  },
});
