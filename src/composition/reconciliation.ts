/** Channels' statements, wired: where they are kept, and how what they prove reaches a task. */
import type { ChannelDirectory } from '../channels/directory.js';
import type { Executor } from '../engine/executor.js';
import type { Task } from '../engine/tasks.js';
import { Reconciler } from '../reconciliation/reconciler.js';
import type { Database } from '../store/database.js';
import type { BreakStore } from '../store/reconciliation-breaks.js';
import { MatchingStore } from '../store/reconciliation-matching.js';
import { StatementStore } from '../store/reconciliation-statements.js';
import type { Basics } from './surroundings.js';

export interface ReconciliationParts {
  readonly database: Database;
  readonly breaks: BreakStore;
  readonly directory: ChannelDirectory;
  readonly executor: Executor<Task>;
}

export function openReconciler({ config, clock, log }: Basics, parts: ReconciliationParts) {
  const { database, breaks, directory, executor } = parts;
  return new Reconciler({
    statements: new StatementStore(database),
    matching: new MatchingStore(database),
    breaks,
    profiles: () => directory.profiles(),
    submit: async (task, evidence) => {
      const { outcome } = await executor.run(task, evidence);
      return outcome === 'ended' || outcome === 'review' || outcome === 'waiting';
    },
    clock,
    log,
    zone: config.businessZone,
  });
}
