import { decodeEntry } from '../engine/entries.js';
import { earliestId, taskId, type OrderNo, type RepaymentId, type TaskId } from '../ids.js';
import type {
  AttemptRecord,
  CaseRecord,
  DeductionFilter,
  DeductionRecord,
  LoggedEntry,
} from '../intake/records.js';
import { amountMinor } from '../money.js';
import { places, selectRows, sqlTime, type Database } from './database.js';
import { GroupedReads } from './grouped-reads.js';

type DeductionRow = Omit<DeductionRecord, 'id' | 'amountMinor'> & {
  id: string;
  requestKey: string;
  amountMinor: string;
};

const columns = `id, request_key AS requestKey, repayment_id AS repaymentId, borrower_id AS borrowerId,
  amount_minor AS amountMinor, currency, bank_code AS bankCode, account_last4 AS accountLast4,
  source, status, failure_code AS failureCode, failure_detail AS failureDetail,
  channel_id AS channelId, order_no AS orderNo, batch_id AS batchId, agent_name AS agentName,
  agent_reason AS agentReason, request_digest AS requestDigest, created_at AS createdAt,
  ended_at AS endedAt`;

/** Field by field: a spread costs V8 up to 20 µs, and the request's key stays here. */
const toRecord = (row: DeductionRow): DeductionRecord => ({
  id: taskId(row.id),
  repaymentId: row.repaymentId,
  borrowerId: row.borrowerId,
  amountMinor: amountMinor(row.amountMinor),
  currency: row.currency,
  bankCode: row.bankCode,
  accountLast4: row.accountLast4,
  source: row.source,
  status: row.status,
  failureCode: row.failureCode,
  failureDetail: row.failureDetail,
  channelId: row.channelId,
  orderNo: row.orderNo,
  batchId: row.batchId,
  agentName: row.agentName,
  agentReason: row.agentReason,
  requestDigest: row.requestDigest,
  createdAt: row.createdAt,
  endedAt: row.endedAt,
});

/** An id is made a moment before its deduction is accepted; this is more than any moment. */
const idSlackMs = 3_600_000;

/** Reads for callers. Nothing here decides anything about money. */
export class DeductionStore {
  readonly #byId = new GroupedReads<DeductionRow, DeductionRecord>({
    select: async (ids) => await this.#select('id', ids),
    key: (row) => row.id,
    value: toRecord,
  });
  readonly #byRequest = new GroupedReads<DeductionRow, DeductionRecord>({
    select: async (keys) => await this.#select('request_key', keys),
    key: (row) => row.requestKey,
    value: toRecord,
  });

  constructor(private readonly database: Database) {}

  async find(id: TaskId): Promise<DeductionRecord | null> {
    return await this.#byId.find(id);
  }

  async findByRequest(requestKey: string): Promise<DeductionRecord | null> {
    return await this.#byRequest.find(requestKey);
  }

  async findLive(repaymentId: RepaymentId): Promise<DeductionRecord | null> {
    const [row] = await this.#select('live_repayment_id', [repaymentId]);
    return row === undefined ? null : toRecord(row);
  }

  async findMany(ids: readonly TaskId[]): Promise<readonly DeductionRecord[]> {
    return ids.length === 0 ? [] : (await this.#select('id', ids)).map(toRecord);
  }

  async #select(
    key: 'id' | 'request_key' | 'live_repayment_id',
    values: readonly string[],
  ): Promise<readonly DeductionRow[]> {
    return await selectRows<DeductionRow>(
      this.database,
      `SELECT ${columns} FROM deduction WHERE ${key} IN (${places(values)})`,
      values,
    );
  }

  /** Newest first. */
  async list(filter: DeductionFilter): Promise<readonly DeductionRecord[]> {
    const where: string[] = [];
    const values: unknown[] = [];
    const add = (condition: string, value: unknown): void => {
      if (value === undefined) return;
      where.push(condition);
      values.push(value);
    };
    add('status = ?', filter.status);
    add('repayment_id = ?', filter.repaymentId);
    add('batch_id = ?', filter.batchId);
    add('borrower_id = ?', filter.borrowerId);
    add('id = (SELECT task_id FROM attempt WHERE order_no = ?)', filter.orderNo);
    const { from, until } = filter;
    add('created_at >= ?', from && sqlTime(from.getTime()));
    add('created_at < ?', until && sqlTime(until.getTime()));
    // Ids are in order of time, and no index knows `created_at`: these let a page stop where it may.
    add('id >= ?', from && earliestId(from.getTime() - idSlackMs));
    add('id < ?', until && earliestId(until.getTime() + idSlackMs));
    add('id < ?', filter.before);
    // Left to itself the server may look for a page's worth of one borrower through all there is.
    const index = filter.borrowerId === undefined ? '' : 'FORCE INDEX (deduction_agent)';
    const rows = await selectRows<DeductionRow>(
      this.database,
      `SELECT ${columns} FROM deduction ${index}
       ${where.length > 0 ? `WHERE ${where.join(' AND ')}` : ''}
       ORDER BY id DESC LIMIT ?`,
      [...values, filter.limit],
    );
    return rows.map(toRecord);
  }

  async attempts(id: TaskId): Promise<readonly AttemptRecord[]> {
    return await selectRows<AttemptRecord>(
      this.database,
      `SELECT attempt_no AS attemptNo, operation, order_no AS orderNo, channel_id AS channelId, status,
         channel_ref AS channelRef, decline_code AS declineCode, channel_code AS channelCode, proof,
         unknown_why AS unknownWhy, asks, next_ask_at AS nextAskAt, created_at AS createdAt,
         expires_at AS expiresAt, ended_at AS endedAt
       FROM attempt WHERE task_id = ? ORDER BY attempt_no`,
      [id],
    );
  }

  async log(id: TaskId): Promise<readonly LoggedEntry[]> {
    const rows = await selectRows<{
      seq: number;
      kind: string;
      at: Date;
      writer: string;
      body: string;
    }>(
      this.database,
      'SELECT seq, kind, at, writer, body FROM execution_log WHERE task_id = ? ORDER BY seq',
      [id],
    );
    return rows.map(({ seq, writer, kind, at, body }) => ({
      seq,
      writer,
      entry: decodeEntry(kind, at.getTime(), body),
    }));
  }

  /** Which task placed this order; null when none of ours did. */
  async taskOfOrder(orderNo: OrderNo): Promise<TaskId | null> {
    const [row] = await selectRows<{ task_id: string }>(
      this.database,
      'SELECT task_id FROM attempt WHERE order_no = ?',
      [orderNo],
    );
    return row === undefined ? null : taskId(row.task_id);
  }

  async cases(filter: {
    readonly open?: boolean | undefined;
    readonly deductionId?: TaskId | undefined;
    readonly limit: number;
  }): Promise<readonly CaseRecord[]> {
    const where = [
      ...(filter.open === undefined ? [] : [`closed_at IS ${filter.open ? '' : 'NOT '}NULL`]),
      ...(filter.deductionId === undefined ? [] : ['task_id = ?']),
    ];
    const rows = await selectRows<
      Omit<CaseRecord, 'deductionId' | 'amountMinor'> & { taskId: string; amount: string }
    >(
      this.database,
      `SELECT task_id AS taskId, case_no AS caseNo, reason, attempt_no AS attemptNo,
         amount_minor AS amount, evidence,
         (SELECT w.owner FROM case_work w
          WHERE w.case_id = CONCAT('task:', task_id, ':', case_no)) AS owner, opened_at AS openedAt, closed_at AS closedAt,
         resolution
       FROM review_case ${where.length > 0 ? `WHERE ${where.join(' AND ')}` : ''}
       ORDER BY opened_at LIMIT ?`,
      [...(filter.deductionId === undefined ? [] : [filter.deductionId]), filter.limit],
    );
    return rows.map(({ taskId: id, amount, ...row }) => ({
      ...row,
      deductionId: taskId(id),
      amountMinor: amountMinor(amount),
    }));
  }

  /** Deductions by agents for a borrower since a moment: for the rate limit. */
  async agentDeductionsSince(borrowerId: string, sinceMs: number): Promise<number> {
    const [row] = await selectRows<{ n: number | string }>(
      this.database,
      `SELECT COUNT(*) AS n FROM deduction
       WHERE borrower_id = ? AND source = 'agent' AND created_at >= ?`,
      [borrowerId, sqlTime(sinceMs)],
    );
    return Number(row?.n ?? 0);
  }

  /** When the nth (from 0) of those was made: an hour later its place is free again. */
  async agentDeductionAt(borrowerId: string, sinceMs: number, nth: number): Promise<Date | null> {
    const [row] = await selectRows<{ createdAt: Date }>(
      this.database,
      `SELECT created_at AS createdAt FROM deduction
       WHERE borrower_id = ? AND source = 'agent' AND created_at >= ?
       ORDER BY created_at LIMIT 1 OFFSET ?`,
      [borrowerId, sqlTime(sinceMs), nth],
    );
    return row?.createdAt ?? null;
  }
}
