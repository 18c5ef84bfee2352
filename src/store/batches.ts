import { taskId, type TaskId } from '../ids.js';
import type {
  Batch,
  Batches,
  BatchItem,
  BatchProgress,
  BatchState,
  ItemResult,
  NewBatchItem,
  RejectedItem,
} from '../intake/batch.js';
import { amountMinor } from '../money.js';
import { ascii, text, updateRows, type BulkUpdate } from './bulk.js';
import { execute, inTransaction, places, selectRows, sqlTime, type Database } from './database.js';
import { repaymentColumns, toRepayment } from './repayments.js';

interface BatchRow {
  readonly id: string;
  readonly name: string;
  readonly state: BatchState;
  readonly rowsTotal: number;
  readonly rowsRejected: number;
  readonly createdAt: Date;
  readonly loadedAt: Date | null;
  readonly endedAt: Date | null;
}

const batchColumns = `id, name, state, rows_total AS rowsTotal, rows_rejected AS rowsRejected,
  created_at AS createdAt, loaded_at AS loadedAt, ended_at AS endedAt`;

export class BatchStore implements Batches {
  constructor(private readonly database: Database) {}

  async open(id: TaskId, name: string, requestKey: string, nowMs: number): Promise<Batch> {
    await execute(
      this.database,
      `INSERT INTO batch (id, name, request_key, state, created_at) VALUES (?,?,?,'loading',?)
       ON DUPLICATE KEY UPDATE id = id`,
      [id, name.slice(0, 200), requestKey, sqlTime(nowMs)],
    );
    const batch = await this.findByRequest(requestKey);
    if (batch === null) throw new Error('a batch disappeared');
    return batch;
  }

  async find(id: TaskId): Promise<Batch | null> {
    return await this.#findBy('id', id);
  }

  async findByRequest(requestKey: string): Promise<Batch | null> {
    return await this.#findBy('request_key', requestKey);
  }

  async #findBy(key: 'id' | 'request_key', value: string): Promise<Batch | null> {
    const [row] = await selectRows<BatchRow>(
      this.database,
      `SELECT ${batchColumns} FROM batch WHERE ${key} = ?`,
      [value],
    );
    return row === undefined ? null : { ...row, id: taskId(row.id) };
  }

  async inState(state: BatchState): Promise<readonly Batch[]> {
    const rows = await selectRows<BatchRow>(
      this.database,
      `SELECT ${batchColumns} FROM batch WHERE state = ? ORDER BY id LIMIT 100`,
      [state],
    );
    return rows.map((row) => ({ ...row, id: taskId(row.id) }));
  }

  async addItems(batchId: TaskId, items: readonly NewBatchItem[]): Promise<readonly number[]> {
    if (items.length === 0) return [];
    await inTransaction(this.database, async (transaction) => {
      await execute(
        transaction,
        `INSERT INTO batch_item (batch_id, line_no, repayment_id, amount_minor, state, error_code,
         error_detail)
       VALUES ${items.map(() => '(?,?,?,?,?,?,?)').join(',')}
       ON DUPLICATE KEY UPDATE batch_id = VALUES(batch_id)`,
        items.flatMap((item) => [
          batchId,
          item.lineNo,
          item.repaymentId,
          item.amountMinor?.toString() ?? null,
          item.error === null ? 'pending' : 'rejected',
          item.error?.code ?? null,
          item.error?.detail.slice(0, 500) ?? null,
        ]),
      );
    });
    const lines = items.map((item) => item.lineNo);
    const rows = await selectRows<{ line_no: number }>(
      this.database,
      `SELECT line_no FROM batch_item
       WHERE batch_id = ? AND line_no IN (${places(lines)})`,
      [batchId, ...lines],
    );
    const there = new Set(rows.map((row) => row.line_no));
    return lines.filter((line) => !there.has(line));
  }

  async loaded(batchId: TaskId, nowMs: number): Promise<void> {
    await execute(
      this.database,
      `UPDATE batch b JOIN (
         SELECT COUNT(*) AS n, COALESCE(SUM(state = 'rejected'), 0) AS bad
         FROM batch_item WHERE batch_id = ?) AS c
       SET b.rows_total = c.n, b.rows_rejected = c.bad, b.loaded_at = ?, b.state = 'running'
       WHERE b.id = ? AND b.state = 'loading'`,
      [batchId, sqlTime(nowMs), batchId],
    );
  }

  async move(batchId: TaskId, from: BatchState, to: BatchState, nowMs: number): Promise<boolean> {
    const ended = to === 'done' || to === 'refused' ? sqlTime(nowMs) : null;
    const moved = await execute(
      this.database,
      'UPDATE batch SET state = ?, ended_at = ? WHERE id = ? AND state = ?',
      [to, ended, batchId, from],
    );
    return moved > 0;
  }

  async claim(
    batchId: TaskId,
    claim: { by: string; nowMs: number; untilMs: number; limit: number },
  ): Promise<readonly BatchItem[]> {
    // The rows alone are locked, in a transaction of their own: a repayment's row belongs to the
    // journal's transactions.
    const lines = await inTransaction(this.database, async (transaction) => {
      const rows = await selectRows<{ line_no: number }>(
        transaction,
        `SELECT line_no FROM batch_item
         WHERE batch_id = ? AND state = 'pending' AND (claimed_until IS NULL OR claimed_until <= ?)
           AND EXISTS (SELECT 1 FROM batch b WHERE b.id = batch_id AND b.state = 'running')
         ORDER BY line_no LIMIT ? FOR UPDATE SKIP LOCKED`,
        [batchId, sqlTime(claim.nowMs), claim.limit],
      );
      const claimed = rows.map((row) => row.line_no);
      if (claimed.length > 0) {
        await execute(
          transaction,
          `UPDATE batch_item SET claimed_by = ?, claimed_until = ?
           WHERE batch_id = ? AND line_no IN (${places(claimed)})`,
          [claim.by, sqlTime(claim.untilMs), batchId, ...claimed],
        );
      }
      return claimed;
    });
    if (lines.length === 0) return [];
    const rows = await selectRows<
      Parameters<typeof toRepayment>[0] & { line_no: number; amount_minor: string | null }
    >(
      this.database,
      `SELECT i.line_no, i.amount_minor, ${repaymentColumns}
       FROM batch_item i JOIN repayment r ON r.id = i.repayment_id
       WHERE i.batch_id = ? AND i.line_no IN (${places(lines)})
       ORDER BY i.line_no`,
      [batchId, ...lines],
    );
    return rows.map((row) => ({
      lineNo: row.line_no,
      amountMinor: row.amount_minor === null ? null : amountMinor(row.amount_minor),
      repayment: toRepayment(row),
    }));
  }

  async record(batchId: TaskId, by: string, results: readonly ItemResult[]): Promise<void> {
    if (results.length === 0) return;
    const rows = results
      .toSorted((a, b) => a.lineNo - b.lineNo)
      .map((result) => ({
        batch_id: batchId,
        line_no: result.lineNo,
        state: 'deductionId' in result ? 'started' : 'code' in result ? 'rejected' : 'pending',
        error_code: 'code' in result ? result.code : null,
        error_detail: 'code' in result ? result.detail.slice(0, 500) : null,
        deduction_id: 'deductionId' in result ? result.deductionId : null,
        claimed_until: 'laterMs' in result ? sqlTime(result.laterMs) : null,
      }));
    // A claim that ran out may be another's by now, with a newer word on the row.
    const mine = {
      ...itemUpdate,
      where: `t.state = 'pending' AND t.claimed_by = ?`,
      whereValues: [by],
    };
    await inTransaction(this.database, async (transaction) => {
      await updateRows(transaction, mine, rows);
    });
  }

  async progress(batchId: TaskId): Promise<BatchProgress> {
    const items = await selectRows<{ state: string; n: number | string }>(
      this.database,
      'SELECT state, COUNT(*) AS n FROM batch_item WHERE batch_id = ? GROUP BY state',
      [batchId],
    );
    const deductions = await selectRows<{ status: string; n: number | string; amount: string }>(
      this.database,
      `SELECT status, COUNT(*) AS n, SUM(amount_minor) AS amount FROM deduction
       WHERE batch_id = ? GROUP BY status`,
      [batchId],
    );
    const inState = (state: string): number => count(items.filter((row) => row.state === state));
    const having = (status: string) => deductions.filter((row) => row.status === status);
    return {
      pending: inState('pending'),
      started: inState('started'),
      rejected: inState('rejected'),
      processing: count(having('processing')),
      succeeded: count(having('succeeded')),
      failed: count(having('failed')),
      needsReview: count(having('needs_review')),
      collectedMinor: amountMinor(having('succeeded')[0]?.amount ?? 0),
    };
  }

  async rejected(
    batchId: TaskId,
    afterLine: number,
    limit: number,
  ): Promise<readonly RejectedItem[]> {
    return await selectRows<RejectedItem>(
      this.database,
      `SELECT line_no AS lineNo, error_code AS code, error_detail AS detail FROM batch_item
       WHERE batch_id = ? AND state = 'rejected' AND line_no > ? ORDER BY line_no LIMIT ?`,
      [batchId, afterLine, limit],
    );
  }

  async addDue(batchId: TaskId, dueDate: string): Promise<number> {
    // Begun again, it numbers on: what was added before keeps its line.
    return await inTransaction(
      this.database,
      async (transaction) =>
        await execute(
          transaction,
          `INSERT INTO batch_item (batch_id, line_no, repayment_id, state)
           SELECT ?, n.line_max + ROW_NUMBER() OVER (ORDER BY r.id), r.id, 'pending'
           FROM repayment r
             CROSS JOIN (SELECT COALESCE(MAX(line_no), 0) AS line_max FROM batch_item
                         WHERE batch_id = ?) AS n
             LEFT JOIN batch_item i ON i.batch_id = ? AND i.repayment_id = r.id
           WHERE r.due_date = ? AND r.paid_minor < r.due_minor AND i.line_no IS NULL`,
          [batchId, batchId, batchId, dueDate],
        ),
    );
  }
}

const itemUpdate: BulkUpdate = {
  table: 'batch_item',
  key: { batch_id: ascii(64), line_no: 'INT' },
  values: {
    state: ascii(40),
    error_code: ascii(40),
    error_detail: text(500),
    deduction_id: ascii(64),
    claimed_until: 'DATETIME(3)',
  },
};

const count = (rows: readonly { n: number | string }[]): number => Number(rows[0]?.n ?? 0);
