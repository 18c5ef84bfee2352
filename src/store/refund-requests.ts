/**
 * Requests of refunds (migrations/017). Whoever adds one holds the row of the order that took the money,
 * as the journal does when a refund is accepted, so that what is left of it is known exactly.
 */
import type { Knex } from 'knex';
import type { CaseId } from '../cases/case.js';
import type {
  NewRefundRequest,
  RefundRequestBook,
  RefundRequestRecord,
} from '../cases/refund-requests.js';
import { RecoupError } from '../errors.js';
import { taskId, type TaskId } from '../ids.js';
import { amountMinor, type AmountMinor } from '../money.js';
import { audited, closeRequest } from './case-book.js';
import { insertProposal } from './case-proposals.js';
import { execute, inTransaction, selectRows, sqlTime, type Database } from './database.js';
import { constraintOf } from './sql-errors.js';

/** By the key that follows from the request (`refundKeyOf`). */
const refundOf = `refund f ON f.request_key =
  CONVERT(CONCAT('refund-request:', q.id) USING ascii) COLLATE ascii_bin`;

type RequestRow = Omit<RefundRequestRecord, 'no' | 'caseId' | 'amountMinor' | 'refundId'> & {
  no: number | string;
  amountMinor: string;
  refundId: string | null;
};

const columns = `q.id AS no, q.deduction_id AS deductionId, q.attempt_no AS attemptNo,
  q.amount_minor AS amountMinor, q.currency, q.reason, q.requested_by AS requestedBy,
  q.request_digest AS requestDigest, q.opened_at AS requestedAt, q.closed_at AS closedAt,
  q.resolution, f.id AS refundId`;

const caseIdOf = (no: number | string): CaseId => `refund:${no}` as CaseId;

const toRecord = (row: RequestRow): RefundRequestRecord => ({
  ...row,
  no: Number(row.no),
  caseId: caseIdOf(row.no),
  amountMinor: amountMinor(row.amountMinor),
  refundId: row.refundId === null ? null : taskId(row.refundId),
});

export class RefundRequestStore implements RefundRequestBook {
  constructor(private readonly database: Database) {}

  async byKey(requestKey: string): Promise<RefundRequestRecord | null> {
    const [found] = await this.#select('q.request_key = ?', requestKey);
    return found ?? null;
  }

  async ofDeduction(id: TaskId): Promise<readonly RefundRequestRecord[]> {
    return await this.#select('q.deduction_id = ?', id);
  }

  async open(request: NewRefundRequest): Promise<RefundRequestRecord | null> {
    try {
      await inTransaction(this.database, async (transaction) => await insert(transaction, request));
    } catch (error) {
      if (constraintOf(error) === 'refund_request_key') return null;
      throw error;
    }
    return await this.byKey(request.requestKey);
  }

  async close(no: number, resolution: string, nowMs: number): Promise<boolean> {
    return await closeRequest(this.database, caseIdOf(no), resolution, nowMs);
  }

  async #select(where: string, value: string): Promise<readonly RefundRequestRecord[]> {
    const rows = await selectRows<RequestRow>(
      this.database,
      `SELECT ${columns} FROM refund_request q LEFT JOIN ${refundOf} WHERE ${where} ORDER BY q.id`,
      [value],
    );
    return rows.map(toRecord);
  }
}

async function insert(transaction: Knex.Transaction, request: NewRefundRequest): Promise<void> {
  const { deductionId, attemptNo, by } = request;
  const available = await availableOf(transaction, deductionId, attemptNo);
  const asked = request.amountMinor ?? available;
  if (asked <= 0n || asked > available) {
    throw new RecoupError('capture_not_available', { available_minor: Number(available) });
  }
  const nowMs = request.openedAt.getTime();
  const [inserted] = (await transaction.raw(
    `INSERT INTO refund_request (deduction_id, attempt_no, amount_minor, currency, reason,
       requested_by, requested_key, request_key, request_digest, opened_at)
     VALUES (?,?,?,?,?,?,?,?,?,?)`,
    [
      deductionId,
      attemptNo,
      asked.toString(),
      request.currency,
      request.reason,
      by.name,
      by.keyId,
      request.requestKey,
      request.requestDigest,
      sqlTime(nowMs),
    ],
  )) as [{ insertId: number | string }];
  const id = caseIdOf(inserted.insertId);
  const detail = { deduction_id: deductionId, amount_minor: Number(asked) };
  await audited(transaction, by, 'refund_requested', id, detail, nowMs);
  await execute(transaction, 'INSERT INTO case_work (case_id) VALUES (?)', [id]);
  await insertProposal(transaction, request.proposal(id, asked as AmountMinor), 1);
}

/** Credited, and asked for by no open request that has not become a refund yet. */
async function availableOf(
  transaction: Knex.Transaction,
  deduction: TaskId,
  attemptNo: number,
): Promise<bigint> {
  const [capture] = await selectRows<{ credited: string }>(
    transaction,
    'SELECT credited_minor AS credited FROM attempt WHERE task_id = ? AND attempt_no = ? FOR UPDATE',
    [deduction, attemptNo],
  );
  const [open] = await selectRows<{ asked: string | null }>(
    transaction,
    `SELECT SUM(q.amount_minor) AS asked FROM refund_request q LEFT JOIN ${refundOf}
     WHERE q.deduction_id = ? AND q.attempt_no = ? AND q.closed_at IS NULL AND f.id IS NULL`,
    [deduction, attemptNo],
  );
  const left = BigInt(capture?.credited ?? 0) - BigInt(open?.asked ?? 0);
  return left > 0n ? left : 0n;
}
