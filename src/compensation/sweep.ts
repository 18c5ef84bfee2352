import type { TaskKind } from '../engine/entries.js';
import type { TaskId } from '../ids.js';

/** What the compensator needs of the in-flight log: the tasks that have not ended. `store/` provides it. */
export interface InFlightLog {
  /**
   * Claims tasks of a kind that should have moved on before `overdueAtMs`, oldest first, so
   * that several instances share a sweep without meeting. A claim ends by itself at `claimUntilMs`.
   */
  claimOverdue(claim: {
    readonly kind: TaskKind;
    readonly overdueAtMs: number;
    readonly nowMs: number;
    readonly claimUntilMs: number;
    readonly by: string;
    readonly limit: number;
  }): Promise<readonly TaskId[]>;
}
