import type { Entry, Refund, RefundOfDeduction } from '../engine/entries.js';
import { isAcceptance, takenBy, type RefundState } from '../engine/refund.js';
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
    ...ofTask(refund),
    attempt_no: refund.attemptNo,
    channel_id: refund.channelId,
    capture_order_no: refund.captureOrderNo,
    amount_minor: refund.amountMinor.toString(),
    currency: refund.currency,
    reason: refund.reason,
    requested_by: refund.requestedBy,
    approved_by: refund.approvedBy,
    request_key: refund.requestKey,
    created_at: sqlTime(acceptedAtMs),
  };
}

function ofTask(refund: Refund): Row {
  if ('topUpId' in refund) {
    return { top_up_id: refund.topUpId, capture_no: refund.captureNo, taken_from: 'excess' };
  }
  const { deductionId: deduction_id, repaymentId: repayment_id, from: taken_from } = refund;
  return { deduction_id, repayment_id, taken_from };
}

/** It was counted as paid on a repayment. */
const ofCredited = (refund: Refund): refund is RefundOfDeduction =>
  'from' in refund && refund.from === 'repayment';

export function refundRow(state: RefundState): Row {
  const { end } = state;
  const done = end?.kind === 'succeeded' ? state.attempts[end.attemptNo - 1] : undefined;
  return Object.assign(standingOf(state), { order_no: done?.order.orderNo ?? null });
}

/** What is to be given back is taken from the capture at acceptance, and returned to it on failure. */
function captureDelta({ refund }: RefundState, entries: readonly Entry[]): Row | null {
  let taken = 0n;
  for (const entry of entries) {
    if (isAcceptance(entry)) taken += refund.amountMinor;
    if (entry.kind === 'failed') taken -= refund.amountMinor;
    if (entry.kind === 'settled' && entry.afterFailure === true) taken += refund.amountMinor;
  }
  if (taken === 0n) return null;
  return {
    task_id: takenBy(refund),
    attempt_no: refund.attemptNo,
    credited: ofCredited(refund) ? (-taken).toString() : '0',
    refund: taken.toString(),
  };
}

/** What was credited is owed again once it has been given back. */
function repaymentDelta({ refund }: RefundState, entries: readonly Entry[]): Row | null {
  const settled = entries.some(({ kind }) => kind === 'settled');
  if (!settled || !ofCredited(refund)) return null;
  return { id: refund.repaymentId, paid: `-${refund.amountMinor}`, collecting: '0' };
}

/** The books know whose money it was: of a top-up it was held as a payment is, whatever becomes of it. */
function paidBack({ refund }: RefundState, entries: readonly Entry[]): Row[] {
  return entries.flatMap((entry) => {
    if (entry.kind !== 'settled') return [];
    const common = {
      refund_id: refund.id,
      attempt_no: refund.attemptNo,
      amount_minor: entry.amountMinor.toString(),
      currency: refund.currency,
      channel_id: entry.channelId,
      order_no: entry.orderNo,
      capture_order_no: refund.captureOrderNo,
      settled_at: new Date(entry.atMs).toISOString(),
    };
    if ('topUpId' in refund) {
      const body = { ...common, top_up_id: refund.topUpId };
      return [message('ledger.top_up_refunded', refund.id, body, entry.atMs)];
    }
    const { deductionId: deduction_id, repaymentId: repayment_id, from: taken_from } = refund;
    const body = { ...common, deduction_id, repayment_id, taken_from };
    return [message('ledger.refund_paid', refund.id, body, entry.atMs)];
  });
}
