import type { ChannelId } from '../ids.js';
import type { KeptStatement, NewStatement, Statements } from '../reconciliation/ports.js';
import type { StatementRow, StatementTotals } from '../reconciliation/statement.js';
import { execute, inTransaction, selectRows, sqlTime, type Database } from './database.js';
import { classify } from './sql-errors.js';

interface StatementRecord {
  readonly id: string;
  readonly digest: string;
  readonly rowsTotal: number;
  readonly captured: string;
  readonly refunded: string;
  readonly paidOut: string;
  readonly fees: string;
}

/** A statement's rows are removed this many at a time: one transaction of a million would be felt. */
const rowsAtOnce = 20_000;

/**
 *   loading ─┬ every row there, nobody quicker ─ valid ─ another takes its place ─ superseded
 *            └ refused, or left by a killed import ─ abandoned ─ removed
 *
 * Rows of a statement that is not valid are read by nobody.
 */
export class StatementStore implements Statements {
  constructor(private readonly database: Database) {}

  async valid(channelId: ChannelId, date: string): Promise<KeptStatement | null> {
    const [row] = await selectRows<StatementRecord>(
      this.database,
      `SELECT id, digest, rows_total AS rowsTotal, captured_minor AS captured,
         paid_out_minor AS paidOut,
         refunded_minor AS refunded, fee_minor AS fees
       FROM channel_statement WHERE valid_channel_id = ? AND valid_date = ?`,
      [channelId, date],
    );
    if (row === undefined) return null;
    const totals = {
      rows: row.rowsTotal,
      capturedMinor: BigInt(row.captured),
      refundedMinor: BigInt(row.refunded),
      paidOutMinor: BigInt(row.paidOut),
      feeMinor: BigInt(row.fees),
    };
    return { id: row.id, channelId, date, digest: row.digest, totals };
  }

  async begin({ channelId, date, digest, format, by }: NewStatement, nowMs: number) {
    const now = sqlTime(nowMs);
    const [result] = (await this.database.raw(
      `INSERT INTO channel_statement (channel_id, business_date, digest, format, state, imported_by,
         created_at, touched_at)
       VALUES (?,?,?,?,'loading',?,?,?)`,
      [channelId, date, digest, format, by.slice(0, 100), now, now],
    )) as [{ insertId: number | string }];
    return String(result.insertId);
  }

  async addRows(id: string, rows: readonly StatementRow[], nowMs: number): Promise<void> {
    if (rows.length === 0) return;
    await inTransaction(this.database, async (transaction) => {
      await execute(
        transaction,
        `INSERT INTO statement_row (statement_id, line_no, type, order_no, channel_ref, status,
           amount_minor, fee_minor, completed_at)
         VALUES ${rows.map(() => '(?,?,?,?,?,?,?,?,?)').join(',')}`,
        rows.flatMap((row) => [
          id,
          row.lineNo,
          row.type,
          row.orderNo,
          row.channelRef,
          row.status,
          row.amountMinor.toString(),
          row.feeMinor.toString(),
          sqlTime(row.completedAtMs),
        ]),
      );
      await execute(
        transaction,
        `UPDATE channel_statement SET touched_at = ? WHERE id = ? AND state = 'loading'`,
        [sqlTime(nowMs), id],
      );
    });
  }

  async makeValid(
    id: string,
    totals: StatementTotals,
    supersede: boolean,
    nowMs: number,
  ): Promise<boolean> {
    if (!(await this.#isWhole(id, totals))) return false;
    try {
      return await this.#putInPlace(id, totals, supersede, nowMs);
    } catch (error) {
      // Another became valid between our look and our write.
      const failure = classify(error);
      if (failure.kind === 'constraint' && failure.name === 'channel_statement_valid') return false;
      throw error;
    }
  }

  async #putInPlace(id: string, totals: StatementTotals, supersede: boolean, nowMs: number) {
    return await inTransaction(this.database, async (transaction) => {
      const [other] = await selectRows<{ id: string }>(
        transaction,
        `SELECT v.id FROM channel_statement s
           JOIN channel_statement v
             ON v.valid_channel_id = s.channel_id AND v.valid_date = s.business_date
         WHERE s.id = ? FOR UPDATE`,
        [id],
      );
      if (other !== undefined && !supersede) return false;
      if (other !== undefined) {
        await execute(
          transaction,
          `UPDATE channel_statement SET state = 'superseded' WHERE id = ? AND state = 'valid'`,
          [other.id],
        );
      }
      const { rows, capturedMinor, refundedMinor, paidOutMinor, feeMinor } = totals;
      const sums = [capturedMinor, refundedMinor, paidOutMinor, feeMinor].map(String);
      const made = await execute(
        transaction,
        `UPDATE channel_statement SET state = 'valid', valid_at = ?, rows_total = ?,
           captured_minor = ?, refunded_minor = ?, paid_out_minor = ?, fee_minor = ?
         WHERE id = ? AND state = 'loading'`,
        [sqlTime(nowMs), rows, ...sums, id],
      );
      if (made === 0) throw new Error('a statement was abandoned while it was loaded');
      return true;
    });
  }

  /** What was written is counted again: an import that slept may have lost its rows to a sweep. */
  async #isWhole(id: string, totals: StatementTotals) {
    const { rows, capturedMinor, refundedMinor, paidOutMinor, feeMinor } = totals;
    const [there] = await selectRows<{ n: number | string; all: string; fees: string }>(
      this.database,
      `SELECT COUNT(*) AS n,
         COALESCE(SUM(IF(status = 'succeeded', amount_minor, 0)), 0) AS \`all\`,
         COALESCE(SUM(IF(status = 'succeeded', fee_minor, 0)), 0) AS fees
       FROM statement_row WHERE statement_id = ?`,
      [id],
    );
    return (
      Number(there?.n) === rows &&
      BigInt(there?.all ?? 0) === capturedMinor + refundedMinor + paidOutMinor &&
      BigInt(there?.fees ?? 0) === feeMinor
    );
  }

  async discard(id: string): Promise<void> {
    await execute(
      this.database,
      `UPDATE channel_statement SET state = 'abandoned' WHERE id = ? AND state = 'loading'`,
      [id],
    );
    await this.#remove(id);
  }

  async sweep(channelId: ChannelId, untouchedSinceMs: number): Promise<void> {
    await execute(
      this.database,
      `UPDATE channel_statement SET state = 'abandoned'
       WHERE channel_id = ? AND state = 'loading' AND touched_at < ?`,
      [channelId, sqlTime(untouchedSinceMs)],
    );
    const left = await selectRows<{ id: string }>(
      this.database,
      `SELECT id FROM channel_statement WHERE channel_id = ? AND state = 'abandoned'`,
      [channelId],
    );
    for (const { id } of left) await this.#remove(id);
  }

  async #remove(id: string): Promise<void> {
    const some = `DELETE FROM statement_row WHERE statement_id = ?
       AND EXISTS (SELECT 1 FROM channel_statement s WHERE s.id = ? AND s.state = 'abandoned')
       LIMIT ${rowsAtOnce}`;
    while ((await execute(this.database, some, [id, id])) > 0);
    await execute(
      this.database,
      `DELETE FROM channel_statement WHERE id = ? AND state = 'abandoned'`,
      [id],
    );
  }
}
