/** Every kind of task, as one flow: what the executor runs. */
import { assertNever, invariant } from '../assert.js';
import { deductionFlow, type DeductionState } from './deduction.js';
import type { AmountMinor } from '../money.js';
import type { EntryKind, TaskKind } from './entries.js';
import type { Flow } from './flow.js';
import { owesDebits, waitsForPeople } from './late-debit.js';
import { needsReview } from './orders-state.js';
import { refundFlow, type RefundState } from './refund.js';
import { topUpFlow, type TopUpState } from './top-up.js';
import { withdrawalFlow, type WithdrawalState } from './withdrawal.js';

export type Task = DeductionState | RefundState | WithdrawalState | TopUpState;
export type TaskOf<K extends TaskKind> = Extract<Task, { kind: K }>;

const flows: { readonly [K in TaskKind]: Flow<TaskOf<K>> } = {
  deduction: deductionFlow,
  refund: refundFlow,
  withdrawal: withdrawalFlow,
  top_up: topUpFlow,
};

export const taskKinds = Object.keys(flows) as readonly TaskKind[];

/** The entry that a log of each kind starts with. */
const kindOfFirst: Partial<Record<EntryKind, TaskKind>> = {
  accepted: 'deduction',
  refund_accepted: 'refund',
  top_up_refund_accepted: 'refund',
  withdrawal_accepted: 'withdrawal',
  top_up_accepted: 'top_up',
};

/** @throws Error when no task starts with such an entry. */
export function kindStartedBy(entry: EntryKind): TaskKind {
  const kind = kindOfFirst[entry];
  invariant(kind !== undefined, `no task starts with ${entry}`);
  return kind;
}

/** What a task is about, minor units of its currency. */
export function amountOf(task: Task): AmountMinor {
  switch (task.kind) {
    case 'deduction':
      return task.deduction.amountMinor;
    case 'refund':
      return task.refund.amountMinor;
    case 'withdrawal':
      return task.withdrawal.amountMinor;
    case 'top_up':
      return task.topUp.amountMinor;
    default:
      return assertNever(task);
  }
}

/** In the in-flight log: it has not ended, or something is still to be given back after its end. */
export const isUnderWay = (task: Task): boolean =>
  task.end === null || (task.kind === 'withdrawal' && owesDebits(task));

/** Of a task that is under way: a person must decide before anything moves. */
export const isBeforePeople = (task: Task): boolean =>
  needsReview(task) || (task.kind === 'withdrawal' && task.end !== null && waitsForPeople(task));

/** A state's own kind chooses the flow, so that state and flow belong together. */
const flowOf = (kind: TaskKind): Flow<Task> => flows[kind];

export const taskFlow: Flow<Task> = {
  evolve: (state, entry) => flowOf(state?.kind ?? kindStartedBy(entry.kind)).evolve(state, entry),
  next: (state, nowMs) => flowOf(state.kind).next(state, nowMs),
  receive: (state, evidence, nowMs) => flowOf(state.kind).receive(state, evidence, nowMs),
  lockKey: (state) => flowOf(state.kind).lockKey(state),
};
