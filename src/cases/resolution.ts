/** What can become of a case. A resolution is proposed by one person and approved by another. */
import { createHash } from 'node:crypto';
import type { AmountMinor } from '../money.js';
import type { CaseId, CaseRecord, CaseSource } from './case.js';

export type Resolution =
  /** Ask the channel again; replay the message; look again. Nothing is decided. */
  | { readonly action: 'ask_again' }
  /** The money has moved, and this proves it. */
  | { readonly action: 'adopt_captured'; readonly channelRef: string; readonly proof: string }
  /** It has not and never will, and this proves it. */
  | { readonly action: 'mark_not_executed'; readonly proof: string }
  /** What was taken too much goes back to where it came from. */
  | { readonly action: 'refund'; readonly amountMinor: AmountMinor; readonly reason: string }
  /** A debit that its withdrawal did without goes back to the account. */
  | { readonly action: 'restore'; readonly reason: string }
  /** Nothing moves: the case is closed as it is. */
  | { readonly action: 'write_off'; readonly reason: string };

export type Action = Resolution['action'];

export const actions = [
  'ask_again',
  'adopt_captured',
  'mark_not_executed',
  'refund',
  'restore',
  'write_off',
] as const satisfies readonly Action[];

/**
 * What may be proposed for a task's case. An unknown outcome cannot be written off: the attempt would
 * stay unknown and the case would open again. The flow judges once more, under its lock.
 */
const forTasks: Readonly<Record<string, readonly Action[]>> = {
  outcome_unknown: ['ask_again', 'adopt_captured', 'mark_not_executed'],
  mismatch: ['ask_again', 'adopt_captured', 'mark_not_executed', 'write_off'],
  contradiction: ['write_off'],
  // Credited after all where the deduction failed without it, or given back.
  late_success: ['adopt_captured', 'refund', 'write_off'],
  captured_twice: ['refund', 'write_off'],
  // Given back anew, or written off: the money was given back in another way.
  refund_failed: ['refund', 'write_off'],
};

/**
 * For tasks of other kinds than deductions and refunds. What was paid out late, or twice, nobody can
 * give back to us by an order, and what was given back cannot be taken again: a person sees to it. A step
 * that could not be undone is tried with another order, or was undone by hand. A first payment of a
 * top-up, however late, the top-up gives back itself.
 */
const forOtherTasks: typeof forTasks = {
  ...forTasks,
  late_success: ['write_off'],
  captured_twice: ['write_off'],
  undo_failed: ['ask_again', 'write_off'],
};

/** What a customer paid twice for a top-up goes back by a refund. */
const forPayments: typeof forTasks = { ...forOtherTasks, captured_twice: ['refund', 'write_off'] };

/** What was debited besides what a withdrawal is built on the withdrawal gives back (late-debit.ts). */
const forDebits: typeof forTasks = {
  ...forOtherTasks,
  late_success: ['restore', 'write_off'],
  captured_twice: ['restore', 'write_off'],
  contradiction: ['restore', 'write_off'],
};

const forOthers: Readonly<Record<Exclude<CaseSource, 'task'>, readonly Action[]>> = {
  dead: ['ask_again', 'write_off'],
  // Reconciling the day again looks again, and closes what is no longer so.
  break: ['write_off'],
  check: ['ask_again', 'write_off'],
  // Its notices are sent again, or are not wanted any more.
  notice: ['ask_again', 'write_off'],
  // Rejecting the request closes it, too; written off is what was given back in another way.
  refund: ['refund', 'write_off'],
};

export function actionsFor({
  source,
  kind,
  taskKind,
  operation,
}: Pick<CaseRecord, 'source' | 'kind' | 'taskKind' | 'operation'>): readonly Action[] {
  if (source !== 'task') return forOthers[source];
  const collects = taskKind === 'deduction' || taskKind === 'refund' || taskKind === null;
  const pays = taskKind === 'top_up' && operation === 'charge';
  const debits = taskKind === 'withdrawal' && operation === 'debit';
  const known = collects ? forTasks : pays ? forPayments : debits ? forDebits : forOtherTasks;
  return Object.hasOwn(known, kind) ? (known[kind] ?? []) : ['ask_again', 'write_off'];
}

/** The one way a resolution is written down, so that its digest means something. */
export function encodeResolution(resolution: Resolution): string {
  const fields = Object.entries(resolution).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(Object.fromEntries(fields), (_key, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
}

/** @throws Error when the text is not what `encodeResolution` wrote: somebody has changed it. */
export function decodeResolution(payload: string): Resolution {
  const fields = JSON.parse(payload, (key, value: unknown) =>
    key.endsWith('Minor') && typeof value === 'string' ? BigInt(value) : value,
  ) as Resolution;
  if (!actions.includes(fields.action)) throw new Error('not a resolution that is known');
  return fields;
}

/** Binds what is proposed to its case, its maker and its moment. */
export function digestOf(what: {
  readonly caseId: CaseId;
  readonly makerKey: string;
  readonly madeAt: Date;
  readonly payload: string;
}): string {
  const { caseId, makerKey, madeAt, payload } = what;
  const text = [caseId, makerKey, madeAt.toISOString(), payload].join('\n');
  return createHash('sha256').update(text).digest('hex');
}
