/** Every kind of task, as one flow: what the executor runs. */
import { invariant } from '../assert.js';
import { deductionFlow, type DeductionState } from './deduction.js';
import type { EntryKind, TaskKind } from './entries.js';
import type { Flow } from './flow.js';
import { refundFlow, type RefundState } from './refund.js';

export type Task = DeductionState | RefundState;
export type TaskOf<K extends TaskKind> = Extract<Task, { kind: K }>;

const flows: { readonly [K in TaskKind]: Flow<TaskOf<K>> } = {
  deduction: deductionFlow,
  refund: refundFlow,
};

/** The entry that a log of each kind starts with. */
const kindOfFirst: Partial<Record<EntryKind, TaskKind>> = {
  accepted: 'deduction',
  refund_accepted: 'refund',
};

/** @throws Error when no task starts with such an entry. */
export function kindStartedBy(entry: EntryKind): TaskKind {
  const kind = kindOfFirst[entry];
  invariant(kind !== undefined, `no task starts with ${entry}`);
  return kind;
}

/** A state's own kind chooses the flow, so that state and flow belong together. */
const flowOf = (kind: TaskKind): Flow<Task> => flows[kind];

export const taskFlow: Flow<Task> = {
  evolve: (state, entry) => flowOf(state?.kind ?? kindStartedBy(entry.kind)).evolve(state, entry),
  next: (state, nowMs) => flowOf(state.kind).next(state, nowMs),
  receive: (state, evidence, nowMs) => flowOf(state.kind).receive(state, evidence, nowMs),
  lockKey: (state) => flowOf(state.kind).lockKey(state),
};
