/**
 * The tasks: the execution log, the in-flight log, and the tables projected from the log. All of
 * them change in the transaction that appends to the log, and nowhere else.
 *
 * Ids and codes are ascii_bin, so that they compare by byte and take one byte a character. Rule 5
 * stands in three places here: `deduction.live_repayment_id` and `attempt.live_task_id` (generated,
 * unique, null once the row has ended), and the CHECK on `repayment`. `collecting_minor` is what the
 * one live deduction may still take; the CHECK so refuses an amount above what is due at the moment
 * of acceptance, not at settlement, when the money has already moved.
 */
const id = 'VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin';
const code = 'VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin';

export const up: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS repayment (
    id ${id} NOT NULL PRIMARY KEY,
    borrower_id ${id} NOT NULL,
    currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    due_minor BIGINT NOT NULL,
    paid_minor BIGINT NOT NULL DEFAULT 0,
    collecting_minor BIGINT NOT NULL DEFAULT 0,
    due_date DATE NOT NULL,
    account_token VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    bank_code ${code} NOT NULL,
    account_last4 CHAR(4) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at DATETIME(3) NOT NULL,
    KEY repayment_due (due_date, id),
    CONSTRAINT repayment_paid_within_due CHECK (
      due_minor > 0 AND paid_minor >= 0 AND collecting_minor >= 0
      AND paid_minor + collecting_minor <= due_minor)
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,

  `CREATE TABLE IF NOT EXISTS execution_log (
    task_id ${id} NOT NULL,
    seq INT NOT NULL,
    kind ${code} NOT NULL,
    at DATETIME(3) NOT NULL,
    writer VARCHAR(80) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    body MEDIUMTEXT NOT NULL,
    PRIMARY KEY (task_id, seq),
    CONSTRAINT execution_log_seq CHECK (seq >= 1)
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,

  `CREATE TABLE IF NOT EXISTS in_flight (
    task_id ${id} NOT NULL PRIMARY KEY,
    kind ${code} NOT NULL,
    seq INT NOT NULL,
    started_at DATETIME(3) NOT NULL,
    wake_at DATETIME(3) NULL,
    ended_at DATETIME(3) NULL,
    claimed_by VARCHAR(80) CHARACTER SET ascii COLLATE ascii_bin NULL,
    claimed_until DATETIME(3) NULL,
    KEY in_flight_due (ended_at, wake_at),
    CONSTRAINT in_flight_ended CHECK (ended_at IS NULL OR wake_at IS NULL)
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,

  `CREATE TABLE IF NOT EXISTS deduction (
    id ${id} NOT NULL PRIMARY KEY,
    repayment_id ${id} NOT NULL,
    borrower_id ${id} NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    bank_code ${code} NOT NULL,
    account_last4 CHAR(4) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    source ${code} NOT NULL,
    status ${code} NOT NULL,
    failure_code ${code} NULL,
    failure_detail VARCHAR(500) NULL,
    channel_id ${code} NULL,
    order_no ${id} NULL,
    attempts INT NOT NULL,
    batch_id ${id} NULL,
    agent_name VARCHAR(100) NULL,
    agent_reason VARCHAR(500) NULL,
    request_key VARCHAR(200) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    request_digest CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at DATETIME(3) NOT NULL,
    ended_at DATETIME(3) NULL,
    live_repayment_id ${id}
      GENERATED ALWAYS AS (IF(status IN ('processing', 'needs_review'), repayment_id, NULL)) STORED,
    UNIQUE KEY deduction_live_repayment (live_repayment_id),
    UNIQUE KEY deduction_request (request_key),
    KEY deduction_repayment (repayment_id, id),
    KEY deduction_status (status, id),
    KEY deduction_batch (batch_id, status),
    KEY deduction_agent (borrower_id, source, created_at),
    CONSTRAINT deduction_repayment_exists FOREIGN KEY (repayment_id) REFERENCES repayment (id),
    CONSTRAINT deduction_amount CHECK (amount_minor > 0),
    CONSTRAINT deduction_states CHECK (
      (status IN ('processing', 'needs_review') AND ended_at IS NULL AND failure_code IS NULL)
      OR (status = 'succeeded' AND ended_at IS NOT NULL AND order_no IS NOT NULL AND failure_code IS NULL)
      OR (status = 'failed' AND ended_at IS NOT NULL AND failure_code IS NOT NULL))
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,

  `CREATE TABLE IF NOT EXISTS attempt (
    task_id ${id} NOT NULL,
    attempt_no INT NOT NULL,
    order_no VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    channel_id ${code} NOT NULL,
    bank_code ${code} NOT NULL,
    amount_minor BIGINT NOT NULL,
    status ${code} NOT NULL,
    channel_ref VARCHAR(128) NULL,
    decline_code ${code} NULL,
    channel_code VARCHAR(64) NULL,
    proof ${code} NULL,
    unknown_why ${code} NULL,
    asks INT NOT NULL,
    next_ask_at DATETIME(3) NULL,
    business_date DATE NOT NULL,
    created_at DATETIME(3) NOT NULL,
    expires_at DATETIME(3) NOT NULL,
    ended_at DATETIME(3) NULL,
    live_task_id ${id}
      GENERATED ALWAYS AS (IF(status IN ('sending', 'pending', 'unknown'), task_id, NULL)) STORED,
    PRIMARY KEY (task_id, attempt_no),
    UNIQUE KEY attempt_order (order_no),
    UNIQUE KEY attempt_live_task (live_task_id),
    KEY attempt_usage (business_date, channel_id, bank_code, status, amount_minor),
    CONSTRAINT attempt_states CHECK (
      (status IN ('sending', 'pending', 'unknown') AND ended_at IS NULL)
      OR (status = 'succeeded' AND ended_at IS NOT NULL AND channel_ref IS NOT NULL)
      OR (status = 'declined' AND ended_at IS NOT NULL AND decline_code IS NOT NULL)
      OR (status = 'not_executed' AND ended_at IS NOT NULL AND proof IS NOT NULL))
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,

  `CREATE TABLE IF NOT EXISTS review_case (
    task_id ${id} NOT NULL,
    case_no INT NOT NULL,
    reason ${code} NOT NULL,
    attempt_no INT NOT NULL,
    amount_minor BIGINT NOT NULL,
    evidence VARCHAR(1000) NOT NULL,
    owner VARCHAR(100) NULL,
    opened_at DATETIME(3) NOT NULL,
    closed_at DATETIME(3) NULL,
    resolution VARCHAR(500) NULL,
    PRIMARY KEY (task_id, case_no),
    KEY review_case_open (closed_at, opened_at)
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,

  `CREATE TABLE IF NOT EXISTS outbox (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    topic ${code} NOT NULL,
    message_key ${id} NOT NULL,
    body TEXT NOT NULL,
    created_at DATETIME(3) NOT NULL,
    delivered_at DATETIME(3) NULL,
    UNIQUE KEY outbox_message (topic, message_key),
    KEY outbox_undelivered (delivered_at, id)
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
];
