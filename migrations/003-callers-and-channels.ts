/**
 * Who asks and where to: batches and their rows, API keys (hashed, one role each), what people did
 * by hand, and the channels' profiles.
 *
 * A batch's rows are a queue that workers claim from (SKIP LOCKED, `claimed_until`). A row that was
 * claimed by a worker that died is claimed again; the deduction's request key makes that harmless.
 */
const id = 'VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin';
const code = 'VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin';

export const up: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS batch (
    id ${id} NOT NULL PRIMARY KEY,
    name VARCHAR(200) NOT NULL,
    request_key VARCHAR(200) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    state ${code} NOT NULL,
    rows_total INT NOT NULL DEFAULT 0,
    rows_rejected INT NOT NULL DEFAULT 0,
    notes TEXT NULL,
    created_at DATETIME(3) NOT NULL,
    loaded_at DATETIME(3) NULL,
    ended_at DATETIME(3) NULL,
    UNIQUE KEY batch_request (request_key),
    KEY batch_state (state, id),
    CONSTRAINT batch_states CHECK (state IN ('loading', 'running', 'paused', 'done', 'refused'))
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,

  `CREATE TABLE IF NOT EXISTS batch_item (
    batch_id ${id} NOT NULL,
    line_no INT NOT NULL,
    repayment_id ${id} NULL,
    amount_minor BIGINT NULL,
    state ${code} NOT NULL,
    error_code ${code} NULL,
    error_detail VARCHAR(500) NULL,
    deduction_id ${id} NULL,
    claimed_by VARCHAR(80) CHARACTER SET ascii COLLATE ascii_bin NULL,
    claimed_until DATETIME(3) NULL,
    PRIMARY KEY (batch_id, line_no),
    UNIQUE KEY batch_item_repayment (batch_id, repayment_id),
    KEY batch_item_state (batch_id, state, line_no),
    CONSTRAINT batch_item_states CHECK (
      (state = 'pending' AND error_code IS NULL)
      OR (state = 'started' AND deduction_id IS NOT NULL)
      OR (state = 'rejected' AND error_code IS NOT NULL))
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,

  `CREATE TABLE IF NOT EXISTS api_key (
    id ${id} NOT NULL PRIMARY KEY,
    name VARCHAR(100) NOT NULL,
    role ${code} NOT NULL,
    key_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at DATETIME(3) NOT NULL,
    revoked_at DATETIME(3) NULL,
    UNIQUE KEY api_key_hash (key_hash),
    CONSTRAINT api_key_roles CHECK (role IN ('app', 'batch', 'agent', 'operator'))
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,

  `CREATE TABLE IF NOT EXISTS audit (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at DATETIME(3) NOT NULL,
    actor VARCHAR(100) NOT NULL,
    action ${code} NOT NULL,
    subject VARCHAR(128) NOT NULL,
    detail VARCHAR(1000) NOT NULL,
    KEY audit_subject (subject, id)
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,

  `CREATE TABLE IF NOT EXISTS channel (
    id ${code} NOT NULL PRIMARY KEY,
    profile MEDIUMTEXT NOT NULL,
    paused BOOLEAN NOT NULL DEFAULT FALSE,
    updated_at DATETIME(3) NOT NULL
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
];
