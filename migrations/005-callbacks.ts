/**
 * What passed between us and the channels, beside the tasks. None of these tables is asked for a
 * decision about money, and each may lose its last second at a crash:
 *
 * - `callback_receipt`: genuine callbacks whose evidence is in the execution log. A row is written
 *   after the log, never before, so a copy that finds one has nothing to add, and a callback whose
 *   process died in between counts again when the channel repeats it. Purged by age; the time window
 *   of the messages themselves refuses what is older.
 * - `callback_count`: how many callbacks of each verdict came from each channel, by day (UTC).
 * - `channel_call`: the call journal, masked. Purged by age.
 */
const id = 'VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin';
const code = 'VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin';

export const up: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS callback_receipt (
    channel_id ${code} NOT NULL,
    digest CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    nonce ${id} NULL,
    task_id ${id} NOT NULL,
    order_no VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    verdict ${code} NOT NULL,
    received_at DATETIME(3) NOT NULL,
    PRIMARY KEY (channel_id, digest),
    KEY callback_receipt_age (received_at)
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,

  `CREATE TABLE IF NOT EXISTS callback_count (
    channel_id ${code} NOT NULL,
    day DATE NOT NULL,
    verdict ${code} NOT NULL,
    messages BIGINT NOT NULL,
    last_at DATETIME(3) NOT NULL,
    PRIMARY KEY (channel_id, day, verdict)
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,

  `CREATE TABLE IF NOT EXISTS channel_call (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    started_at DATETIME(3) NOT NULL,
    channel_id ${code} NOT NULL,
    order_no VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    operation ${code} NOT NULL,
    duration_ms INT NOT NULL,
    http_status SMALLINT NULL,
    verdict ${code} NOT NULL,
    detail VARCHAR(300) NOT NULL,
    sent TEXT NULL,
    received TEXT NULL,
    KEY channel_call_order (order_no, id),
    KEY channel_call_age (started_at)
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
];
