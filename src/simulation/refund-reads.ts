import type { BankAccount } from '../engine/order.js';
import { channelId, taskId, type OrderNo, type RepaymentId, type TaskId } from '../ids.js';
import type { CaptureRecord } from '../intake/records.js';
import { amountMinor } from '../money.js';
import type { World } from './world.js';

/** What of a capture is credited and given back, as the tables of the world say. */
export const refundReadsOf = (world: World) => ({
  capture: (task: TaskId, attemptNo: number): CaptureRecord | null => {
    const attempts = world.database.attempts.get(task) ?? [];
    const attempt = attempts.find((one) => one['attempt_no'] === attemptNo);
    if (attempt?.['status'] !== 'succeeded') return null;
    const captured = {
      attemptNo,
      channelId: channelId(String(attempt['channel_id'])),
      orderNo: String(attempt['order_no']) as OrderNo,
      channelRef: String(attempt['channel_ref']),
      currency: 'CNY' as const,
      amountMinor: amountMinor(String(attempt['amount_minor'])),
      captures: Number(attempt['captures']),
    };
    const topUp = world.database.flows.topUps.get(task);
    if (topUp !== undefined) {
      const isPayment = topUp['order_no'] === attempt['order_no'];
      const taken = world.database.capturesTaken(task, attemptNo);
      return attempt['operation'] === 'charge'
        ? { ...captured, topUpId: task, isPayment, taken }
        : null;
    }
    const row = world.database.deductions.get(task);
    const ended = row?.['status'] === 'succeeded' || row?.['status'] === 'failed';
    if (row === undefined || !ended) return null;
    const kept = world.database.captures.get(`${task} ${attemptNo}`);
    return {
      ...captured,
      deductionId: task,
      repaymentId: String(row['repayment_id']) as RepaymentId,
      creditedMinor: kept?.credited ?? 0n,
      refundMinor: kept?.refund ?? 0n,
    };
  },
  account: (capture: CaptureRecord): BankAccount | null => {
    if ('repaymentId' in capture) {
      return world.database.repayments.get(capture.repaymentId)?.facts.account ?? null;
    }
    const [first] = world.database.entries(capture.topUpId) ?? [];
    return first?.kind === 'top_up_accepted' ? first.topUp.payer : null;
  },
  byRequest: (key: string): TaskId | null => {
    const found = [...world.database.refunds.values()].find((row) => row['request_key'] === key);
    return found === undefined ? null : taskId(String(found['id']));
  },
});
