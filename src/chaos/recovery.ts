/** How long it took to go on after each fault. Pure; docs/chaos.md says what is measured. */

export interface TimedRow {
  readonly taskId: string;
  readonly kind: string;
  readonly writer: string;
  readonly atMs: number;
}

export interface Carried {
  /** Per task: from the fault to its next entry; null when there never was one. */
  readonly midCallMs: readonly (number | null)[];
  /** To the first next entry of any task that the process had in its hands. */
  readonly firstMs: number | null;
  readonly held: number;
}

const isIntent = (kind: string): boolean => /(^|_)intended$/.test(kind);
const ends = new Set(['settled', 'failed']);

/**
 * What a process had in its hands when it was struck, by the log: tasks that had not ended and whose
 * last entry it wrote.
 *
 * @param rows in order of task and seq.
 */
export function carriedOn(
  tasks: readonly (readonly TimedRow[])[],
  instanceId: string,
  struckMs: number,
): Carried {
  const midCallMs: (number | null)[] = [];
  const all: number[] = [];
  let held = 0;
  for (const rows of tasks) {
    const next = rows.findIndex(({ atMs }) => atMs > struckMs);
    const before = next === -1 ? rows : rows.slice(0, next);
    const last = before.at(-1);
    if (last === undefined || !last.writer.startsWith(`${instanceId}.`)) continue;
    if (before.some(({ kind }) => ends.has(kind)) || last.kind === 'case_opened') continue;
    held += 1;
    const row = next === -1 ? undefined : rows[next];
    const waitedMs = row === undefined ? null : row.atMs - struckMs;
    if (waitedMs !== null) all.push(waitedMs);
    if (isIntent(last.kind)) midCallMs.push(waitedMs);
  }
  return { midCallMs, firstMs: all.length === 0 ? null : Math.min(...all), held };
}

export function byTask(rows: readonly TimedRow[]): readonly (readonly TimedRow[])[] {
  const tasks = new Map<string, TimedRow[]>();
  for (const row of rows) {
    const known = tasks.get(row.taskId);
    if (known === undefined) tasks.set(row.taskId, [row]);
    else known.push(row);
  }
  return [...tasks.values()];
}

/** From the fault to the next moment in any of the lists; null when there was none. */
export function nextAfter(lists: readonly (readonly number[])[], struckMs: number): number | null {
  const next = lists.flatMap((times) => times.find((atMs) => atMs > struckMs) ?? []);
  return next.length === 0 ? null : Math.min(...next) - struckMs;
}

export interface Recovery {
  readonly count: number;
  readonly p50_ms: number | null;
  readonly max_ms: number | null;
  /** Never seen to go on. */
  readonly never: number;
}

export function recovery(times: readonly (number | null)[]): Recovery {
  const known = times.filter((ms) => ms !== null).sort((a, b) => a - b);
  const at = (share: number): number | null => {
    const ms = known[Math.max(0, Math.ceil(known.length * share) - 1)];
    return ms === undefined ? null : Math.round(ms);
  };
  return {
    count: times.length,
    p50_ms: at(0.5),
    max_ms: at(1),
    never: times.length - known.length,
  };
}
