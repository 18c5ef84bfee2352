/**
 * Refunds: money that was captured and goes back. An attempt says what its order does, and of a
 * captured one how much was credited to the repayment and how much is given back or about to be. The
 * CHECK over both is what keeps a capture from being given back twice, or credited and given back:
 * whoever comes second is refused by it, whatever either had read before. `captures` counts how often a
 * channel took the money of one order by itself.
 */
const id = 'VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin';
const code = 'VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin';

export const up = [
  {
    unless: `SELECT 1 FROM information_schema.columns
      WHERE table_schema = DATABASE() AND table_name = 'attempt' AND column_name = 'operation'`,
    run: `ALTER TABLE attempt
      ADD COLUMN operation ${code} NOT NULL DEFAULT 'charge',
      ADD COLUMN credited_minor BIGINT NOT NULL DEFAULT 0,
      ADD COLUMN refund_minor BIGINT NOT NULL DEFAULT 0,
      ADD COLUMN captures INT NOT NULL DEFAULT 1,
      ADD CONSTRAINT attempt_given_back CHECK (
        credited_minor >= 0 AND refund_minor >= 0
        AND credited_minor + refund_minor <= amount_minor * captures
        AND (status = 'succeeded' OR (credited_minor = 0 AND refund_minor = 0)))`,
  },

  `UPDATE attempt a JOIN deduction d ON d.id = a.task_id AND d.order_no = a.order_no
   SET a.credited_minor = a.amount_minor
   WHERE d.status = 'succeeded' AND a.credited_minor = 0 AND a.refund_minor = 0`,

  `CREATE TABLE IF NOT EXISTS refund (
    id ${id} NOT NULL PRIMARY KEY,
    deduction_id ${id} NOT NULL,
    attempt_no INT NOT NULL,
    repayment_id ${id} NOT NULL,
    channel_id ${code} NOT NULL,
    capture_order_no ${id} NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    taken_from ${code} NOT NULL,
    status ${code} NOT NULL,
    failure_code ${code} NULL,
    failure_detail VARCHAR(500) NULL,
    order_no ${id} NULL,
    attempts INT NOT NULL,
    reason VARCHAR(500) NOT NULL,
    requested_by VARCHAR(100) NOT NULL,
    approved_by VARCHAR(100) NOT NULL,
    request_key VARCHAR(200) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at DATETIME(3) NOT NULL,
    ended_at DATETIME(3) NULL,
    UNIQUE KEY refund_request (request_key),
    KEY refund_capture (deduction_id, attempt_no),
    KEY refund_status (status, id),
    KEY refund_channel (channel_id, created_at),
    CONSTRAINT refund_attempt_exists FOREIGN KEY (deduction_id, attempt_no)
      REFERENCES attempt (task_id, attempt_no),
    CONSTRAINT refund_two_people CHECK (requested_by <> approved_by),
    CONSTRAINT refund_amount CHECK (amount_minor > 0),
    CONSTRAINT refund_states CHECK (
      (status IN ('processing', 'needs_review') AND ended_at IS NULL AND failure_code IS NULL)
      OR (status = 'succeeded' AND ended_at IS NOT NULL AND order_no IS NOT NULL AND failure_code IS NULL)
      OR (status = 'failed' AND ended_at IS NOT NULL AND failure_code IS NOT NULL))
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
] as const;
