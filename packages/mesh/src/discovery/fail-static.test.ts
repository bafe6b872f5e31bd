import { describe, expect, test } from "vitest";
import type { Evidence, Loss, Verdict } from "./fail-static.ts";
import { judge, lossOf } from "./fail-static.ts";

const settled = { settled: true } as const;
const troubled = { settled: false } as const;

/** loss, evidence, verdict, why. */
const table: readonly (readonly [Loss, Evidence, Verdict, string])[] = [
  ["none", troubled, "believe", "presence needs no proof, even right after a failure"],
  ["none", { ...settled, standing: "unknown" }, "believe", "presence needs no proof, even from a registry that forgot us"],
  ["some", troubled, "doubt", "a registry that has just failed may have lost its state"],
  ["all", troubled, "doubt", "an empty answer right after a failure"],
  ["all", { ...troubled, standing: "known" }, "doubt", "it knows us, but was restored from an old state"],
  ["some", settled, "ask-standing", "any absence needs a registry that knows us"],
  ["some", { ...settled, standing: "unknown" }, "doubt", "a registry that has forgotten us has forgotten others"],
  ["some", { ...settled, standing: "known" }, "believe", "one of several instances went"],
  ["some", { ...settled, standing: "stranger" }, "believe", "a client that registers nothing, and the rest is still there"],
  ["all", settled, "ask-survivors", "gone, or only failing its checks?"],
  ["all", { ...settled, survivors: 2 }, "doubt", "all instances turned critical at once, whoever asks"],
  ["all", { ...settled, survivors: 0 }, "ask-standing", "any absence needs a registry that knows us"],
  ["all", { ...settled, survivors: 0, standing: "unknown" }, "doubt", "an emptied registry"],
  ["all", { ...settled, survivors: 0, standing: "known" }, "believe", "the last instance deregistered"],
  ["all", { ...settled, survivors: 0, standing: "stranger" }, "ask-others", "the registry may have been emptied"],
  ["all", { ...settled, survivors: 0, standing: "stranger", listsOthers: true }, "believe", "it has lost nothing else"],
  [
    "all",
    { ...settled, survivors: 0, standing: "stranger", listsOthers: false },
    "doubt",
    "nothing shows that it was not emptied",
  ],
];

describe("fail static", () => {
  test.each(table)("loss of %s with %o: %s (%s)", (loss, evidence, verdict) => {
    expect(judge(loss, evidence)).toBe(verdict);
  });

  test("no answer is believed or doubted in a loop: each piece of evidence is asked for once", () => {
    for (const loss of ["none", "some", "all"] as const) {
      for (const standing of ["known", "unknown", "stranger"] as const) {
        let evidence: Evidence = settled;
        const asked: Verdict[] = [];
        let verdict = judge(loss, evidence);
        while (verdict.startsWith("ask-")) {
          asked.push(verdict);
          evidence = {
            ...evidence,
            ...(verdict === "ask-standing"
              ? { standing }
              : verdict === "ask-survivors"
                ? { survivors: 0 }
                : { listsOthers: false }),
          };
          verdict = judge(loss, evidence);
        }
        expect(new Set(asked).size).toBe(asked.length);
      }
    }
  });

  test.each([
    [[], [], "none"],
    [[], ["a"], "none"],
    [["a"], ["a", "b"], "none"],
    [["a", "b"], ["b"], "some"],
    [["a"], ["b"], "some"],
    [["a", "b"], [], "all"],
  ] as const)("of %o, the answer %o misses %s", (known, answered, loss) => {
    expect(lossOf(toMap(known), toMap(answered))).toBe(loss);
  });
});

function toMap(keys: readonly string[]): ReadonlyMap<string, true> {
  return new Map(keys.map((key) => [key, true]));
}
