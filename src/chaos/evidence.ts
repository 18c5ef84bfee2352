/** Our tables and the channels' books, read with a client of the chaos's own, for the oracle. */
import { createPool, type Pool, type RowDataPacket } from 'mysql2/promise';
import type { BookedOrder, Evidence, LogBody } from '../oracle/index.js';
import type { TimedRow } from './recovery.js';

interface LogLine {
  readonly task_id: string;
  readonly seq: number;
  readonly kind: string;
  readonly at: Date;
  readonly writer: string;
  readonly body: string;
}

export interface Left {
  readonly batches: number;
  readonly tasks: number;
}

export class Witness {
  readonly #pool: Pool;

  constructor(
    databaseUrl: string,
    private readonly sandboxUrl: string,
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

  /** Batches that are not done, and deductions that have neither ended nor been laid before a person. */
  async left(): Promise<Left> {
    const [batches] = await this.#rows<{ n: string }>(
      `SELECT COUNT(*) AS n FROM batch WHERE state <> 'done'`,
    );
    const [tasks] = await this.#rows<{ n: string }>(
      `SELECT COUNT(*) AS n FROM deduction WHERE status = 'processing'`,
    );
    return { batches: Number(batches?.n ?? 0), tasks: Number(tasks?.n ?? 0) };
  }

  /** What stands still, and at which entry. */
  async stuckTasks(count: number): Promise<string> {
    const rows = await this.#rows<object>(
      `SELECT f.task_id, f.seq, l.kind, l.writer, l.at, f.wake_at, f.claimed_by, f.claimed_until
       FROM in_flight f JOIN execution_log l ON l.task_id = f.task_id AND l.seq = f.seq
       WHERE f.ended_at IS NULL ORDER BY f.wake_at LIMIT ${count}`,
    );
    return rows.map((row) => JSON.stringify(row)).join('\n');
  }

  async evidence(): Promise<{ evidence: Evidence; rows: readonly TimedRow[] }> {
    const log = await this.#rows<LogLine>('SELECT * FROM execution_log ORDER BY task_id, seq');
    const table = async <Row>(name: string): Promise<Row[]> => await this.#rows(name);
    const evidence: Evidence = {
      books: await this.#books(),
      log: log.map(({ task_id: taskId, seq, kind, writer, body }) => ({
        taskId,
        seq,
        kind,
        writer,
        body: JSON.parse(body) as LogBody,
      })),
      deductions: await table('SELECT * FROM deduction ORDER BY id'),
      attempts: await table('SELECT * FROM attempt ORDER BY task_id, attempt_no'),
      cases: await table('SELECT * FROM review_case ORDER BY task_id, case_no'),
      inFlight: await table('SELECT * FROM in_flight ORDER BY task_id'),
      repayments: await table('SELECT * FROM repayment ORDER BY id'),
      outbox: await table('SELECT message_key FROM outbox'),
      quiet: true,
    };
    const rows = log.map(({ task_id: taskId, kind, writer, at }) => ({
      taskId,
      kind,
      writer,
      atMs: at.getTime(),
    }));
    return { evidence, rows };
  }

  async #books(): Promise<readonly BookedOrder[]> {
    const response = await fetch(`${this.sandboxUrl}/_book`);
    if (!response.ok) throw new Error(`the sandbox's book answers ${response.status}`);
    const lines = (await response.text()).split('\n').filter((line) => line !== '');
    return lines.map((line) => {
      const { channel, orderNo, state, amountMinor, captures } = JSON.parse(line) as BookLine;
      return {
        channelId: channel,
        orderNo,
        state,
        amountMinor: amountMinor === null ? null : BigInt(amountMinor),
        captures: captures.map(({ amountMinor: taken, violation = false }) => ({
          amountMinor: BigInt(taken),
          violation,
        })),
      };
    });
  }

  async #rows<Row>(sql: string): Promise<Row[]> {
    const [rows] = await this.#pool.query<RowDataPacket[]>(sql);
    return rows as unknown as Row[];
  }
}

interface BookLine {
  readonly channel: string;
  readonly orderNo: string;
  readonly state: BookedOrder['state'];
  readonly amountMinor: number | null;
  readonly captures: readonly { readonly amountMinor: number; readonly violation?: boolean }[];
}
