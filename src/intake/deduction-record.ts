import type { DeductionState } from '../engine/deduction.js';
import { statusOf } from '../engine/orders-state.js';
import type { DeductionRecord } from './records.js';

/** As the row says it when this state is committed (store/deduction-rows.ts); nobody needs to read it back. */
export function recordOf(state: DeductionState): DeductionRecord {
  const { deduction, end } = state;
  const captured = end?.kind === 'succeeded' ? state.attempts[end.attemptNo - 1] : undefined;
  return {
    id: deduction.id,
    repaymentId: deduction.repaymentId,
    borrowerId: deduction.borrowerId,
    amountMinor: deduction.amountMinor,
    currency: deduction.currency,
    bankCode: deduction.account.bankCode,
    accountLast4: deduction.account.last4,
    source: deduction.source,
    status: statusOf(state),
    failureCode: end?.kind === 'failed' ? end.code : null,
    failureDetail: end?.kind === 'failed' ? end.detail.slice(0, 500) : null,
    channelId: captured?.order.channelId ?? null,
    orderNo: captured?.order.orderNo ?? null,
    batchId: deduction.batchId,
    agentName: deduction.agent?.name ?? null,
    agentReason: deduction.agent?.reason ?? null,
    requestDigest: deduction.requestDigest,
    createdAt: new Date(state.acceptedAtMs),
    endedAt: end === null ? null : new Date(end.atMs),
  };
}
