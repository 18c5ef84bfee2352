/**
 * Requests of refunds: a person asks that a deduction which was credited as asked be given back, in whole
 * or in part. Each is a case, `refund:<id>`, with its proposal made in the same transaction; another
 * person approves it as any other. What was asked for never changes; a request is closed once, and kept.
 *
 * What all open requests of a deduction ask for is no more than what is credited of it: whoever adds one
 * holds the row of the order that took the money. That no more is ever given back than was credited is,
 * as before, a CHECK on that row.
 */
import { tellsOf } from './011-notices.js';

const id = 'VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin';
/** The parts of a view come from tables of different character sets. */
const text = (sql: string): string => `CONVERT(${sql} USING utf8mb4) COLLATE utf8mb4_bin`;

const fixed = [
  'id',
  'deduction_id',
  'attempt_no',
  'amount_minor',
  'currency',
  'reason',
  'requested_by',
  'requested_key',
  'request_key',
  'request_digest',
  'opened_at',
];

export const up: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS refund_request (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    deduction_id ${id} NOT NULL,
    attempt_no INT NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    reason VARCHAR(500) NOT NULL,
    requested_by VARCHAR(100) NOT NULL,
    requested_key ${id} NOT NULL,
    request_key VARCHAR(200) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    request_digest CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    opened_at DATETIME(3) NOT NULL,
    closed_at DATETIME(3) NULL,
    resolution VARCHAR(500) NULL,
    UNIQUE KEY refund_request_key (request_key),
    KEY refund_request_of (deduction_id, attempt_no),
    KEY refund_request_list (closed_at, opened_at),
    CONSTRAINT refund_request_attempt FOREIGN KEY (deduction_id, attempt_no)
      REFERENCES attempt (task_id, attempt_no),
    CONSTRAINT refund_request_amount CHECK (amount_minor > 0),
    CONSTRAINT refund_request_closed CHECK ((closed_at IS NULL) = (resolution IS NULL))
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,

  'DROP TRIGGER IF EXISTS refund_request_fixed',
  `CREATE TRIGGER refund_request_fixed BEFORE UPDATE ON refund_request FOR EACH ROW
  BEGIN
    IF OLD.closed_at IS NOT NULL
      OR NOT (${fixed.map((column) => `NEW.${column} <=> OLD.${column}`).join(' AND ')})
    THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'what was asked for does not change';
    END IF;
  END`,
  'DROP TRIGGER IF EXISTS refund_request_stays',
  `CREATE TRIGGER refund_request_stays BEFORE DELETE ON refund_request FOR EACH ROW
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'requests of refunds are kept'`,

  ...tellsOf({
    table: 'refund_request',
    caseId: `CONCAT('refund:', NEW.id)`,
    kind: `'refund_requested'`,
    taskId: 'NEW.deduction_id',
  }),

  // As in 011, and the requests.
  `CREATE OR REPLACE VIEW case_view AS
  SELECT 'task' AS source, ${text(`CONCAT('task:', task_id, ':', case_no)`)} AS id,
    ${text('reason')} AS kind, ${text('task_id')} AS task_id, case_no AS no, attempt_no,
    amount_minor, evidence, opened_at, closed_at, resolution
  FROM review_case
  UNION ALL
  SELECT 'dead', ${text(`CONCAT('dead:', id)`)}, ${text('kind')},
    ${text(`IF(SUBSTRING(message_key, 9, 1) = '-', LEFT(message_key, 36), NULL)`)}, id, NULL, amount_minor, evidence,
    opened_at, closed_at, resolution
  FROM dead_letter
  UNION ALL
  SELECT 'break', ${text(`CONCAT('break:', b.id)`)}, ${text('b.kind')}, ${text('a.task_id')}, b.id,
    a.attempt_no, b.amount_minor, b.evidence, b.opened_at, b.closed_at, b.resolution
  FROM reconciliation_break b LEFT JOIN attempt a ON a.order_no = b.order_no
  UNION ALL
  SELECT 'check', ${text(`CONCAT('check:', id)`)}, ${text('kind')}, ${text('task_id')}, id, NULL,
    amount_minor, evidence, opened_at, closed_at, resolution
  FROM active_check_finding
  UNION ALL
  SELECT 'notice', ${text(`CONCAT('notice:', id)`)}, ${text('kind')}, NULL, id, NULL,
    0, evidence, opened_at, closed_at, resolution
  FROM notice_outage
  UNION ALL
  SELECT 'refund', ${text(`CONCAT('refund:', id)`)}, ${text(`'refund_requested'`)},
    ${text('deduction_id')}, id, attempt_no, amount_minor,
    CONCAT('requested by ', requested_by, ': ', reason), opened_at, closed_at, resolution
  FROM refund_request`,
];
