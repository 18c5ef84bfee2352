import type { Clock } from '../clock.js';
import type { RunOutcome } from '../engine/executor.js';
import type { TaskKind } from '../engine/entries.js';
import type { Log, WakeUps } from '../engine/ports.js';
import type { TaskId } from '../ids.js';

/** A run that could not do its work is tried again after this; the compensator is far slower. */
const againMs = 1_000;
const unfinished: readonly RunOutcome[] = ['busy', 'lease_lost', 'overtaken'];

/**
 * Carries out a wake-up: runs the task, which asks its channel if an ask is due. When to ask next is
 * the flow's decision (the channel's poll schedule); the pool's bound is the queue's.
 */
export function poller(
  resume: (taskId: TaskId) => Promise<RunOutcome>,
  wakeUps: WakeUps,
  clock: Clock,
  log: Log,
): (taskId: TaskId, kind: TaskKind) => Promise<void> {
  return async (taskId, kind) => {
    try {
      const outcome = await resume(taskId);
      if (unfinished.includes(outcome)) {
        await wakeUps.schedule(taskId, clock.nowMs() + againMs, kind);
      }
    } catch (error) {
      // The compensator finds it: the in-flight row is as overdue as before.
      log.warn('wake-up came to nothing', { task_id: taskId, why: String(error) });
    }
  };
}
