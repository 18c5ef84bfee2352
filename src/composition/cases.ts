/** The work of people in a process: cases, decisions, and the active check that finds more of them. */
import { openCases, type Cases } from '../cases/cases.js';
import { findingCarrier } from '../cases/finding-carrier.js';
import { itemCarrier, type Items } from '../cases/item-carrier.js';
import { refundRequestCarrier, type RequestedRefunds } from '../cases/refund-request-carrier.js';
import { RefundRequestDesk } from '../cases/refund-requests.js';
import { taskCarrier, type TaskDecisions } from '../cases/task-carrier.js';
import type { ChannelDirectory } from '../channels/directory.js';
import type { Clock } from '../clock.js';
import { ActiveCheck } from '../compensation/active-check.js';
import type { Config } from '../config.js';
import type { Executor } from '../engine/executor.js';
import type { Task } from '../engine/tasks.js';
import { RecoupError } from '../errors.js';
import type { RefundDesk } from '../intake/refund-desk.js';
import type { LedgerReads } from '../ledger/records.js';
import type { Log } from '../log.js';
import { ActiveCheckStore } from '../store/active-check.js';
import { CaseStore } from '../store/case-book.js';
import { CaseProposalStore } from '../store/case-proposals.js';
import type { Database } from '../store/database.js';
import type { DeductionStore } from '../store/deductions.js';
import type { BreakStore } from '../store/reconciliation-breaks.js';
import { RefundRequestStore } from '../store/refund-requests.js';
import type { RefundStore } from '../store/refunds.js';
import { creditOf } from './refunds.js';

export interface CaseSurroundings {
  readonly config: Config;
  readonly database: Database;
  readonly executor: Executor<Task>;
  readonly deductions: DeductionStore;
  readonly refunds: RefundStore;
  readonly refundDesk: RefundDesk;
  readonly directory: ChannelDirectory;
  readonly breaks: BreakStore;
  readonly ledger: LedgerReads;
  /** The cases of destinations that notices do not reach. */
  readonly notices: Items;
  readonly clock: Clock;
  readonly log: Log;
}

export interface CaseServices extends Cases {
  readonly activeCheck: ActiveCheck;
  readonly refundRequests: RefundRequestDesk;
  /** Starts the sweeps, until `close`. */
  readonly start: () => void;
  readonly close: () => Promise<void>;
}

export function openCaseServices(around: CaseSurroundings): CaseServices {
  const { config, database, executor, breaks, ledger, clock, log } = around;
  const findings = new ActiveCheckStore(database, {
    zone: config.businessZone,
    // What a lender's own accounting service has posted, it alone knows.
    booksAreOurs: config.ledgerUrl === null,
  });
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
  const book = new CaseStore(database);
  const requests = new RefundRequestStore(database);
  const carriers = {
    task: taskCarrier(decisionsAbout(around)),
    dead: itemCarrier({
      async again(no, by) {
        const result = await ledger.replay(String(no), by, clock.nowMs());
        return result === 'replayed' ? 'done' : 'closed';
      },
      close: async (no, _by, told) => await book.closeDeadLetter(no, told, clock.nowMs()),
    }),
    break: itemCarrier({
      close: async (no, by, told) => await breaks.resolve(String(no), by, told, clock.nowMs()),
    }),
    check: findingCarrier({
      lookAgain: async (task) => await activeCheck.check(task),
      writeOff: async (no, told) => await findings.writeOff(no, told, clock.nowMs()),
    }),
    notice: itemCarrier(around.notices),
    refund: refundRequestCarrier(requestedRefunds(requests, around)),
  };
  const proposals = new CaseProposalStore(database);
  const cases = openCases({ book, proposals, carriers, clock, log }, config);
  return {
    ...cases,
    activeCheck,
    refundRequests: new RefundRequestDesk(
      async (deduction) => await creditOf(deduction, around),
      requests,
      clock,
      config,
    ),
    start() {
      activeCheck.start();
      cases.sweep.start();
    },
    close: async () => void (await Promise.all([activeCheck.close(), cases.sweep.close()])),
  };
}

function decisionsAbout(around: CaseSurroundings): TaskDecisions {
  const { executor, deductions, refunds, refundDesk } = around;
  return {
    run: async (task, evidence) => (await executor.run(task, evidence)).outcome,
    async decidedAs(task, caseNo) {
      for (const { entry } of await deductions.log(task)) {
        if (entry.kind === 'decided' && entry.caseNo === caseNo) return entry.decision;
      }
      return null;
    },
    async refund({ about, ...asked }) {
      const task = about.taskId;
      const started = await refunds.findByRequest(asked.requestKey);
      if (started !== null) return started.id;
      // A refund that failed is tried anew on the same capture, unless it gave back after all.
      const failed = task === null ? null : await refunds.find(task);
      if (failed !== null) {
        const given = (await deductions.attempts(failed.id)).some(
          ({ status }) => status === 'succeeded',
        );
        if (given || about.kind !== 'refund_failed') throw new RecoupError('capture_not_available');
      }
      const taskId = failed === null ? task : (failed.deductionId ?? failed.topUpId);
      const { attemptNo } = failed ?? about;
      if (taskId === null || attemptNo === null) throw new Error('the case names no attempt');
      // A late or a second capture alone is given back: what was credited stays credited. And a refund
      // that failed is tried anew out of what it was taken from.
      const only = failed?.takenFrom ?? 'excess';
      const request = { ...asked, taskId, attemptNo, only };
      return (await refundDesk.start(request)).id;
    },
  };
}

function requestedRefunds(
  requests: RefundRequestStore,
  { refunds, refundDesk, clock }: CaseSurroundings,
): RequestedRefunds {
  return {
    started: async (key) => (await refunds.findByRequest(key))?.id ?? null,
    start: async (what) => (await refundDesk.start(what)).id,
    close: async (no, resolution) => await requests.close(no, resolution, clock.nowMs()),
  };
}
