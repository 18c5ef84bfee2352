import type { TaskId } from '../ids.js';
import type { Entry, TaskKind } from './entries.js';

/** The only way to write a task's state. `store/` provides it. */
export interface Journal<S> {
  /** The whole log of a task, in order; null when there is no such task. */
  load(taskId: TaskId): Promise<{ kind: TaskKind; entries: readonly Entry[] } | null>;
  /** What the log holds after `afterSeq`. It only grows: with what was read before, that is all of it. */
  loadAfter(taskId: TaskId, afterSeq: number): Promise<readonly Entry[]>;
  /**
   * Resolves when the entries and every table projected from them are committed in one transaction,
   * and not before.
   *
   * @throws StaleWriter when the log has moved past `afterSeq`; nothing was written.
   * @throws RecoupError `live_deduction_exists`, `amount_exceeds_due`, `repayment_unknown` or
   *   `request_repeated` when a first append breaks the constraint of that name; nothing was written.
   * @throws RecoupError `journal_unavailable` when the database did not answer in time: the entries
   *   may or may not be there.
   */
  append(append: Append<S>): Promise<void>;
}

export interface Append<S> {
  readonly taskId: TaskId;
  readonly kind: TaskKind;
  /** The last entry this append follows; 0 for a new task. */
  readonly afterSeq: number;
  readonly entries: readonly Entry[];
  /** The fold of the log up to `afterSeq`: what moves by differences is the difference to it. */
  readonly before: S | null;
  /** The fold of the whole log with these entries: what the projections are computed from. */
  readonly state: S;
  /** When the task should have moved on; null when it waits for nobody but a person, or has ended. */
  readonly wakeAtMs: number | null;
  /** Who writes: one executor run. Tells our own commit from another's after a lost connection. */
  readonly writer: string;
}

/** Somebody else has written to this log: whoever gets this stops, quietly (rule 6). */
export class StaleWriter extends Error {
  override readonly name = 'StaleWriter';

  constructor(
    readonly taskId: TaskId,
    readonly afterSeq: number,
  ) {
    super(`the log of ${taskId} has moved past entry ${afterSeq}`);
  }
}
