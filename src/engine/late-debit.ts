/**
 * A debit that was carried out and that its withdrawal did without: it had been taken for dead, and is
 * heard of after another debit was made, or after the end.
 *
 *   decided `restore` ─ debit_adopted ─ (the withdrawal's own end) ─ restore ┬ succeeded: given back
 *                                                 ▲                          ├ pending │ unknown: asked
 *                                                 ├────── after a pause ─────┼ not_executed
 *                                                 └─ people: another order ──┴ declined: a case
 *
 * The end says what became of the withdrawal, and stays as it is; the task is under way until the debit
 * is back (`owesDebits`). Where the service denies the debit after all, nothing more is sent until people
 * have decided about that: `restore` again, it goes on; `write_off`, it is not given back any more.
 */
import { isLive, type Attempt } from './attempt.js';
import type { Entry, EntryOf } from './entries.js';
import type { Evidence, Step } from './flow.js';
import { legOf, undo, writtenOff } from './legs.js';
import { operationOf } from './order.js';
import { doneIn, openCase, type Case, type OrdersState } from './orders-state.js';

export interface GivesBack extends OrdersState {
  /** Attempts that people want given back, in the order of their decisions. */
  readonly lateDebits: readonly number[];
}

/** Carried out, and nothing of the withdrawal was built on it. */
export const isStray = (state: OrdersState, attempt: Attempt): boolean =>
  operationOf(attempt.order) === 'debit' &&
  attempt.status === 'succeeded' &&
  // Heard after the end, or another was heard of before it.
  (attempt.excessSeq !== null || doneIn(state, 'debit')?.no !== attempt.no);

const isBack = (state: OrdersState, { order }: Attempt): boolean =>
  doneIn(state, 'restore', order.orderNo) !== undefined;

const regards = ({ order }: Attempt, debit: Attempt): boolean =>
  order.regarding?.orderNo === debit.order.orderNo;

const isDenied = (state: OrdersState, debit: Attempt): boolean =>
  openCase(state, 'contradiction', debit.no);

/** What a decision `restore` adds to the log; nothing where it does not fit (any more). */
export function adoptDebit(
  state: GivesBack,
  evidence: Extract<Evidence, { kind: 'decision' }>,
  atMs: number,
): readonly Entry[] {
  const { caseNo, decision, by, approvedBy } = evidence;
  const about = state.cases.find(({ no, closed }) => no === caseNo && closed === null);
  const debit = state.attempts.find(({ no }) => no === about?.attemptNo);
  if (about === undefined || debit === undefined || state.openCall !== null) return [];
  if (decision.action !== 'restore' || !mayAdopt(state, about, debit)) return [];
  const { no: attemptNo } = debit;
  return [
    { kind: 'decided', atMs, caseNo, attemptNo, decision, by, approvedBy },
    { kind: 'debit_adopted', atMs, caseNo, attemptNo },
  ];
}

function mayAdopt(state: GivesBack, { reason }: Case, debit: Attempt): boolean {
  if (!isStray(state, debit) || isBack(state, debit)) return false;
  const adopted = state.lateDebits.includes(debit.no);
  // Denied before it was adopted: people first decide whether there was a debit at all.
  if (reason === 'contradiction') return adopted;
  const late = reason === 'late_success' || reason === 'captured_twice';
  return late && !adopted && !isDenied(state, debit);
}

/** Of a case about a contradiction: what was to be given back is not any more. */
export function withdrawn<S extends GivesBack>(state: S, entry: EntryOf<'decided'>): S {
  const { caseNo, attemptNo, decision } = entry;
  const about = state.cases.find(({ no }) => no === caseNo);
  if (decision.action !== 'write_off' || about?.reason !== 'contradiction') return state;
  return { ...state, lateDebits: state.lateDebits.filter((no) => no !== attemptNo) };
}

/** Whether a restore after the end is still wanted; what is not is not sent again. */
export function isWanted(state: GivesBack, attempt: Attempt): boolean {
  const debit = state.attempts.find((one) => regards(attempt, one));
  return debit !== undefined && state.lateDebits.includes(debit.no) && !isDenied(state, debit);
}

const owed = (state: GivesBack): readonly Attempt[] =>
  state.attempts.filter(
    (one) =>
      state.lateDebits.includes(one.no) &&
      !isBack(state, one) &&
      !writtenOff(state, 'restore', one),
  );

/** Of a withdrawal that has ended: something is still to be given back, or on its way. */
export const owesDebits = (state: GivesBack): boolean =>
  owed(state).length > 0 || legOf(state, 'restore').some(isLive);

/** All that is left to do waits for people. */
export function waitsForPeople(state: GivesBack): boolean {
  const live = state.attempts.find(isLive);
  if (live !== undefined) return openCase(state, 'outcome_unknown', live.no);
  return owed(state).every((debit) => {
    const tries = legOf(state, 'restore').filter((one) => regards(one, debit));
    return isDenied(state, debit) || tries.some(({ no }) => openCase(state, 'undo_failed', no));
  });
}

/** No order is live: the next step of giving back, or null when nothing is left to give back. */
export function giveBack(
  state: GivesBack,
  place: (debit: Attempt) => Step,
  nowMs: number,
): Step | null {
  // One that waits does not keep the others.
  const steps = owed(state).flatMap((of): readonly Step[] => {
    if (isDenied(state, of)) return [{ kind: 'stop', reason: 'review' }];
    const step = undo(state, [{ done: 'debit', by: 'restore', of, place }], nowMs);
    return step === null ? [] : [step];
  });
  const waits = steps.filter((step) => step.kind === 'wait');
  return (
    steps.find(({ kind }) => kind !== 'wait' && kind !== 'stop') ??
    waits.toSorted((a, b) => a.untilMs - b.untilMs)[0] ??
    steps[0] ??
    null
  );
}
