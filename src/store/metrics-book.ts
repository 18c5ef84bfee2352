import type { Book, BookReading, Group } from '../metrics/ports.js';
import { selectRows, sqlTime, type Database } from './database.js';

/** Rows that are counted, of each kind: beyond it the number says no more, and costs more. */
const countedMax = 50_000;
/** Rows that are looked at one by one. */
const lookedAtMax = 10_000;
/** No statement is begun after this; each has a time-out of its own besides. */
const budgetMs = 2_500;

interface Row {
  readonly a?: string;
  readonly b?: string;
  readonly n: number | string;
  readonly oldest?: Date | null;
}

/**
 * What the metrics read of the tables: every few seconds at the most, each statement along an index,
 * bounded and without a lock. Ids are in the order of time, so that the first is the oldest.
 */
export class MetricsBook implements Book {
  constructor(private readonly database: Database) {}

  async read(nowMs: number): Promise<BookReading> {
    const startedMs = performance.now();
    const groups = async (sql: string): Promise<readonly Group[]> => {
      if (performance.now() - startedMs > budgetMs) throw new Error('reading took too long');
      const rows = await selectRows<Row>(this.database, sql);
      return rows.map(({ a, b, n, oldest }) => ({
        labels: [a, b].filter((label) => label !== undefined),
        count: Number(n),
        oldestAtMs: oldest?.getTime() ?? null,
      }));
    };
    return {
      tasks: await groups(tasks),
      wakeUps: await groups(wakeUps(sqlTime(nowMs))),
      attempts: await groups(attempts),
      cases: await groups(cases),
      outbox: await groups(outbox),
      notices: await groups(notices),
      batches: await groups(batches),
      batchRows: await groups(batchRows),
    };
  }
}

const count = (from: string): string =>
  `(SELECT COUNT(*) FROM (SELECT 1 AS one FROM ${from} LIMIT ${countedMax}) AS counted)`;

const kinds = ['deduction', 'refund', 'withdrawal', 'top_up'];
const unended = ['processing', 'needs_review'];

const tasks = kinds
  .flatMap((kind) =>
    unended.map((status) => ({ kind, from: `${kind} WHERE status = '${status}'`, status })),
  )
  .map(
    ({ kind, status, from }) =>
      `SELECT '${kind}' AS a, '${status}' AS b, ${count(from)} AS n,
         (SELECT created_at FROM ${from} ORDER BY id LIMIT 1) AS oldest`,
  )
  .join(' UNION ALL ');

const wakeUps = (now: string): string =>
  kinds
    .map((kind) => ({
      kind,
      from: `in_flight WHERE kind = '${kind}' AND wake_at <= '${now}'`,
    }))
    .map(
      ({ kind, from }) =>
        `SELECT '${kind}' AS a, ${count(from)} AS n, (SELECT MIN(wake_at) FROM ${from}) AS oldest`,
    )
    .join(' UNION ALL ');

/** Where the poll schedule has ended a person decides: that is a case, and nobody is to be woken for it twice. */
const askedAs = `IF(status <> 'sending' AND next_ask_at IS NULL, 'unasked', status)`;

const attempts = `
  SELECT channel_id AS a, status AS b, COUNT(*) AS n, MIN(created_at) AS oldest FROM (
    SELECT channel_id, ${askedAs} AS status, created_at FROM attempt FORCE INDEX (attempt_live_task)
    WHERE live_task_id IS NOT NULL ORDER BY live_task_id LIMIT ${lookedAtMax}) AS live
  GROUP BY channel_id, status`;

/** As in `case_view`, but bounded. */
const cases = `
  SELECT a, b, COUNT(*) AS n, MIN(opened_at) AS oldest FROM (${[
    ['task', 'reason', 'review_case'],
    ['dead', 'kind', 'dead_letter'],
    ['break', 'kind', 'reconciliation_break'],
    ['check', 'kind', 'active_check_finding'],
    ['notice', 'kind', 'notice_outage'],
    ['refund', "'refund_requested'", 'refund_request'],
  ]
    .map(
      ([source, reason, table]) =>
        `(SELECT '${source}' AS a, ${reason} AS b, opened_at FROM ${table}
          WHERE closed_at IS NULL ORDER BY opened_at LIMIT ${lookedAtMax})`,
    )
    .join(' UNION ALL ')}) AS open
  GROUP BY a, b`;

/** A row without `send_at` that is not delivered is a dead letter: a case. */
const outbox = `
  SELECT ${count('outbox WHERE send_at IS NOT NULL')} AS n,
    (SELECT created_at FROM outbox WHERE delivered_at IS NULL AND send_at IS NOT NULL
     ORDER BY id LIMIT 1) AS oldest`;

const waiting = `notice_delivery d WHERE d.state = 'waiting' AND d.destination_id = t.id`;

const notices = `
  SELECT t.id AS a, (SELECT COUNT(*) FROM ${waiting}) AS n,
    (SELECT (SELECT created_at FROM notice WHERE notice.id = d.notice_id) FROM ${waiting}
     ORDER BY d.id LIMIT 1) AS oldest
  FROM notice_destination t WHERE t.removed_at IS NULL ORDER BY t.id LIMIT 100`;

const batches = `
  SELECT 'loading' AS a, COUNT(*) AS n FROM batch WHERE state = 'loading'
  UNION ALL SELECT 'running', COUNT(*) FROM batch WHERE state = 'running'
  UNION ALL SELECT 'paused', COUNT(*) FROM batch WHERE state = 'paused'`;

const batchRows = `SELECT ${count(`batch b JOIN batch_item i ON i.batch_id = b.id AND i.state = 'pending'
  WHERE b.state = 'running'`)} AS n`;
