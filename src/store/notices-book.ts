/** Notices and destinations as people read and change them. */
import type { Knex } from 'knex';
import type { DestinationChange, NewDestination, NoticeBook } from '../notices/desk.js';
import type {
  DeliveryRecord,
  DestinationRecord,
  NoticeFilter,
  NoticeRecord,
  NoticeStory,
  TryRecord,
} from '../notices/records.js';
import { writeAudit } from './access.js';
import { execute, inTransaction, selectRows, sqlTime, type Database } from './database.js';
import { destinationColumns, toDestination, type DestinationRow } from './notices-destinations.js';

type Counts = 'waiting' | 'delivered' | 'exhausted' | 'dropped';
type NoticeRow = Omit<NoticeRecord, 'deliveries'> & { [K in Counts]: string | number };

const counted = (['waiting', 'delivered', 'exhausted', 'dropped'] as const)
  .map(
    (state) => `(SELECT COUNT(*) FROM notice_delivery v
    WHERE v.notice_id = n.id AND v.state = '${state}') AS ${state}`,
  )
  .join(', ');

const noticeColumns = `n.message_id AS id, n.type, n.task_id AS taskId, n.created_at AS createdAt,
  ${counted}`;

const toNotice = ({ waiting, delivered, exhausted, dropped, ...row }: NoticeRow): NoticeRecord => ({
  id: row.id,
  type: row.type,
  taskId: row.taskId,
  createdAt: row.createdAt,
  deliveries: {
    waiting: Number(waiting),
    delivered: Number(delivered),
    exhausted: Number(exhausted),
    dropped: Number(dropped),
  },
});

/** Of a destination, `d`. */
const countOf = (state: string): string =>
  `(SELECT COUNT(*) FROM notice_delivery v
    WHERE v.destination_id = d.id AND v.state = '${state}') AS ${state}`;

export class SqlNoticeBook implements NoticeBook {
  constructor(private readonly database: Database) {}

  async list(filter: NoticeFilter): Promise<readonly NoticeRecord[]> {
    const { where, values } = conditions(filter);
    const rows = await selectRows<NoticeRow>(
      this.database,
      `SELECT ${noticeColumns} FROM notice n
       ${where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`} ORDER BY n.id DESC LIMIT ?`,
      [...values, filter.limit],
    );
    return rows.map(toNotice);
  }

  async find(messageId: string): Promise<NoticeStory | null> {
    const [row] = await selectRows<NoticeRow & { no: string; body: string }>(
      this.database,
      `SELECT ${noticeColumns}, n.id AS no, n.body FROM notice n WHERE n.message_id = ?`,
      [messageId],
    );
    if (row === undefined) return null;
    const deliveries = await selectRows<DeliveryRecord>(
      this.database,
      `SELECT destination_id AS destinationId, state, tries, next_at AS nextAt,
         last_status AS lastStatus, last_error AS lastError, delivered_at AS deliveredAt
       FROM notice_delivery WHERE notice_id = ? ORDER BY id`,
      [row.no],
    );
    const tries = await selectRows<TryRecord>(
      this.database,
      `SELECT v.destination_id AS destinationId, t.at, t.duration_ms AS durationMs,
         t.http_status AS httpStatus, t.error
       FROM notice_try t JOIN notice_delivery v ON v.id = t.delivery_id
       WHERE v.notice_id = ? ORDER BY t.id LIMIT 1000`,
      [row.no],
    );
    return { notice: toNotice(row), body: row.body, deliveries, tries };
  }

  async destinations(nowMs: number): Promise<readonly DestinationRecord[]> {
    const rows = await selectRows<
      DestinationRow & { waiting: string; exhausted: string; overdueSince: Date | null }
    >(
      this.database,
      `SELECT ${destinationColumns}, ${countOf('waiting')}, ${countOf('exhausted')},
         (SELECT MIN(v.next_at) FROM notice_delivery v
          WHERE v.destination_id = d.id AND v.next_at <= ?) AS overdueSince
       FROM notice_destination d WHERE d.removed_at IS NULL ORDER BY d.id`,
      [sqlTime(nowMs)],
    );
    return rows.map((row) => ({
      ...toDestination(row),
      waiting: Number(row.waiting),
      exhausted: Number(row.exhausted),
      overdueSince: row.overdueSince,
    }));
  }

  async add(destination: NewDestination, by: string, nowMs: number): Promise<boolean> {
    const { id, url, types, secretEnvs } = destination;
    return await inTransaction(this.database, async (transaction) => {
      const [taken] = await selectRows(
        transaction,
        'SELECT 1 FROM notice_destination WHERE id = ? FOR UPDATE',
        [id],
      );
      if (taken !== undefined) return false;
      await execute(
        transaction,
        `INSERT INTO notice_destination (id, url, types, secret_envs, created_at)
         VALUES (?,?,?,?,?)`,
        [id, url, types === '*' ? '*' : types.join(','), secretEnvs.join(','), sqlTime(nowMs)],
      );
      await audited(transaction, by, 'notice_destination_add', id, { url, types }, nowMs);
      return true;
    });
  }

  async change(id: string, change: DestinationChange, by: string, nowMs: number): Promise<boolean> {
    return await inTransaction(this.database, async (transaction) => {
      const [known] = await selectRows(
        transaction,
        'SELECT 1 FROM notice_destination WHERE id = ? AND removed_at IS NULL FOR UPDATE',
        [id],
      );
      if (known === undefined) return false;
      await changed(transaction, id, change, by, sqlTime(nowMs));
      const detail = change.kind === 'secrets' ? { secret_envs: change.secretEnvs } : {};
      await audited(transaction, by, `notice_destination_${change.kind}`, id, detail, nowMs);
      return true;
    });
  }

  async redeliver(
    what: Parameters<NoticeBook['redeliver']>[0],
    by: string,
    nowMs: number,
  ): Promise<number> {
    return await inTransaction(this.database, async (transaction) => {
      const again = `v.state = 'waiting', v.next_at = ?, v.first_try_at = NULL, v.tries = 0,
        v.delivered_at = NULL`;
      const at = sqlTime(nowMs);
      if ('exhaustedOf' in what) {
        const found = await execute(
          transaction,
          `UPDATE notice_delivery v SET ${again}
           WHERE v.destination_id = ? AND v.state = 'exhausted'`,
          [at, what.exhaustedOf],
        );
        await audited(transaction, by, 'notices_redeliver', what.exhaustedOf, { found }, nowMs);
        return found;
      }
      const { messageId, destinationId } = what;
      const found = await execute(
        transaction,
        `UPDATE notice_delivery v JOIN notice n ON n.id = v.notice_id
           JOIN notice_destination d ON d.id = v.destination_id AND d.removed_at IS NULL
         SET ${again} WHERE n.message_id = ? AND v.destination_id = IFNULL(?, v.destination_id)`,
        [at, messageId, destinationId],
      );
      const detail = { destination_id: destinationId, found };
      await audited(transaction, by, 'notice_redeliver', messageId, detail, nowMs);
      return found;
    });
  }

  async drop(destinationId: string): Promise<void> {
    await execute(
      this.database,
      `UPDATE notice_delivery SET state = 'dropped'
       WHERE destination_id = ? AND state = 'exhausted'`,
      [destinationId],
    );
  }

  async outage(no: number): ReturnType<NoticeBook['outage']> {
    const [row] = await selectRows<{
      destinationId: string;
      kind: 'notices_exhausted' | 'destination_gone';
    }>(
      this.database,
      `SELECT destination_id AS destinationId, kind FROM notice_outage
       WHERE id = ? AND closed_at IS NULL`,
      [no],
    );
    return row ?? null;
  }

  async closeOutage(no: number, resolution: string, nowMs: number): Promise<boolean> {
    const found = await execute(
      this.database,
      `UPDATE notice_outage SET closed_at = ?, resolution = ? WHERE id = ? AND closed_at IS NULL`,
      [sqlTime(nowMs), resolution.slice(0, 500), no],
    );
    return found > 0;
  }
}

async function changed(
  transaction: Knex.Transaction,
  id: string,
  change: DestinationChange,
  by: string,
  at: string,
): Promise<void> {
  const set = async (assignments: string, ...values: readonly string[]): Promise<void> => {
    const sql = `UPDATE notice_destination SET ${assignments} WHERE id = ?`;
    await execute(transaction, sql, [...values, id]);
  };
  switch (change.kind) {
    case 'pause':
      await set(`paused_at = IFNULL(paused_at, ?), paused_why = 'by hand'`, at);
      return;
    case 'resume':
      await set('paused_at = NULL, paused_why = NULL, resumed_at = ?', at);
      await closeOutages(transaction, id, `kind = 'destination_gone'`, `resumed by ${by}`, at);
      return;
    case 'secrets':
      await set('secret_envs = ?', change.secretEnvs.join(','));
      return;
    case 'remove':
      await set('removed_at = ?', at);
      await execute(
        transaction,
        `UPDATE notice_delivery SET state = 'dropped', next_at = NULL
         WHERE destination_id = ? AND state IN ('waiting', 'exhausted')`,
        [id],
      );
      await closeOutages(transaction, id, 'TRUE', `the destination was removed by ${by}`, at);
  }
}

async function closeOutages(
  transaction: Knex.Transaction,
  destinationId: string,
  which: string,
  resolution: string,
  at: string,
): Promise<void> {
  await execute(
    transaction,
    `UPDATE notice_outage SET closed_at = ?, resolution = ?
     WHERE open_destination_id = ? AND ${which}`,
    [at, resolution.slice(0, 500), destinationId],
  );
}

async function audited(
  transaction: Knex.Transaction,
  actor: string,
  action: string,
  subject: string,
  detail: object,
  nowMs: number,
): Promise<void> {
  const entry = { actor, action, subject, detail: JSON.stringify(detail) };
  await writeAudit(transaction, entry, nowMs);
}

function conditions(filter: NoticeFilter): { where: string[]; values: unknown[] } {
  const { type, taskId, state, destinationId, before } = filter;
  const where: string[] = [];
  const values: unknown[] = [];
  const add = (condition: string, ...given: readonly (string | undefined)[]): void => {
    if (given.includes(undefined)) return;
    where.push(condition);
    values.push(...given);
  };
  add('n.type = ?', type);
  add('n.task_id = ?', taskId);
  add('n.id < (SELECT o.id FROM notice o WHERE o.message_id = ?)', before);
  if (state !== undefined || destinationId !== undefined) {
    const of = [
      ...(state === undefined ? [] : ['v.state = ?']),
      ...(destinationId === undefined ? [] : ['v.destination_id = ?']),
    ];
    where.push(
      `EXISTS (SELECT 1 FROM notice_delivery v WHERE v.notice_id = n.id AND ${of.join(' AND ')})`,
    );
    values.push(...[state, destinationId].filter((one) => one !== undefined));
  }
  return { where, values };
}
