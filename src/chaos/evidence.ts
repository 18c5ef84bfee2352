/** Our tables and the channels' books, read with a client of the chaos's own, for the oracle. */
import { createPool, type Pool, type RowDataPacket } from 'mysql2/promise';
import { readEvidence } from '../demo/evidence.js';
import type { Witness as SandboxDoor } from '../demo/witness.js';
import type { Evidence } from '../oracle/index.js';
import type { TimedRow } from './recovery.js';

export interface Left {
  readonly batches: number;
  readonly tasks: number;
  /** Not in the books yet, and not before a person. */
  readonly messages: number;
}

export class Witness {
  readonly #pool: Pool;

  constructor(
    databaseUrl: string,
    private readonly sandbox: SandboxDoor,
  ) {
    this.#pool = createPool({
      uri: databaseUrl,
      connectionLimit: 2,
      timezone: 'Z',
      supportBigNumbers: true,
      bigNumberStrings: true,
    });
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  async pendingRows(): Promise<number> {
    const [row] = await this.#rows<{ n: string }>(
      `SELECT COUNT(*) AS n FROM batch b JOIN batch_item i ON i.batch_id = b.id
       WHERE b.state IN ('loading', 'running') AND i.state = 'pending'`,
    );
    return Number(row?.n ?? 0);
  }

  /** The channels that had orders of ours, and the business dates on which. */
  async channelDays(): Promise<{ channel: string; date: string }[]> {
    return await this.#rows(
      `SELECT DISTINCT channel_id AS channel, CAST(business_date AS CHAR) AS date FROM attempt
       ORDER BY channel_id, business_date`,
    );
  }

  /** Batches that are not done, and tasks that have neither ended nor been laid before a person. */
  async left(): Promise<Left> {
    const [batches] = await this.#rows<{ n: string }>(
      `SELECT COUNT(*) AS n FROM batch WHERE state <> 'done'`,
    );
    const [tasks] = await this.#rows<{ n: string }>(
      `SELECT (SELECT COUNT(*) FROM deduction WHERE status = 'processing')
         + (SELECT COUNT(*) FROM refund WHERE status = 'processing') AS n`,
    );
    const [messages] = await this.#rows<{ n: string }>(
      `SELECT COUNT(*) AS n FROM outbox o WHERE o.delivered_at IS NULL AND o.topic LIKE 'ledger.%'
         AND NOT EXISTS (SELECT 1 FROM dead_letter d WHERE d.open_outbox_id = o.id)`,
    );
    return {
      batches: Number(batches?.n ?? 0),
      tasks: Number(tasks?.n ?? 0),
      messages: Number(messages?.n ?? 0),
    };
  }

  /** What stands still, and at which entry. */
  async stuckTasks(count: number): Promise<string> {
    const rows = await this.#rows<object>(
      `SELECT f.task_id, f.seq, l.kind, l.writer, l.at, f.wake_at, f.claimed_by, f.claimed_until
       FROM in_flight f JOIN execution_log l ON l.task_id = f.task_id AND l.seq = f.seq
       ORDER BY f.wake_at LIMIT ${count}`,
    );
    return rows.map((row) => JSON.stringify(row)).join('\n');
  }

  async evidence(): Promise<{ evidence: Evidence; rows: readonly TimedRow[] }> {
    const books = await this.sandbox.book();
    const evidence = await readEvidence((sql) => this.#rows(sql), books, true);
    const rows = evidence.log.map(({ at, ...row }) => ({ ...row, atMs: at.getTime() }));
    return { evidence, rows };
  }

  async #rows<Row>(sql: string): Promise<Row[]> {
    const [rows] = await this.#pool.query<RowDataPacket[]>(sql);
    return rows as unknown as Row[];
  }
}
