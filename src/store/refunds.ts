import { channelId, taskId, type OrderNo, type RepaymentId, type TaskId } from '../ids.js';
import type {
  CaptureOfDeduction,
  CaptureOfTopUp,
  CaptureRecord,
  RefundFilter,
  RefundRecord,
} from '../intake/records.js';
import { amountMinor, type Currency } from '../money.js';
import { execute, selectRows, type Database } from './database.js';
import { newestFirst } from './newest-first.js';

type RefundRow = Omit<RefundRecord, 'id' | 'deductionId' | 'topUpId' | 'amountMinor'> & {
  id: string;
  deductionId: string | null;
  topUpId: string | null;
  amountMinor: string;
};

interface CaptureRow {
  attemptNo: number;
  channel: string;
  orderNo: string;
  channelRef: string;
  amount: string;
  currency: Currency;
  captures: number;
}

interface DeductionCaptureRow extends CaptureRow {
  repaymentId: string;
  credited: string;
  refund: string;
}

interface TopUpCaptureRow extends CaptureRow {
  isPayment: number;
}

const columns = `id, deduction_id AS deductionId, top_up_id AS topUpId, attempt_no AS attemptNo,
  capture_no AS captureNo, repayment_id AS repaymentId, channel_id AS channelId, capture_order_no AS captureOrderNo,
  amount_minor AS amountMinor, currency, taken_from AS takenFrom, status,
  failure_code AS failureCode, failure_detail AS failureDetail, order_no AS orderNo, reason,
  requested_by AS requestedBy, approved_by AS approvedBy, created_at AS createdAt,
  ended_at AS endedAt`;

const captureColumns = `a.attempt_no AS attemptNo, a.channel_id AS channel, a.order_no AS orderNo,
  a.channel_ref AS channelRef, a.amount_minor AS amount, a.captures`;

const captured = (row: CaptureRow) => ({
  attemptNo: row.attemptNo,
  channelId: channelId(row.channel),
  orderNo: row.orderNo as OrderNo,
  channelRef: row.channelRef,
  currency: row.currency,
  amountMinor: amountMinor(row.amount),
  captures: row.captures,
});

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
        ['top_up_id = ?', filter.topUpId],
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
      deductionId: row.deductionId === null ? null : taskId(row.deductionId),
      topUpId: row.topUpId === null ? null : taskId(row.topUpId),
      amountMinor: amountMinor(row.amountMinor),
    }));
  }

  /**
   * Null when that attempt captured nothing, as far as we know, or when its deduction goes on: what
   * it has captured may yet be credited.
   */
  async capture(task: TaskId, attemptNo: number): Promise<CaptureRecord | null> {
    return (await this.#ofDeduction(task, attemptNo)) ?? (await this.#ofTopUp(task, attemptNo));
  }

  async #ofDeduction(deduction: TaskId, attemptNo: number): Promise<CaptureOfDeduction | null> {
    await this.#creditAsSettled(deduction);
    const [row] = await selectRows<DeductionCaptureRow>(
      this.database,
      `SELECT ${captureColumns}, d.repayment_id AS repaymentId, d.currency,
         a.credited_minor AS credited, a.refund_minor AS refund
       FROM attempt a JOIN deduction d ON d.id = a.task_id
       WHERE a.task_id = ? AND a.attempt_no = ? AND a.status = 'succeeded'
         AND d.status IN ('succeeded', 'failed')`,
      [deduction, attemptNo],
    );
    if (row === undefined) return null;
    return {
      ...captured(row),
      deductionId: deduction,
      repaymentId: row.repaymentId as RepaymentId,
      creditedMinor: BigInt(row.credited),
      refundMinor: BigInt(row.refund),
    };
  }

  /** Whether the top-up goes on makes no difference: what is not its payment it never uses. */
  async #ofTopUp(topUp: TaskId, attemptNo: number): Promise<CaptureOfTopUp | null> {
    const [row] = await selectRows<TopUpCaptureRow>(
      this.database,
      `SELECT ${captureColumns}, t.currency, a.order_no <=> t.order_no AS isPayment
       FROM attempt a JOIN top_up t ON t.id = a.task_id
       WHERE a.task_id = ? AND a.attempt_no = ? AND a.status = 'succeeded'
         AND a.operation = 'charge'`,
      [topUp, attemptNo],
    );
    if (row === undefined) return null;
    const taken = await selectRows<{ captureNo: number }>(
      this.database,
      `SELECT capture_no AS captureNo FROM refund
       WHERE top_up_id = ? AND attempt_no = ? AND status <> 'failed'`,
      [topUp, attemptNo],
    );
    return {
      ...captured(row),
      topUpId: topUp,
      isPayment: row.isPayment === 1,
      taken: taken.map(({ captureNo }) => captureNo),
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
