/**
 * Top-ups of stored-value cards. `credit_unknown_since` is the exception record: the card system was
 * told to credit and has not said what came of it, which counts as credited. `settle_at` is when that is
 * looked into by the settlement sweep, whose own are `looks` and `look_at`. That a payment is never given back while a credit stands or may stand is held on the
 * payment's own attempt (CHECK `attempt_given_back`), and once more here.
 */
const id = 'VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin';
const code = 'VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin';
const last4 = 'CHAR(4) CHARACTER SET ascii COLLATE ascii_bin';
const digest = 'CHAR(64) CHARACTER SET ascii COLLATE ascii_bin';

export const up: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS top_up (
    id ${id} NOT NULL PRIMARY KEY,
    customer_id ${id} NOT NULL,
    amount_minor BIGINT NOT NULL,
    credit_minor BIGINT NOT NULL,
    rule ${code} NOT NULL,
    currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    cards ${code} NOT NULL,
    card_last4 ${last4} NOT NULL,
    bank_code ${code} NOT NULL,
    payer_last4 ${last4} NOT NULL,
    status ${code} NOT NULL,
    stage ${code} NOT NULL,
    failure_code ${code} NULL,
    failure_detail VARCHAR(500) NULL,
    channel_id ${code} NULL,
    order_no ${id} NULL,
    attempts INT NOT NULL,
    paid_at DATETIME(3) NULL,
    settle_at DATETIME(3) NULL,
    credit_unknown_since DATETIME(3) NULL,
    credited_at DATETIME(3) NULL,
    refunded_at DATETIME(3) NULL,
    request_key VARCHAR(200) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    request_digest ${digest} NOT NULL,
    created_at DATETIME(3) NOT NULL,
    ended_at DATETIME(3) NULL,
    looks INT NOT NULL DEFAULT 0,
    look_at DATETIME(3) NULL,
    UNIQUE KEY top_up_request (request_key),
    KEY top_up_customer (customer_id, id),
    KEY top_up_status (status, id),
    KEY top_up_stage (stage, id),
    KEY top_up_unsettled (ended_at, settle_at),
    CONSTRAINT top_up_amounts CHECK (amount_minor > 0 AND credit_minor > 0),
    CONSTRAINT top_up_states CHECK (
      (status IN ('processing', 'needs_review') AND ended_at IS NULL AND failure_code IS NULL)
      OR (status = 'succeeded' AND ended_at IS NOT NULL AND credited_at IS NOT NULL
        AND refunded_at IS NULL AND failure_code IS NULL)
      OR (status = 'failed' AND ended_at IS NOT NULL AND failure_code IS NOT NULL))
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
];
