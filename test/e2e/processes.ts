/** What /proc says about processes (Linux). */
import { readFileSync, readdirSync } from "node:fs";

/** The processes below one, itself included, that run: a zombie does not. */
export function processTree(root: number): readonly number[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = readProc(Number(entry), "stat");
    // The name, in brackets, may hold anything.
    const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (state !== undefined && state !== "Z" && parent !== undefined) parents.set(Number(entry), Number(parent));
  }
  const tree: number[] = [];
  const add = (pid: number): void => {
    if (parents.has(pid)) tree.push(pid);
    for (const [child, parent] of parents) if (parent === pid) add(child);
  };
  add(root);
  return tree;
}

/** True while a process runs. */
export function isRunning(pid: number): boolean {
  const stat = readProc(pid, "stat");
  return stat !== "" && !stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
}

/** Proportional set size in MB: shared pages count once, divided among those who share them. */
export function pssMb(pid: number): number {
  const [, kb = "0"] = /^Pss:\s+(\d+) kB$/m.exec(readProc(pid, "smaps_rollup")) ?? [];
  return Number(kb) / 1_024;
}

/** The command line of a process. */
export function commandOf(pid: number): string {
  return readProc(pid, "cmdline").replaceAll("\0", " ").trim();
}

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return ""; // It has ended meanwhile.
  }
}
