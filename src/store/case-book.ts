/**
 * Cases as people see them: the facts out of `case_view`, and the owner and notes that people add.
 *
 * A condition on `closed_at`, `source`, `task_id` or `no` reaches the tables beneath the view, each by
 * its index, and rules out those of another source; a condition on `id` would read them all.
 */
import type { Knex } from 'knex';
import type { CaseFilter, CaseId, CaseNote, CasePlace, CaseRecord, Person } from '../cases/case.js';
import type { CaseBook } from '../cases/ports.js';
import type { EntryKind } from '../engine/entries.js';
import { kindStartedBy } from '../engine/tasks.js';
import { taskId, type TaskId } from '../ids.js';
import { amountMinor } from '../money.js';
import { writeAudit } from './access.js';
import { execute, inTransaction, selectRows, sqlTime, type Database } from './database.js';

type CaseRow = Omit<CaseRecord, 'taskId' | 'taskKind' | 'amountMinor' | 'no' | 'attemptNo'> & {
  taskId: string | null;
  firstEntry: EntryKind | null;
  amountMinor: string;
  no: number | string;
  attemptNo: number | null;
};

const ofTask = 'CONVERT(v.task_id USING ascii) COLLATE ascii_bin';

const select = `SELECT v.id, v.source, v.kind, v.task_id AS taskId, v.no, v.attempt_no AS attemptNo,
    v.amount_minor AS amountMinor, v.evidence, w.owner, v.opened_at AS openedAt,
    v.closed_at AS closedAt, v.resolution, p.proposal_no AS openProposalNo,
    (SELECT a.operation FROM attempt a
     WHERE a.task_id = ${ofTask} AND a.attempt_no = v.attempt_no) AS operation,
    (SELECT e.kind FROM execution_log e WHERE e.task_id = ${ofTask} AND e.seq = 1) AS firstEntry
  FROM case_view v
  LEFT JOIN case_work w ON w.case_id = v.id
  LEFT JOIN case_proposal p ON p.open_case_id = v.id`;

const toRecord = ({ firstEntry, ...row }: CaseRow): CaseRecord => ({
  ...row,
  taskKind: firstEntry === null ? null : kindStartedBy(firstEntry),
  taskId: row.taskId === null ? null : taskId(row.taskId),
  no: Number(row.no),
  amountMinor: amountMinor(row.amountMinor),
});

export class CaseStore implements CaseBook {
  constructor(private readonly database: Database) {}

  async list(filter: CaseFilter): Promise<readonly CaseRecord[]> {
    const { where, values } = conditions(filter);
    const rows = await selectRows<CaseRow>(
      this.database,
      `${select} ${where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`}
       ORDER BY v.opened_at, v.id LIMIT ?`,
      [...values, filter.limit],
    );
    return rows.map(toRecord);
  }

  async find(place: CasePlace): Promise<CaseRecord | null> {
    const [row] = await selectRows<CaseRow>(
      this.database,
      `${select} WHERE v.source = ? AND v.no = ? ${place.source === 'task' ? 'AND v.task_id = ?' : ''}`,
      [place.source, place.no, ...(place.source === 'task' ? [place.taskId] : [])],
    );
    return row === undefined ? null : toRecord(row);
  }

  async notes(id: CaseId): Promise<readonly CaseNote[]> {
    return await selectRows<CaseNote>(
      this.database,
      'SELECT at, author, note FROM case_note WHERE case_id = ? ORDER BY id',
      [id],
    );
  }

  async assign(id: CaseId, owner: string | null, by: Person, nowMs: number): Promise<void> {
    await inTransaction(this.database, async (transaction) => {
      await execute(
        transaction,
        `INSERT INTO case_work (case_id, owner, assigned_at) VALUES (?,?,?)
         ON DUPLICATE KEY UPDATE owner = VALUES(owner), assigned_at = VALUES(assigned_at)`,
        [id, owner, sqlTime(nowMs)],
      );
      await audited(transaction, by, 'case_assigned', id, { owner }, nowMs);
    });
  }

  async addNote(id: CaseId, note: string, by: Person, nowMs: number): Promise<void> {
    await inTransaction(this.database, async (transaction) => {
      await execute(
        transaction,
        'INSERT INTO case_note (case_id, at, author, author_key, note) VALUES (?,?,?,?,?)',
        [id, sqlTime(nowMs), by.name, by.keyId, note],
      );
      await audited(transaction, by, 'case_noted', id, { characters: note.length }, nowMs);
    });
  }

  /** False when it was closed before. Its message is not sent again. */
  async closeDeadLetter(no: number, resolution: string, nowMs: number): Promise<boolean> {
    const found = await execute(
      this.database,
      `UPDATE dead_letter SET closed_at = ?, resolution = ? WHERE id = ? AND closed_at IS NULL`,
      [sqlTime(nowMs), resolution.slice(0, 500), no],
    );
    return found > 0;
  }
}

/** What a person did to a case, in the transaction that does it. */
export async function audited(
  database: Knex | Knex.Transaction,
  by: Person,
  action: string,
  subject: CaseId,
  detail: object,
  nowMs: number,
): Promise<void> {
  const actor = `${by.name} (${by.keyId})`;
  await writeAudit(database, { actor, action, subject, detail: JSON.stringify(detail) }, nowMs);
}

/** Of a refund that somebody asked for. False when it is no request's case, or was closed before. */
export async function closeRequest(
  database: Knex | Knex.Transaction,
  id: CaseId,
  resolution: string,
  nowMs: number,
): Promise<boolean> {
  const [, no] = /^refund:(\d+)$/.exec(id) ?? [];
  if (no === undefined) return false;
  const found = await execute(
    database,
    'UPDATE refund_request SET closed_at = ?, resolution = ? WHERE id = ? AND closed_at IS NULL',
    [sqlTime(nowMs), resolution.slice(0, 500), no],
  );
  return found > 0;
}

function conditions(filter: CaseFilter): { where: string[]; values: unknown[] } {
  const where: string[] = [];
  const values: unknown[] = [];
  const add = (condition: string, ...given: readonly unknown[]): void => {
    if (given.includes(undefined)) return;
    where.push(condition);
    values.push(...given);
  };
  const { open, source, kind, owner, after } = filter;
  const task: TaskId | undefined = filter.taskId;
  if (open !== undefined) where.push(`v.closed_at IS ${open ? '' : 'NOT '}NULL`);
  add('v.source = ?', source);
  add('v.kind = ?', kind);
  add('v.task_id = ?', task);
  if (owner === null) where.push('w.owner IS NULL');
  else add('w.owner = ?', owner);
  if (after !== undefined) {
    const at = sqlTime(after.openedAt.getTime());
    add('v.opened_at >= ? AND (v.opened_at > ? OR v.id > ?)', at, at, after.id);
  }
  return { where, values };
}
