import type { Decision } from '../engine/entries.js';
import type { RunOutcome } from '../engine/executor.js';
import type { Evidence } from '../engine/flow.js';
import { RecoupError, type ErrorCode } from '../errors.js';
import type { TaskId } from '../ids.js';
import type { AmountMinor } from '../money.js';
import type { CaseRecord } from './case.js';
import type { Carrier, Decided } from './ports.js';
import type { CarriedOut } from './proposal.js';

/** What decisions about tasks need of the engine. */
export interface TaskDecisions {
  run(task: TaskId, evidence: Evidence): Promise<RunOutcome>;
  /** What the log says was decided about a case; null when nothing. */
  decidedAs(task: TaskId, caseNo: number): Promise<Decision | null>;
  /**
   * Starts the refund, or finds the one that this key has started.
   *
   * @throws RecoupError `capture_unknown`, `capture_not_available`, `refund_not_offered`: never
   *   possible. Anything else: perhaps later.
   */
  refund(what: {
    readonly about: CaseRecord;
    readonly amountMinor: AmountMinor;
    readonly reason: string;
    readonly requestedBy: string;
    readonly approvedBy: string;
    readonly requestKey: string;
  }): Promise<TaskId>;
}

/** A refund that meets these will never be possible. */
export const neverPossible: readonly ErrorCode[] = [
  'capture_unknown',
  'capture_not_available',
  'refund_not_offered',
];

/**
 * An adoption that meets these was not written: the capture is being given back, or the repayment has
 * been paid since. Another decision can end the case, so this one must not stand in its way.
 */
const refusedByBooks: readonly ErrorCode[] = ['capture_not_available', 'amount_exceeds_due'];

/**
 * Decisions about a task's case go in through the executor, like any other evidence; the log's entry
 * closes the case and is what tells, after a crash, that it was done. A refund is started first, under
 * a key that follows from the proposal: started twice it is one, and only then is the case closed.
 */
export function taskCarrier(tasks: TaskDecisions): Carrier {
  return async (decided) => {
    const { case: about, no, resolution, by, approvedBy } = decided;
    const task = about.taskId;
    if (task === null) return { kind: 'refused', outcome: 'the case names no task' };
    if (resolution.action === 'ask_again') return await askAgain(tasks, task, decided);
    const before = await tasks.decidedAs(task, about.no);
    if (before !== null) return asDecided(before, resolution.action);
    if (about.closedAt !== null) {
      return { kind: 'refused', outcome: `the case had ended: ${about.resolution}` };
    }
    let decision: Decision;
    if (resolution.action === 'refund') {
      const { amountMinor, reason } = resolution;
      const people = { requestedBy: by, approvedBy };
      const requestKey = `case:${about.id}:${no}`;
      try {
        const refundId = await tasks.refund({ about, amountMinor, reason, ...people, requestKey });
        decision = { action: 'refund', refundId };
      } catch (error) {
        if (!(error instanceof RecoupError) || !neverPossible.includes(error.code)) throw error;
        return { kind: 'refused', outcome: `no refund: ${error.code}` };
      }
    } else decision = resolution;
    return await submit(tasks, task, decided, decision);
  };
}

async function submit(
  tasks: TaskDecisions,
  task: TaskId,
  { case: about, by, approvedBy }: Decided,
  decision: Decision,
): Promise<CarriedOut> {
  const evidence = { kind: 'decision', caseNo: about.no, decision, by, approvedBy } as const;
  // A run that first had to take a call over has not heard the evidence: the second one does.
  for (let tries = 0; tries < 2; tries += 1) {
    let outcome: RunOutcome;
    try {
      outcome = await tasks.run(task, evidence);
    } catch (error) {
      if (!(error instanceof RecoupError) || !refusedByBooks.includes(error.code)) throw error;
      return { kind: 'refused', outcome: `the books refuse it: ${error.code}` };
    }
    const decided = await tasks.decidedAs(task, about.no);
    if (decided !== null) return asDecided(decided, decision.action);
    if (outcome === 'no_such_task') return { kind: 'refused', outcome: 'there is no such task' };
    if (outcome === 'busy' || outcome === 'overtaken' || outcome === 'lease_lost') {
      return { kind: 'later', why: outcome };
    }
  }
  // The money is on its way whatever became of the case.
  return decision.action === 'refund'
    ? { kind: 'done', outcome: `refund ${decision.refundId}; the case had ended` }
    : { kind: 'refused', outcome: 'it does not fit what the log says of the attempt' };
}

async function askAgain(
  tasks: TaskDecisions,
  task: TaskId,
  { case: about, by, approvedBy }: Decided,
): Promise<CarriedOut> {
  // Another order is tried, where there is none to ask about: that closes the case, and is done once.
  const triedAgain = `tried again (${by}, ${approvedBy})`;
  if (about.closedAt !== null) {
    return about.resolution === triedAgain
      ? { kind: 'done', outcome: triedAgain }
      : { kind: 'refused', outcome: `the case had ended: ${about.resolution}` };
  }
  const decision = { action: 'ask_again' } as const;
  const evidence = { kind: 'decision', caseNo: about.no, decision, by, approvedBy } as const;
  const outcome = await tasks.run(task, evidence);
  if (outcome === 'no_such_task') return { kind: 'refused', outcome: 'there is no such task' };
  return outcome === 'busy' || outcome === 'overtaken' || outcome === 'lease_lost'
    ? { kind: 'later', why: outcome }
    : {
        kind: 'done',
        outcome: about.kind === 'undo_failed' ? triedAgain : 'the channel is asked again',
      };
}

function asDecided(decision: Decision, wanted: Decision['action']): CarriedOut {
  if (decision.action !== wanted) {
    return { kind: 'refused', outcome: `it was decided otherwise: ${decision.action}` };
  }
  const outcome = decision.action === 'refund' ? `refund ${decision.refundId}` : decision.action;
  return { kind: 'done', outcome };
}
