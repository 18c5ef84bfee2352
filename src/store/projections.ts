/**
 * Entries -> rows: how the log shows in the tables. Rows are computed from the folded state, so that
 * folding a log again always gives the same tables. Here is what all kinds of task have; the tables
 * of one kind are in a file of their own (deduction-rows.ts and so on).
 */
import { assertNever } from '../assert.js';
import { businessDate } from '../business-date.js';
import type { Attempt } from '../engine/attempt.js';
import type { Entry } from '../engine/entries.js';
import type { Append } from '../engine/journal.js';
import type { Case } from '../engine/orders-state.js';
import { amountOf, isUnderWay, type Task } from '../engine/tasks.js';
import { sqlTime, sqlTimeOrNull } from './database.js';
import { deductionRows } from './deduction-rows.js';
import { noticesOf, type WantsNotice } from './notice-rows.js';
import { refundRows } from './refund-rows.js';
import type { KindRows, Projected, Row } from './rows.js';
import { topUpRows } from './top-up-rows.js';
import { withdrawalRows } from './withdrawal-rows.js';

export { deductionRow } from './deduction-rows.js';
export type { Projected, Row } from './rows.js';

const nobodyWants: WantsNotice = () => false;

/**
 * Rows are put together by Object.assign: to spread one and name more fields costs V8 up to 20 µs and
 * 5 kB an object, against 0.4, and this is done for every append (bench: 45 µs of Node's a deduction).
 */
export function project(
  append: Append<Task>,
  zone: string,
  wants: WantsNotice = nobodyWants,
): Projected {
  const { entries, state } = append;
  const intended: number[] = [];
  const touched: number[] = [];
  const opened: number[] = [];
  const closed: number[] = [];
  for (const entry of entries) {
    if ('nature' in entry) intended.push(entry.attemptNo);
    else if ('attemptNo' in entry && entry.kind !== 'case_opened') touched.push(entry.attemptNo);
    if (entry.kind === 'case_opened') opened.push(entry.caseNo);
    if (entry.kind === 'case_closed' || entry.kind === 'decided') closed.push(entry.caseNo);
  }
  const credited = creditedBy(state, entries);
  const attempts = (numbers: readonly number[]): Row[] =>
    state.attempts
      .filter((one) => numbers.includes(one.no))
      .map((one) => attemptRow(state, one, zone));
  const cases = (numbers: readonly number[]): Row[] =>
    state.cases.filter((one) => numbers.includes(one.no)).map((one) => caseRow(state, one));
  const rows = {
    attemptInserts: attempts(intended),
    attemptUpdates: attempts(without(touched, intended)).map((row) =>
      Object.assign(row, {
        credited: row['attempt_no'] === credited ? (row['amount_minor'] ?? 0) : 0,
      }),
    ),
    caseInserts: cases(opened),
    caseUpdates: cases(without(closed, opened)),
    notices: noticesOf(append, wants),
  };
  return Object.assign(rows, inFlightRows(append), rowsOfKind(append));
}

function rowsOfKind({ state, before, entries, afterSeq }: Append<Task>): KindRows {
  switch (state.kind) {
    case 'deduction':
      return deductionRows(state, entries, afterSeq);
    case 'refund':
      return refundRows(state, entries, afterSeq);
    case 'withdrawal':
      return withdrawalRows(state, before?.kind === 'withdrawal' ? before : null, entries);
    case 'top_up':
      return topUpRows(state, before?.kind === 'top_up' ? before : null, entries);
    default:
      return assertNever(state);
  }
}

const without = (all: readonly number[], some: readonly number[]): readonly number[] =>
  all.filter((one) => !some.includes(one));

/** The attempt whose capture these entries credit to the repayment. */
function creditedBy(state: Task, entries: readonly Entry[]): number | null {
  if (state.kind !== 'deduction') return null;
  const settled = entries.find((entry) => entry.kind === 'settled');
  return settled?.kind === 'settled' ? settled.attemptNo : null;
}

export function attemptRow(state: Task, attempt: Attempt, zone: string): Row {
  const { order, decline } = attempt;
  return {
    task_id: state.taskId,
    attempt_no: attempt.no,
    operation: order.operation ?? 'charge',
    order_no: order.orderNo,
    channel_id: order.channelId,
    bank_code: order.account.bankCode,
    amount_minor: order.amountMinor.toString(),
    status: attempt.status,
    captures: attempt.captures,
    channel_ref: attempt.channelRef?.slice(0, 128) ?? null,
    decline_code: decline?.code ?? null,
    channel_code: decline?.channelCode.slice(0, 64) ?? null,
    proof: attempt.proof,
    unknown_why: attempt.unknownWhy,
    asks: attempt.asks,
    next_ask_at: sqlTimeOrNull(attempt.nextAskMs),
    business_date: businessDate(order.createdAtMs, zone),
    created_at: sqlTime(order.createdAtMs),
    expires_at: sqlTime(order.expiresAtMs),
    ended_at: sqlTimeOrNull(attempt.endedAtMs),
  };
}

export function caseRow(state: Task, one: Case): Row {
  return {
    task_id: state.taskId,
    case_no: one.no,
    reason: one.reason,
    attempt_no: one.attemptNo,
    amount_minor: amountOf(state).toString(),
    evidence: one.evidence.slice(0, 1000),
    opened_at: sqlTime(one.openedAtMs),
    closed_at: sqlTimeOrNull(one.closed?.atMs ?? null),
    resolution: one.closed?.resolution.slice(0, 500) ?? null,
  };
}

type InFlightRows = Pick<
  Projected,
  'inFlightInsert' | 'inFlightUpdate' | 'inFlightReopen' | 'inFlightDelete'
>;

/**
 * The in-flight log holds exactly the tasks that are under way, so only what is open before or after an
 * append counts: one that ends at once never has a row, and a late answer to an ended one changes
 * nothing here, unless something must go back (a payment that came late, a debit that people adopted).
 */
function inFlightRows(append: Append<Task>): InFlightRows {
  const { taskId, afterSeq, before, state } = append;
  const wasOpen = before !== null && isUnderWay(before);
  const isOpen = isUnderWay(state);
  const isNew = afterSeq === 0;
  return {
    inFlightInsert: isOpen && isNew ? inFlightFacts(append) : null,
    inFlightUpdate: isOpen && wasOpen ? inFlightRow(append) : null,
    inFlightReopen: isOpen && !isNew && !wasOpen ? inFlightFacts(append) : null,
    inFlightDelete: wasOpen && !isOpen ? { task_id: taskId } : null,
  };
}

const inFlightFacts = (append: Append<Task>): Row =>
  Object.assign(inFlightRow(append), {
    kind: append.kind,
    started_at: sqlTime(append.state.acceptedAtMs),
  });

/** Every write to a task sets its claim free: the claim was for the wake-up that has come true. */
function inFlightRow({ taskId, afterSeq, entries, wakeAtMs }: Append<Task>): Row {
  return {
    task_id: taskId,
    seq: afterSeq + entries.length,
    wake_at: sqlTimeOrNull(wakeAtMs),
    claimed_by: null,
    claimed_until: null,
  };
}
