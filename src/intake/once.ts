import { LockBusy, type RunResult } from '../engine/executor.js';
import type { Task } from '../engine/tasks.js';
import { isCode, RecoupError } from '../errors.js';
import type { TaskId } from '../ids.js';

/** What a desk started, or had started before for the same request. */
export interface TaskStarted {
  readonly id: TaskId;
  /** When the first run has ended; null for a request that had been accepted before. */
  readonly finished: Promise<RunResult<Task>> | null;
}

/**
 * Starts a task, unless its request was accepted before; then it is what `known` says. A repeated
 * request is told so whatever else is in its way: that may well be itself.
 *
 * @throws RecoupError `busy`, and whatever `known` and `start` throw
 */
export async function once<S>(known: () => Promise<S | null>, start: () => Promise<S>): Promise<S> {
  const before = await known();
  if (before !== null) return before;
  try {
    return await start();
  } catch (error) {
    const refused = error instanceof LockBusy || error instanceof RecoupError;
    if (!refused || isCode(error, 'journal_unavailable')) throw error;
    const same = await known();
    if (same !== null) return same;
    throw error instanceof LockBusy ? new RecoupError('busy') : error;
  }
}
