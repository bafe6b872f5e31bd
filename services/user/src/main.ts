import { createMesh, runService, serve } from "@protoloom/mesh";
import { readUserConfig } from "./config.ts";
import { openUserService } from "./open-service.ts";

await runService({
  name: "user",
  env: process.env,
  configure: readUserConfig,
  async start({ config, logger, resources }) {
    const mesh = resources.use(createMesh(config.mesh, { logger }));
    const user = await openUserService(config.database, { logger, resources });
    return await serve({ services: [user], config: config.server, logger, registrar: mesh.registrar, version: "0.1.0" });
  },
});
