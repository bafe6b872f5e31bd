import { Code, MeshError } from "@protoloom/mesh";
import { expect, test } from "vitest";
import { callError } from "./call-error.ts";

test("it gives the MeshError of a call that fails", async () => {
  const error = new MeshError(Code.NOT_FOUND, "no such user");
  expect(await callError(Promise.reject(error))).toBe(error);
});

test("a call that succeeds fails the test, and so does another error, as the cause", async () => {
  await expect(callError(Promise.resolve(7))).rejects.toThrow("the call had to fail, and succeeded");
  const bug = new TypeError("users is undefined");
  const failed = callError(Promise.reject(bug));
  await expect(failed).rejects.toMatchObject({
    message: "the call failed with what is no MeshError: TypeError: users is undefined",
    cause: bug,
  });
});
