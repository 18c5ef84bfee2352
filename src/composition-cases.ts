/** The work of people in a process: cases, decisions, and the active check that finds more of them. */
import { openCases, type Cases } from './cases/cases.js';
import { findingCarrier } from './cases/finding-carrier.js';
import { taskCarrier } from './cases/task-carrier.js';
import type { Clock } from './clock.js';
import { ActiveCheck } from './compensation/active-check.js';
import type { Config } from './config.js';
import type { Task } from './engine/tasks.js';
import type { Executor } from './engine/executor.js';
import type { Log } from './log.js';
import { ActiveCheckStore } from './store/active-check.js';
import { CaseStore } from './store/case-book.js';
import { CaseProposalStore } from './store/case-proposals.js';
import type { Database } from './store/database.js';

export interface CaseSurroundings {
  readonly config: Config;
  readonly database: Database;
  readonly executor: Executor<Task>;
  readonly clock: Clock;
  readonly log: Log;
}

export interface CaseServices extends Cases {
  readonly activeCheck: ActiveCheck;
  /** Starts the sweeps, until `close`. */
  readonly start: () => void;
  readonly close: () => Promise<void>;
}

export function openCaseServices(around: CaseSurroundings): CaseServices {
  const { config, database, executor, clock, log } = around;
  const findings = new ActiveCheckStore(database, config.businessZone);
  const activeCheck = new ActiveCheck(
    findings,
    async (task) => (await executor.run(task)).outcome,
    {
      ageMs: config.activeCheckAgeMs,
      intervalMs: config.activeCheckIntervalMs,
      concurrency: config.compensatorConcurrency,
    },
    clock,
    log,
  );
  const carriers = {
    task: taskCarrier(async (task, evidence) => (await executor.run(task, evidence)).outcome),
    check: findingCarrier({
      lookAgain: async (task) => await activeCheck.check(task),
      writeOff: async (no, told) => await findings.writeOff(no, told, clock.nowMs()),
    }),
  };
  const book = new CaseStore(database);
  const proposals = new CaseProposalStore(database);
  const cases = openCases({ book, proposals, carriers, clock, log }, config);
  return {
    ...cases,
    activeCheck,
    start() {
      activeCheck.start();
      cases.sweep.start();
    },
    close: async () => void (await Promise.all([activeCheck.close(), cases.sweep.close()])),
  };
}
