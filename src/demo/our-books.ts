/** Our side of the story, read from MariaDB with a client of the demo's own. */
import { createPool, type Pool, type RowDataPacket } from 'mysql2/promise';
import type { BookedOrder, Evidence, LogBody, LogRow } from '../oracle/index.js';
import { readEvidence } from './evidence.js';

/** A task that had not ended and whose last entry a certain process wrote. */
export interface HeldTask {
  readonly taskId: string;
  readonly kind: string;
  readonly seq: number;
  /** The last entry says that a call is under way: an intent without an outcome. */
  readonly midCall: boolean;
}

export interface Counts {
  readonly deductions: number;
  readonly inFlight: number;
  readonly waitingForReview: number;
}

const isIntent = (entry: string): boolean => /(^|_)intended$/.test(entry);

export class OurDatabase {
  readonly #pool: Pool;

  constructor(url: string) {
    this.#pool = createPool({
      uri: url,
      connectionLimit: 3,
      timezone: 'Z',
      supportBigNumbers: true,
      bigNumberStrings: true,
    });
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  async counts(batchId: string): Promise<Counts> {
    const [row] = await this.#rows<{ n: string; open: string; review: string }>(
      `SELECT COUNT(*) AS n, COALESCE(SUM(status = 'processing'), 0) AS open,
         COALESCE(SUM(status = 'needs_review'), 0) AS review
       FROM deduction WHERE batch_id = ?`,
      [batchId],
    );
    return {
      deductions: Number(row?.n ?? 0),
      inFlight: Number(row?.open ?? 0),
      waitingForReview: Number(row?.review ?? 0),
    };
  }

  async batch(id: string): Promise<{ state: string; rows: number; pending: number }> {
    const [row] = await this.#rows<{ state: string; n: string; pending: string }>(
      `SELECT b.state, COUNT(*) AS n, COALESCE(SUM(i.state = 'pending'), 0) AS pending
       FROM batch b JOIN batch_item i ON i.batch_id = b.id WHERE b.id = ? GROUP BY b.state`,
      [id],
    );
    return {
      state: row?.state ?? 'gone',
      rows: Number(row?.n ?? 0),
      pending: Number(row?.pending ?? 0),
    };
  }

  /** Rows of all batches that nobody has started. */
  async pendingRows(): Promise<number> {
    const [row] = await this.#rows<{ n: string }>(
      `SELECT COUNT(*) AS n FROM batch b JOIN batch_item i ON i.batch_id = b.id
       WHERE b.state IN ('loading', 'running') AND i.state = 'pending'`,
    );
    return Number(row?.n ?? 0);
  }

  async unfinishedBatches(): Promise<number> {
    const [row] = await this.#rows<{ n: string }>(
      `SELECT COUNT(*) AS n FROM batch WHERE state <> 'done'`,
    );
    return Number(row?.n ?? 0);
  }

  async rejectedRows(batchId: string): Promise<{ line: number; code: string; detail: string }[]> {
    return await this.#rows(
      `SELECT line_no AS line, error_code AS code, error_detail AS detail FROM batch_item
       WHERE batch_id = ? AND state = 'rejected' ORDER BY line_no`,
      [batchId],
    );
  }

  /** What a process had in its hands, by the last word of each log. */
  async heldBy(instanceId: string): Promise<HeldTask[]> {
    const rows = await this.#rows<{ taskId: string; kind: string; seq: number; entry: string }>(
      `SELECT f.task_id AS taskId, f.kind, f.seq, l.kind AS entry FROM in_flight f
       JOIN execution_log l ON l.task_id = f.task_id AND l.seq = f.seq
       WHERE l.writer LIKE ?`,
      [`${instanceId.replaceAll(/[%_\\]/g, (sign) => `\\${sign}`)}.%`],
    );
    return rows.map(({ entry, ...task }) => ({ ...task, midCall: isIntent(entry) }));
  }

  /** The intents so far: every order that the log has announced. */
  async intents(): Promise<LogRow[]> {
    const rows = await this.#rows<Omit<LogRow, 'body'> & { body: string }>(
      `SELECT task_id AS taskId, seq, kind, writer, body FROM execution_log
       WHERE kind = 'intended' OR kind LIKE '%\\_intended'`,
    );
    return rows.map((row) => ({ ...row, body: JSON.parse(row.body) as LogBody }));
  }

  /** Tasks that have not ended and wait for a wake-up. */
  async waiting(): Promise<number> {
    const [row] = await this.#rows<{ n: string }>(
      'SELECT COUNT(*) AS n FROM in_flight WHERE wake_at IS NOT NULL',
    );
    return Number(row?.n ?? 0);
  }

  /** Tasks without an outcome and not before a person, by kind. */
  async underWay(): Promise<{ kind: string; count: number }[]> {
    const kinds = ['deduction', 'refund', 'withdrawal', 'top_up'];
    const each = kinds.map(
      (kind) => `SELECT '${kind}' AS kind, COUNT(*) AS n FROM ${kind} WHERE status = 'processing'`,
    );
    const rows = await this.#rows<{ kind: string; n: string }>(each.join(' UNION ALL '));
    return rows.map(({ kind, n }) => ({ kind, count: Number(n) })).filter(({ count }) => count > 0);
  }

  /** What only a person can decide, and why. */
  async openCases(): Promise<{ taskId: string; reason: string; evidence: string }[]> {
    return await this.#rows(
      `SELECT task_id AS taskId, reason, evidence FROM review_case WHERE closed_at IS NULL
       ORDER BY task_id LIMIT 20`,
    );
  }

  /** Messages that are not in the books yet, and not before a person. */
  async unposted(): Promise<number> {
    const [row] = await this.#rows<{ n: string }>(
      `SELECT COUNT(*) AS n FROM outbox o WHERE o.delivered_at IS NULL AND o.topic LIKE 'ledger.%'
         AND NOT EXISTS (SELECT 1 FROM dead_letter d WHERE d.open_outbox_id = o.id)`,
    );
    return Number(row?.n ?? 0);
  }

  /** For the report of a demo that did not end: what stands still, and at which entry. */
  async stuckTasks(): Promise<string> {
    const rows = await this.#rows<Record<string, unknown>>(
      `SELECT f.task_id, f.seq, l.kind, l.writer, l.at, f.wake_at, f.claimed_by, f.claimed_until
       FROM in_flight f JOIN execution_log l ON l.task_id = f.task_id AND l.seq = f.seq
       ORDER BY f.wake_at LIMIT 10`,
    );
    return rows.map((row) => JSON.stringify(row)).join('\n');
  }

  /** The channels that had orders of ours of which their statements tell, and the business dates on which. */
  async channelDays(): Promise<{ channel: string; date: string }[]> {
    return await this.#rows(
      `SELECT DISTINCT channel_id AS channel, CAST(business_date AS CHAR) AS date FROM attempt
       WHERE operation IN ('charge', 'refund', 'payout') ORDER BY channel_id, business_date`,
    );
  }

  async failureCodes(): Promise<{ what: string; count: number }[]> {
    const rows = await this.#rows<{ what: string; n: string }>(
      `SELECT failure_code AS what, COUNT(*) AS n FROM deduction WHERE status = 'failed'
       GROUP BY failure_code ORDER BY n DESC`,
    );
    return rows.map(({ what, n }) => ({ what, count: Number(n) }));
  }

  async evidence(books: readonly BookedOrder[], quiet: boolean): Promise<Evidence> {
    return await readEvidence((sql) => this.#rows(sql), books, quiet);
  }

  async #rows<Row>(sql: string, values: readonly (string | number)[] = []): Promise<Row[]> {
    const [rows] = await this.#pool.query<RowDataPacket[]>(sql, [...values]);
    return rows as unknown as Row[];
  }
}
