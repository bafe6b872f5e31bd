import { createRequestReader } from "../request-reader.ts";
import type { Stage } from "../pipeline.ts";

/** Refuses requests that are malformed or break a rule of their contract; of a stream, each message as it is read. */
export const checkRequests: Stage = (next, { method, validator }) => {
  const read = createRequestReader(method, validator);
  return (call) => {
    call.decode = read;
    return next(call);
  };
};
