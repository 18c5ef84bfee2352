import type { Entry } from '../engine/entries.js';
import type { RefundState } from '../engine/refund.js';
import { sqlTime } from './database.js';
import { message, nothing, standingOf, type KindRows, type Row } from './rows.js';

/** How a refund's log shows in its own table, in the capture it takes from and in the repayment. */
export function refundRows(
  state: RefundState,
  entries: readonly Entry[],
  afterSeq: number,
): KindRows {
  const first = afterSeq === 0;
  return {
    ...nothing,
    refundInsert: first ? { ...refundFacts(state), ...refundRow(state) } : null,
    refundUpdate: first ? null : refundRow(state),
    captureDelta: captureDelta(state, entries),
    repaymentDelta: repaymentDelta(state, entries),
    outbox: paidBack(state, entries),
  };
}

function refundFacts({ refund, acceptedAtMs }: RefundState): Row {
  return {
    deduction_id: refund.deductionId,
    attempt_no: refund.attemptNo,
    repayment_id: refund.repaymentId,
    channel_id: refund.channelId,
    capture_order_no: refund.captureOrderNo,
    amount_minor: refund.amountMinor.toString(),
    currency: refund.currency,
    taken_from: refund.from,
    reason: refund.reason,
    requested_by: refund.requestedBy,
    approved_by: refund.approvedBy,
    request_key: refund.requestKey,
    created_at: sqlTime(acceptedAtMs),
  };
}

export function refundRow(state: RefundState): Row {
  const { end } = state;
  const done = end?.kind === 'succeeded' ? state.attempts[end.attemptNo - 1] : undefined;
  return Object.assign(standingOf(state), { order_no: done?.order.orderNo ?? null });
}

/** What is to be given back is taken from the capture at acceptance, and returned to it on failure. */
function captureDelta({ refund }: RefundState, entries: readonly Entry[]): Row | null {
  let taken = 0n;
  for (const entry of entries) {
    if (entry.kind === 'refund_accepted') taken += refund.amountMinor;
    if (entry.kind === 'failed') taken -= refund.amountMinor;
    if (entry.kind === 'settled' && entry.afterFailure === true) taken += refund.amountMinor;
  }
  if (taken === 0n) return null;
  return {
    task_id: refund.deductionId,
    attempt_no: refund.attemptNo,
    credited: refund.from === 'repayment' ? (-taken).toString() : '0',
    refund: taken.toString(),
  };
}

/** What was credited is owed again once it has been given back. */
function repaymentDelta({ refund }: RefundState, entries: readonly Entry[]): Row | null {
  const settled = entries.some(({ kind }) => kind === 'settled');
  if (!settled || refund.from === 'excess') return null;
  return { id: refund.repaymentId, paid: `-${refund.amountMinor}`, collecting: '0' };
}

function paidBack({ refund }: RefundState, entries: readonly Entry[]): Row[] {
  return entries.flatMap((entry) => {
    if (entry.kind !== 'settled') return [];
    const body = {
      refund_id: refund.id,
      deduction_id: refund.deductionId,
      repayment_id: refund.repaymentId,
      attempt_no: refund.attemptNo,
      amount_minor: entry.amountMinor.toString(),
      currency: refund.currency,
      channel_id: entry.channelId,
      order_no: entry.orderNo,
      capture_order_no: refund.captureOrderNo,
      taken_from: refund.from,
      settled_at: new Date(entry.atMs).toISOString(),
    };
    return [message('ledger.refund_paid', refund.id, body, entry.atMs)];
  });
}
