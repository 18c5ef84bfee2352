import { channelId, taskId, type OrderNo, type RepaymentId, type TaskId } from '../ids.js';
import type { CaptureRecord, RefundFilter, RefundRecord } from '../intake/records.js';
import { amountMinor, type Currency } from '../money.js';
import { execute, selectRows, type Database } from './database.js';
import { newestFirst } from './newest-first.js';

type RefundRow = Omit<RefundRecord, 'id' | 'deductionId' | 'amountMinor'> & {
  id: string;
  deductionId: string;
  amountMinor: string;
};

interface CaptureRow {
  deductionId: string;
  attemptNo: number;
  repaymentId: string;
  channel: string;
  orderNo: string;
  channelRef: string;
  amount: string;
  currency: Currency;
  captures: number;
  credited: string;
  refund: string;
}

const columns = `id, deduction_id AS deductionId, attempt_no AS attemptNo,
  repayment_id AS repaymentId, channel_id AS channelId, capture_order_no AS captureOrderNo,
  amount_minor AS amountMinor, currency, taken_from AS takenFrom, status,
  failure_code AS failureCode, failure_detail AS failureDetail, order_no AS orderNo, reason,
  requested_by AS requestedBy, approved_by AS approvedBy, created_at AS createdAt,
  ended_at AS endedAt`;

/** Reads of refunds and of the captures they take from. Nothing here decides anything about money. */
export class RefundStore {
  constructor(private readonly database: Database) {}

  async find(id: TaskId): Promise<RefundRecord | null> {
    const [refund] = await this.#select('WHERE id = ?', [id]);
    return refund ?? null;
  }

  async findByRequest(requestKey: string): Promise<RefundRecord | null> {
    const [refund] = await this.#select('WHERE request_key = ?', [requestKey]);
    return refund ?? null;
  }

  /** Newest first. */
  async list(filter: RefundFilter): Promise<readonly RefundRecord[]> {
    const rest = newestFirst(
      [
        ['status = ?', filter.status],
        ['deduction_id = ?', filter.deductionId],
        ['id < ?', filter.before],
      ],
      filter.limit,
    );
    return await this.#select(...rest);
  }

  async #select(rest: string, values: readonly unknown[]): Promise<readonly RefundRecord[]> {
    const rows = await selectRows<RefundRow>(
      this.database,
      `SELECT ${columns} FROM refund ${rest}`,
      values,
    );
    return rows.map((row) => ({
      ...row,
      id: taskId(row.id),
      deductionId: taskId(row.deductionId),
      amountMinor: amountMinor(row.amountMinor),
    }));
  }

  /**
   * Null when that attempt captured nothing, as far as we know, or when its deduction goes on: what
   * it has captured may yet be credited.
   */
  async capture(deduction: TaskId, attemptNo: number): Promise<CaptureRecord | null> {
    await this.#creditAsSettled(deduction);
    const [row] = await selectRows<CaptureRow>(
      this.database,
      `SELECT a.task_id AS deductionId, a.attempt_no AS attemptNo, d.repayment_id AS repaymentId,
         a.channel_id AS channel, a.order_no AS orderNo, a.channel_ref AS channelRef,
         a.amount_minor AS amount, d.currency, a.captures, a.credited_minor AS credited, a.refund_minor AS refund
       FROM attempt a JOIN deduction d ON d.id = a.task_id
       WHERE a.task_id = ? AND a.attempt_no = ? AND a.status = 'succeeded'
         AND d.status IN ('succeeded', 'failed')`,
      [deduction, attemptNo],
    );
    if (row === undefined) return null;
    return {
      deductionId: taskId(row.deductionId),
      attemptNo: row.attemptNo,
      repaymentId: row.repaymentId as RepaymentId,
      channelId: channelId(row.channel),
      orderNo: row.orderNo as OrderNo,
      channelRef: row.channelRef,
      currency: row.currency,
      amountMinor: amountMinor(row.amount),
      captures: row.captures,
      creditedMinor: BigInt(row.credited),
      refundMinor: BigInt(row.refund),
    };
  }

  /**
   * A process of the release before 004 that went on after that migration credited the repayment, and
   * not the attempt: what is paid would pass for money that is credited to nobody.
   */
  async #creditAsSettled(deduction: TaskId): Promise<void> {
    await execute(
      this.database,
      `UPDATE attempt a JOIN deduction d ON d.id = a.task_id AND d.order_no = a.order_no
       SET a.credited_minor = a.amount_minor
       WHERE a.task_id = ? AND d.status = 'succeeded' AND a.status = 'succeeded'
         AND a.credited_minor = 0 AND a.refund_minor = 0`,
      [deduction],
    );
  }
}
