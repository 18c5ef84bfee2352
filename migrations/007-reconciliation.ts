/**
 * Channels' statements and what came of holding them against our book. A statement is loaded row by row
 * while it counts for nothing (`loading`), and becomes `valid` in one update after everything about it
 * was checked; of one channel and date one alone can be valid (the generated columns). So a killed
 * import leaves rows that nobody reads, and importing twice leaves one.
 *
 * A break is one difference, found again and again under the same key: it opens once, and closes when
 * a later run no longer finds it or a person has resolved it. Orders near midnight wait in
 * `reconciliation_held` until the statement of a day beside theirs has them, or their time is up.
 */
const id = 'VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin';
const code = 'VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin';
const orderNo = 'VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin';

export const up = [
  // Our side of a day, read in the order of its numbers, in parts.
  {
    unless: `SELECT 1 FROM information_schema.statistics
      WHERE table_schema = DATABASE() AND table_name = 'attempt' AND index_name = 'attempt_book'`,
    run: 'ALTER TABLE attempt ADD KEY attempt_book (channel_id, business_date, order_no)',
  },

  `CREATE TABLE IF NOT EXISTS channel_statement (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    channel_id ${code} NOT NULL,
    business_date DATE NOT NULL,
    digest CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    format ${code} NOT NULL,
    state ${code} NOT NULL,
    rows_total INT NULL,
    captured_minor BIGINT NULL,
    refunded_minor BIGINT NULL,
    fee_minor BIGINT NULL,
    imported_by VARCHAR(100) NOT NULL,
    created_at DATETIME(3) NOT NULL,
    touched_at DATETIME(3) NOT NULL,
    valid_at DATETIME(3) NULL,
    valid_channel_id ${code} GENERATED ALWAYS AS (IF(state = 'valid', channel_id, NULL)) STORED,
    valid_date DATE GENERATED ALWAYS AS (IF(state = 'valid', business_date, NULL)) STORED,
    UNIQUE KEY channel_statement_valid (valid_channel_id, valid_date),
    KEY channel_statement_day (channel_id, business_date, digest),
    KEY channel_statement_state (state, touched_at),
    CONSTRAINT channel_statement_states CHECK (
      (state IN ('loading', 'abandoned') AND valid_at IS NULL)
      OR (state IN ('valid', 'superseded') AND valid_at IS NOT NULL AND rows_total IS NOT NULL
        AND captured_minor IS NOT NULL AND refunded_minor IS NOT NULL AND fee_minor IS NOT NULL))
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,

  `CREATE TABLE IF NOT EXISTS statement_row (
    statement_id BIGINT NOT NULL,
    line_no INT NOT NULL,
    type ENUM('capture', 'refund') CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    order_no ${orderNo} NOT NULL,
    channel_ref VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    status ENUM('succeeded', 'failed') CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    amount_minor BIGINT NOT NULL,
    fee_minor BIGINT NOT NULL,
    completed_at DATETIME(3) NOT NULL,
    PRIMARY KEY (statement_id, line_no),
    KEY statement_row_order (order_no, type, status, statement_id),
    CONSTRAINT statement_row_amounts CHECK (amount_minor > 0 AND fee_minor >= 0)
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,

  `CREATE TABLE IF NOT EXISTS reconciliation (
    id ${id} NOT NULL PRIMARY KEY,
    channel_id ${code} NOT NULL,
    business_date DATE NOT NULL,
    statement_id BIGINT NOT NULL,
    state ${code} NOT NULL,
    report MEDIUMTEXT NULL,
    asked_by VARCHAR(100) NOT NULL,
    created_at DATETIME(3) NOT NULL,
    touched_at DATETIME(3) NOT NULL,
    ended_at DATETIME(3) NULL,
    running_channel_id ${code}
      GENERATED ALWAYS AS (IF(state = 'running', channel_id, NULL)) STORED,
    UNIQUE KEY reconciliation_running (running_channel_id),
    KEY reconciliation_day (channel_id, business_date, id),
    CONSTRAINT reconciliation_states CHECK (
      (state = 'running' AND ended_at IS NULL)
      OR (state = 'abandoned' AND ended_at IS NOT NULL)
      OR (state IN ('complete', 'unexplained') AND ended_at IS NOT NULL AND report IS NOT NULL))
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,

  `CREATE TABLE IF NOT EXISTS reconciliation_break (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    channel_id ${code} NOT NULL,
    business_date DATE NOT NULL,
    kind ${code} NOT NULL,
    type ENUM('capture', 'refund') CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    order_no ${orderNo} NOT NULL,
    occurrence INT NOT NULL,
    ours_minor BIGINT NULL,
    theirs_minor BIGINT NULL,
    amount_minor BIGINT NOT NULL,
    evidence VARCHAR(1000) NOT NULL,
    seen_by ${id} NOT NULL,
    opened_at DATETIME(3) NOT NULL,
    closed_at DATETIME(3) NULL,
    closed_by VARCHAR(100) NULL,
    resolution VARCHAR(500) NULL,
    UNIQUE KEY reconciliation_break_one
      (channel_id, business_date, kind, type, order_no, occurrence),
    KEY reconciliation_break_open (closed_at, opened_at),
    KEY reconciliation_break_channel (channel_id, closed_at, kind, order_no),
    CONSTRAINT reconciliation_break_kinds CHECK (kind IN ('only_ours', 'only_theirs',
      'status_flip', 'duplicate_capture', 'amount_mismatch', 'fee_mismatch')),
    CONSTRAINT reconciliation_break_closed CHECK (
      (closed_at IS NULL) = (resolution IS NULL) AND (closed_at IS NULL) = (closed_by IS NULL))
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,

  `CREATE TABLE IF NOT EXISTS reconciliation_held (
    channel_id ${code} NOT NULL,
    type ENUM('capture', 'refund') CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    order_no ${orderNo} NOT NULL,
    business_date DATE NOT NULL,
    amount_minor BIGINT NOT NULL,
    held_until DATE NOT NULL,
    seen_by ${id} NOT NULL,
    PRIMARY KEY (channel_id, type, order_no)
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
] as const;
