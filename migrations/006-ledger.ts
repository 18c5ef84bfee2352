/**
 * The ledger: how a message gets from the outbox into the books, and the books themselves.
 *
 * `outbox.send_at` is when a message is to be sent (again); null when nothing more is to be sent,
 * because it is delivered or a dead letter. So one index range holds all the relay's work, and an
 * insert by the journal needs none of these columns.
 *
 * A row of `ledger_posting` is a whole transfer: one account debited, another credited, one amount.
 * Debits so equal credits in every row that can be written at all, whoever writes it; the foreign
 * keys hold both accounts to the posting's currency. The books are append-only like the execution
 * log: a mistake is corrected by an entry of its own.
 */
const id = 'VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin';
const code = 'VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin';
const currency = 'CHAR(3) CHARACTER SET ascii COLLATE ascii_bin';
const uuid = 'CHAR(36) CHARACTER SET ascii COLLATE ascii_bin';
const digest = 'CHAR(64) CHARACTER SET ascii COLLATE ascii_bin';

const books = ['ledger_account', 'ledger_entry', 'ledger_posting', 'ledger_inbox'] as const;

const appendOnly = (table: string): readonly string[] =>
  (['update', 'delete'] as const).flatMap((event) => [
    `DROP TRIGGER IF EXISTS ${table}_no_${event}`,
    `CREATE TRIGGER ${table}_no_${event}
      BEFORE ${event.toUpperCase()} ON ${table} FOR EACH ROW
      SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the ledger is append-only'`,
  ]);

export const up = [
  {
    unless: `SELECT 1 FROM information_schema.columns
      WHERE table_schema = DATABASE() AND table_name = 'outbox' AND column_name = 'send_at'`,
    run: `ALTER TABLE outbox
      ADD COLUMN send_at DATETIME(3) NULL DEFAULT CURRENT_TIMESTAMP(3),
      ADD COLUMN dispatches INT NOT NULL DEFAULT 0,
      ADD COLUMN tries INT NOT NULL DEFAULT 0,
      ADD COLUMN last_error VARCHAR(500) NULL,
      ADD KEY outbox_due (send_at, id)`,
  },
  // Whoever read the outbox before there was a relay may have marked what they had taken.
  'UPDATE outbox SET send_at = NULL WHERE delivered_at IS NOT NULL AND send_at IS NOT NULL',
  {
    unless: `SELECT 1 FROM information_schema.table_constraints
      WHERE table_schema = DATABASE() AND table_name = 'outbox'
        AND constraint_name = 'outbox_states'`,
    run: `ALTER TABLE outbox
      ADD CONSTRAINT outbox_states CHECK (delivered_at IS NULL OR send_at IS NULL)`,
  },

  `CREATE TABLE IF NOT EXISTS dead_letter (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    outbox_id BIGINT NOT NULL,
    topic ${code} NOT NULL,
    message_key ${id} NOT NULL,
    kind ${code} NOT NULL,
    amount_minor BIGINT NOT NULL,
    evidence VARCHAR(1000) NOT NULL,
    tries INT NOT NULL,
    replays INT NOT NULL DEFAULT 0,
    replayed_at DATETIME(3) NULL,
    opened_at DATETIME(3) NOT NULL,
    closed_at DATETIME(3) NULL,
    resolution VARCHAR(500) NULL,
    open_outbox_id BIGINT GENERATED ALWAYS AS (IF(closed_at IS NULL, outbox_id, NULL)) STORED,
    UNIQUE KEY dead_letter_open_message (open_outbox_id),
    KEY dead_letter_open (closed_at, opened_at),
    CONSTRAINT dead_letter_kinds CHECK (
      kind IN ('malformed', 'refused', 'conflict', 'retries_exhausted')),
    CONSTRAINT dead_letter_closed CHECK ((closed_at IS NULL) = (resolution IS NULL))
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,

  `CREATE TABLE IF NOT EXISTS ledger_account (
    code ${id} NOT NULL,
    currency ${currency} NOT NULL,
    class ${code} NOT NULL,
    opened_at DATETIME(3) NOT NULL,
    PRIMARY KEY (code, currency),
    CONSTRAINT ledger_account_classes CHECK (class IN ('asset', 'liability', 'income', 'expense'))
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,

  `CREATE TABLE IF NOT EXISTS ledger_entry (
    id ${uuid} NOT NULL PRIMARY KEY,
    topic ${code} NOT NULL,
    message_key ${id} NOT NULL,
    deduction_id ${id} NOT NULL,
    repayment_id ${id} NULL,
    channel_id ${code} NOT NULL,
    order_no ${id} NOT NULL,
    occurred_at DATETIME(3) NOT NULL,
    posted_at DATETIME(3) NOT NULL,
    UNIQUE KEY ledger_entry_source (topic, message_key),
    KEY ledger_entry_deduction (deduction_id),
    KEY ledger_entry_channel (channel_id, occurred_at)
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,

  // The keys of the accounts hold the amount, too: the trial balance reads them and nothing else.
  `CREATE TABLE IF NOT EXISTS ledger_posting (
    entry_id ${uuid} NOT NULL,
    line_no INT NOT NULL,
    debit_account ${id} NOT NULL,
    credit_account ${id} NOT NULL,
    currency ${currency} NOT NULL,
    amount_minor BIGINT NOT NULL,
    PRIMARY KEY (entry_id, line_no),
    KEY ledger_posting_debit (debit_account, currency, amount_minor),
    KEY ledger_posting_credit (credit_account, currency, amount_minor),
    CONSTRAINT ledger_posting_entry FOREIGN KEY (entry_id) REFERENCES ledger_entry (id),
    CONSTRAINT ledger_posting_debited FOREIGN KEY (debit_account, currency)
      REFERENCES ledger_account (code, currency),
    CONSTRAINT ledger_posting_credited FOREIGN KEY (credit_account, currency)
      REFERENCES ledger_account (code, currency),
    CONSTRAINT ledger_posting_amount CHECK (amount_minor > 0),
    CONSTRAINT ledger_posting_moves CHECK (debit_account <> credit_account)
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,

  // What was received, for ever: outbox rows are purged, and a message may come again after that.
  `CREATE TABLE IF NOT EXISTS ledger_inbox (
    topic ${code} NOT NULL,
    message_key ${id} NOT NULL,
    digest ${digest} NOT NULL,
    entry_id ${uuid} NOT NULL,
    received_at DATETIME(3) NOT NULL,
    PRIMARY KEY (topic, message_key),
    CONSTRAINT ledger_inbox_entry FOREIGN KEY (entry_id) REFERENCES ledger_entry (id)
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,

  ...books.flatMap(appendOnly),
];
