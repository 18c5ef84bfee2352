/** Everything that the oracle wants to see, read with a client that is not ours. */
import type { BookedOrder, Evidence, LogBody, LogRow } from '../oracle/index.js';

export type Query = <Row>(sql: string) => Promise<Row[]>;

export interface TimedLogRow extends LogRow {
  readonly at: Date;
}

interface LogLine {
  readonly task_id: string;
  readonly seq: number;
  readonly kind: string;
  readonly at: Date;
  readonly writer: string;
  readonly body: string;
}

/** @param quiet see `Evidence`. The books must have been read when it was. */
export async function readEvidence(
  query: Query,
  books: readonly BookedOrder[],
  quiet: boolean,
): Promise<Omit<Evidence, 'log'> & { readonly log: readonly TimedLogRow[] }> {
  const lines = await query<LogLine>('SELECT * FROM execution_log ORDER BY task_id, seq');
  return {
    books,
    log: lines.map(({ task_id: taskId, seq, kind, at, writer, body }) => ({
      taskId,
      seq,
      kind,
      at,
      atMs: at.getTime(),
      writer,
      body: JSON.parse(body) as LogBody,
    })),
    deductions: await query('SELECT * FROM deduction ORDER BY id'),
    attempts: await query('SELECT * FROM attempt ORDER BY task_id, attempt_no'),
    cases: await query('SELECT * FROM review_case ORDER BY task_id, case_no'),
    inFlight: await query('SELECT * FROM in_flight ORDER BY task_id'),
    repayments: await query('SELECT * FROM repayment ORDER BY id'),
    outbox: await query('SELECT topic, message_key FROM outbox'),
    refunds: await query('SELECT * FROM refund ORDER BY id'),
    withdrawals: await query('SELECT * FROM withdrawal ORDER BY id'),
    topUps: await query('SELECT * FROM top_up ORDER BY id'),
    members: await query('SELECT * FROM member_account ORDER BY id'),
    memberEntries: await query('SELECT * FROM member_entry ORDER BY cause_id, kind'),
    posted: await query(
      `SELECT e.topic, e.message_key, SUM(p.amount_minor) AS amount_minor
       FROM ledger_entry e JOIN ledger_posting p ON p.entry_id = e.id
       GROUP BY e.id, e.topic, e.message_key`,
    ),
    accounts: await query(
      `SELECT account, SUM(debit) AS debit_minor, SUM(credit) AS credit_minor FROM (
         SELECT debit_account AS account, amount_minor AS debit, 0 AS credit FROM ledger_posting
         UNION ALL SELECT credit_account, 0, amount_minor FROM ledger_posting) AS side
       GROUP BY account`,
    ),
    deadLetters: await query('SELECT topic, message_key FROM dead_letter WHERE closed_at IS NULL'),
    quiet,
  };
}
