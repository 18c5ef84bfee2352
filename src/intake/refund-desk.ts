import type { Clock } from '../clock.js';
import type { BankAccount, ChannelNature } from '../engine/order.js';
import type { Refund } from '../engine/entries.js';
import { LockBusy, type Executor, type RunResult } from '../engine/executor.js';
import type { Task } from '../engine/tasks.js';
import { RecoupError } from '../errors.js';
import { newTaskId, type ChannelId, type RepaymentId, type TaskId } from '../ids.js';
import type { AmountMinor } from '../money.js';
import type { CaptureRecord, RefundRecord } from './records.js';

/** What the desk reads. `store/` and `channels/` provide it. */
export interface RefundReads {
  capture(deduction: TaskId, attemptNo: number): Promise<CaptureRecord | null>;
  account(repayment: RepaymentId): Promise<BankAccount | null>;
  byRequest(requestKey: string): Promise<RefundRecord | null>;
  /** How a channel's refunds are to be judged; null where it offers none. */
  terms(channel: ChannelId): RefundTerms | null;
}

export interface RefundTerms {
  readonly nature: ChannelNature;
  readonly orderTtlMs: number;
}

export interface RefundRequest {
  readonly deductionId: TaskId;
  /** Which captured attempt of it. */
  readonly attemptNo: number;
  /** Null: all of the capture that is credited to nobody; of a credited one, all of it. */
  readonly amountMinor: AmountMinor | null;
  readonly reason: string;
  /** Two people; the database refuses the same one for both. */
  readonly requestedBy: string;
  readonly approvedBy: string;
  readonly requestKey: string;
  /** Never what was credited to the repayment, whatever else is left of the capture. */
  readonly onlyExcess?: boolean;
}

export interface RefundStarted {
  readonly refundId: TaskId;
  /** When the first run has ended; null for a request that had been accepted before. */
  readonly finished: Promise<RunResult<Task>> | null;
}

/**
 * Starts refunds. What is checked here is checked again by constraints in the transaction that
 * accepts the refund: a capture cannot be given back twice, nor credited and given back.
 */
export class RefundDesk {
  constructor(
    private readonly reads: RefundReads,
    private readonly executor: Executor<Task>,
    private readonly clock: Clock,
    private readonly makeId: () => TaskId = newTaskId,
  ) {}

  /**
   * Resolves once the refund is accepted, durably. The same request key again is the same refund.
   *
   * @throws RecoupError `capture_unknown`, `capture_not_available`, `refund_not_offered`, `busy` or
   *   `journal_unavailable`. Nothing was written, but for the last.
   */
  async start(request: RefundRequest): Promise<RefundStarted> {
    const before = await this.reads.byRequest(request.requestKey);
    if (before !== null) return { refundId: before.id, finished: null };
    const refund = await this.#refund(request);
    const atMs = this.clock.nowMs();
    const { accepted, finished } = this.executor.start([{ kind: 'refund_accepted', atMs, refund }]);
    try {
      await accepted;
    } catch (error) {
      if (error instanceof LockBusy) throw new RecoupError('busy');
      if (error instanceof RecoupError && error.code === 'request_repeated') {
        const same = await this.reads.byRequest(request.requestKey);
        if (same !== null) return { refundId: same.id, finished: null };
      }
      throw error;
    }
    return { refundId: refund.id, finished };
  }

  async #refund(request: RefundRequest): Promise<Refund> {
    const { deductionId, attemptNo, requestKey, reason, requestedBy, approvedBy } = request;
    const capture = await this.reads.capture(deductionId, attemptNo);
    const account = capture && (await this.reads.account(capture.repaymentId));
    if (capture === null || account === null) {
      throw new RecoupError('capture_unknown', { deduction_id: deductionId });
    }
    const terms = this.reads.terms(capture.channelId);
    if (terms === null) {
      throw new RecoupError('refund_not_offered', { channel_id: capture.channelId });
    }
    const captured = capture.amountMinor * BigInt(capture.captures);
    const excess = captured - capture.creditedMinor - capture.refundMinor;
    const from = excess > 0n || request.onlyExcess === true ? 'excess' : 'repayment';
    const atMost = from === 'excess' ? excess : capture.creditedMinor;
    const amountMinor = request.amountMinor ?? (atMost as AmountMinor);
    if (amountMinor <= 0n || amountMinor > atMost) {
      throw new RecoupError('capture_not_available', { available_minor: Number(atMost) });
    }
    return {
      id: this.makeId(),
      deductionId,
      attemptNo,
      channelId: capture.channelId,
      captureOrderNo: capture.orderNo,
      channelRef: capture.channelRef,
      amountMinor,
      currency: capture.currency,
      account,
      from,
      repaymentId: capture.repaymentId,
      requestKey,
      reason,
      requestedBy,
      approvedBy,
      ...terms,
    };
  }
}
