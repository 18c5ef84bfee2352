/**
 * Entries -> rows. The one place that says how the log shows in the tables. Rows are computed from
 * the folded state, so that folding a log again always gives the same tables; money on a repayment
 * moves by differences, each in the transaction of the entry that causes it.
 */
import type { Attempt } from '../engine/attempt.js';
import { statusOf, type Case, type DeductionState } from '../engine/deduction-state.js';
import type { Entry } from '../engine/entries.js';
import type { Append } from '../engine/journal.js';
import { businessDate } from '../business-date.js';
import { sqlTime, sqlTimeOrNull } from './database.js';

type Value = string | number | null;
export type Row = Readonly<Record<string, Value>>;

/** What one append changes besides the log. Inserts are new rows; updates name their key. */
export interface Projected {
  readonly deductionInsert: Row | null;
  readonly deductionUpdate: Row | null;
  readonly attemptInserts: readonly Row[];
  readonly attemptUpdates: readonly Row[];
  readonly inFlightInsert: Row | null;
  readonly inFlightUpdate: Row | null;
  readonly caseInserts: readonly Row[];
  readonly caseUpdates: readonly Row[];
  readonly repaymentDelta: Row | null;
  readonly outbox: readonly Row[];
}

export function project(append: Append<DeductionState>, zone: string): Projected {
  const { entries, state, afterSeq } = append;
  const first = afterSeq === 0;
  const intended = new Set<number>();
  const touched = new Set<number>();
  const opened = new Set<number>();
  const closed = new Set<number>();
  for (const entry of entries) {
    if (entry.kind === 'charge_intended') intended.add(entry.attemptNo);
    else if (entry.kind === 'case_opened') opened.add(entry.caseNo);
    else if (entry.kind === 'case_closed') closed.add(entry.caseNo);
    else if ('attemptNo' in entry) touched.add(entry.attemptNo);
  }
  const attempts = (numbers: ReadonlySet<number>) =>
    state.attempts.filter((one) => numbers.has(one.no)).map((one) => attemptRow(state, one, zone));
  const cases = (numbers: ReadonlySet<number>) =>
    state.cases.filter((one) => numbers.has(one.no)).map((one) => caseRow(state, one));
  return {
    deductionInsert: first ? { ...deductionFacts(state), ...deductionRow(state) } : null,
    deductionUpdate:
      !first && entries.some((entry) => movesDeduction(entry, state)) ? deductionRow(state) : null,
    attemptInserts: attempts(intended),
    attemptUpdates: attempts(without(touched, intended)),
    inFlightInsert: first
      ? { ...inFlightRow(append), kind: append.kind, started_at: sqlTime(state.acceptedAtMs) }
      : null,
    // Once it has ended the row may have been purged: a late answer changes nothing in it.
    inFlightUpdate: first || endedBefore(append) ? null : inFlightRow(append),
    caseInserts: cases(opened),
    caseUpdates: cases(without(closed, opened)),
    repaymentDelta: repaymentDelta(state, entries),
    outbox: entries.flatMap((entry) => outboxRow(entry, state)),
  };
}

const without = (all: ReadonlySet<number>, some: ReadonlySet<number>): ReadonlySet<number> =>
  new Set([...all].filter((one) => !some.has(one)));

/** A poll that learns nothing new leaves the deduction's row alone, but what ends a review moves it. */
const movesDeduction = ({ kind }: Entry, { cases }: DeductionState): boolean =>
  kind === 'charge_intended' ||
  kind === 'settled' ||
  kind === 'failed' ||
  kind === 'case_opened' ||
  kind === 'case_closed' ||
  (cases.length > 0 && (kind === 'replied' || kind === 'not_executed'));

function deductionFacts({ deduction, acceptedAtMs }: DeductionState): Row {
  return {
    repayment_id: deduction.repaymentId,
    borrower_id: deduction.borrowerId,
    amount_minor: deduction.amountMinor.toString(),
    currency: deduction.currency,
    bank_code: deduction.account.bankCode,
    account_last4: deduction.account.last4,
    source: deduction.source,
    batch_id: deduction.batchId,
    agent_name: deduction.agent?.name ?? null,
    agent_reason: deduction.agent?.reason ?? null,
    request_key: deduction.requestKey,
    request_digest: deduction.requestDigest,
    created_at: sqlTime(acceptedAtMs),
  };
}

export function deductionRow(state: DeductionState): Row {
  const { end } = state;
  const captured = end?.kind === 'succeeded' ? state.attempts[end.attemptNo - 1] : undefined;
  return {
    id: state.taskId,
    status: statusOf(state),
    failure_code: end?.kind === 'failed' ? end.code : null,
    failure_detail: end?.kind === 'failed' ? end.detail.slice(0, 500) : null,
    channel_id: captured?.order.channelId ?? null,
    order_no: captured?.order.orderNo ?? null,
    attempts: state.attempts.length,
    ended_at: sqlTimeOrNull(end?.atMs ?? null),
  };
}

export function attemptRow(state: DeductionState, attempt: Attempt, zone: string): Row {
  const { order, decline } = attempt;
  return {
    task_id: state.taskId,
    attempt_no: attempt.no,
    order_no: order.orderNo,
    channel_id: order.channelId,
    bank_code: order.account.bankCode,
    amount_minor: order.amountMinor.toString(),
    status: attempt.status,
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

export function caseRow(state: DeductionState, one: Case): Row {
  return {
    task_id: state.taskId,
    case_no: one.no,
    reason: one.reason,
    attempt_no: one.attemptNo,
    amount_minor: state.deduction.amountMinor.toString(),
    evidence: one.evidence.slice(0, 1000),
    opened_at: sqlTime(one.openedAtMs),
    closed_at: sqlTimeOrNull(one.closed?.atMs ?? null),
    resolution: one.closed?.resolution.slice(0, 500) ?? null,
  };
}

const endedBefore = ({ state, entries }: Append<DeductionState>): boolean =>
  state.end !== null && !entries.some(({ kind }) => kind === 'settled' || kind === 'failed');

/** Every write to a task sets its claim free: the claim was for the wake-up that has come true. */
function inFlightRow({ taskId, afterSeq, entries, state, wakeAtMs }: Append<DeductionState>): Row {
  return {
    task_id: taskId,
    seq: afterSeq + entries.length,
    wake_at: state.end === null ? sqlTimeOrNull(wakeAtMs) : null,
    ended_at: sqlTimeOrNull(state.end?.atMs ?? null),
    claimed_by: null,
    claimed_until: null,
  };
}

/** What a deduction may still take is reserved at acceptance, and paid or given back at its end. */
function repaymentDelta({ deduction }: DeductionState, entries: readonly Entry[]): Row | null {
  let paid = 0n;
  let collecting = 0n;
  for (const entry of entries) {
    if (entry.kind === 'accepted') collecting += deduction.amountMinor;
    if (entry.kind === 'settled') {
      paid += entry.amountMinor;
      collecting -= deduction.amountMinor;
    }
    if (entry.kind === 'failed') collecting -= deduction.amountMinor;
  }
  if (paid === 0n && collecting === 0n) return null;
  return { id: deduction.repaymentId, paid: paid.toString(), collecting: collecting.toString() };
}

/** The ledger's message leaves with the settlement's commit, or not at all. */
function outboxRow(entry: Entry, { deduction }: DeductionState): readonly Row[] {
  if (entry.kind !== 'settled') return [];
  const body = {
    deduction_id: deduction.id,
    repayment_id: deduction.repaymentId,
    amount_minor: entry.amountMinor.toString(),
    currency: deduction.currency,
    channel_id: entry.channelId,
    order_no: entry.orderNo,
    settled_at: new Date(entry.atMs).toISOString(),
  };
  return [
    {
      topic: 'ledger.repayment_collected',
      message_key: deduction.id,
      body: JSON.stringify(body),
      created_at: sqlTime(entry.atMs),
    },
  ];
}
