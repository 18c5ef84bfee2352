/**
 * Refunds of what a customer paid twice for a top-up. A refund is of a deduction or of a top-up, never of
 * both. Of a top-up all of one capture goes back (`capture_no`: a channel may take one order several
 * times), and the unique key over it keeps two refunds from giving back the same one; a refund that has
 * failed sets it free. What the top-up itself credits or gives back is held where it was.
 *
 * A process of the release before goes on: it writes refunds of deductions, whose columns are as they were.
 */
const id = 'VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin';
const live = `IF(top_up_id IS NULL OR status = 'failed', NULL,
  CONCAT(top_up_id, '/', attempt_no, '/', capture_no))`;

export const up: readonly { readonly unless: string; readonly run: string }[] = [
  {
    unless: `SELECT 1 FROM information_schema.columns
      WHERE table_schema = DATABASE() AND table_name = 'refund' AND column_name = 'top_up_id'`,
    run: `ALTER TABLE refund
      MODIFY COLUMN deduction_id ${id} NULL,
      MODIFY COLUMN repayment_id ${id} NULL,
      ADD COLUMN top_up_id ${id} NULL AFTER repayment_id,
      ADD COLUMN capture_no INT NULL AFTER attempt_no,
      ADD COLUMN live_capture VARCHAR(90) CHARACTER SET ascii COLLATE ascii_bin
        GENERATED ALWAYS AS (${live}) STORED,
      ADD UNIQUE KEY refund_one_a_capture (live_capture),
      ADD KEY refund_top_up (top_up_id, attempt_no),
      ADD CONSTRAINT refund_top_up_attempt_exists FOREIGN KEY (top_up_id, attempt_no)
        REFERENCES attempt (task_id, attempt_no),
      ADD CONSTRAINT refund_of_one CHECK (
        (deduction_id IS NOT NULL AND repayment_id IS NOT NULL
          AND top_up_id IS NULL AND capture_no IS NULL)
        OR (deduction_id IS NULL AND repayment_id IS NULL
          AND top_up_id IS NOT NULL AND capture_no IS NOT NULL AND capture_no > 0))`,
  },
];
