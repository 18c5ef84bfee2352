import type { InFlightLog } from '../compensation/sweep.js';
import { taskId, type TaskId } from '../ids.js';
import { execute, inTransaction, places, selectRows, sqlTime, type Database } from './database.js';

/** The in-flight log on MariaDB. */
export class SqlInFlightLog implements InFlightLog {
  constructor(private readonly database: Database) {}

  /**
   * SKIP LOCKED: sweeps of several instances step around each other's rows, and around those of tasks
   * that are just ending. The index (kind, wake_at) makes this a short range however many tasks wait,
   * and however many of another kind are overdue.
   */
  async claimOverdue(
    claim: Parameters<InFlightLog['claimOverdue']>[0],
  ): Promise<readonly TaskId[]> {
    return await inTransaction(this.database, async (transaction) => {
      const now = sqlTime(claim.nowMs);
      const rows = await selectRows<{ task_id: string }>(
        transaction,
        `SELECT task_id FROM in_flight
         WHERE kind = ? AND wake_at <= ?
           AND (claimed_until IS NULL OR claimed_until <= ?)
         ORDER BY wake_at LIMIT ? FOR UPDATE SKIP LOCKED`,
        [claim.kind, sqlTime(claim.overdueAtMs), now, claim.limit],
      );
      const ids = rows.map((row) => taskId(row.task_id));
      if (ids.length > 0) {
        await execute(
          transaction,
          `UPDATE in_flight SET claimed_by = ?, claimed_until = ?
           WHERE task_id IN (${places(ids)})`,
          [claim.by, sqlTime(claim.claimUntilMs), ...ids.toSorted()],
        );
      }
      return ids;
    });
  }
}
