import { MeshError } from "@protoloom/mesh";

/**
 * The error of a call that has to fail: `expect(await callError(users.getUser({ id }))).toMatchObject({ code: 5 })`. Throws
 * when the call succeeds, and when it fails with anything but a MeshError, which is then the cause.
 */
export async function callError(call: Promise<unknown>): Promise<MeshError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof MeshError) return error;
    throw new Error(`the call failed with what is no MeshError: ${String(error)}`, { cause: error });
  }
  throw new Error("the call had to fail, and succeeded");
}
