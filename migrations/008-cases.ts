/**
 * Cases: what only a person can decide, the work that people do on them, and what the active check
 * knows.
 *
 * A case's facts stay in the table that owns them; `case_view` shows them all in one form. What
 * people add hangs on the case's id: an owner, notes, and proposals. A proposal is one person's wish
 * (the maker) that another person must approve (the checker). The constraints are the rules:
 *
 * - `case_proposal_two_people`: maker and checker are two people. Names are compared without regard
 *   to case, accents, width or spaces at the end, and two keys of one name are one person.
 * - `case_proposal_in_time`: what has expired cannot be approved.
 * - `case_proposal_as_approved`: what was approved is what was proposed, by its digest.
 * - `case_proposal_one_open`: one proposal a case that is open, or approved and not yet carried out.
 * - the triggers: what was proposed never changes, nor does anything that has ended.
 */
const caseId = 'VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin';
const id = 'VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin';
const code = 'VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin';
const digest = 'CHAR(64) CHARACTER SET ascii COLLATE ascii_bin';
const table = 'ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin';
const folded = 'COLLATE utf8mb4_unicode_520_ci';
/** The parts of a view come from tables of different character sets. */
const text = (sql: string): string => `CONVERT(${sql} USING utf8mb4) COLLATE utf8mb4_bin`;

const fixed = [
  'case_id',
  'proposal_no',
  'action',
  'payload',
  'payload_digest',
  'maker',
  'maker_key',
  'made_at',
  'expires_at',
];

export const up: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS case_work (
    case_id ${caseId} NOT NULL PRIMARY KEY,
    owner VARCHAR(100) NULL,
    assigned_at DATETIME(3) NULL,
    KEY case_work_owner (owner)
  ) ${table}`,

  `CREATE TABLE IF NOT EXISTS case_note (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    case_id ${caseId} NOT NULL,
    at DATETIME(3) NOT NULL,
    author VARCHAR(100) NOT NULL,
    author_key ${id} NOT NULL,
    note VARCHAR(2000) NOT NULL,
    KEY case_note_case (case_id, id)
  ) ${table}`,

  `CREATE TABLE IF NOT EXISTS case_proposal (
    case_id ${caseId} NOT NULL,
    proposal_no INT NOT NULL,
    action ${code} NOT NULL,
    payload TEXT NOT NULL,
    payload_digest ${digest} NOT NULL,
    maker VARCHAR(100) NOT NULL,
    maker_key ${id} NOT NULL,
    made_at DATETIME(3) NOT NULL,
    expires_at DATETIME(3) NOT NULL,
    state ${code} NOT NULL,
    checker VARCHAR(100) NULL,
    checker_key ${id} NULL,
    decided_at DATETIME(3) NULL,
    approved_digest ${digest} NULL,
    reject_reason VARCHAR(500) NULL,
    ended_at DATETIME(3) NULL,
    outcome VARCHAR(500) NULL,
    tries INT NOT NULL DEFAULT 0,
    try_at DATETIME(3) NULL,
    last_problem VARCHAR(300) NULL,
    open_case_id ${caseId}
      GENERATED ALWAYS AS (IF(state IN ('open', 'approved'), case_id, NULL)) STORED,
    PRIMARY KEY (case_id, proposal_no),
    UNIQUE KEY case_proposal_one_open (open_case_id),
    KEY case_proposal_due (state, try_at),
    CONSTRAINT case_proposal_two_people CHECK (
      state NOT IN ('approved', 'executed', 'void')
      OR (maker ${folded} <> checker ${folded} AND maker_key <> checker_key)),
    CONSTRAINT case_proposal_in_time CHECK (
      expires_at > made_at
      AND (state NOT IN ('approved', 'executed', 'void') OR decided_at < expires_at)),
    CONSTRAINT case_proposal_as_approved CHECK (
      state NOT IN ('approved', 'executed') OR approved_digest = payload_digest),
    CONSTRAINT case_proposal_states CHECK (
      (state = 'open' AND checker IS NULL AND decided_at IS NULL AND ended_at IS NULL)
      OR (state = 'approved' AND checker IS NOT NULL AND checker_key IS NOT NULL
        AND decided_at IS NOT NULL AND approved_digest IS NOT NULL AND try_at IS NOT NULL
        AND ended_at IS NULL)
      OR (state IN ('executed', 'void') AND checker IS NOT NULL AND checker_key IS NOT NULL
        AND decided_at IS NOT NULL AND approved_digest IS NOT NULL
        AND ended_at IS NOT NULL AND outcome IS NOT NULL)
      OR (state = 'rejected' AND checker IS NOT NULL AND decided_at IS NOT NULL
        AND reject_reason IS NOT NULL AND ended_at IS NOT NULL)
      OR (state = 'expired' AND checker IS NULL AND ended_at IS NOT NULL))
  ) ${table}`,

  'DROP TRIGGER IF EXISTS case_proposal_fixed',
  `CREATE TRIGGER case_proposal_fixed BEFORE UPDATE ON case_proposal FOR EACH ROW
  BEGIN
    IF OLD.state NOT IN ('open', 'approved')
      OR (OLD.state = 'approved' AND NEW.state IN ('open', 'rejected', 'expired'))
      OR NOT (${fixed.map((column) => `NEW.${column} <=> OLD.${column}`).join(' AND ')})
    THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'what was proposed does not change';
    END IF;
  END`,
  'DROP TRIGGER IF EXISTS case_proposal_stays',
  `CREATE TRIGGER case_proposal_stays BEFORE DELETE ON case_proposal FOR EACH ROW
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'proposals are kept'`,

  // What the active check follows, how far it has looked, and what it could not mend.
  `CREATE TABLE IF NOT EXISTS active_check_task (
    task_id ${id} NOT NULL PRIMARY KEY,
    since DATETIME(3) NOT NULL,
    check_at DATETIME(3) NOT NULL,
    checks INT NOT NULL DEFAULT 0,
    KEY active_check_task_due (check_at)
  ) ${table}`,

  `CREATE TABLE IF NOT EXISTS active_check_mark (
    name ${code} NOT NULL PRIMARY KEY,
    position ${id} NOT NULL,
    moved_at DATETIME(3) NOT NULL
  ) ${table}`,

  `CREATE TABLE IF NOT EXISTS active_check_finding (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    task_id ${id} NULL,
    kind ${code} NOT NULL,
    amount_minor BIGINT NOT NULL,
    evidence VARCHAR(1000) NOT NULL,
    opened_at DATETIME(3) NOT NULL,
    seen_at DATETIME(3) NOT NULL,
    closed_at DATETIME(3) NULL,
    resolution VARCHAR(500) NULL,
    written_off BOOLEAN NOT NULL DEFAULT FALSE,
    open_about ${id} GENERATED ALWAYS AS (IF(closed_at IS NULL, IFNULL(task_id, ''), NULL)) STORED,
    UNIQUE KEY active_check_finding_open (open_about, kind),
    KEY active_check_finding_list (closed_at, opened_at),
    KEY active_check_finding_task (task_id, kind),
    CONSTRAINT active_check_finding_closed CHECK ((closed_at IS NULL) = (resolution IS NULL))
  ) ${table}`,

  `CREATE OR REPLACE VIEW case_view AS
  SELECT 'task' AS source, ${text(`CONCAT('task:', task_id, ':', case_no)`)} AS id,
    ${text('reason')} AS kind, ${text('task_id')} AS task_id, case_no AS no, attempt_no,
    amount_minor, evidence, opened_at, closed_at, resolution
  FROM review_case
  UNION ALL
  SELECT 'dead', ${text(`CONCAT('dead:', id)`)}, ${text('kind')},
    ${text(`IF(topic = 'ledger.late_capture', NULL, message_key)`)}, id, NULL, amount_minor, evidence,
    opened_at, closed_at, resolution
  FROM dead_letter
  UNION ALL
  SELECT 'break', ${text(`CONCAT('break:', b.id)`)}, ${text('b.kind')}, ${text('a.task_id')}, b.id,
    a.attempt_no, b.amount_minor, b.evidence, b.opened_at, b.closed_at, b.resolution
  FROM reconciliation_break b LEFT JOIN attempt a ON a.order_no = b.order_no
  UNION ALL
  SELECT 'check', ${text(`CONCAT('check:', id)`)}, ${text('kind')}, ${text('task_id')}, id, NULL,
    amount_minor, evidence, opened_at, closed_at, resolution
  FROM active_check_finding`,
];
