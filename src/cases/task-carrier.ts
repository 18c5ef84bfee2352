import type { RunOutcome } from '../engine/executor.js';
import type { Evidence } from '../engine/flow.js';
import type { TaskId } from '../ids.js';
import type { Carrier } from './ports.js';

/** Decisions about a task's case go in through the executor, like any other evidence. */
export function taskCarrier(
  run: (task: TaskId, evidence: Evidence) => Promise<RunOutcome>,
): Carrier {
  return async ({ case: about, resolution, by }) => {
    if (about.taskId === null) return { kind: 'refused', outcome: 'the case names no task' };
    if (resolution.action !== 'ask_again') {
      return { kind: 'later', why: 'the engine takes no decisions yet' };
    }
    const outcome = await run(about.taskId, { kind: 'ask', by });
    switch (outcome) {
      case 'ended':
      case 'review':
      case 'waiting':
        return { kind: 'done', outcome: 'the channel was asked' };
      case 'no_such_task':
        return { kind: 'refused', outcome: 'there is no such task' };
      default:
        return { kind: 'later', why: outcome };
    }
  };
}
