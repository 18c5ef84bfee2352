/**
 * Append-only means it (rule 11). The application's user is granted no more than SELECT and INSERT
 * on the log (see store/grants.ts); these triggers refuse a change to everybody else, the owner and
 * a person with a client included.
 */
const refuse = (event: 'update' | 'delete') => `CREATE TRIGGER execution_log_no_${event}
  BEFORE ${event.toUpperCase()} ON execution_log FOR EACH ROW
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the execution log is append-only'`;

export const up: readonly string[] = [
  'DROP TRIGGER IF EXISTS execution_log_no_update',
  refuse('update'),
  'DROP TRIGGER IF EXISTS execution_log_no_delete',
  refuse('delete'),
];
