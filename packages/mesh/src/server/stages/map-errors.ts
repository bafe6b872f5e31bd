import { toMeshError } from "../error-mapper.ts";
import type { Handle } from "../pipeline.ts";

/** Ends the call with the status of what happened, and passes the failure on as MeshError. */
export function mapErrors(next: Handle): Handle {
  return async (call) => {
    try {
      await next(call);
    } catch (thrown) {
      const error = toMeshError(thrown);
      call.end(error);
      throw error;
    }
    call.end();
  };
}
