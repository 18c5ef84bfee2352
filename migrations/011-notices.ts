/**
 * Outgoing notices: what business systems are told, and how the telling went.
 *
 * - `notice`: one row an event, written in the transaction that makes the event true: by the journal
 *   with the entry that ends a task, and by the triggers below with a case. `message_id` is made of
 *   the event and nothing else, so one event is one notice, and its body never changes. `pending` is 1
 *   until the relay has fanned it out, then null: one index range holds all that is left to do.
 * - `notice_delivery`: a notice for one destination. It is due at `next_at`; null when nothing more is
 *   to be sent. Claiming moves `next_at` ahead: whoever dies after sending is followed by another.
 * - `notice_try`: every request that was made, append-only but for the purge by age.
 * - `notice_outage`: a destination that needs a person, one open row a kind: it is a case.
 *
 * The triggers write nothing unless a destination wants cases. They stand here because cases are
 * opened by four rooms, and none of them should have to remember.
 */
const id = 'VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin';
const code = 'VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin';
const table = 'ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin';
/** The parts of a view come from tables of different character sets. */
const text = (sql: string): string => `CONVERT(${sql} USING utf8mb4) COLLATE utf8mb4_bin`;

const iso = (at: string): string =>
  `CONCAT(DATE_FORMAT(${at}, '%Y-%m-%dT%H:%i:%s.'), LPAD(MICROSECOND(${at}) DIV 1000, 3, '0'), 'Z')`;

interface CaseTable {
  readonly table: string;
  readonly caseId: string;
  readonly kind: string;
  readonly taskId: string;
  /** A case that was closed may open again. */
  readonly reopens?: true;
}

const caseTables: readonly CaseTable[] = [
  {
    table: 'review_case',
    caseId: `CONCAT('task:', NEW.task_id, ':', NEW.case_no)`,
    kind: 'NEW.reason',
    taskId: 'NEW.task_id',
  },
  {
    table: 'dead_letter',
    caseId: `CONCAT('dead:', NEW.id)`,
    kind: 'NEW.kind',
    taskId: `IF(SUBSTRING(NEW.message_key, 9, 1) = '-', LEFT(NEW.message_key, 36), NULL)`,
  },
  {
    table: 'reconciliation_break',
    caseId: `CONCAT('break:', NEW.id)`,
    kind: 'NEW.kind',
    taskId: 'NULL',
    reopens: true,
  },
  {
    table: 'active_check_finding',
    caseId: `CONCAT('check:', NEW.id)`,
    kind: 'NEW.kind',
    taskId: 'NEW.task_id',
  },
  {
    table: 'notice_outage',
    caseId: `CONCAT('notice:', NEW.id)`,
    kind: 'NEW.kind',
    taskId: 'NULL',
  },
];

const tellCase = ({ table: of, caseId, kind, taskId }: CaseTable): string => {
  const amount = of === 'notice_outage' ? '0' : 'NEW.amount_minor';
  return `INSERT INTO notice (message_id, type, task_id, body, created_at)
    SELECT
      CONCAT('msg_', LEFT(SHA2(CONCAT('case.opened/', ${caseId}, '/', ${iso('NEW.opened_at')}), 256), 32)),
      'case.opened', ${taskId},
      JSON_OBJECT('type', 'case.opened', 'timestamp', ${iso('NEW.opened_at')}, 'data',
        JSON_OBJECT('id', ${caseId}, 'kind', ${kind}, 'task_id', ${taskId}, 'amount_minor', ${amount})),
      NEW.opened_at
    FROM DUAL WHERE EXISTS (SELECT 1 FROM notice_destination
      WHERE removed_at IS NULL AND (types = '*' OR FIND_IN_SET('case.opened', types)))
    ON DUPLICATE KEY UPDATE notice.message_id = notice.message_id`;
};

/** What 017 needs as well. */
export const tellsOf = (one: CaseTable): readonly string[] => [
  `DROP TRIGGER IF EXISTS ${one.table}_told`,
  `CREATE TRIGGER ${one.table}_told AFTER INSERT ON ${one.table} FOR EACH ROW ${tellCase(one)}`,
  ...(one.reopens === undefined
    ? []
    : [
        `DROP TRIGGER IF EXISTS ${one.table}_told_again`,
        `CREATE TRIGGER ${one.table}_told_again AFTER UPDATE ON ${one.table} FOR EACH ROW
        BEGIN
          IF OLD.closed_at IS NOT NULL AND NEW.closed_at IS NULL THEN ${tellCase(one)}; END IF;
        END`,
      ]),
];

export const up: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS notice_destination (
    id ${code} NOT NULL PRIMARY KEY,
    url VARCHAR(500) NOT NULL,
    types VARCHAR(1000) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    secret_envs VARCHAR(500) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    paused_at DATETIME(3) NULL,
    paused_why VARCHAR(200) NULL,
    resumed_at DATETIME(3) NULL,
    created_at DATETIME(3) NOT NULL,
    removed_at DATETIME(3) NULL,
    CONSTRAINT notice_destination_paused CHECK ((paused_at IS NULL) = (paused_why IS NULL))
  ) ${table}`,

  `CREATE TABLE IF NOT EXISTS notice (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    message_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    type ${code} NOT NULL,
    task_id ${id} NULL,
    body TEXT NOT NULL,
    created_at DATETIME(3) NOT NULL,
    pending TINYINT NULL DEFAULT 1,
    UNIQUE KEY notice_message (message_id),
    KEY notice_pending (pending, id),
    KEY notice_task (task_id, id),
    KEY notice_age (created_at),
    CONSTRAINT notice_pends CHECK (pending = 1)
  ) ${table}`,

  `CREATE TABLE IF NOT EXISTS notice_delivery (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    notice_id BIGINT NOT NULL,
    destination_id ${code} NOT NULL,
    state ${code} NOT NULL DEFAULT 'waiting',
    next_at DATETIME(3) NULL,
    first_try_at DATETIME(3) NULL,
    tries INT NOT NULL DEFAULT 0,
    last_status INT NULL,
    last_error VARCHAR(300) NULL,
    delivered_at DATETIME(3) NULL,
    exhausted_at DATETIME(3) NULL,
    UNIQUE KEY notice_delivery_one (notice_id, destination_id),
    KEY notice_delivery_due (destination_id, next_at, id),
    KEY notice_delivery_state (state, destination_id, id),
    CONSTRAINT notice_delivery_of FOREIGN KEY (notice_id) REFERENCES notice (id),
    CONSTRAINT notice_delivery_to FOREIGN KEY (destination_id) REFERENCES notice_destination (id),
    CONSTRAINT notice_delivery_states CHECK (
      (state = 'waiting' AND next_at IS NOT NULL)
      OR (state = 'delivered' AND next_at IS NULL AND delivered_at IS NOT NULL)
      OR (state = 'exhausted' AND next_at IS NULL AND exhausted_at IS NOT NULL)
      OR (state = 'dropped' AND next_at IS NULL))
  ) ${table}`,

  `CREATE TABLE IF NOT EXISTS notice_try (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    delivery_id BIGINT NOT NULL,
    at DATETIME(3) NOT NULL,
    duration_ms INT NOT NULL,
    http_status INT NULL,
    error VARCHAR(300) NULL,
    KEY notice_try_of (delivery_id, id)
  ) ${table}`,

  `CREATE TABLE IF NOT EXISTS notice_outage (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    destination_id ${code} NOT NULL,
    kind ${code} NOT NULL,
    evidence VARCHAR(1000) NOT NULL,
    opened_at DATETIME(3) NOT NULL,
    closed_at DATETIME(3) NULL,
    resolution VARCHAR(500) NULL,
    open_destination_id ${code}
      GENERATED ALWAYS AS (IF(closed_at IS NULL, destination_id, NULL)) STORED,
    UNIQUE KEY notice_outage_open (open_destination_id, kind),
    KEY notice_outage_list (closed_at, opened_at),
    CONSTRAINT notice_outage_kinds CHECK (kind IN ('notices_exhausted', 'destination_gone')),
    CONSTRAINT notice_outage_closed CHECK ((closed_at IS NULL) = (resolution IS NULL))
  ) ${table}`,

  ...caseTables.flatMap(tellsOf),

  // A message's key begins with a task's id, or is an order number, which has no hyphen.
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
  FROM notice_outage`,
];
