import type { Unsettled } from '../compensation/settlement.js';
import { taskId, type TaskId } from '../ids.js';
import { execute, inTransaction, places, selectRows, sqlTime, type Database } from './database.js';

/** What of the top-ups the settlement sweep works on; `looks` and `look_at` are its own columns. */
export class SettlementStore implements Unsettled {
  constructor(private readonly database: Database) {}

  /**
   * SKIP LOCKED: sweeps of several instances step around each other's rows. The index (ended_at,
   * settle_at) makes this a short range: what is open and was paid over an hour ago is little.
   */
  async claimUnsettled(
    claim: Parameters<Unsettled['claimUnsettled']>[0],
  ): Promise<readonly TaskId[]> {
    const now = sqlTime(claim.nowMs);
    return await inTransaction(this.database, async (transaction) => {
      const rows = await selectRows<{ id: string }>(
        transaction,
        `SELECT id FROM top_up
         WHERE ended_at IS NULL AND settle_at <= ? AND (look_at IS NULL OR look_at <= ?)
         ORDER BY settle_at LIMIT ? FOR UPDATE SKIP LOCKED`,
        [now, now, claim.limit],
      );
      const ids = rows.map(({ id }) => taskId(id));
      if (ids.length > 0) {
        // Assignments go from left to right: the pause is reckoned from the looks before this one.
        await execute(
          transaction,
          `UPDATE top_up SET look_at = ? + INTERVAL
               CAST(LEAST(? * POW(2, LEAST(looks, 30)), ?) * 1000 AS UNSIGNED) MICROSECOND,
             looks = looks + 1
           WHERE id IN (${places(ids)})`,
          [now, claim.pauseMs, claim.pauseMaxMs, ...ids.toSorted()],
        );
      }
      return ids;
    });
  }
}
