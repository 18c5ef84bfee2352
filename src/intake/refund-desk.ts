import type { Clock } from '../clock.js';
import type { BankAccount, ChannelNature } from '../engine/order.js';
import type { Refund, RefundOfDeduction, RefundOfTopUp } from '../engine/entries.js';
import type { Executor } from '../engine/executor.js';
import { acceptanceOf } from '../engine/refund.js';
import type { Task } from '../engine/tasks.js';
import { RecoupError } from '../errors.js';
import { newTaskId, type ChannelId, type TaskId } from '../ids.js';
import type { AmountMinor } from '../money.js';
import { once, type TaskStarted } from './once.js';
import type { CaptureOfDeduction, CaptureOfTopUp, CaptureRecord, RefundRecord } from './records.js';

/** What the desk reads. `store/` and `channels/` provide it. */
export interface RefundReads {
  /** Null when that attempt captured nothing, or what it captured may yet be credited. */
  capture(task: TaskId, attemptNo: number): Promise<CaptureRecord | null>;
  /** Whose money it was. */
  account(capture: CaptureRecord): Promise<BankAccount | null>;
  byRequest(requestKey: string): Promise<RefundRecord | null>;
  /** How a channel's refunds are to be judged; null where it offers none. */
  terms(channel: ChannelId): RefundTerms | null;
}

export interface RefundTerms {
  readonly nature: ChannelNature;
  readonly orderTtlMs: number;
}

export interface RefundRequest {
  /** The deduction or the top-up that took the money. */
  readonly taskId: TaskId;
  /** Which captured attempt of it. */
  readonly attemptNo: number;
  /**
   * Null: all of the capture that is credited to nobody; of a credited one, all of it. Of a top-up's
   * capture all goes back, or nothing.
   */
  readonly amountMinor: AmountMinor | null;
  readonly reason: string;
  /** Two people; the database refuses the same one for both. */
  readonly requestedBy: string;
  readonly approvedBy: string;
  readonly requestKey: string;
  /**
   * Out of this and of nothing else, whatever else is left of the capture; left out: what is credited to
   * nobody first.
   */
  readonly only?: RefundOfDeduction['from'];
}

/**
 * Starts refunds. What is checked here is checked again by constraints in the transaction that
 * accepts the refund: a capture cannot be given back twice, nor credited and given back. That the payment
 * a top-up is built on is the top-up's own to give back is for this desk to know: once captured, which
 * payment it is never changes.
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
   * @throws RecoupError `capture_unknown`, `capture_not_available`, `refund_not_whole`, `refund_not_offered`,
   *   `busy` or `journal_unavailable`. Nothing was written, but for the last.
   */
  async start(request: RefundRequest): Promise<TaskStarted> {
    return await once(
      async () => await this.#known(request),
      async () => await this.#start(request),
    );
  }

  async #known({ requestKey }: RefundRequest): Promise<TaskStarted | null> {
    const known = await this.reads.byRequest(requestKey);
    return known === null ? null : { id: known.id, finished: null };
  }

  async #start(request: RefundRequest): Promise<TaskStarted> {
    const refund = await this.#refund(request);
    const accepting = acceptanceOf(refund, this.clock.nowMs());
    const { accepted, finished } = this.executor.start([accepting]);
    await accepted;
    return { id: refund.id, finished };
  }

  async #refund(request: RefundRequest): Promise<Refund> {
    const { taskId, attemptNo, requestKey, reason, requestedBy, approvedBy } = request;
    const capture = await this.reads.capture(taskId, attemptNo);
    const account = capture && (await this.reads.account(capture));
    if (capture === null || account === null) {
      throw new RecoupError('capture_unknown', { task_id: taskId });
    }
    const { channelId, orderNo: captureOrderNo, channelRef, currency } = capture;
    const terms = this.reads.terms(channelId);
    if (terms === null) throw new RecoupError('refund_not_offered', { channel_id: channelId });
    const people = { reason, requestedBy, approvedBy };
    const where = { attemptNo, channelId, captureOrderNo, channelRef, currency, account };
    const common = { id: this.makeId(), requestKey, ...where, ...people, ...terms };
    return 'topUpId' in capture
      ? { ...common, ...wholeOf(capture, request) }
      : { ...common, ...partOf(capture, request) };
  }
}

/** @throws RecoupError `capture_not_available` */
function partOf(
  capture: CaptureOfDeduction,
  { amountMinor: wanted, only }: RefundRequest,
): Pick<RefundOfDeduction, 'deductionId' | 'repaymentId' | 'from' | 'amountMinor'> {
  const { deductionId, repaymentId, creditedMinor } = capture;
  const captured = capture.amountMinor * BigInt(capture.captures);
  const excess = captured - creditedMinor - capture.refundMinor;
  const from = only ?? (excess > 0n ? 'excess' : 'repayment');
  const atMost = from === 'excess' ? excess : creditedMinor;
  const amountMinor = wanted ?? (atMost as AmountMinor);
  if (amountMinor <= 0n || amountMinor > atMost) {
    throw new RecoupError('capture_not_available', { available_minor: Number(atMost) });
  }
  return { deductionId, repaymentId, from, amountMinor };
}

/** @throws RecoupError `capture_not_available`, `refund_not_whole` */
function wholeOf(
  { topUpId, amountMinor, captures, isPayment, taken }: CaptureOfTopUp,
  { amountMinor: wanted }: RefundRequest,
): Pick<RefundOfTopUp, 'topUpId' | 'captureNo' | 'amountMinor'> {
  const first = isPayment ? 2 : 1;
  for (let captureNo = first; captureNo <= captures; captureNo += 1) {
    if (taken.includes(captureNo)) continue;
    if (wanted !== null && wanted !== amountMinor) {
      throw new RecoupError('refund_not_whole', { at_risk_minor: Number(amountMinor) });
    }
    return { topUpId, captureNo, amountMinor };
  }
  throw new RecoupError('capture_not_available', { available_minor: 0 });
}
