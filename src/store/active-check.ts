/**
 * What the active check reads and writes. It follows tasks in a table of its own, so that a look at a
 * task that has not ended comes again, and each task that has ended is looked through once, in the
 * order of the ids (which are in order of time), up to a mark.
 */
import type { Knex } from 'knex';
import type {
  CheckedBook,
  Finding,
  Look,
  MessageLook,
} from '../compensation/active-check-ports.js';
import { taskId, type TaskId } from '../ids.js';
import type { AmountMinor } from '../money.js';
import { lookAt } from './active-check-look.js';
import { endedTasks, type EndedTasks } from './active-check-told.js';
import { execute, inTransaction, places, selectRows, sqlTime, type Database } from './database.js';

const waitingCounted = 10_000;

/** The kinds of task and their tables, which all have an id, a status and two times. */
const tables = ['deduction', 'refund', 'withdrawal', 'top_up'] as const;

const liveTasks = tables
  .map(
    (name) => `SELECT id, created_at FROM ${name} WHERE status IN ('processing', 'needs_review')`,
  )
  // It has ended, and is in flight until what was debited besides is back.
  .concat('SELECT id, created_at FROM withdrawal WHERE gives_back = 1')
  .join(' UNION ALL ');

export class ActiveCheckStore implements CheckedBook {
  constructor(
    private readonly database: Database,
    private readonly settings: { readonly zone: string; readonly booksAreOurs: boolean },
  ) {}

  async followLive(beforeMs: number, nowMs: number, limit: number): Promise<number> {
    const now = sqlTime(nowMs);
    return await execute(
      this.database,
      `INSERT IGNORE INTO active_check_task (task_id, since, check_at)
       SELECT task.id, ?, ? FROM (${liveTasks}) task
       LEFT JOIN active_check_task t ON t.task_id = task.id
       WHERE task.created_at <= ? AND t.task_id IS NULL
       ORDER BY task.id LIMIT ?`,
      [now, now, sqlTime(beforeMs), limit],
    );
  }

  async followUnposted(beforeMs: number, nowMs: number, limit: number): Promise<boolean> {
    let more = false;
    for (const one of endedTasks) {
      more = (await this.#lookThrough(one, beforeMs, nowMs, limit)) || more;
    }
    return more;
  }

  async #lookThrough(
    { mark: name, table, where }: EndedTasks,
    beforeMs: number,
    nowMs: number,
    limit: number,
  ): Promise<boolean> {
    return await inTransaction(this.database, async (transaction) => {
      await execute(
        transaction,
        `INSERT IGNORE INTO active_check_mark (name, position, moved_at) VALUES (?, '', ?)`,
        [name, sqlTime(nowMs)],
      );
      // Another instance that looks through the same page waits here, and then sees a later mark.
      const [mark] = await selectRows<{ position: string }>(
        transaction,
        'SELECT position FROM active_check_mark WHERE name = ? FOR UPDATE',
        [name],
      );
      const from = mark?.position ?? '';
      const page = await selectRows<{ id: string; createdAt: Date }>(
        transaction,
        `SELECT id, created_at AS createdAt FROM ${table} WHERE id > ? ORDER BY id LIMIT ?`,
        [from, limit],
      );
      const young = page.findIndex(({ createdAt }) => createdAt.getTime() > beforeMs);
      const old = young === -1 ? page : page.slice(0, young);
      const last = old.at(-1)?.id;
      if (last === undefined) return false;
      const now = sqlTime(nowMs);
      const ours = this.settings.booksAreOurs ? 'TRUE' : 'FALSE';
      await execute(
        transaction,
        `INSERT IGNORE INTO active_check_task (task_id, since, check_at)
         SELECT t.id, ?, ? FROM ${table} t
         WHERE t.id > ? AND t.id <= ? AND (${where.replaceAll(':ours', ours)})`,
        [now, now, from, last],
      );
      await execute(
        transaction,
        'UPDATE active_check_mark SET position = ?, moved_at = ? WHERE name = ?',
        [last, now, name],
      );
      return page.length === limit && young === -1;
    });
  }

  async follow(task: TaskId, nowMs: number): Promise<void> {
    const now = sqlTime(nowMs);
    await execute(
      this.database,
      `INSERT INTO active_check_task (task_id, since, check_at) VALUES (?,?,?)
       ON DUPLICATE KEY UPDATE check_at = VALUES(check_at)`,
      [task, now, now],
    );
  }

  async claimDue(
    claim: Parameters<CheckedBook['claimDue']>[0],
  ): Promise<readonly { readonly task: TaskId; readonly checks: number }[]> {
    return await inTransaction(this.database, async (transaction) => {
      const rows = await selectRows<{ id: string; checks: number }>(
        transaction,
        `SELECT task_id AS id, checks FROM active_check_task WHERE check_at <= ?
         ORDER BY check_at LIMIT ? FOR UPDATE SKIP LOCKED`,
        [sqlTime(claim.nowMs), claim.limit],
      );
      if (rows.length > 0) {
        await execute(
          transaction,
          `UPDATE active_check_task SET check_at = ?, checks = checks + 1
           WHERE task_id IN (${places(rows)})`,
          [sqlTime(claim.untilMs), ...rows.map(({ id }) => id).toSorted()],
        );
      }
      return rows.map(({ id, checks }) => ({ task: taskId(id), checks }));
    });
  }

  async look(task: TaskId): Promise<Look> {
    return await lookAt(this.database, task, this.settings);
  }

  async restoreInFlight(task: TaskId, nowMs: number): Promise<void> {
    await inTransaction(this.database, async (transaction) => {
      for (const kind of tables) {
        // Whoever ends the task waits for this lock, and then finds the row and deletes it. Without it
        // the row could be written just after the end, and nothing would ever take it away.
        const underWay =
          kind === 'withdrawal' ? '(ended_at IS NULL OR gives_back = 1)' : 'ended_at IS NULL';
        const [open] = await selectRows<{ status: string }>(
          transaction,
          `SELECT status FROM ${kind} WHERE id = ? AND ${underWay} FOR UPDATE`,
          [task],
        );
        if (open === undefined) continue;
        const wakeAt = open.status === 'needs_review' ? null : sqlTime(nowMs);
        await execute(
          transaction,
          `INSERT INTO in_flight (task_id, kind, seq, started_at, wake_at)
           SELECT task_id, ?, MAX(seq), MIN(at), ? FROM execution_log WHERE task_id = ?
           GROUP BY task_id
           ON DUPLICATE KEY UPDATE wake_at = IFNULL(in_flight.wake_at, VALUES(wake_at))`,
          [kind, wakeAt, task],
        );
        return;
      }
    });
  }

  async restoreMessage(
    { topic, key, body, createdAtMs }: MessageLook,
    nowMs: number,
  ): Promise<void> {
    await execute(
      this.database,
      `INSERT INTO outbox (topic, message_key, body, created_at, send_at) VALUES (?,?,?,?,?)
       ON DUPLICATE KEY UPDATE delivered_at = NULL, send_at = VALUES(send_at)`,
      [topic, key, body, sqlTime(createdAtMs), sqlTime(nowMs)],
    );
  }

  async waitingMessages(beforeMs: number): Promise<{ count: number; oldestAtMs: number | null }> {
    const [row] = await selectRows<{ count: number | string; oldest: Date | null }>(
      this.database,
      `SELECT COUNT(*) AS count, MIN(created_at) AS oldest FROM (
         SELECT created_at FROM outbox WHERE delivered_at IS NULL AND send_at IS NOT NULL AND created_at <= ?
         ORDER BY id LIMIT ${waitingCounted}) AS waiting`,
      [sqlTime(beforeMs)],
    );
    return { count: Number(row?.count ?? 0), oldestAtMs: row?.oldest?.getTime() ?? null };
  }

  async record(
    task: TaskId | null,
    found: { readonly amountMinor: AmountMinor; readonly findings: readonly Finding[] },
    nowMs: number,
  ): Promise<number> {
    const now = sqlTime(nowMs);
    const kinds = found.findings.map(({ kind }) => kind);
    return await inTransaction(this.database, async (transaction) => {
      await execute(
        transaction,
        `UPDATE active_check_finding SET closed_at = ?, resolution = 'found in order by a later check'
         WHERE open_about = ? ${kinds.length === 0 ? '' : `AND kind NOT IN (${places(kinds)})`}`,
        [now, task ?? '', ...kinds],
      );
      let opened = 0;
      for (const finding of found.findings) {
        opened += await open(transaction, task, finding, found.amountMinor, now);
      }
      return opened;
    });
  }

  async lookAgain(task: TaskId, atMs: number): Promise<void> {
    await execute(this.database, 'UPDATE active_check_task SET check_at = ? WHERE task_id = ?', [
      sqlTime(atMs),
      task,
    ]);
  }

  async unfollow(task: TaskId): Promise<void> {
    await execute(this.database, 'DELETE FROM active_check_task WHERE task_id = ?', [task]);
  }

  /** Closes a finding as people have decided; false when it was closed before. */
  async writeOff(no: number, resolution: string, nowMs: number): Promise<boolean> {
    const found = await execute(
      this.database,
      `UPDATE active_check_finding SET closed_at = ?, resolution = ?, written_off = TRUE
       WHERE id = ? AND closed_at IS NULL`,
      [sqlTime(nowMs), resolution.slice(0, 500), no],
    );
    return found > 0;
  }
}

/** 1 when it is new. */
async function open(
  transaction: Knex.Transaction,
  task: TaskId | null,
  { kind, evidence }: Finding,
  amount: AmountMinor,
  now: string,
): Promise<number> {
  const seen = await execute(
    transaction,
    'UPDATE active_check_finding SET seen_at = ?, evidence = ? WHERE open_about = ? AND kind = ?',
    [now, evidence.slice(0, 1_000), task ?? '', kind],
  );
  if (seen > 0) return 0;
  return await execute(
    transaction,
    `INSERT INTO active_check_finding (task_id, kind, amount_minor, evidence, opened_at, seen_at)
     SELECT ?, ?, ?, ?, ?, ? FROM DUAL WHERE NOT EXISTS (
       SELECT 1 FROM active_check_finding f WHERE f.task_id = ? AND f.kind = ? AND f.written_off)
     ON DUPLICATE KEY UPDATE seen_at = VALUES(seen_at)`,
    [task, kind, amount.toString(), evidence.slice(0, 1_000), now, now, task, kind],
  );
}
