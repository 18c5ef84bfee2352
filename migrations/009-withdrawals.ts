/**
 * Withdrawals: a member's balance is taken in the transaction that accepts one, and given back in the
 * one that ends it without a payout. The balance is never below zero, whoever comes at the same moment: a
 * CHECK. `member_entry` is the money log: what moved a balance, append-only, each cause once
 * (`member_entry_cause`), so that nothing can be given back twice. That key is no primary key, since the
 * journal takes a primary key that is taken for somebody else's place in the execution log.
 */
const id = 'VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin';
const code = 'VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin';
const currency = 'CHAR(3) CHARACTER SET ascii COLLATE ascii_bin';
const digest = 'CHAR(64) CHARACTER SET ascii COLLATE ascii_bin';

const appendOnly = (table: string): readonly string[] =>
  (['update', 'delete'] as const).flatMap((event) => [
    `DROP TRIGGER IF EXISTS ${table}_no_${event}`,
    `CREATE TRIGGER ${table}_no_${event}
      BEFORE ${event.toUpperCase()} ON ${table} FOR EACH ROW
      SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the money log is append-only'`,
  ]);

export const up: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS member_account (
    id ${id} NOT NULL,
    currency ${currency} NOT NULL,
    balance_minor BIGINT NOT NULL DEFAULT 0,
    created_at DATETIME(3) NOT NULL,
    PRIMARY KEY (id, currency),
    CONSTRAINT member_balance CHECK (balance_minor >= 0)
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,

  `CREATE TABLE IF NOT EXISTS member_entry (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    cause_id ${id} NOT NULL,
    kind ${code} NOT NULL,
    member_id ${id} NOT NULL,
    currency ${currency} NOT NULL,
    amount_minor BIGINT NOT NULL,
    at DATETIME(3) NOT NULL,
    UNIQUE KEY member_entry_cause (cause_id, kind),
    KEY member_entry_member (member_id, currency, id),
    CONSTRAINT member_entry_account FOREIGN KEY (member_id, currency)
      REFERENCES member_account (id, currency),
    CONSTRAINT member_entry_kinds CHECK (
      (kind = 'deposited' AND amount_minor > 0)
      OR (kind = 'withdrawn' AND amount_minor < 0)
      OR (kind = 'given_back' AND amount_minor > 0))
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
  ...appendOnly('member_entry'),

  `CREATE TABLE IF NOT EXISTS withdrawal (
    id ${id} NOT NULL PRIMARY KEY,
    member_id ${id} NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency ${currency} NOT NULL,
    bank_code ${code} NOT NULL,
    account_last4 CHAR(4) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    balance_of ${id} NULL,
    account_service ${code} NULL,
    status ${code} NOT NULL,
    failure_code ${code} NULL,
    failure_detail VARCHAR(500) NULL,
    channel_id ${code} NULL,
    order_no ${id} NULL,
    attempts INT NOT NULL,
    request_key VARCHAR(200) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    request_digest ${digest} NOT NULL,
    created_at DATETIME(3) NOT NULL,
    ended_at DATETIME(3) NULL,
    UNIQUE KEY withdrawal_request (request_key),
    KEY withdrawal_member (member_id, id),
    KEY withdrawal_status (status, id),
    CONSTRAINT withdrawal_balance_exists FOREIGN KEY (balance_of, currency)
      REFERENCES member_account (id, currency),
    CONSTRAINT withdrawal_funded_once CHECK ((balance_of IS NULL) <> (account_service IS NULL)),
    CONSTRAINT withdrawal_amount CHECK (amount_minor > 0),
    CONSTRAINT withdrawal_states CHECK (
      (status IN ('processing', 'needs_review') AND ended_at IS NULL AND failure_code IS NULL)
      OR (status = 'succeeded' AND ended_at IS NOT NULL AND order_no IS NOT NULL AND failure_code IS NULL)
      OR (status = 'failed' AND ended_at IS NOT NULL AND failure_code IS NOT NULL))
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,

  // No channel has part in what is taken of a balance of ours; `deduction_id` is any task's.
  `ALTER TABLE ledger_entry MODIFY channel_id ${code} NULL, MODIFY order_no ${id} NULL`,
];
