import type { TaskId } from '../ids.js';
import type { AttemptRecord, CaseRecord, LoggedEntry } from './records.js';

/** What is known of a task, of whichever kind, besides its row. */
export interface TaskStory {
  readonly attempts: readonly AttemptRecord[];
  readonly cases: readonly CaseRecord[];
  readonly log: readonly LoggedEntry[];
}

interface TaskReads {
  attempts(id: TaskId): Promise<readonly AttemptRecord[]>;
  cases(of: {
    readonly deductionId: TaskId;
    readonly limit: number;
  }): Promise<readonly CaseRecord[]>;
  log(id: TaskId): Promise<readonly LoggedEntry[]>;
}

const casesMax = 500;

export async function storyOf(reads: TaskReads, id: TaskId): Promise<TaskStory> {
  const [attempts, cases, log] = await Promise.all([
    reads.attempts(id),
    reads.cases({ deductionId: id, limit: casesMax }),
    reads.log(id),
  ]);
  return { attempts, cases, log };
}
