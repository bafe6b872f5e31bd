import type { CheckStatus } from "../state/check-record.ts";

/** What one probe, or one beat, says about a service. */
export interface ProbeResult {
  readonly status: CheckStatus;
  /** For people: what was answered, or what failed. */
  readonly output: string;
}

/** A result whose output has at most `maxLength` UTF-16 units. */
export function limitOutput({ status, output }: ProbeResult, maxLength: number): ProbeResult {
  const text =
    output.length > maxLength ? `${output.slice(0, maxLength)} … (${maxLength} of ${output.length} characters)` : output;
  return { status, output: text.toWellFormed() };
}

/** The text of a failure: its message, or its code where Node leaves the message empty (several addresses refused). */
export function failureText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error && typeof error.code === "string" ? error.code : error.name;
  return error.message === "" ? code : error.message;
}
