/** Deductions that ended long ago, written by the database itself: millions within minutes. */
import type { Database } from '../src/store/database.js';

/** What a happy deduction writes. */
export const rowsEach = 5;

/**
 * Ended deductions over the hundred days before today, as many as make up so many rows of the log, with
 * all that stands in the tables for them. Only for empty tables: those are filled in one go.
 *
 * @param owner with one connection.
 */
export async function writeHistory(owner: Database, logRows: number): Promise<void> {
  const count = Math.floor(logRows / rowsEach);
  if (count === 0) return;
  await owner.raw('SET SESSION unique_checks = 0, foreign_key_checks = 0');
  for (const sql of statements(count)) await owner.raw(sql);
  await owner.raw('SET SESSION unique_checks = 1, foreign_key_checks = 1');
}

/** An id of the form that ours have, older than any that is made today, in the order of `n`. */
const id = (n: string): string =>
  `CONCAT(LPAD(LOWER(HEX(${n})), 8, '0'), '-0000-7000-8000-000000000000')`;
const at = (n: string): string => `NOW(3) - INTERVAL (1 + ${n} % 100) DAY`;
const failed = 'n.seq % 25 = 0';

const statements = (count: number): readonly string[] => [
  `INSERT INTO repayment (id, borrower_id, currency, due_minor, paid_minor, due_date, account_token,
     bank_code, account_last4, created_at)
   SELECT CONCAT('old_', LPAD(n.seq, 9, '0')), CONCAT('bw_', n.seq), 'CNY', 10000,
     IF(${failed}, 0, 10000), CURDATE() - INTERVAL (1 + n.seq % 100) DAY, CONCAT('tok_', n.seq), 'ICBC',
     '0001', ${at('n.seq')}
   FROM seq_1_to_${count} n`,

  `INSERT INTO execution_log (task_id, seq, kind, at, writer, body)
   SELECT ${id('(n.seq - 1) DIV 5 + 1')}, (n.seq - 1) % 5 + 1,
     ELT((n.seq - 1) % 5 + 1, 'accepted', 'routed', 'charge_intended', 'replied', 'settled'),
     ${at('n.seq')}, 'history.1', RPAD(CONCAT('{"attemptNo":1,"n":', n.seq, ',"text":"'), 250, '-')
   FROM seq_1_to_${count * rowsEach} n`,

  `INSERT INTO deduction (id, repayment_id, borrower_id, amount_minor, currency, bank_code,
     account_last4, source, status, failure_code, failure_detail, channel_id, order_no, attempts,
     request_key, request_digest, created_at, ended_at)
   SELECT ${id('n.seq')}, CONCAT('old_', LPAD(n.seq, 9, '0')), CONCAT('bw_', n.seq), 10000, 'CNY', 'ICBC',
     '0001', 'batch', IF(${failed}, 'failed', 'succeeded'), IF(${failed}, 'declined', NULL), NULL,
     'bench_a', CONCAT('OLD', n.seq), 1, CONCAT('old:', n.seq), REPEAT('0', 64), ${at('n.seq')},
     ${at('n.seq')}
   FROM seq_1_to_${count} n`,

  `INSERT INTO attempt (task_id, attempt_no, order_no, channel_id, bank_code, amount_minor, status,
     channel_ref, decline_code, asks, business_date, created_at, expires_at, ended_at)
   SELECT ${id('n.seq')}, 1, CONCAT('OLD', n.seq), 'bench_a', 'ICBC', 10000,
     IF(${failed}, 'declined', 'succeeded'), CONCAT('REF', n.seq), IF(${failed}, 'declined', NULL), 0,
     CURDATE() - INTERVAL (1 + n.seq % 100) DAY, ${at('n.seq')}, ${at('n.seq')}, ${at('n.seq')}
   FROM seq_1_to_${count} n`,

  `INSERT INTO outbox (topic, message_key, body, created_at, delivered_at, send_at)
   SELECT 'ledger.repayment_collected', ${id('n.seq')}, '{}', ${at('n.seq')}, ${at('n.seq')}, NULL
   FROM seq_1_to_${count} n`,

  'ANALYZE TABLE execution_log, deduction, attempt, outbox, repayment',
];
