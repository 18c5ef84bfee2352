/** What projections are made of. */
import type { Entry, EntryOf } from '../engine/entries.js';
import { statusOf, type OrdersState } from '../engine/orders-state.js';
import { sqlTime, sqlTimeOrNull } from './database.js';

export type Value = string | number | null;
export type Row = Readonly<Record<string, Value>>;

/** What one append changes in the tables of its kind of task. Inserts are new rows; updates name their key. */
export interface KindRows {
  readonly deductionInsert: Row | null;
  readonly deductionUpdate: Row | null;
  readonly refundInsert: Row | null;
  readonly refundUpdate: Row | null;
  readonly withdrawalInsert: Row | null;
  readonly withdrawalUpdate: Row | null;
  /** What moves a member's balance, and the lines of the money log that say why. */
  readonly memberDelta: Row | null;
  readonly memberEntries: readonly Row[];
  readonly topUpInsert: Row | null;
  readonly topUpUpdate: Row | null;
  /** Money on a repayment moves by differences, each in the transaction of the entry that causes it. */
  readonly repaymentDelta: Row | null;
  /** The same for what of a capture is credited, or given back. */
  readonly captureDelta: Row | null;
  readonly outbox: readonly Row[];
}

/** What one append changes besides the log. */
export interface Projected extends KindRows {
  readonly attemptInserts: readonly Row[];
  readonly attemptUpdates: readonly Row[];
  readonly inFlightInsert: Row | null;
  readonly inFlightUpdate: Row | null;
  /** Of a task that had ended and goes on. */
  readonly inFlightReopen: Row | null;
  readonly inFlightDelete: Row | null;
  readonly caseInserts: readonly Row[];
  readonly caseUpdates: readonly Row[];
  readonly notices: readonly Row[];
}

export const nothing: KindRows = {
  deductionInsert: null,
  deductionUpdate: null,
  refundInsert: null,
  refundUpdate: null,
  withdrawalInsert: null,
  withdrawalUpdate: null,
  memberDelta: null,
  memberEntries: [],
  topUpInsert: null,
  topUpUpdate: null,
  repaymentDelta: null,
  captureDelta: null,
  outbox: [],
};

/** How a task stands: columns that the table of every kind has. */
export function standingOf(state: OrdersState): Record<string, Value> {
  const { end } = state;
  return {
    id: state.taskId,
    status: statusOf(state),
    failure_code: end?.kind === 'failed' ? end.code : null,
    failure_detail: end?.kind === 'failed' ? end.detail.slice(0, 500) : null,
    attempts: state.attempts.length,
    ended_at: sqlTimeOrNull(end?.atMs ?? null),
  };
}

/** The replies that first tell of an order's success: what is told of it is told once. */
export function firstSuccesses(
  before: OrdersState | null,
  entries: readonly Entry[],
): readonly EntryOf<'replied'>[] {
  const told = new Set<number>();
  for (const { no, status } of before?.attempts ?? []) if (status === 'succeeded') told.add(no);
  return entries.filter((entry): entry is EntryOf<'replied'> => {
    if (entry.kind !== 'replied' || entry.answer.kind !== 'succeeded') return false;
    const isFirst = !told.has(entry.attemptNo);
    told.add(entry.attemptNo);
    return isFirst;
  });
}

/** A message for the outbox: unique by topic and key. */
export function message(topic: string, key: string, body: object, atMs: number): Row {
  return { topic, message_key: key, body: JSON.stringify(body), created_at: sqlTime(atMs) };
}
