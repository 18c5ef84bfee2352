/** How an embedding caller waits for a task, whatever its kind. */
import type { Services } from '../composition/root.js';
import type { TaskStatus } from '../engine/orders-state.js';
import type { TaskId } from '../ids.js';

const lookMs = 250;

/** Null: until the first run has ended. */
export type Wait = { readonly forMs: number; readonly untilMs: number } | null;

/** @param waitMs undefined: until the first run has ended. */
export const waitOf = (waitMs: number | undefined, nowMs: number): Wait =>
  waitMs === undefined ? null : { forMs: waitMs, untilMs: nowMs + waitMs };

export interface Awaiting<R> {
  readonly id: TaskId;
  readonly firstRun: Promise<unknown> | null;
  readonly wait: Wait;
  readonly find: (id: TaskId) => Promise<R | null>;
}

/**
 * The task when its outcome is known, or as it stands when the time is over. Meanwhile this process
 * itself asks the channel when an ask is due.
 */
export async function outcomeOf<R extends { readonly status: TaskStatus }>(
  { clock, deductions: tasks, resume }: Pick<Services, 'clock' | 'deductions' | 'resume'>,
  { id, firstRun, wait, find }: Awaiting<R>,
): Promise<R> {
  const over = new AbortController();
  const late = wait === null ? [] : [clock.sleep(wait.forMs, over.signal)];
  await Promise.race([firstRun, ...late]);
  // A timer left behind would keep the host's process alive.
  over.abort();
  for (;;) {
    const found = await find(id);
    if (found === null) throw new Error(`task ${id} disappeared`);
    const leftMs = wait === null ? 0 : wait.untilMs - clock.monotonicMs();
    if (found.status !== 'processing' || leftMs <= 0) return found;
    await clock.sleep(Math.min(lookMs, leftMs));
    const due = (await tasks.attempts(id)).at(-1)?.nextAskAt?.getTime();
    if (due !== undefined && due <= clock.nowMs()) await resume(id);
  }
}
