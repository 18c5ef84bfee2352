/**
 * Our side of the story, read from MariaDB with a client of the demo's own: what the tables say, and
 * what the execution log says when somebody who knows only its documented form reads it.
 */
import { createPool, type Pool, type RowDataPacket } from 'mysql2/promise';
import type { OurBooks, OurDeduction, OurOrder, OurRepayment } from './compare.js';

/** One row of the execution log; `body` as stored. */
export interface LogRow {
  readonly taskId: string;
  readonly seq: number;
  readonly kind: string;
  readonly writer: string;
  readonly body: LogBody;
}

/** Those parts of entries that the demo reads. Amounts are decimal strings. */
export interface LogBody {
  readonly attemptNo?: number;
  readonly order?: {
    readonly orderNo: string;
    readonly channelId: string;
    readonly amountMinor: string;
  };
  readonly via?: string;
  readonly answer?: { readonly kind: string; readonly why?: string; readonly code?: string };
  readonly proof?: string;
  readonly code?: string;
}

/** A task that had not ended and whose last entry a certain process wrote. */
export interface HeldTask {
  readonly taskId: string;
  readonly seq: number;
  /** The last entry says that a call is under way: an intent without an outcome. */
  readonly midCall: boolean;
}

export interface Counts {
  readonly deductions: number;
  readonly inFlight: number;
  readonly waitingForReview: number;
}

const intents = ['charge_intended', 'resend_intended', 'close_intended'];

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

  async rejectedRows(batchId: string): Promise<{ line: number; code: string; detail: string }[]> {
    return await this.#rows(
      `SELECT line_no AS line, error_code AS code, error_detail AS detail FROM batch_item
       WHERE batch_id = ? AND state = 'rejected' ORDER BY line_no`,
      [batchId],
    );
  }

  /** What a process had in its hands, by the last word of each log. */
  async heldBy(instanceId: string): Promise<HeldTask[]> {
    const rows = await this.#rows<{ taskId: string; seq: number; kind: string }>(
      `SELECT f.task_id AS taskId, f.seq, l.kind FROM in_flight f
       JOIN execution_log l ON l.task_id = f.task_id AND l.seq = f.seq
       WHERE f.ended_at IS NULL AND l.writer LIKE ?`,
      [`${instanceId.replaceAll(/[%_\\]/g, (sign) => `\\${sign}`)}.%`],
    );
    return rows.map(({ taskId, seq, kind }) => ({ taskId, seq, midCall: intents.includes(kind) }));
  }

  /** Every order that the log has announced so far, by its number. */
  async announced(): Promise<ReadonlyMap<string, OurOrder>> {
    const rows = await this.#rows<Omit<LogRow, 'body'> & { body: string }>(
      `SELECT task_id AS taskId, seq, kind, writer, body FROM execution_log
       WHERE kind = 'charge_intended'`,
    );
    const log = rows.map((row) => ({ ...row, body: JSON.parse(row.body) as LogBody }));
    return new Map(ordersOf(log).map((order) => [order.orderNo, order]));
  }

  /** Tasks that have not ended and wait for a wake-up. */
  async waiting(): Promise<number> {
    const [row] = await this.#rows<{ n: string }>(
      'SELECT COUNT(*) AS n FROM in_flight WHERE ended_at IS NULL AND wake_at IS NOT NULL',
    );
    return Number(row?.n ?? 0);
  }

  /** For the report of a demo that did not end: what stands still, and at which entry. */
  async stuckTasks(): Promise<string> {
    const rows = await this.#rows<Record<string, unknown>>(
      `SELECT f.task_id, f.seq, l.kind, l.writer, f.wake_at, f.claimed_by, f.claimed_until
       FROM in_flight f JOIN execution_log l ON l.task_id = f.task_id AND l.seq = f.seq
       WHERE f.ended_at IS NULL ORDER BY f.wake_at LIMIT 10`,
    );
    return rows.map((row) => JSON.stringify(row)).join('\n');
  }

  async log(): Promise<LogRow[]> {
    const rows = await this.#rows<Omit<LogRow, 'body'> & { body: string }>(
      `SELECT task_id AS taskId, seq, kind, writer, body FROM execution_log ORDER BY task_id, seq`,
    );
    return rows.map((row) => ({ ...row, body: JSON.parse(row.body) as LogBody }));
  }

  async failureCodes(): Promise<{ what: string; count: number }[]> {
    const rows = await this.#rows<{ what: string; n: string }>(
      `SELECT failure_code AS what, COUNT(*) AS n FROM deduction WHERE status = 'failed'
       GROUP BY failure_code ORDER BY n DESC`,
    );
    return rows.map(({ what, n }) => ({ what, count: Number(n) }));
  }

  /** Everything that `compare` wants to know of us. */
  async books(log: readonly LogRow[]): Promise<OurBooks> {
    const settlements = new Map<string, number>();
    for (const { kind, taskId } of log) {
      if (kind === 'settled') settlements.set(taskId, (settlements.get(taskId) ?? 0) + 1);
    }
    const deductions = await this.#rows<{
      id: string;
      repaymentId: string;
      status: OurDeduction['status'];
      amount: string;
      orderNo: string | null;
      openCases: string;
    }>(
      `SELECT d.id, d.repayment_id AS repaymentId, d.status, d.amount_minor AS amount,
         d.order_no AS orderNo,
         (SELECT COUNT(*) FROM review_case c
          WHERE c.task_id = d.id AND c.closed_at IS NULL) AS openCases
       FROM deduction d ORDER BY d.id`,
    );
    return {
      orders: ordersOf(log),
      deductions: deductions.map(({ amount, openCases, ...row }) => ({
        ...row,
        amountMinor: BigInt(amount),
        hasOpenCase: Number(openCases) > 0,
        settlements: settlements.get(row.id) ?? 0,
      })),
      repayments: await this.#repayments(),
    };
  }

  async #repayments(): Promise<OurRepayment[]> {
    const rows = await this.#rows<{ id: string; due: string; paid: string; collecting: string }>(
      `SELECT id, due_minor AS due, paid_minor AS paid, collecting_minor AS collecting
       FROM repayment ORDER BY id`,
    );
    return rows.map(({ id, due, paid, collecting }) => ({
      id,
      dueMinor: BigInt(due),
      paidMinor: BigInt(paid),
      collectingMinor: BigInt(collecting),
    }));
  }

  async #rows<Row>(sql: string, values: readonly (string | number)[] = []): Promise<Row[]> {
    const [rows] = await this.#pool.query<RowDataPacket[]>(sql, [...values]);
    return rows as unknown as Row[];
  }
}

/** The orders that the log announced, and what it last said of each. */
export function ordersOf(log: readonly LogRow[]): OurOrder[] {
  const orders = new Map<string, OurOrder>();
  const sends = new Map<string, number>();
  for (const { taskId, kind, body } of log) {
    const key = `${taskId} ${body.attemptNo}`;
    if (kind === 'charge_intended' && body.order !== undefined) {
      const { orderNo, channelId, amountMinor } = body.order;
      orders.set(key, {
        orderNo,
        deductionId: taskId,
        channelId,
        amountMinor: BigInt(amountMinor),
        status: 'open',
      });
    }
    if (sending.has(kind)) sends.set(key, (sends.get(key) ?? 0) + 1);
    const order = orders.get(key);
    if (order === undefined) continue;
    const status = outcomeOf(kind, body, order.status, sends.get(key) ?? 0);
    if (status !== null) orders.set(key, { ...order, status });
  }
  return [...orders.values()];
}

const sending = new Set(['charge_intended', 'resend_intended', 'taken_over']);

/** Null: this entry says nothing definite. "Not sent" speaks of one sending, if there was but one. */
function outcomeOf(
  kind: string,
  { answer, via }: LogBody,
  before: OurOrder['status'],
  sends: number,
): OurOrder['status'] | null {
  if (kind === 'not_executed') return 'not_executed';
  if (kind !== 'replied') return null;
  if (answer?.kind === 'succeeded') return 'succeeded';
  if (before !== 'open') return null;
  if (answer?.kind === 'declined') return 'declined';
  const notSent = answer?.kind === 'not_executed' && via === 'charge' && sends === 1;
  return notSent ? 'not_executed' : null;
}
